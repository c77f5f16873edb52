import type { Sql } from "../shared/sql.ts";

export type DriverName = "better-sqlite3" | "node:sqlite";

export interface Connection extends Sql {
  readonly driver: DriverName;
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
