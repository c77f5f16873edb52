import type { Ending } from "../../../contract/ending.ts";
import { isWithin } from "../../../shared/known-time.ts";
import type { Sql } from "../../../shared/sql.ts";
import type { Runtime } from "../../../runtime/runtime.ts";
import * as totals from "../../../store/metric-totals.ts";
import { endWithChat, sessionsWithRequests } from "../../sessions/requests.ts";
import * as sessions from "../../sessions/sessions.ts";
import { unsavedOf } from "../../sessions/session-content.ts";
import * as history from "../../sessions/signals/crashes.ts";
import { isAlive, isDead, isOwnerGone, type Machine } from "../../sessions/life/presence.ts";
import { note } from "../../sessions/ending/ending.ts";
import type { Signs } from "../../sessions/ending/judge.ts";
import { hasContent } from "./detect.ts";

/** Notes that the process of a session is gone. @param seen signs that the caller has just seen */
export function recordDeath(sql: Sql, machine: Machine, sessionId: string, seen: Signs = {}): boolean {
  const session = sessions.get(sql, sessionId);
  if (!session || session.ending?.isSettled || !isDead(machine, session)) return false;
  const gone = { at: session.lastSeenAt, reason: "gone" };
  const ending = note(sql, machine, sessionId, { ...seen, gone });
  return ending !== null && hasContent(sql, sessionId) && recordCrash(sql, session, ending);
}

function recordCrash(
  sql: Sql,
  { id, client, savedAt, readings, lastSeenAt: at }: sessions.Session,
  { cause, detail }: Ending,
): boolean {
  if (cause === null || detail === null) return false;
  const checkpointAgeMs = savedAt === null ? null : Math.max(0, at - savedAt);
  const { events: unsavedEvents, toolCalls: unsavedToolCalls } = unsavedOf(sql, id);
  const crash = { session: id, at, cause, detail, readings, checkpointAgeMs, unsavedEvents, unsavedToolCalls };
  if (!history.recordCrash(sql, crash)) return false;
  totals.add(sql, "shim_deaths_total", { labels: [cause, client] });
  totals.add(sql, "shim_unsaved_tool_calls_total", { value: unsavedToolCalls });
  return true;
}

/** Records an earlier death, which a sighting alive hides; returns the session with it. */
export function withEarlierDeath(sql: Sql, machine: Machine, known: sessions.Session | null): sessions.Session | null {
  if (known === null || !isOwnerGone(machine, known)) return known;
  recordDeath(sql, machine, known.id);
  return sessions.get(sql, known.id);
}

/** Each death is a write of its own. */
const maxDeathsPerCall = 50;

/** @param isSettled false while the end mark of a session may be on its way */
export function recordDeaths(runtime: Runtime, isSettled: (session: sessions.Session) => boolean): number {
  const deadSessions = runtime.store.read(
    (sql) => sessions.listUnsettled(sql).filter((session) => isOwnerGone(runtime, session)),
    [],
  );
  const settledSessions = deadSessions.filter(isSettled).slice(0, maxDeathsPerCall);
  return settledSessions.filter(({ id }) => runtime.store.write((sql) => recordDeath(sql, runtime, id))).length;
}

/** Ends the permission requests of chats that are dead or have ended. */
export function endRequests(runtime: Runtime): void {
  const { store } = runtime;
  const asking = sessionsWithRequests(runtime);
  if (asking.size === 0) return;
  const all = store.read((sql) => [...asking].flatMap((id) => sessions.get(sql, id) ?? []), []);
  const over = all.filter((session) => !isAlive(runtime, session));
  for (const { id } of over) endWithChat(runtime, id);
}

const minGoneMs = 10_000;

export class DeathWatch {
  readonly #goneSince = new Map<string, number>();

  check(runtime: Runtime): void {
    endRequests(runtime);
    const now = runtime.now();
    const goneIds = new Set<string>();
    recordDeaths(runtime, ({ id }) => {
      goneIds.add(id);
      const since = this.#goneSince.get(id) ?? now;
      this.#goneSince.set(id, since);
      return !isWithin(now - since, minGoneMs);
    });
    for (const id of this.#goneSince.keys()) if (!goneIds.has(id)) this.#goneSince.delete(id);
  }
}
