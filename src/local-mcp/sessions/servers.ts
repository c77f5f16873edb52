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

/** The servers of a client that vanished without a word. */
export function died(sql: Sql, processes: Processes, client: ProcessIdentity): ProcessIdentity[] {
  const rows = sql.all<{ pid: number; start: string }>(
    "SELECT pid, start FROM servers WHERE boot = ? AND client_pid = ? AND client_start = ?",
    client.boot,
    client.pid,
    client.start,
  );
  return rows.map((row) => ({ boot: client.boot, ...row })).filter((server) => !isAlive(processes, server));
}
