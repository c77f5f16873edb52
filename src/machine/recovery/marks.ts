import type { Runtime } from "../../runtime/runtime.ts";
import type { Sql } from "../../shared/sql.ts";
import * as news from "../sessions/news.ts";
import * as recoveries from "../sessions/recoveries.ts";
import * as sessions from "../sessions/sessions.ts";
import { findNewest } from "../sharing/sessions-elsewhere.ts";
import { recordDeath } from "./incomplete/deaths.ts";
import { findOpenOffer } from "./incomplete/detect.ts";
import { recordOffer, type OfferNote } from "./offers.ts";

/**
 * The chat that is to continue a session, as this machine notes it. The row of a session of
 * another machine is changed by that machine alone, so that here it has only the note.
 */

/** No other chat is offered the session while the chat `to` lives. */
export function take(runtime: Runtime, given: OfferNote, limit?: recoveries.LimitHandOver): void {
  const at = runtime.now();
  const { session, to: by, score } = given;
  runtime.store.write((sql) => {
    const known = sessions.get(sql, session);
    const offer = findOpenOffer(sql, runtime.processes, at, session);
    if (offer !== null && offer.chat !== by) {
      const text = `Session ${session}, which this chat was offered, is continued by chat ${by} now: leave it alone.`;
      news.add(sql, at, offer.chat, `taken:${session}:${by}`, { kind: "notice", text });
    }
    const isOffered = known === null || (known.recovery === "offered" && known.recoveryBy === by);
    if (!isOffered) recordOffer(sql, runtime, { session, to: by, score });
    if (!recoveries.isTaken(sql, session, by)) recoveries.add(sql, { at, session, action: "taken", by, limit });
  });
}

/**
 * For a session that its own client opens again: the chat that was given it has its brief, and
 * would go on with the same work.
 */
export function tellOfReturn(sql: Sql, at: number, { id, recovery, recoveryBy: chat }: sessions.Session): void {
  if (chat === null || recovery === "dismissed") return;
  const text = `Session ${id}, which this chat was given to continue, is open again in its own client: leave its work alone, whatever its brief says, unless the user wants both.`;
  news.add(sql, at, chat, `returned:${id}:${at}`, { kind: "notice", text });
}

/** @returns whether there was an offer, recovery or dismissal to undo */
export function undo({ store, now }: Runtime, session: string): boolean {
  return store.write((sql) => {
    const known = sessions.get(sql, session);
    const isMarked = (known ? known.recovery : recoveries.noteOf(sql, session)) !== null;
    if (isMarked) clear(sql, now(), session);
    return isMarked;
  });
}

/** Returns false for an unknown session, and a dismissed one. Retention deletes a dismissed one. */
export function dismiss(runtime: Runtime, session: string): boolean {
  const at = runtime.now();
  return runtime.store.write((sql) => {
    const known = sessions.get(sql, session);
    const elsewhere = known ? null : findNewest(sql, session);
    const isDismissed = elsewhere ? recoveries.isDismissed(sql, elsewhere) : known?.recovery === "dismissed";
    if ((!known && !elsewhere) || isDismissed) return false;
    recordDeath(sql, runtime, session);
    sessions.setRecovery(sql, at, session, "dismissed", null);
    recoveries.add(sql, { at, session, action: "dismissed" });
    return true;
  });
}

/** @returns whether the chat has never begun, so that the session is free again */
export function withdraw({ store, now }: Runtime, session: string, chat: string): boolean {
  return store.write((sql) => {
    const isUnused = sessions.get(sql, chat) === null && recoveries.noteOf(sql, session)?.by === chat;
    if (isUnused) clear(sql, now(), session);
    return isUnused;
  });
}

function clear(sql: Sql, at: number, session: string): void {
  sessions.setRecovery(sql, at, session, null, null);
  recoveries.add(sql, { at, session, action: "undone" });
}
