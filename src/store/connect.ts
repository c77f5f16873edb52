import type { Connection, Driver } from "./driver.ts";

/** Bytes to which the next checkpoint truncates a log that a reader had kept growing. */
const maxWalBytes = 64 * 1024 * 1024;

/** Four times SQLite's default: the MCP process checkpoints between calls (`checkpointWal`). */
const autoCheckpointPages = 4_000;

/** SQLite's own default; better-sqlite3 is built with eight times as much, which the host fills. */
const cacheKib = 2_000;

export function connect(driver: Driver, path: string, busyMs: number): Connection {
  const connection = driver({ path, readOnly: false, busyMs });
  try {
    // better-sqlite3 is built with NORMAL as the default in WAL mode.
    connection.script(
      `PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA journal_size_limit = ${maxWalBytes};
       PRAGMA wal_autocheckpoint = ${autoCheckpointPages}; PRAGMA cache_size = -${cacheKib}`,
    );
    // SQLite opens the -wal file by name at the first read, which needs the maintenance lock.
    connection.all("SELECT count(*) AS n FROM sqlite_schema");
    return connection;
  } catch (error) {
    connection.close();
    throw error;
  }
}
