import type { Sql } from "../../shared/sql.ts";
import type { Runtime } from "../runtime.ts";
import { catchUp } from "../sessions/catch-up.ts";
import * as sessions from "../sessions/sessions.ts";
import { recordCrash } from "../signals/history.ts";
import { findIncomplete, type Incomplete, type Search } from "./detect.ts";
import { restoration, type Restoration } from "./restoration.ts";

/** The seeds' RecoveryService: one offer per dead session, to one successor. */

/**
 * Offers the newest incomplete session to `to`. [RE8] An offer is made once: of two chats that ask at the same time one gets it.
 *
 * @returns what is offered, and how many more are incomplete; null when there is nothing
 */
export function offer(runtime: Runtime, to: string, search: Search): { from: Restoration; more: number } | null {
  const now = runtime.now();
  const look = (sql: Sql): Incomplete[] =>
    recent(findIncomplete(sql, runtime.processes, now, { ...search, except: to }), runtime, now);
  if (runtime.store.read(look, []).length === 0) return null;
  return runtime.store.write((sql) => {
    const found = look(sql);
    const first = found.find((one) => one.session.project === search.project) ?? found[0];
    if (!first) return null;
    catchUp(sql, now, first.session.id);
    const from = restoration(sql, runtime.processes, first.session, now);
    if (!from) return null;
    sessions.setRecovery(sql, now, first.session.id, "offered", to);
    note(sql, now, first.session.id, "offered", to, from.score.total);
    recordCrash(sql, {
      sessionId: first.session.id,
      at: first.session.lastSeenAt,
      cause: from.cause ?? first.cause,
      detail: from.cause === null ? first.causeDetail : from.causeDetail,
      readings: first.session.readings,
    });
    return { from, more: found.length - 1 };
  });
}

function recent(found: Incomplete[], runtime: Runtime, now: number): Incomplete[] {
  return found.filter((one) => now - one.session.lastSeenAt <= runtime.config.offerMaxAgeMs);
}

/** Takes an offer back, or a recovery or dismissal: the session is incomplete again. @returns whether there was one */
export function undo(runtime: Runtime, sessionId: string): boolean {
  const now = runtime.now();
  return runtime.store.write((sql) => {
    const session = sessions.get(sql, sessionId);
    if (!session?.recovery) return false;
    sessions.setRecovery(sql, now, sessionId, null, null);
    note(sql, now, sessionId, "undone", null, null);
    return true;
  });
}

/** The user does not want it: never offered again, but kept until retention takes it. @returns false for an unknown session */
export function dismiss(runtime: Runtime, sessionId: string): boolean {
  const now = runtime.now();
  return runtime.store.write((sql) => {
    if (!sessions.get(sql, sessionId)) return false;
    sessions.setRecovery(sql, now, sessionId, "dismissed", null);
    note(sql, now, sessionId, "dismissed", null, null);
    return true;
  });
}

function note(sql: Sql, at: number, sessionId: string, action: string, by: string | null, score: number | null): void {
  sql.run(
    "INSERT INTO recoveries (at, session_id, action, by_session, score) VALUES (?, ?, ?, ?, ?)",
    at,
    sessionId,
    action,
    by,
    score,
  );
}
