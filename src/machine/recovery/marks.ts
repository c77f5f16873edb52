import type { Runtime } from "../../runtime/runtime.ts";
import type { Result } from "../../shared/result.ts";
import type { Sql } from "../../shared/sql.ts";
import { decide } from "../sessions/life/claim.ts";
import * as recoveries from "../sessions/recoveries.ts";
import * as sessions from "../sessions/sessions.ts";
import { findNewest } from "../sharing/sessions-elsewhere.ts";
import { recordDeath } from "./incomplete/deaths.ts";

/** Decisions of the user, or of a chat for the user, about a session of this machine or another. */

export interface OfferNote {
  readonly session: string;
  /** The chat that gets it. */
  readonly to: string;
  /** Score of the brief, 0 to 100; null: not known. */
  readonly score: number | null;
  readonly limit?: recoveries.LimitHandOver | undefined;
}

/** The claim would hide the death. */
export function give(sql: Sql, runtime: Runtime, action: "offered" | "taken", note: OfferNote): Result<boolean> {
  const { to: by, ...what } = note;
  recordDeath(sql, runtime, note.session);
  return decide(sql, runtime, { ...what, action, by });
}

/** No other chat is given the session while the chat `to` lives. */
export function take(runtime: Runtime, note: OfferNote): Result<boolean> {
  return runtime.store.write((sql) => give(sql, runtime, "taken", note));
}

/** @returns whether there was an offer, recovery or dismissal to undo */
export function undo(runtime: Runtime, session: string): boolean {
  return isChanged(runtime.store.write((sql) => decide(sql, runtime, { session, action: "undone" })));
}

function isChanged(decided: Result<boolean>): boolean {
  return decided.ok && decided.value;
}

/** Returns false for an unknown session, and a dismissed one. Retention deletes a dismissed one. */
export function dismiss(runtime: Runtime, session: string): boolean {
  return runtime.store.write((sql) => {
    if (sessions.get(sql, session) === null && findNewest(sql, session) === null) return false;
    recordDeath(sql, runtime, session);
    return isChanged(decide(sql, runtime, { session, action: "dismissed" }));
  });
}

/** @returns whether the chat has never begun, so that the session is free again */
export function withdraw(runtime: Runtime, session: string, chat: string): boolean {
  return runtime.store.write((sql) => {
    const isUnused = sessions.get(sql, chat) === null && recoveries.claimOf(sql, session)?.by === chat;
    return isUnused && isChanged(decide(sql, runtime, { session, action: "undone" }));
  });
}
