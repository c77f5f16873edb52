import type { Sql } from "../shared/sql.ts";

export type DriverName = "better-sqlite3" | "node:sqlite";

/** One open SQLite file. Every method is synchronous; errors are the library's own. */
export interface Connection extends Sql {
  readonly driver: DriverName;
  /** Runs several statements without values. */
  script(statements: string): void;
  /** Copies the whole database into a new file while others work. */
  backup(to: string): Promise<void>;
  close(): void;
}

/** A path that stands for no file. */
export const inMemory = ":memory:";

export interface OpenOptions {
  readonly path: string;
  readonly readOnly: boolean;
  /** How long a statement waits for another writer. */
  readonly busyMs: number;
}

export type Driver = (options: OpenOptions) => Connection;

let loadedDriver: DriverName | null = null;

/**
 * [ST9] One SQLite build per process: two builds do not know of each other's POSIX locks and would drop them.
 */
export function claimDriver(name: DriverName): void {
  if (loadedDriver !== null && loadedDriver !== name) {
    throw new Error(
      `this process already uses ${loadedDriver}; a second SQLite build (${name}) would drop its file locks`,
    );
  }
  loadedDriver = name;
}
