import type { Sql } from "../../shared/sql.ts";
import { isAlive, type Processes, type ProcessIdentity } from "../../platform/processes.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { identityOf } from "./sessions.ts";
import { servers } from "../../store/session-tables.ts";
import * as meta from "../../store/meta.ts";

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
  meta.remove(sql, eventsKey(server));
  servers.delete(sql, identityOf(server));
}

/** [HO63] Records that the client delivers its events to this server. */
export function noteEvents(runtime: Runtime, server: ProcessIdentity, client: ProcessIdentity): void {
  register(runtime, server, client);
  runtime.store.write((sql) => meta.write(sql, eventsKey(server), "1"));
}

export function takesEvents(sql: Sql, server: ProcessIdentity): boolean {
  return meta.read(sql, eventsKey(server)) !== null;
}

const marks = { events: "events_to", refusedPrompt: "prompt_refused" };

function eventsKey(server: ProcessIdentity): string {
  return markKey(marks.events, server);
}

/** Key of the last prompt of this client that was refused, in the table of marks. */
export function refusedPromptKey(client: ProcessIdentity): string {
  return markKey(marks.refusedPrompt, client);
}

function markKey(mark: string, { boot, pid, start }: ProcessIdentity): string {
  return `${mark}:${boot}:${pid}:${start}`;
}

/** [ID11] Another boot may also be a container that shares the home, and lives. */
export function prune(sql: Sql, boot: string, before: number): void {
  sql.run("DELETE FROM servers WHERE boot <> ? AND at < ?", boot, before);
  sql.run(
    `${deleteMarks} AND key NOT IN (SELECT ? || boot || ':' || pid || ':' || start FROM servers)`,
    ...rangeOf(marks.events),
    `${marks.events}:`,
  );
  // Its value begins with the time of the refusal.
  sql.run(`${deleteMarks} AND CAST(value AS INTEGER) < ?`, ...rangeOf(marks.refusedPrompt), before);
}

const deleteMarks = "DELETE FROM meta WHERE key >= ? AND key < ?";

/** ";" sorts behind ":". */
function rangeOf(mark: string): [from: string, to: string] {
  return [`${mark}:`, `${mark};`];
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
