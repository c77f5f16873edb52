import type { Connection } from "./driver.ts";

export function transaction<T>(connection: Connection, begin: "BEGIN" | "BEGIN IMMEDIATE", body: () => T): T {
  connection.run(begin);
  let result: T;
  try {
    result = body();
    connection.run("COMMIT");
  } catch (error) {
    rollBack(connection);
    throw error;
  }
  return result;
}

function rollBack(connection: Connection): void {
  try {
    connection.run("ROLLBACK");
  } catch {
    // SQLite has already rolled back (disk full, I/O error); the first error counts.
  }
}
