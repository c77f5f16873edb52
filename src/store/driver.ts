import type { Sql, SqlValue } from "../shared/sql.ts";

export type DriverName = "better-sqlite3" | "node:sqlite";

export interface Connection extends Sql {
  readonly driver: DriverName;
  /** Tables of which the newest transaction has changed rows; without what it has rolled back. */
  changed(): ReadonlySet<string>;
  /** Rows as they are read; another statement waits for the last one. */
  iterate<Row>(query: string, ...values: SqlValue[]): IterableIterator<Row>;
  script(statements: string): void;
  backup(to: string): Promise<void>;
  close(): void;
}

export const inMemory = ":memory:";

export interface OpenOptions {
  readonly path: string;
  readonly readOnly: boolean;
  readonly busyMs: number;
}

export type Driver = (options: OpenOptions) => Connection;

/** Closes the connection after `body`. */
export function withConnection<T>(connection: Connection, body: (connection: Connection) => T): T {
  try {
    return body(connection);
  } finally {
    connection.close();
  }
}

interface SqliteStatement {
  all(...values: SqlValue[]): unknown[];
  iterate(...values: SqlValue[]): IterableIterator<unknown>;
  run(...values: SqlValue[]): { readonly changes: number | bigint };
}

interface SqliteDatabase {
  prepare(query: string): SqliteStatement;
  exec(statements: string): unknown;
  close(): unknown;
}

/**
 * SQLite with STAT4, as better-sqlite3 is built, compiles a statement again after each binding of a
 * value that its plan may depend on: 10 to 20 times the time of a lookup. A unary plus hides the
 * value from the planner, and does not change it.
 */
export function withFixedPlan(query: string): string {
  return query.replaceAll(/'[^']*'|"[^"]*"|\?/g, (part) => (part === "?" ? "+?" : part));
}

/** Effect of a statement on its transaction, by its text. */
type Effect = { readonly table: string } | "begin" | "mark" | "take-back" | "release" | "none";

const effectsOfVerbs: Readonly<Record<string, Effect>> = {
  BEGIN: "begin",
  ROLLBACK: "take-back",
  SAVEPOINT: "mark",
  RELEASE: "release",
};

/** Pure. A table that a statement changes is the first that it names behind such a verb. */
function effectOf(query: string): Effect {
  const [, verb = ""] = /^\s*(\w+)/.exec(query) ?? [];
  const effect = effectsOfVerbs[verb.toUpperCase()];
  if (effect !== undefined) return effect;
  if (!/^(?:WITH|INSERT|REPLACE|UPDATE|DELETE)$/i.test(verb)) return "none";
  const named = /\b(?:(?:INSERT|REPLACE)(?:\s+OR\s+\w+)?\s+INTO|UPDATE(?:\s+OR\s+\w+)?|DELETE\s+FROM)\s+"?(\w+)/i;
  const [, table] = named.exec(query) ?? [];
  return table === undefined ? "none" : { table };
}

/** Tables of changed rows, in the order of the changes: a rollback removes those since its mark. */
class ChangedTables {
  readonly tables: string[] = [];
  #marks: number[] = [];

  note(effect: Effect, rows: number): void {
    if (effect === "begin") this.#marks.length = this.tables.length = 0;
    else if (effect === "mark") this.#marks.push(this.tables.length);
    else if (effect === "take-back") this.tables.length = this.#marks.at(-1) ?? 0;
    else if (effect === "release") this.#marks.pop();
    else if (effect !== "none" && rows > 0 && this.tables.at(-1) !== effect.table) this.tables.push(effect.table);
  }
}

/** Compiles each statement once. */
export function toConnection(
  driver: DriverName,
  db: SqliteDatabase,
  backup: (to: string) => Promise<unknown>,
): Connection {
  const prepared = new Map<string, { readonly statement: SqliteStatement; readonly effect: Effect }>();
  const prepare = (query: string) => {
    let found = prepared.get(query);
    if (!found) {
      found = { statement: db.prepare(withFixedPlan(query)), effect: effectOf(query) };
      prepared.set(query, found);
    }
    return found;
  };
  const changed = new ChangedTables();
  return {
    driver,
    changed: () => new Set(changed.tables),
    all<Row>(query: string, ...values: SqlValue[]): Row[] {
      const { statement, effect } = prepare(query);
      const rows = statement.all(...values);
      changed.note(effect, rows.length);
      // The row type is the caller's promise about its own SQL.
      return rows as Row[];
    },
    iterate: <Row>(query: string, ...values: SqlValue[]) =>
      prepare(query).statement.iterate(...values) as IterableIterator<Row>,
    run(query, ...values) {
      const { statement, effect } = prepare(query);
      const rows = Number(statement.run(...values).changes);
      changed.note(effect, rows);
      return rows;
    },
    script: (statements) => void db.exec(statements),
    backup: async (to) => void (await backup(to)),
    close: () => void db.close(),
  };
}

let loadedDriver: DriverName | null = null;

/** Two SQLite builds in one process would drop each other's POSIX locks. */
export function claimDriver(name: DriverName): void {
  if (loadedDriver !== null && loadedDriver !== name) {
    throw new Error(
      `this process already uses ${loadedDriver}; a second SQLite build (${name}) would drop its file locks`,
    );
  }
  loadedDriver = name;
}

/** Bytes to which the next checkpoint truncates a log that a reader had kept growing. */
const maxWalBytes = 64 * 1024 * 1024;

/** Four times SQLite's default: the MCP process checkpoints between calls (`checkpointWal`). */
const autoCheckpointPages = 4_000;

/** SQLite's own default; better-sqlite3 is built with eight times as much, which the host fills. */
const cacheKib = 2_000;

export function connect(driver: Driver, path: string, busyMs: number): Connection {
  const connection = driver({ path, readOnly: false, busyMs });
  try {
    // better-sqlite3 is built with NORMAL as the default in WAL mode. Deletions that are
    // secure from the start leave nothing in pages that SQLite has rebalanced, either.
    connection.script(
      `PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA journal_size_limit = ${maxWalBytes};
       PRAGMA wal_autocheckpoint = ${autoCheckpointPages}; PRAGMA cache_size = -${cacheKib}; PRAGMA secure_delete = ON`,
    );
    // SQLite opens the -wal file by name at the first read, which needs the maintenance lock.
    connection.all("SELECT count(*) AS n FROM sqlite_schema");
    return connection;
  } catch (error) {
    connection.close();
    throw error;
  }
}

export function transaction<T>(connection: Connection, begin: "BEGIN" | "BEGIN IMMEDIATE", body: () => T): T {
  connection.run(begin);
  let result: T;
  try {
    result = body();
    connection.run("COMMIT");
  } catch (error) {
    try {
      connection.run("ROLLBACK");
    } catch {
      // SQLite has already rolled back (disk full, I/O error); the first error counts.
    }
    throw error;
  }
  return result;
}
