import { backup, DatabaseSync } from "node:sqlite";
import { pathToFileURL } from "node:url";
import { claimDriver, inMemory, toConnection, type Connection, type OpenOptions } from "./driver.ts";

export function openNodeSqlite({ path, readOnly, busyMs }: OpenOptions): Connection {
  claimDriver("node:sqlite");
  // A plain path would create a missing file.
  const url = pathToFileURL(path);
  url.searchParams.set("mode", readOnly ? "ro" : "rw");
  const db = new DatabaseSync(path === inMemory ? inMemory : url, { readOnly, timeout: busyMs });
  return toConnection("node:sqlite", db, (to) => backup(db, to));
}
