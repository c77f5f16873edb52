import type { Sql } from "../../shared/sql.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { catchUp } from "../observe/record-transcript.ts";
import { isClosed, isClosedWithNothingOpen } from "../sessions/closed-sessions.ts";
import * as recoveries from "../sessions/recoveries.ts";
import * as sessions from "../sessions/sessions.ts";
import { recordDeath } from "./deaths.ts";
import { findIncomplete, type IncompleteSession, type SessionSearch } from "./detect.ts";
import { briefFacts } from "./brief-facts.ts";
import { changesSince, restoration, withChanges, type Restoration } from "./restoration.ts";

export interface Offer {
  readonly from: Restoration;
  readonly more: number;
}

/** [RE8] One of two chats that ask at the same time gets the offer. */
export function offer(runtime: Runtime, to: string, search: SessionSearch): Offer | null {
  const now = runtime.now();
  const searchOfOthers = { ...search, except: to };
  const [likely] = offerable(runtime, searchOfOthers);
  if (!likely) return null;
  // Git is asked before the transaction, which must not wait for it.
  const expected = runtime.store.read((sql) => restoration(sql, runtime.processes, likely.session, now), null);
  const changes = expected && changesSince(runtime.env, expected);
  return runtime.store.write((sql) => {
    const offerableSessions = findOfferable(sql, runtime, searchOfOthers);
    const first = offerableSessions.find((one) => one.session.project === search.project) ?? offerableSessions[0];
    if (!first) return null;
    catchUp(sql, now, first.session.id);
    const known = restoration(sql, runtime.processes, first.session, now);
    if (!known) return null;
    const from = withChanges(known, first.session.id === likely.session.id ? changes : null);
    recordOffer(sql, runtime, from, to);
    if (isClosedWithNothingOpen(first.session)) {
      for (const { session } of offerableSessions) {
        if (session !== first.session) {
          recoveries.add(sql, { at: now, sessionId: session.id, action: "offered", by: to });
        }
      }
    } else if (runtime.config.recovery === "resume") {
      // Under this setting the brief makes the chat continue the session.
      recoveries.add(sql, { at: now, sessionId: first.session.id, action: "taken", by: to });
    }
    return { from, more: offerableSessions.length - 1 };
  });
}

function recordOffer(sql: Sql, runtime: Runtime, from: Restoration, to: string): void {
  const { session, score } = from;
  const at = runtime.now();
  recordDeath(sql, runtime, session.id);
  sessions.setRecovery(sql, at, session.id, "offered", to);
  recoveries.add(sql, {
    at,
    sessionId: session.id,
    action: "offered",
    by: to,
    score: score.total,
    named: briefFacts(from),
  });
}

/** No other chat is offered the session while the chat `by` lives. */
export function take(runtime: Runtime, from: Restoration, by: string): void {
  const at = runtime.now();
  const { id: sessionId } = from.session;
  runtime.store.write((sql) => {
    const known = sessions.get(sql, sessionId);
    if (known?.recovery !== "offered" || known.recoveryBy !== by) recordOffer(sql, runtime, from, by);
    recoveries.add(sql, { at, sessionId, action: "taken", by });
  });
}

/** [RE12] Newest first; [RE52] those closed with nothing open only where there are no others. */
export function offerable(runtime: Runtime, search: SessionSearch): IncompleteSession[] {
  return runtime.store.read((sql) => findOfferable(sql, runtime, search), []);
}

function findOfferable(sql: Sql, runtime: Runtime, search: SessionSearch): IncompleteSession[] {
  const now = runtime.now();
  const findWith = (isCalm: boolean): IncompleteSession[] => {
    const accepts = (session: sessions.Session): boolean =>
      now - session.lastSeenAt <= runtime.config.offerMaxAgeMs &&
      isClosedWithNothingOpen(session) === isCalm &&
      isOfferDue(sql, session);
    return findIncomplete(sql, runtime.processes, now, { ...search, accepts });
  };
  const dead = findWith(false);
  return dead.length > 0 ? dead : findWith(true);
}

/** A user who closes terminals every evening is not asked about each in every chat. */
const maxOffers = { withNothingOpen: 1, withOpenWork: 3 };

/** [RE51] [RE52] */
function isOfferDue(sql: Sql, session: sessions.Session): boolean {
  if (!isClosed(session)) return true;
  const maxOffersOfSession = isClosedWithNothingOpen(session) ? maxOffers.withNothingOpen : maxOffers.withOpenWork;
  return recoveries.offersSince(sql, session.id, session.detachedAt ?? 0) < maxOffersOfSession;
}

/** @returns whether there was an offer, recovery or dismissal to undo */
export function undo(runtime: Runtime, sessionId: string): boolean {
  const now = runtime.now();
  return runtime.store.write((sql) => {
    const session = sessions.get(sql, sessionId);
    if (!session?.recovery) return false;
    sessions.setRecovery(sql, now, sessionId, null, null);
    recoveries.add(sql, { at: now, sessionId, action: "undone" });
    return true;
  });
}

/** Returns false for an unknown session. Retention deletes a dismissed one. */
export function dismiss(runtime: Runtime, sessionId: string): boolean {
  const now = runtime.now();
  return runtime.store.write((sql) => {
    if (!sessions.get(sql, sessionId)) return false;
    recordDeath(sql, runtime, sessionId);
    sessions.setRecovery(sql, now, sessionId, "dismissed", null);
    recoveries.add(sql, { at: now, sessionId, action: "dismissed" });
    return true;
  });
}
