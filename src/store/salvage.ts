import { existsSync } from "node:fs";
import { decode } from "./checkpoint-body.ts";
import { connect } from "./connect.ts";
import type { StoreContext } from "./database.ts";
import { withConnection, type Connection } from "./driver.ts";
import * as meta from "./meta.ts";
import { raiseJournalSequence } from "./journal-sequence.ts";
import { readableRows, tryRead, unquoted, type TableRow, type Table } from "./salvage-rows.ts";
import { schemaPages, withSource } from "./salvage-source.ts";
import { isConstraint } from "./store-error.ts";
import { transaction } from "./transaction.ts";
import { parseJson } from "../shared/json-fields.ts";

/** Immutable rows: the backup's are as good. Other tables are newer in the damaged file. */
const immutableTables: ReadonlySet<string> = new Set(["journal", "checkpoints", "signals", "crashes", "recoveries"]);
const ownTables: ReadonlySet<string> = new Set([
  "meta",
  "migrations",
  "notices",
  "checkpoints_unindexed",
  // Copies of the coordinator's data, which are pulled again.
  "remote_sessions",
  "remote_checkpoints",
]);

/** [ST96] [ST97] A wrong header, a cut file or a damaged schema costs only rows on bad pages. */
export function salvage(context: StoreContext, damaged: string, noticeId: number): void {
  const schema = schemaPages(context);
  withConnection(connect(context.driver, context.files.database, context.busyMs), (target) =>
    transaction(target, "BEGIN IMMEDIATE", () => {
      const isAlike = (source: Connection): boolean => hasSameMigrations(source, target);
      const copiedCounts = existsSync(damaged)
        ? withSource(context, damaged, schema, isAlike, (source) => copyTables(source, target))
        : null;
      raiseJournalSequence(target);
      target.run("UPDATE notices SET text = text || ? WHERE id = ?", ` ${formatReport(copiedCounts)}`, noticeId);
    }),
  );
}

function copyTables(source: Connection, target: Connection): Map<string, number> {
  const tables = commonTables(source, target);
  const found = new Map(tables.map((table) => [table.name, copyTable(source, target, table)]));
  adoptOrphans(target, found);
  copyMeta(source, target);
  return found;
}

/** Compares migrations: equal ones put the schema on the same pages. */
function hasSameMigrations(source: Connection, target: Connection): boolean {
  const query = "SELECT id, name, appliedAt FROM migrations ORDER BY id";
  const [theirs, ours] = [tryRead(source, query, []), target.all<TableRow>(query)];
  if (theirs === null || theirs.length !== ours.length) return false;
  const isCopy = theirs.every((row, index) => row["appliedAt"] === ours[index]?.["appliedAt"]);
  const isSame = theirs.every(
    (row, index) => row["id"] === ours[index]?.["id"] && row["name"] === ours[index]?.["name"],
  );
  return isSame && (isCopy || (isSingleRun(theirs) && isSingleRun(ours)));
}

function isSingleRun(steps: readonly TableRow[]): boolean {
  return new Set(steps.map((step) => step["appliedAt"])).size === 1;
}

/** Adds missing session rows, without which checkpoints and journals could not be found. */
function adoptOrphans(target: Connection, found: ReadonlyMap<string, number>): void {
  if (!found.has("checkpoints") || !found.has("journal")) return;
  target.run(
    `INSERT INTO sessions (id, client, project, origin, startedAt, lastSeenAt)
     SELECT session, 'unknown', (SELECT max(project) FROM snapshots s WHERE s.session = kept.session), 'salvaged', min(at), max(at)
     FROM (SELECT session, at FROM checkpoints UNION ALL SELECT session, at FROM journal) kept
     WHERE session NOT IN (SELECT id FROM sessions) GROUP BY session`,
  );
}

