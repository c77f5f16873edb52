import type { CheckedInputOf, OutputOf } from "../contract/operations.ts";
import type { Rows } from "../contract/workspaces.ts";
import { messageOf } from "../shared/error.ts";
import { fail, ok, type Result } from "../shared/result.ts";
import type { Sql, SqlValue } from "../shared/sql.ts";
import { findProblem } from "./import-check.ts";
import * as audit from "./kernel/audit.ts";
import { meta as metaTable } from "./kernel/kernel-tables.ts";
import type { Handlers } from "./kernel/handlers.ts";
import * as meta from "./kernel/meta.ts";
import type { Tx } from "./kernel/tx.ts";
import { tables } from "./schema.ts";
import { state } from "./state/state.ts";
import { heldDueSql } from "./tasks/task-rows.ts";
import { tasks } from "./tasks/task-tables.ts";
import * as freeze from "./workspace/freeze.ts";
import * as restore from "./workspace/restore.ts";
import { raiseEpoch } from "./workspace/settings.ts";
import { writtenRowsKey } from "./workspace/metrics.ts";

/** A workspace as rows that another coordinator takes: all but who may open it. */

const importKey = "import";
const ownKeys = new Set([...freeze.ownKeys, ...restore.ownKeys, writtenRowsKey, importKey]);

/** `meta` is the last: triggers count in it what is inserted before. */
const stays = new Set<unknown>([...restore.accessTables, metaTable]);
const moved = [...tables.filter((one) => !stays.has(one)), metaTable];
const movedNames: readonly string[] = moved.map(({ name }) => name);
type MovedTable = (typeof moved)[number];

const maxPageRows = 1_000;
const maxPageChars = 500_000;

type Key = readonly SqlValue[];

function toCursor(table: string, key: Key): string {
  return JSON.stringify([table, ...key]);
}

function exportPage(tx: Tx, after: string | undefined): Result<OutputOf<"workspace.export">> {
  const start = after === undefined ? { at: 0, key: null } : readCursor(after);
  const table = start && moved[start.at];
  if (!table) return fail("bad_input", "after is not the cursor of a page");
  const { rows, last } = readRows(tx.sql, table, start.key);
  const following = moved[start.at + 1];
  const next = last ? toCursor(table.name, last) : following ? toCursor(following.name, []) : null;
  return ok({ page: { table: table.name, columns: [...table.names], rows }, next });
}

function readCursor(text: string): { readonly at: number; readonly key: Key | null } | null {
  try {
    const [name, ...key] = JSON.parse(text) as [unknown, ...SqlValue[]];
    return { at: movedNames.indexOf(String(name)), key: key.length > 0 ? key : null };
  } catch {
    return null;
  }
}

/** One row at a time: a row may have megabytes. @returns the last key; null: the table ends */
function readRows(sql: Sql, table: MovedTable, after: Key | null): { rows: Rows["rows"]; last: Key | null } {
  const key = table.key.map((name) => `"${name}"`).join(", ");
  const marks = table.key.map(() => "?").join(", ");
  const rows: Rows["rows"] = [];
  let chars = 0;
  let last = after;
  while (rows.length < maxPageRows && chars < maxPageChars) {
    const [row] = sql.all<Record<string, string | number | null>>(
      `SELECT ${table.columns()} FROM ${table.name} ${last ? `WHERE (${key}) > (${marks})` : ""} ORDER BY ${key} LIMIT 1`,
      ...(last ?? []),
    );
    if (!row) return { rows, last: null };
    last = table.key.map((name) => row[name] ?? null);
    if (table === metaTable && ownKeys.has(String(row["key"]))) continue;
    const values = table.names.map((name) => row[name] ?? null);
    rows.push(values);
    chars += JSON.stringify(values).length;
  }
  return { rows, last };
}

interface Importing {
  readonly id: string;
  /** The part that comes next. */
  readonly next: number;
}

function readImport({ sql }: Tx): Importing | null {
  return JSON.parse(meta.read(sql, importKey) ?? "null") as Importing | null;
}

function writeImport({ sql }: Tx, importing: Importing): void {
  meta.write(sql, importKey, JSON.stringify(importing));
}

type Import = CheckedInputOf<"workspace.import">;

function importPart(tx: Tx, input: Import, by: string): Result<OutputOf<"workspace.import">> {
  const { id, part, page, counts } = input;
  const current = readImport(tx);
  if (part === 0 && current?.id !== id) return begin(tx, id);
  if (current?.id !== id) return fail("bad_input", "this import has not begun: its first part is 0");
  // A repeat.
  if (part < current.next) return ok({ next: current.next, epoch: null });
  if (part > current.next) return fail("bad_input", `part ${current.next} comes before ${part}`);
  const wrong = page ? insertRows(tx, page) : null;
  // Line 1 of an exported file has no rows.
  if (wrong !== null) return fail("bad_input", `line ${part + 1} of the export: ${wrong}`);
  if (counts) return finish(tx, input, counts, by);
  writeImport(tx, { id, next: part + 1 });
  return ok({ next: part + 1, epoch: null });
}

