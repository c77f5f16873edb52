import type { WorkState } from "../../../contract/work-state.ts";
import type { Sql } from "../../../shared/sql.ts";
import { currentState } from "./capture.ts";
import { isContinuedBy } from "../life/claim.ts";
import * as sessions from "../sessions.ts";
import type { Session } from "../sessions.ts";

/** A session whose work another one continues. */
export interface PastWork {
  readonly session: Session;
  readonly state: WorkState;
}

const maxPredecessors = 10;

/** Newest first; those that were pruned, or are of another machine, are not known. */
export function predecessorsOf(sql: Sql, { session, state }: PastWork, max = maxPredecessors): PastWork[] {
  const id = state.continues?.session;
  if (id === undefined || max === 0) return [];
  const dead = sessions.get(sql, id);
  const deadState = isContinuedBy(sql, id, session.id) ? currentState(sql, id) : null;
  if (!dead || !deadState) return [];
  const past = { session: dead, state: deadState };
  return [past, ...predecessorsOf(sql, past, max - 1)];
}

/** The session, after those that it continues. */
export function chainOf(sql: Sql, session: Session): Session[] {
  const state = currentState(sql, session.id);
  const before = state ? predecessorsOf(sql, { session, state }) : [];
  return [...before.map((past) => past.session).toReversed(), session];
}