function copyTable(source: Connection, target: Connection, table: Table): number {
  const { name, key, columns } = table;
  const conflict = immutableTables.has(name)
    ? "DO NOTHING"
    : `(${key.join(", ")}) DO UPDATE SET ${conflictUpdate(table)}`;
  const insert = `INSERT INTO ${name} (${columns.join(", ")}) VALUES (${columns.map(() => "?").join(", ")}) ON CONFLICT ${conflict}`;
  let copied = 0;
  for (const row of readableRows(source, table)) {
    if (isSoundRow(table, row)) copied += tryInsert(target, insert, columns, row);
  }
  return copied;
}

function conflictUpdate({ name, key, columns }: Table): string {
  const changed = columns.filter((column) => !key.includes(column)).map((column) => `${column} = excluded.${column}`);
  const isNewer = name === "sessions" ? " WHERE excluded.lastSeenAt >= sessions.lastSeenAt" : "";
  return `${changed.join(", ")}${isNewer}`;
}

/** Uses the schemas of both files, so that tables of a later migration are included. */
function commonTables(source: Connection, target: Connection): Table[] {
  const names = target.all<{ name: string }>(
    "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND name NOT LIKE 'sqlite!_%' ESCAPE '!' ORDER BY name",
  );
  return names
    .filter(({ name }) => !ownTables.has(name))
    .map(({ name }) => commonColumns(source, target, name))
    .filter((table) => table.key.length > 0);
}

function commonColumns(source: Connection, target: Connection, name: string): Table {
  const query = "SELECT '\"' || name || '\"' AS name, pk FROM pragma_table_info(?) ORDER BY pk";
  const sourceColumns = new Set(source.all<{ name: string }>(query, name).map((column) => column.name));
  const targetColumns = target.all<{ name: string; pk: number }>(query, name);
  const key = targetColumns.filter((column) => column.pk > 0).map((column) => column.name);
  return {
    name,
    key: key.every((column) => sourceColumns.has(column)) ? key : [],
    columns: targetColumns.map((column) => column.name).filter((column) => sourceColumns.has(column)),
    isNumbered: target.all("SELECT 1 FROM pragma_index_list(?) WHERE origin = 'pk'", name).length === 0,
  };
}

function tryInsert(target: Connection, insert: string, columns: readonly string[], row: TableRow): number {
  try {
    return target.run(insert, ...columns.map((column) => row[unquoted(column)] ?? null));
  } catch (error) {
    if (isConstraint(error)) return 0;
    throw error;
  }
}

function isSoundRow(table: Table, row: TableRow): boolean {
  // Missing pages are filled with zeros; no text of SHIM's contains one.
  if (Object.values(row).some((value) => typeof value === "string" && value.includes("\0"))) return false;
  try {
    const { body, hash } = row;
    if (body instanceof Uint8Array) decode(body, String(hash));
    else if (table.name === "journal") JSON.parse(String(body));
    else if (table.name === "checkpoints") return false;
    return true;
  } catch {
    return false;
  }
}

function copyMeta(source: Connection, target: Connection): void {
  const table: Table = { name: "meta", key: ['"key"'], columns: ['"key"', '"value"'], isNumbered: false };
  for (const row of readableRows(source, table)) {
    const { key, value } = row;
    if (key === "epoch" || typeof key !== "string" || typeof value !== "string") continue;
    if (!isSoundRow(table, row) || !isSoundValue(value)) continue;
    meta.write(target, key, value);
  }
}

function isSoundValue(value: string): boolean {
  return !/^[[{]/.test(value) || parseJson(value) !== undefined;
}

function formatReport(found: Map<string, number> | null): string {
  const loss = "What was on damaged pages and in no good backup is lost.";
  if (found === null) return `Nothing could be read from the damaged file. ${loss}`;
  const parts = [...found].filter(([, rows]) => rows > 0).map(([table, rows]) => `${rows} of ${table}`);
  return `Rows recovered from the damaged file: ${parts.join(", ") || "none"}. ${loss}`;
}