/** Chats and what machines have synced may be there: both come again by themselves. */
function begin(tx: Tx, id: string): Result<OutputOf<"workspace.import">> {
  const used = readImport(tx) ? [] : [tasks, state].filter((one) => one.count(tx.sql) > 0);
  if (used.length > 0) {
    const what = used.map(({ name }) => name).join(", ");
    return fail("workspace_in_use", `this workspace has ${what}: import into a new one`);
  }
  for (const table of moved) if (table !== metaTable) tx.sql.run(`DELETE FROM ${table.name}`);
  const kept = JSON.stringify(["epoch", ...ownKeys]);
  tx.sql.run("DELETE FROM meta WHERE key NOT IN (SELECT value FROM json_each(?))", kept);
  freeze.set(tx, meta.untilImported);
  writeImport(tx, { id, next: 1 });
  return ok({ next: 1, epoch: null });
}

/** @returns why the rows cannot be inserted, or null */
function insertRows({ sql, now }: Tx, { table: name, columns, rows }: Rows): string | null {
  const table = moved.find((one) => one.name === name);
  const unknown = columns.find((column) => !(table?.names as readonly string[] | undefined)?.includes(column));
  if (!table || unknown !== undefined)
    return `${unknown === undefined ? "a table" : `a column, ${unknown},`} of ${name} is unknown here: deploy the version of the export, or a later one`;
  const verb = table === metaTable ? "INSERT OR REPLACE" : "INSERT";
  const quoted = columns.map((column) => `"${column}"`).join(", ");
  const query = `${verb} INTO ${name} (${quoted}) VALUES (${columns.map(() => "?").join(", ")})`;
  for (const [at, row] of rows.entries()) {
    if (table === metaTable && ownKeys.has(String(row[columns.indexOf("key")]))) continue;
    const problem = findProblem(table as never, columns, row, now) ?? tryRun(sql, query, row);
    if (problem !== null) return `row ${at + 1}, of ${name}, cannot be stored: ${problem}`;
  }
  return null;
}

/** @returns why not, or null */
function tryRun(sql: Sql, query: string, row: Key): string | null {
  try {
    sql.run(query, ...row);
    return null;
  } catch (error) {
    return messageOf(error);
  }
}

const strayTask = "SELECT task FROM tasks WHERE chat IS NOT NULL AND chat NOT IN (SELECT chat FROM chats) LIMIT 1";

const checkHolders = `UPDATE chats SET dueAt = ? WHERE EXISTS (
  SELECT 1 FROM tasks WHERE tasks.chat = chats.chat AND ${heldDueSql} < ifnull(chats.dueAt, 9e15))`;

function finish(
  tx: Tx,
  { id, quietMs }: Import,
  counts: Readonly<Record<string, number>>,
  by: string,
): Result<OutputOf<"workspace.import">> {
  for (const table of moved) {
    const own = table === metaTable ? [...ownKeys].filter((key) => meta.read(tx.sql, key) !== null).length : 0;
    const stored = table.count(tx.sql) - own;
    const given = counts[table.name] ?? 0;
    if (stored !== given) {
      const message = `${table.name} has ${stored} rows here and ${given} in the export: import it again from the beginning`;
      return fail("bad_input", message);
    }
  }
  const [stray] = tx.sql.all<{ task: number }>(strayTask);
  if (stray) return fail("bad_input", `task ${stray.task} is held by a chat that the export does not have`);
  // Tasks that became due meanwhile are found by the check of their chat.
  tx.sql.run(checkHolders, tx.now);
  freeze.set(tx, tx.now);
  meta.remove(tx.sql, importKey);
  const rows = Object.values(counts).reduce((sum, count) => sum + count, 0);
  audit.append(tx, { kind: "workspace.imported", subject: id, actor: by, detail: { rows } });
  return ok({ next: 0, epoch: raiseEpoch(tx, { reason: `import of ${id}`, quietMs }, by) });
}

export const handlers = {
  "workspace.export"(tx, { freeze: number, after }) {
    const message = "the workspace is not frozen any more, or for another export: begin the export again";
    const isValid = meta.isFrozen(tx) && freeze.numberOf(tx) === number && !readImport(tx);
    return isValid ? exportPage(tx, after) : fail("not_frozen", message);
  },
  "workspace.import": (tx, input, { machine }) => importPart(tx, input, machine),
} satisfies Partial<Handlers>;
