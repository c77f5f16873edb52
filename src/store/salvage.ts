import { existsSync } from "node:fs";
import { decode } from "./checkpoint-body.ts";
import { connect } from "./connect.ts";
import type { StoreContext } from "./database.ts";
import type { Connection } from "./driver.ts";
import { raiseJournalSequence } from "./journal-sequence.ts";
import { readableRows, tryRead, unquoted, type TableRow, type Table } from "./salvage-rows.ts";
import { schemaPages, withSource } from "./salvage-source.ts";
import { isConstraint } from "./store-error.ts";
import { transaction } from "./transaction.ts";

/** Rows that never change: those in the backup are as good, and are kept. Rows of other tables are newer in the damaged file. */
const immutableTables: ReadonlySet<string> = new Set(["journal", "checkpoints", "signals", "crashes", "recoveries"]);
/** The new file's own. */
const ownTables: ReadonlySet<string> = new Set([
  "meta",
  "migrations",
  "notices",
  "checkpoints_unindexed",
  // Copies of what the coordinator has: it is asked for all of them again.
  "remote_sessions",
  "remote_checkpoints",
]);

/**
 * Takes over what can be read of a damaged database, row by row, and says in the notice what came. [ST94] A wrong head, a file that was cut off
 * and a damaged schema cost what stood on the damaged pages, not the rest. Best effort: where nothing can be read the notice says so.
 */
export function salvage(context: StoreContext, damaged: string, noticeId: number): void {
  const schema = schemaPages(context);
  const target = connect(context.driver, context.files.database, context.busyMs);
  try {
    transaction(target, "BEGIN IMMEDIATE", () => {
      const isAlike = (source: Connection): boolean => hasSameMigrations(source, target);
      const copiedCounts = existsSync(damaged)
        ? withSource(context, damaged, schema, isAlike, (source) => copyTables(source, target))
        : null;
      raiseJournalSequence(target);
      target.run("UPDATE notices SET text = text || ? WHERE id = ?", ` ${formatReport(copiedCounts)}`, noticeId);
    });
  } finally {
    target.close();
  }
}

function copyTables(source: Connection, target: Connection): Map<string, number> {
  const tables = commonTables(source, target);
  const found = new Map(tables.map((table) => [table.name, copyTable(source, target, table)]));
  adoptOrphans(target, found);
  copyMeta(source, target);
  return found;
}

/**
 * The schema of the new database describes the damaged one when both have its pages in the same places: made in one go by the same steps, or one
 * is a backup of the other.
 */
function hasSameMigrations(source: Connection, target: Connection): boolean {
  const query = "SELECT id, name, applied_at FROM migrations ORDER BY id";
  const [theirs, ours] = [tryRead(source, query, []), target.all<TableRow>(query)];
  if (theirs === null || theirs.length !== ours.length) return false;
  const isCopy = theirs.every((row, index) => row["applied_at"] === ours[index]?.["applied_at"]);
  const isSame = theirs.every(
    (row, index) => row["id"] === ours[index]?.["id"] && row["name"] === ours[index]?.["name"],
  );
  return isSame && (isCopy || (isSingleRun(theirs) && isSingleRun(ours)));
}

function isSingleRun(steps: readonly TableRow[]): boolean {
  return new Set(steps.map((step) => step["applied_at"])).size === 1;
}

/** Checkpoints and journals whose session stood on a damaged page: without its row nobody would find them. */
function adoptOrphans(target: Connection, found: ReadonlyMap<string, number>): void {
  // The coordinator's file has none.
  if (!found.has("checkpoints") || !found.has("journal")) return;
  target.run(
    `INSERT INTO sessions (id, client, project, origin, started_at, last_seen_at)
     SELECT session_id, 'unknown', (SELECT max(project) FROM snapshots s WHERE s.session_id = kept.session_id), 'salvaged', min(at), max(at)
     FROM (SELECT session_id, at FROM checkpoints UNION ALL SELECT session_id, at FROM journal) kept
     WHERE session_id NOT IN (SELECT id FROM sessions) GROUP BY session_id`,
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
  const isNewer = name === "sessions" ? " WHERE excluded.last_seen_at >= sessions.last_seen_at" : "";
  return `${changed.join(", ")}${isNewer}`;
}

/** Ordinary tables, by what both files say of them: a table of a later migration is taken over, too. */
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

/** A row that breaks a rule of its table is damage, too. */
function tryInsert(target: Connection, insert: string, columns: readonly string[], row: TableRow): number {
  try {
    return target.run(insert, ...columns.map((column) => row[unquoted(column)] ?? null));
  } catch (error) {
    if (isConstraint(error)) return 0;
    throw error;
  }
}

function isSoundRow(table: Table, row: TableRow): boolean {
  // A page that was cut off is filled with zeros; nothing of SHIM's holds one.
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

/** Settings such as a pause; the epoch is the new file's own. */
function copyMeta(source: Connection, target: Connection): void {
  const table: Table = { name: "meta", key: ['"key"'], columns: ['"key"', '"value"'], isNumbered: false };
  for (const row of readableRows(source, table)) {
    const { key, value } = row;
    if (key === "epoch" || typeof key !== "string" || typeof value !== "string") continue;
    if (!isSoundRow(table, row) || !isSoundValue(value)) continue;
    target.run(
      "INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
      key,
      value,
    );
  }
}

/** What begins as JSON is read as JSON by whoever wrote it. */
function isSoundValue(value: string): boolean {
  if (!/^[[{]/.test(value)) return true;
  try {
    JSON.parse(value);
    return true;
  } catch {
    return false;
  }
}

function formatReport(found: Map<string, number> | null): string {
  const loss = "What stood on damaged pages and in no good backup is lost.";
  if (found === null) return `Nothing could be read from the damaged file. ${loss}`;
  const parts = [...found].filter(([, rows]) => rows > 0).map(([table, rows]) => `${rows} of ${table}`);
  return `Rows taken over from the damaged file: ${parts.join(", ") || "none"}. ${loss}`;
}
