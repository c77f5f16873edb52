import type { Sql } from "../../shared/sql.ts";
import { isAlive, type Processes, type ProcessIdentity } from "../../platform/processes.ts";
import type { Runtime } from "../../runtime/runtime.ts";

/** Which MCP processes serve which client, so that a hook can tell the user when one has died. */

function isRegistered(
  runtime: Runtime,
  { boot, pid, start }: ProcessIdentity,
  clientPid: number | null = null,
): boolean {
  const query =
    "SELECT 1 FROM servers WHERE boot = ? AND pid = ? AND start = ? AND client_pid = coalesce(?, client_pid)";
  return runtime.store.read((sql) => sql.all(query, boot, pid, start, clientPid).length > 0, false);
}

/** Makes the server known, once for each client that it takes for its own; later calls only look. */
export function register(runtime: Runtime, server: ProcessIdentity, client: ProcessIdentity): void {
  if (isRegistered(runtime, server, client.pid)) return;
  const { boot, pid, start } = server;
  runtime.store.write((sql) =>
    sql.run(
      "INSERT INTO servers (boot, pid, start, client_pid, client_start, at) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET client_pid = excluded.client_pid, client_start = excluded.client_start",
      boot,
      pid,
      start,
      client.pid,
      client.start,
      runtime.now(),
    ),
  );
}

/** An orderly stop. A server that was never made known writes nothing: a client may have started it only to look. */
export function leave(runtime: Runtime, server: ProcessIdentity): void {
  if (isRegistered(runtime, server)) runtime.store.write((sql) => unregister(sql, server));
}

/** Nothing to warn of any more. */
export function unregister(sql: Sql, server: ProcessIdentity): void {
  sql.run("DELETE FROM servers WHERE boot = ? AND pid = ? AND start = ?", server.boot, server.pid, server.start);
}

/** [ID11] Rows of an earlier boot that nobody was warned of, since their clients are gone too. */
export function prune(sql: Sql, boot: string, before: number): void {
  sql.run("DELETE FROM servers WHERE boot <> ? AND at < ?", boot, before);
}

/** The client of a server that did not leave in good order. */
export function clientOf(sql: Sql, { boot, pid, start }: ProcessIdentity): ProcessIdentity | null {
  const [row] = sql.all<{ pid: number; start: string }>(
    "SELECT client_pid AS pid, client_start AS start FROM servers WHERE boot = ? AND pid = ? AND start = ?",
    boot,
    pid,
    start,
  );
  return row ? { boot, ...row } : null;
}

export interface ServerStatus {
  /** Vanished without a word. */
  readonly dead: readonly ProcessIdentity[];
  readonly isServed: boolean;
}

/** Which of a client's servers are gone, and whether another serves it. */
export function check(sql: Sql, processes: Processes, client: ProcessIdentity): ServerStatus {
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
