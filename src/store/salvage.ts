import { closeSync, copyFileSync, existsSync, ftruncateSync, openSync, readSync, statSync, writeSync } from "node:fs";
import type { SqlValue } from "../shared/sql.ts";
import { decode } from "./checkpoint-body.ts";
import { pageBytes, removeDatabase, type StoreContext } from "./database.ts";
import { withConnection, type Connection } from "./driver.ts";
import { raiseJournalSequence } from "./session-tables.ts";
import { isConstraint } from "./store-error.ts";
import { parseJson } from "../shared/json-fields.ts";

type TableRow = Record<string, SqlValue>;

/** Columns that both files have; the key is whole. */
interface Shared {
  readonly name: string;
  readonly key: readonly string[];
  readonly columns: readonly string[];
  readonly isNumbered: boolean;
}

/** Immutable rows: the backup's are as good. Other tables are newer in the damaged file. */
const immutableTables: ReadonlySet<string> = new Set(["journal", "checkpoints", "signals", "crashes", "recoveries"]);
/** Others are of the new file, or are copies of the coordinator's data, which are pulled again. */
const ownTables: ReadonlySet<string> = new Set([
  "migrations",
  "notices",
  "checkpoints_unindexed",
  "sessions_elsewhere",
]);

/**
 * Copies the rows of a damaged database that SQLite still reads. A wrong header, a
 * cut file or a damaged schema costs only rows on bad pages.
 * @param target the new database, at `files.next`, without a log
 * @returns what was found, for people
 */
export function salvage(context: StoreContext, damaged: string | null, target: Connection): string {
  const found = damaged === null ? null : readDamaged(context, damaged, target);
  raiseJournalSequence(target);
  const loss = "What was on damaged pages and in no good backup is lost.";
  if (found === null) return `Nothing could be read from the damaged file. ${loss}`;
  const parts = [...found]
    .filter(([table, rows]) => rows > 0 && table !== "meta")
    .map(([table, rows]) => `${rows} of ${table}`);
  return `Rows recovered from the damaged file: ${parts.join(", ") || "none"}. ${loss}`;
}

/**
 * SQLite refuses a wrong header, and one that names too many pages: then a copy with a repaired
 * header is read; last one with the new database's schema, too, where that describes its pages.
 * @returns rows by table; null where nothing can be opened
 */
function readDamaged(context: StoreContext, damaged: string, target: Connection): Map<string, number> | null {
  const copy = `${damaged}.salvage`;
  const readCopy = (isWithSchema: boolean): Map<string, number> | null => {
    removeDatabase(copy);
    copyFileSync(damaged, copy);
    if (existsSync(`${damaged}-wal`)) copyFileSync(`${damaged}-wal`, `${copy}-wal`);
    repairHead(copy, readTemplate(context.files.next, target), isWithSchema);
    return readFile(context, copy, target, (source) => !isWithSchema || isAlike(source, target));
  };
  try {
    const stats = statSync(damaged);
    if (!stats.isFile()) return null;
    // SQLite deletes the log of an empty database, and the log may hold the newest rows.
    const found = stats.size === 0 ? null : readFile(context, damaged, target, () => true);
    return found ?? readCopy(false) ?? readCopy(true);
  } finally {
    removeDatabase(copy);
  }
}

function readFile(
  context: StoreContext,
  path: string,
  target: Connection,
  isFit: (source: Connection) => boolean,
): Map<string, number> | null {
  const source = openSource(context, path, isFit);
  return source && withConnection(source, () => copyTables(source, target));
}

function openSource(
  { driver, busyMs }: StoreContext,
  path: string,
  isFit: (source: Connection) => boolean,
): Connection | null {
  let source: Connection | null = null;
  try {
    source = driver({ path, readOnly: true, busyMs });
    if (source.all("SELECT name FROM sqlite_schema WHERE type = 'table'").length > 0 && isFit(source)) return source;
  } catch {
    // SQLite does not read it.
  }
  source?.close();
  return null;
}

/** Compares: as many migrations, in one run each, have the same pages; so has a copy. */
function isAlike(source: Connection, target: Connection): boolean {
  const [theirs, ours] = [timesOf(source), timesOf(target)];
  const isOneRun = [theirs, ours].every((times) => new Set(times).size === 1);
  return theirs.join() === ours.join() || (isOneRun && theirs.length === ours.length);
}

function timesOf(file: Connection): number[] {
  return file.all<{ at: number }>("SELECT appliedAt AS at FROM migrations ORDER BY id").map(({ at }) => at);
}

