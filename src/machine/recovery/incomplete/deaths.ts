import { isWithin } from "../../../shared/known-time.ts";
import type { Sql } from "../../../shared/sql.ts";
import type { Runtime } from "../../../runtime/runtime.ts";
import { crashes } from "../../../store/session-tables.ts";
import { endWithChat, sessionsWithRequests } from "../../sessions/requests.ts";
import * as sessions from "../../sessions/sessions.ts";
import { isAlive, isDead, isOwnerGone, type Machine } from "../../sessions/life/presence.ts";
import { note } from "../../sessions/ending/ending.ts";
import type { Signs } from "../../sessions/ending/judge.ts";

/**
 * Notes that the process of a session is gone; a death that is known is judged again.
 *
 * @param seen signs that the caller has just seen
 * @returns whether it is a death that was not known
 */
export function recordDeath(sql: Sql, machine: Machine, sessionId: string, seen: Signs = {}): boolean {
  const session = sessions.get(sql, sessionId);
  if (!session || !isDead(machine, session)) return false;
  const gone = { at: session.lastSeenAt, reason: "gone" };
  const isKnown = session.ending?.isSettled === true;
  note(sql, machine, sessionId, isKnown ? {} : { ...seen, gone });
  return !isKnown && crashes.has(sql, { session: sessionId, at: gone.at });
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
