import type { Sql } from "../../shared/sql.ts";
import type { Runtime } from "../runtime.ts";
import { catchUp } from "../sessions/catch-up.ts";
import * as recoveries from "../sessions/recoveries.ts";
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
  const wanted = { ...search, except: to };
  if (offerable(runtime, wanted).length === 0) return null;
  return runtime.store.write((sql) => {
    const found = look(sql, runtime, wanted);
    const first = found.find((one) => one.session.project === search.project) ?? found[0];
    if (!first) return null;
    catchUp(sql, now, first.session.id);
    const from = restoration(sql, runtime.processes, first.session, now);
    if (!from) return null;
    handOver(sql, now, from, to);
    // Under this setting its brief tells the chat to go on with it.
    if (runtime.config.recovery === "resume") {
      recoveries.note(sql, { at: now, sessionId: first.session.id, action: "taken", by: to });
    }
    return { from, more: found.length - 1 };
  });
}

/** Puts a session on offer to one chat and keeps how it died. */
function handOver(sql: Sql, at: number, from: Restoration, to: string): void {
  const { session, cause, causeDetail: detail } = from;
  sessions.setRecovery(sql, at, session.id, "offered", to);
  recoveries.note(sql, { at, sessionId: session.id, action: "offered", by: to, score: from.score.total });
  if (cause === null) return;
  recordCrash(sql, { sessionId: session.id, at: session.lastSeenAt, cause, detail, readings: session.readings });
}

/**
 * The chat goes on with a dead session, whomever it was offered to: nobody else is offered it while that chat lives, and its next checkpoint
 * makes the session recovered.
 */
export function take(runtime: Runtime, from: Restoration, by: string): void {
  const at = runtime.now();
  const { id: sessionId } = from.session;
  runtime.store.write((sql) => {
    const known = sessions.get(sql, sessionId);
    if (known?.recovery !== "offered" || known.recoveryBy !== by) handOver(sql, at, from, by);
    recoveries.note(sql, { at, sessionId, action: "taken", by });
  });
}

/** [RE12] The incomplete sessions that are not too old, newest first. */
export function offerable(runtime: Runtime, search: Search): Incomplete[] {
  return runtime.store.read((sql) => look(sql, runtime, search), []);
}

function look(sql: Sql, runtime: Runtime, search: Search): Incomplete[] {
  const now = runtime.now();
  const found = findIncomplete(sql, runtime.processes, now, search);
  return found.filter((one) => now - one.session.lastSeenAt <= runtime.config.offerMaxAgeMs);
}

/** Takes an offer back, or a recovery or dismissal: the session is incomplete again. @returns whether there was one */
export function undo(runtime: Runtime, sessionId: string): boolean {
  const now = runtime.now();
  return runtime.store.write((sql) => {
    const session = sessions.get(sql, sessionId);
    if (!session?.recovery) return false;
    sessions.setRecovery(sql, now, sessionId, null, null);
    recoveries.note(sql, { at: now, sessionId, action: "undone" });
    return true;
  });
}

/** The user does not want it: never offered again, but kept until retention takes it. @returns false for an unknown session */
export function dismiss(runtime: Runtime, sessionId: string): boolean {
  const now = runtime.now();
  return runtime.store.write((sql) => {
    if (!sessions.get(sql, sessionId)) return false;
    sessions.setRecovery(sql, now, sessionId, "dismissed", null);
    recoveries.note(sql, { at: now, sessionId, action: "dismissed" });
    return true;
  });
}