/** Uses the schemas of both files: other databases of SHIM have other tables. */
function copyTables(source: Connection, target: Connection): Map<string, number> {
  const names = target.all<{ name: string }>(
    "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND name NOT LIKE 'sqlite!_%' ESCAPE '!' ORDER BY name",
  );
  const found = new Map<string, number>();
  for (const { name } of names) {
    const shared = ownTables.has(name) ? null : sharedColumns(source, target, name);
    if (shared) found.set(name, copyTable(source, target, shared));
  }
  if (!found.has("checkpoints") || !found.has("journal")) return found;
  // Without a session's row its checkpoints and journal could not be found.
  target.run(
    `INSERT INTO sessions (id, client, project, origin, startedAt, lastSeenAt)
     SELECT session, 'unknown', (SELECT max(project) FROM snapshots s WHERE s.session = kept.session), 'salvaged', min(at), max(at)
     FROM (SELECT session, at FROM checkpoints UNION ALL SELECT session, at FROM journal) kept
     WHERE session NOT IN (SELECT id FROM sessions) GROUP BY session`,
  );
  return found;
}

/** Null where the damaged file is of a program that had no such table. */
function sharedColumns(source: Connection, target: Connection, name: string): Shared | null {
  const columnsOf = "SELECT name, type, pk FROM pragma_table_info(?) ORDER BY pk";
  const known = new Set(source.all<{ name: string }>(columnsOf, name).map((column) => column.name));
  const columns = target.all<{ name: string; type: string; pk: number }>(columnsOf, name);
  const key = columns.filter(({ pk }) => pk > 0);
  if (key.length === 0 || !key.every((column) => known.has(column.name))) return null;
  return {
    name,
    key: key.map((column) => column.name),
    columns: columns.map((column) => column.name).filter((column) => known.has(column)),
    isNumbered: key.length === 1 && key[0]?.type === "INTEGER",
  };
}

function copyTable(source: Connection, target: Connection, shared: Shared): number {
  const { name, columns } = shared;
  const marks = columns.map(() => "?").join(", ");
  const insert = `INSERT INTO ${name} (${quoted(columns)}) VALUES (${marks}) ON CONFLICT ${onConflict(shared)}`;
  let copied = 0;
  for (const row of new DamagedTable(source, shared).rows()) {
    if (!isSoundRow(name, row)) continue;
    try {
      copied += target.run(insert, ...columns.map((column) => withoutZeros(row[column] ?? null)));
    } catch (error) {
      if (!isConstraint(error)) throw error;
    }
  }
  return copied;
}

function withoutZeros(value: SqlValue): SqlValue {
  return typeof value === "string" ? value.replaceAll("\0", "") : value;
}

function onConflict({ name, key, columns }: Shared): string {
  if (immutableTables.has(name)) return "DO NOTHING";
  const others = columns.filter((column) => !key.includes(column));
  const changes = others.map((column) => `"${column}" = excluded."${column}"`).join(", ");
  const isNewer = name === "sessions" ? " WHERE excluded.lastSeenAt >= sessions.lastSeenAt" : "";
  return `(${quoted(key)}) DO ${changes === "" ? "NOTHING" : `UPDATE SET ${changes}${isNewer}`}`;
}

