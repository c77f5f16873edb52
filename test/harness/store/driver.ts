import type { Driver } from "#src/store/driver.ts";

/** The SQLite of the tests: better-sqlite3, or node:sqlite where a file of the night asks for it before it imports them. */
export const driver: Driver =
  process.env["SHIM_TEST_SQLITE"] === "node:sqlite"
    ? (await import("#src/store/driver-node-sqlite.ts")).openNodeSqlite
    : (await import("#src/store/driver-better-sqlite3.ts")).openBetterSqlite3;
