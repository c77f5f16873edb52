import type { Sql } from "../../shared/sql.ts";
import { isAlive, type Processes, type ProcessIdentity } from "../processes.ts";
import type { Runtime } from "../runtime.ts";

/** Which MCP processes serve which client, so that a hook can tell the user when one has died. */

/** Makes the server known, once; later calls only look. */
export function register(runtime: Runtime, server: ProcessIdentity, client: ProcessIdentity): void {
  const { boot, pid, start } = server;
  const isKnown = runtime.store.read(
    (sql) => sql.all("SELECT 1 FROM servers WHERE boot = ? AND pid = ? AND start = ?", boot, pid, start).length > 0,
    false,
  );
  if (isKnown) return;
  runtime.store.write((sql) =>
    sql.run(
      "INSERT INTO servers (boot, pid, start, client_pid, client_start, at) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
      boot,
      pid,
      start,
      client.pid,
      client.start,
      runtime.now(),
    ),
  );
}

/** An orderly stop: nothing to warn of. */
export function unregister(sql: Sql, server: ProcessIdentity): void {
  sql.run("DELETE FROM servers WHERE boot = ? AND pid = ? AND start = ?", server.boot, server.pid, server.start);
}

export interface Served {
  /** Vanished without a word. */
  readonly dead: readonly ProcessIdentity[];
  readonly isServed: boolean;
}

/** Which of a client's servers are gone, and whether another serves it. */
export function look(sql: Sql, processes: Processes, client: ProcessIdentity): Served {
  const rows = sql.all<{ pid: number; start: string }>(
    "SELECT pid, start FROM servers WHERE boot = ? AND client_pid = ? AND client_start = ?",
    client.boot,
    client.pid,
    client.start,
  );
  const all = rows.map(({ pid, start }) => ({ boot: client.boot, pid, start }));
  const dead = all.filter((server) => !isAlive(processes, server));
  return { dead, isServed: dead.length < all.length };
}
