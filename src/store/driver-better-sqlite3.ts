import Database from "better-sqlite3";
import { claimDriver, toConnection, type Connection, type OpenOptions } from "./driver.ts";

export function probeBetterSqlite3(): void {
  new Database(":memory:").close();
}

export function openBetterSqlite3({ path, readOnly, busyMs }: OpenOptions): Connection {
  claimDriver("better-sqlite3");
  const db = new Database(path, { readonly: readOnly, timeout: busyMs, fileMustExist: true });
  return toConnection("better-sqlite3", db, (to) => db.backup(to));
}
