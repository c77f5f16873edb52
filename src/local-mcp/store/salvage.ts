import { existsSync, statSync, truncateSync } from "node:fs";
import type { SqlValue } from "../../shared/sql.ts";
import { decode } from "./checkpoint-body.ts";
import { connect } from "./connect.ts";
import type { Site } from "./database.ts";
import type { Connection } from "./driver.ts";
import { raiseJournalSequence } from "./journal-sequence.ts";
import { isConstraint } from "./store-error.ts";
import { transaction } from "./transaction.ts";

type Row = Record<string, SqlValue>;

interface Table {
  readonly name: string;
  readonly key: readonly string[];
  readonly columns: readonly string[];
}

/** Rows that never change: those in the backup are as good, and are kept. Rows of other tables are newer in the damaged file. */
const unchanging: ReadonlySet<string> = new Set(["journal", "checkpoints", "signals", "crashes", "recoveries"]);
/** The new file's own. */
const own: ReadonlySet<string> = new Set([
  "meta",
  "migrations",
  "notices",
  "checkpoints_unindexed",
  // Copies of what the coordinator has: it is asked for all of them again.
  "remote_sessions",
  "remote_checkpoints",
]);

/** Rows read at once; where a page is damaged, one by one. */
const PAGE = 200;
/** SQLite's default page, in bytes. */
const SQLITE_PAGE = 4096;

/**
 * Takes over what can be read of a damaged database, row by row, from both ends of each table, and says in the notice what came.
 * Best effort: where nothing can be read the notice says so.
 */
export function salvage(site: Site, damaged: string, noticeId: number): void {
  const target = connect(site.driver, site.files.database, site.busyMs);
  try {
    transaction(target, "BEGIN IMMEDIATE", () => {
      const found = takeOver(site, damaged, target);
      raiseJournalSequence(target);
      target.run("UPDATE notices SET text = text || ? WHERE id = ?", ` ${report(found)}`, noticeId);
    });
  } finally {
    target.close();
  }
}

function takeOver(site: Site, damaged: string, target: Connection): Map<string, number> | null {
  const found = new Map<string, number>();
  if (!existsSync(damaged)) return null;
  // A database of no bytes makes SQLite delete its log, and the log may hold the newest rows.
  if (statSync(damaged).size === 0) truncateSync(damaged, SQLITE_PAGE);
  let source: Connection | null = null;
  try {
    source = site.driver({ path: damaged, readOnly: true, busyMs: site.busyMs });
    source.all("SELECT count(*) AS n FROM sqlite_schema");
    for (const table of commonTables(source, target)) found.set(table.name, copy(source, target, table));
    takeOverMeta(source, target);
    return found;
  } catch {
    // The head of the file or its schema is gone; what was copied before that stands.
    return found.size > 0 ? found : null;
  } finally {
    source?.close();
  }
}

function copy(source: Connection, target: Connection, table: Table): number {
  const { name, key, columns } = table;
  const conflict = unchanging.has(name) ? "DO NOTHING" : `(${key.join(", ")}) DO UPDATE SET ${updates(table)}`;
  const insert = `INSERT INTO ${name} (${columns.join(", ")}) VALUES (${columns.map(() => "?").join(", ")}) ON CONFLICT ${conflict}`;
  let copied = 0;
  for (const row of readableRows(source, table)) {
    if (isSoundRow(table, row)) copied += tryInsert(target, insert, columns, row);
  }
  return copied;
}

function updates({ name, key, columns }: Table): string {
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
    .filter(({ name }) => !own.has(name))
    .map(({ name }) => commonColumns(source, target, name))
    .filter((table) => table.key.length > 0);
}

function commonColumns(source: Connection, target: Connection, name: string): Table {
  const query = "SELECT '\"' || name || '\"' AS name, pk FROM pragma_table_info(?) ORDER BY pk";
  const known = new Set(source.all<{ name: string }>(query, name).map((column) => column.name));
  const all = target.all<{ name: string; pk: number }>(query, name);
  const key = all.filter((column) => column.pk > 0).map((column) => column.name);
  return {
    name,
    key: key.every((column) => known.has(column)) ? key : [],
    columns: all.map((column) => column.name).filter((column) => known.has(column)),
  };
}

/** Upwards until a damaged page, then downwards from the other end to the same hole. */
function* readableRows(source: Connection, table: Table): Generator<Row> {
  const isWhole = yield* walk(source, table, "ASC");
  if (!isWhole) yield* walk(source, table, "DESC");
}

/** Answers whether it came to the end. */
function* walk(source: Connection, table: Table, direction: "ASC" | "DESC"): Generator<Row, boolean> {
  const order = table.key.map((name) => `${name} ${direction}`).join(", ");
  const key = `(${table.key.join(", ")})`;
  const marks = `(${table.key.map(() => "?").join(", ")})`;
  let last: SqlValue[] | null = null;
  let limit = PAGE;
  for (;;) {
    const where: string = last ? `WHERE ${key} ${direction === "ASC" ? ">" : "<"} ${marks}` : "";
    const query = `SELECT ${table.columns.join(", ")} FROM ${table.name} ${where} ORDER BY ${order} LIMIT ${limit}`;
    const rows = tryRead(source, query, last ?? []);
    if (rows === null) {
      if (limit === 1) return false;
      limit = 1;
      continue;
    }
    yield* rows;
    const newest = rows.at(-1);
    if (!newest) return true;
    last = table.key.map((column) => newest[unquoted(column)] ?? null);
  }
}

function tryRead(source: Connection, query: string, values: readonly SqlValue[]): Row[] | null {
  try {
    return source.all<Row>(query, ...values);
  } catch {
    return null;
  }
}

/** A row that breaks a rule of its table is damage, too. */
function tryInsert(target: Connection, insert: string, columns: readonly string[], row: Row): number {
  try {
    return target.run(insert, ...columns.map((column) => row[unquoted(column)] ?? null));
  } catch (error) {
    if (isConstraint(error)) return 0;
    throw error;
  }
}

function isSoundRow(table: Table, row: Row): boolean {
  try {
    const { body, hash } = row;
    if (body instanceof Uint8Array) decode(body, String(hash));
    else if (table.name === "journal") JSON.parse(String(body));
    return true;
  } catch {
    return false;
  }
}

function unquoted(column: string): string {
  return column.slice(1, -1);
}

/** Settings such as a pause; the epoch is the new file's own. */
function takeOverMeta(source: Connection, target: Connection): void {
  const rows = source.all<{ key: string; value: string }>("SELECT key, value FROM meta WHERE key <> 'epoch'");
  for (const { key, value } of rows) {
    target.run(
      "INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
      key,
      value,
    );
  }
}

function report(found: Map<string, number> | null): string {
  const loss = "What stood on damaged pages and in no good backup is lost.";
  if (found === null) return `Nothing could be read from the damaged file. ${loss}`;
  const parts = [...found].filter(([, rows]) => rows > 0).map(([table, rows]) => `${rows} of ${table}`);
  return `Rows taken over from the damaged file: ${parts.join(", ") || "none"}. ${loss}`;
}
