import type { Sql } from "../../shared/sql.ts";
import { isAlive, type Processes, type ProcessIdentity } from "../../platform/processes.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import * as meta from "../../store/meta.ts";

function isRegistered(
  runtime: Runtime,
  { boot, pid, start }: ProcessIdentity,
  clientPid: number | null = null,
): boolean {
  const query =
    "SELECT 1 FROM servers WHERE boot = ? AND pid = ? AND start = ? AND client_pid = coalesce(?, client_pid)";
  return runtime.store.read((sql) => sql.all(query, boot, pid, start, clientPid).length > 0, false);
}

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

/** Records an orderly stop. A server that never registered writes nothing: it was only probed. */
export function leave(runtime: Runtime, server: ProcessIdentity): void {
  if (isRegistered(runtime, server)) runtime.store.write((sql) => unregister(sql, server));
}

export function unregister(sql: Sql, server: ProcessIdentity): void {
  meta.remove(sql, eventsKey(server));
  sql.run("DELETE FROM servers WHERE boot = ? AND pid = ? AND start = ?", server.boot, server.pid, server.start);
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
  const [row] = sql.all<{ pid: number; start: string }>(
    "SELECT client_pid AS pid, client_start AS start FROM servers WHERE boot = ? AND pid = ? AND start = ?",
    boot,
    pid,
    start,
  );
  return row ? { boot, ...row } : null;
}

export interface ServerStatus {
  readonly dead: readonly ProcessIdentity[];
  readonly isServed: boolean;
}

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
