import type { Sql } from "../../shared/sql.ts";
import { isAlive, type Processes, type ProcessIdentity } from "../../platform/processes.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { identityOf } from "./sessions.ts";
import { servers } from "../../store/session-tables.ts";

function isRegistered({ store }: Runtime, server: ProcessIdentity, clientPid?: number): boolean {
  return store.read((sql) => servers.has(sql, { ...identityOf(server), clientPid }), false);
}

export function register(runtime: Runtime, server: ProcessIdentity, client: ProcessIdentity): void {
  if (isRegistered(runtime, server, client.pid)) return;
  const row = { ...identityOf(server), clientPid: client.pid, clientStart: client.start, at: runtime.now() };
  const conflict = "ON CONFLICT DO UPDATE SET clientPid = excluded.clientPid, clientStart = excluded.clientStart";
  runtime.store.write((sql) => servers.insert(sql, row, conflict));
}

/** Records an orderly stop. A server that never registered writes nothing: it was only probed. */
export function leave(runtime: Runtime, server: ProcessIdentity): void {
  if (isRegistered(runtime, server)) runtime.store.write((sql) => unregister(sql, server));
}

export function unregister(sql: Sql, server: ProcessIdentity): void {
  servers.delete(sql, identityOf(server));
}

/** Another boot may also be a container that shares the home, and lives. */
export function prune(sql: Sql, boot: string, before: number): void {
  sql.run("DELETE FROM servers WHERE boot <> ? AND at < ?", boot, before);
}

export function clientOf(sql: Sql, { boot, pid, start }: ProcessIdentity): ProcessIdentity | null {
  const row = servers.find(sql, { boot, pid, start });
  return row && { boot, pid: row.clientPid, start: row.clientStart };
}

const identities = servers.pick("boot", "pid", "start");

export interface ServerStatus {
  readonly dead: readonly ProcessIdentity[];
  readonly isServed: boolean;
}

export const unserved: ServerStatus = { dead: [], isServed: false };

export function check(sql: Sql, processes: Processes, client: ProcessIdentity): ServerStatus {
  const { boot, pid, start } = client;
  const all = identities.select(sql, "WHERE boot = ? AND clientPid = ? AND clientStart = ?", boot, pid, start);
  const dead = all.filter((server) => !isAlive(processes, server));
  return { dead, isServed: dead.length < all.length };
}
