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
  /** Rows that change: the damaged file's state is the newer one. Others are only added. */
  readonly isMutable?: true;
  /** Columns that hold JSON. */
  readonly json?: readonly string[];
}

const tables: readonly Table[] = [
  { name: "sessions", key: ["id"], isMutable: true, json: ["readings"] },
  { name: "clients", key: ["boot", "pid", "start"], isMutable: true },
  { name: "journal", key: ["seq"], json: ["body"] },
  { name: "checkpoints", key: ["seq"] },
  { name: "snapshots", key: ["checkpoint_id"], isMutable: true, json: ["detail"] },
  { name: "signals", key: ["session_id", "at"], json: ["readings"] },
  { name: "crashes", key: ["session_id", "at"], json: ["readings"] },
  { name: "recoveries", key: ["seq"], json: ["detail"] },
];

/** Rows read at once; where a page is damaged, one by one. */
const PAGE = 200;
/** SQLite's default page, in bytes. */
const SQLITE_PAGE = 4096;

/**
 * Takes over what can be read of a damaged database, row by row, from both ends of each table, and says in the notice what came.
 * Best effort: where nothing can be read the notice says so.
 */
export function salvage(site: Site, damaged: string, noticeId: number): void {
  const target = connect(site.driver, site.place.database, site.busyMs);
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
    for (const table of tables) found.set(table.name, copy(source, target, table));
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
  const columns = commonColumns(source, target, table.name);
  const isComplete = table.key.every((name) => columns.includes(name));
  if (!isComplete) return 0;
  const update = table.isMutable ? updateClause(table, columns) : "NOTHING";
  const insert = `INSERT INTO ${table.name} (${columns.join(", ")}) VALUES (${columns.map(() => "?").join(", ")})
    ON CONFLICT ${table.isMutable ? `(${table.key.join(", ")})` : ""} DO ${update}`;
  let copied = 0;
  for (const row of readableRows(source, table, columns)) {
    if (isSoundRow(table, row)) copied += tryInsert(target, insert, columns, row);
  }
  return copied;
}

function updateClause(table: Table, columns: readonly string[]): string {
  const others = columns.filter((name) => !table.key.includes(name));
  const isNewer = table.name === "sessions" ? " WHERE excluded.last_seen_at >= sessions.last_seen_at" : "";
  return `UPDATE SET ${others.map((name) => `${name} = excluded.${name}`).join(", ")}${isNewer}`;
}

function commonColumns(source: Connection, target: Connection, table: string): string[] {
  const read = (connection: Connection): string[] =>
    connection.all<{ name: string }>("SELECT name FROM pragma_table_info(?)", table).map((column) => column.name);
  const known = new Set(read(source));
  return read(target).filter((name) => known.has(name));
}

/** Upwards until a damaged page, then downwards from the other end to the same hole. */
function* readableRows(source: Connection, table: Table, columns: readonly string[]): Generator<Row> {
  const isWhole = yield* walk(source, table, columns, "ASC");
  if (!isWhole) yield* walk(source, table, columns, "DESC");
}

/** Answers whether it came to the end. */
function* walk(
  source: Connection,
  table: Table,
  columns: readonly string[],
  direction: "ASC" | "DESC",
): Generator<Row, boolean> {
  const order = table.key.map((name) => `${name} ${direction}`).join(", ");
  const key = `(${table.key.join(", ")})`;
  const marks = `(${table.key.map(() => "?").join(", ")})`;
  let last: SqlValue[] | null = null;
  let limit = PAGE;
  for (;;) {
    const where: string = last ? `WHERE ${key} ${direction === "ASC" ? ">" : "<"} ${marks}` : "";
    const query = `SELECT ${columns.join(", ")} FROM ${table.name} ${where} ORDER BY ${order} LIMIT ${limit}`;
    const rows = tryRead(source, query, last ?? []);
    if (rows === null) {
      if (limit === 1) return false;
      limit = 1;
      continue;
    }
    yield* rows;
    const newest = rows.at(-1);
    if (!newest) return true;
    last = table.key.map((name) => newest[name] ?? null);
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
    return target.run(insert, ...columns.map((name) => row[name] ?? null));
  } catch (error) {
    if (isConstraint(error)) return 0;
    throw error;
  }
}

function isSoundRow(table: Table, row: Row): boolean {
  try {
    for (const name of table.json ?? []) JSON.parse(String(row[name]));
    if (table.name === "checkpoints") decode(row["body"] as Uint8Array, String(row["hash"]));
    return true;
  } catch {
    return false;
  }
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
  const loss = "What was written after the backup and stood on damaged pages is lost.";
  if (found === null) return `Nothing could be read from the damaged file. ${loss}`;
  const parts = [...found].filter(([, rows]) => rows > 0).map(([table, rows]) => `${rows} of ${table}`);
  return `Rows taken over from the damaged file: ${parts.join(", ") || "none"}. ${loss}`;
}
