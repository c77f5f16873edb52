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

/** Compiles each statement once. */
export function toConnection(
  driver: DriverName,
  db: SqliteDatabase,
  backup: (to: string) => Promise<unknown>,
): Connection {
  const prepared = new Map<string, SqliteStatement>();
  const prepare = (query: string): SqliteStatement => {
    let statement = prepared.get(query);
    if (!statement) prepared.set(query, (statement = db.prepare(query)));
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

/** [ST9] Two SQLite builds in one process would drop each other's POSIX locks. */
export function claimDriver(name: DriverName): void {
  if (loadedDriver !== null && loadedDriver !== name) {
    throw new Error(
      `this process already uses ${loadedDriver}; a second SQLite build (${name}) would drop its file locks`,
    );
  }
  loadedDriver = name;
}
