import { backup, DatabaseSync, type StatementSync } from "node:sqlite";
import { pathToFileURL } from "node:url";
import type { SqlValue } from "../shared/sql.ts";
import { claimDriver, inMemory, type Connection, type OpenOptions } from "./driver.ts";

export function openNodeSqlite(options: OpenOptions): Connection {
  claimDriver("node:sqlite");
  const db = new DatabaseSync(options.path === inMemory ? inMemory : urlOf(options), {
    readOnly: options.readOnly,
    timeout: options.busyMs,
  });
  const prepared = new Map<string, StatementSync>();
  const prepare = (query: string): StatementSync => {
    let statement = prepared.get(query);
    if (!statement) prepared.set(query, (statement = db.prepare(query)));
    return statement;
  };
  return {
    driver: "node:sqlite",
    // The row type is the caller's promise about its own SQL.
    all: <Row>(query: string, ...values: SqlValue[]): Row[] => prepare(query).all(...values) as Row[],
    run: (query, ...values) => Number(prepare(query).run(...values).changes),
    script: (statements) => db.exec(statements),
    backup: async (to) => void (await backup(db, to)),
    close: () => db.close(),
  };
}

/** A plain path would create a missing file. */
function urlOf({ path, readOnly }: OpenOptions): URL {
  const url = pathToFileURL(path);
  url.searchParams.set("mode", readOnly ? "ro" : "rw");
  return url;
}