function isSoundRow(table: string, row: TableRow): boolean {
  const { id, session, key, value, body, hash } = row;
  // Missing pages are filled with zeros, which no text of SHIM's contains; a state has a hash.
  const named = table === "checkpoints" ? [id, session] : Object.values(row);
  if (named.some((text) => typeof text === "string" && text.includes("\0"))) return false;
  try {
    if (table === "meta")
      return key === "epoch"
        ? /^\d{1,9}$/.test(String(value))
        : !/^[[{]/.test(String(value)) || parseJson(String(value)) !== undefined;
    if (table === "checkpoints" && !(body instanceof Uint8Array)) return false;
    if (body instanceof Uint8Array) decode(body, String(hash));
    else if (table === "journal") JSON.parse(String(body));
    return true;
  } catch {
    return false;
  }
}

/** Bound of ranges, and of single numbers, that are read of one table. */
const maxProbes = 5_000;
/** Numbers after the last one that was read, where the highest is not known. */
const maxBeyond = 1_000;

/** Reads from both ends as far as SQLite does, then between the unreadable pages. */
class DamagedTable {
  readonly #source: Connection;
  readonly #shared: Shared;
  /** Numbers of rows that were read. */
  readonly #seen = new Set<number>();

  constructor(source: Connection, shared: Shared) {
    this.#source = source;
    this.#shared = shared;
  }

  *rows(): Generator<TableRow> {
    const { key, isNumbered } = this.#shared;
    if (yield* this.#read(`ORDER BY ${quoted(key)}`)) return;
    const last = [...this.#seen].at(-1) ?? 0;
    yield* this.#read(`ORDER BY ${key.map((column) => `"${column}" DESC`).join(", ")}`);
    if (!isNumbered) return;
    const first = [...this.#seen].at(-1) ?? 0;
    const highest = first === last ? this.#highest(last) : [...this.#seen].reduce((a, b) => Math.max(a, b));
    const hidden: readonly (readonly [low: number, high: number])[] = [
      [last + 1, first === last ? highest : first - 1],
      // Damaged numbers may say that nothing is between.
      [1, highest],
    ];
    const budget = { left: maxProbes };
    for (const [low, high] of hidden) yield* this.#between(low, high, budget);
    let probes = 0;
    for (const [low, high] of hidden)
      for (let number = low; number <= high && probes < maxProbes; number++) {
        if (this.#seen.has(number)) continue;
        probes += 1;
        yield* this.#read(`WHERE "${key[0]}" = ?`, number);
      }
  }

  /** Halves what cannot be read as a whole. */
  *#between(low: number, high: number, budget: { left: number }): Generator<TableRow> {
    if (low > high || budget.left <= 0) return;
    budget.left -= 1;
    const name = `"${this.#shared.key[0]}"`;
    const isWhole = yield* this.#read(`WHERE ${name} BETWEEN ? AND ? ORDER BY ${name}`, low, high);
    if (isWhole || low === high) return;
    const middle = Math.floor((low + high) / 2);
    yield* this.#between(low, middle, budget);
    yield* this.#between(middle + 1, high, budget);
  }

  /** @returns whether SQLite has read to the end */
  *#read(rest: string, ...values: readonly SqlValue[]): Generator<TableRow, boolean> {
    const { name, key, columns, isNumbered } = this.#shared;
    const query = `SELECT ${quoted(columns)} FROM ${name} ${rest}`;
    for (let rows: IterableIterator<TableRow> | null = null; ;) {
      let row: TableRow;
      try {
        rows ??= this.#source.iterate<TableRow>(query, ...values);
        const next = rows.next();
        if (next.done === true) return true;
        row = next.value;
      } catch {
        return false;
      }
      const number = Number(row[key[0] ?? ""]);
      if (isNumbered && this.#seen.has(number)) continue;
      if (isNumbered) this.#seen.add(number);
      yield row;
    }
  }

  #highest(last: number): number {
    const query = "SELECT seq FROM sqlite_sequence WHERE name = ?";
    try {
      const [row] = this.#source.all<{ seq: number }>(query, this.#shared.name);
      if (row) return Math.max(row.seq, last);
    } catch {
      // On an unreadable page.
    }
    return last + maxBeyond;
  }
}

function quoted(columns: readonly string[]): string {
  return columns.map((column) => `"${column}"`).join(", ");
}

/** Parts of a new file that a damaged one of the same program has, too. */
interface Template {
  readonly schema: ReadonlyMap<number, Buffer>;
  readonly pageCount: number;
}

/** Reads the file of `target`, of which all is in the file. */
function readTemplate(path: string, target: Connection): Template {
  const numbers = target.all<{ page: number }>("SELECT pageno AS page FROM dbstat WHERE name = 'sqlite_schema'");
  // Only this process knows the file yet, so none loses a lock when it is closed here.
  const file = openSync(path, "r");
  try {
    const pages = numbers.map(({ page }): [number, Buffer] => {
      const bytes = Buffer.alloc(pageBytes);
      readSync(file, bytes, 0, pageBytes, (page - 1) * pageBytes);
      return [page, bytes];
    });
    return { schema: new Map(pages), pageCount: statSync(path).size / pageBytes };
  } finally {
    closeSync(file);
  }
}

/** Positions in the header (sqlite.org/fileformat2.html, section 1.3). */
const headerBytes = 100;
const pageCountAt = 28;
const freelist = { start: 32, end: 40 };
/** Bounds a damaged header's page count; the extended file is mostly sparse. */
const maxPages = 2 ** 20;

/**
 * Gives the file the header of a new one, and its schema where that is wanted. Extends a truncated
 * file by empty pages: SQLite refuses a table that begins behind the end.
 */
function repairHead(path: string, { schema, pageCount }: Template, isWithSchema: boolean): void {
  const whole = Math.max(1, Math.ceil(statSync(path).size / pageBytes));
  const file = openSync(path, "r+");
  try {
    const stated = Buffer.alloc(4);
    readSync(file, stated, 0, 4, pageCountAt);
    const statedPages = stated.readUInt32BE();
    const pages = Math.max(whole, isWithSchema ? pageCount : 0, statedPages <= maxPages ? statedPages : 0);
    ftruncateSync(file, pages * pageBytes);
    const header = Buffer.from(schema.get(1)?.subarray(0, headerBytes) ?? []);
    header.writeUInt32BE(pages, pageCountAt);
    header.fill(0, freelist.start, freelist.end);
    for (const [number, page] of isWithSchema ? schema : [])
      writeSync(file, page, 0, pageBytes, (number - 1) * pageBytes);
    writeSync(file, header, 0, headerBytes, 0);
  } finally {
    closeSync(file);
  }
}
