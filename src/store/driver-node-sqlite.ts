import { backup, DatabaseSync } from "node:sqlite";
import { pathToFileURL } from "node:url";
import { claimDriver, inMemory, toConnection, type Connection, type OpenOptions } from "./driver.ts";

export function openNodeSqlite(options: OpenOptions): Connection {
  claimDriver("node:sqlite");
  const db = new DatabaseSync(options.path === inMemory ? inMemory : urlOf(options), {
    readOnly: options.readOnly,
    timeout: options.busyMs,
  });
  return toConnection("node:sqlite", db, (to) => backup(db, to));
}

/** A plain path would create a missing file. */
function urlOf({ path, readOnly }: OpenOptions): URL {
  const url = pathToFileURL(path);
  url.searchParams.set("mode", readOnly ? "ro" : "rw");
  return url;
}
