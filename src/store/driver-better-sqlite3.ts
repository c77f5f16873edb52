import Database from "better-sqlite3";
import type { SqlValue } from "../shared/sql.ts";
import { claimDriver, type Connection, type OpenOptions } from "./driver.ts";

export function probeBetterSqlite3(): void {
  new Database(":memory:").close();
}

export function openBetterSqlite3(options: OpenOptions): Connection {
  claimDriver("better-sqlite3");
  const db = new Database(options.path, { readonly: options.readOnly, timeout: options.busyMs, fileMustExist: true });
  const prepared = new Map<string, Database.Statement<SqlValue[]>>();
  const prepare = (query: string): Database.Statement<SqlValue[]> => {
    let statement = prepared.get(query);
    if (!statement) prepared.set(query, (statement = db.prepare<SqlValue[]>(query)));
    return statement;
  };
  return {
    driver: "better-sqlite3",
    // The row type is the caller's promise about its own SQL.
    all: <Row>(query: string, ...values: SqlValue[]): Row[] => prepare(query).all(...values) as Row[],
    run: (query, ...values) => prepare(query).run(...values).changes,
    script: (statements) => void db.exec(statements),
    backup: async (to) => void (await db.backup(to)),
    close: () => void db.close(),
  };
}
