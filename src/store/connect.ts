import type { Connection, Driver } from "./driver.ts";

/** A log that grew beyond this while a reader held it is cut back at the next checkpoint; in bytes. */
const maxWalBytes = 64 * 1024 * 1024;

/**
 * A write that finds the log longer than this brings it into the file, which takes some ten ms: four times SQLite's default, since
 * the MCP process does it between the calls (`Store.tidy`).
 */
const autoCheckpointPages = 4_000;

/** Opens a database for durable work: what was committed is on the disk (WAL, `synchronous=FULL`). */
export function connect(driver: Driver, path: string, busyMs: number): Connection {
  const connection = driver({ path, readOnly: false, busyMs });
  try {
    // better-sqlite3 is built with NORMAL as the default in WAL mode, so FULL must be said.
    connection.script(
      `PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA journal_size_limit = ${maxWalBytes};
       PRAGMA wal_autocheckpoint = ${autoCheckpointPages}`,
    );
    // SQLite opens the -wal file by name at the first read: it must happen now, while the maintenance lock holds the names still.
    connection.all("SELECT count(*) AS n FROM sqlite_schema");
    return connection;
  } catch (error) {
    connection.close();
    throw error;
  }
}
