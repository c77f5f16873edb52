import type { Sql, SqlValue } from "../shared/sql.ts";

export type DriverName = "better-sqlite3" | "node:sqlite";

export interface Connection extends Sql {
  readonly driver: DriverName;
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

/** Compiles each statement once. */
export function toConnection(
  driver: DriverName,
  db: SqliteDatabase,
  backup: (to: string) => Promise<unknown>,
): Connection {
  const prepared = new Map<string, SqliteStatement>();
  const prepare = (query: string): SqliteStatement => {
    let statement = prepared.get(query);
    if (!statement) prepared.set(query, (statement = db.prepare(withFixedPlan(query))));
    return statement;
  };
  return {
    driver,
    // The row type is the caller's promise about its own SQL.
    all: <Row>(query: string, ...values: SqlValue[]): Row[] => prepare(query).all(...values) as Row[],
    iterate: <Row>(query: string, ...values: SqlValue[]) => prepare(query).iterate(...values) as IterableIterator<Row>,
    run: (query, ...values) => Number(prepare(query).run(...values).changes),
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
