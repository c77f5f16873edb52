import type { FileNote, Predecessor, WorkState } from "../../contract/work-state.ts";
import type { Sql } from "../../shared/sql.ts";
import * as recoveries from "../sessions/recoveries.ts";
import * as sessions from "../sessions/sessions.ts";
import { upToDate } from "../sessions/work-state.ts";
import { goalOf, nextStepOf, rulesOf } from "../recovery/current-work.ts";

/** A dead session that is on offer to a chat. */
export interface Handed {
  readonly session: string;
  readonly state: WorkState;
}

/** [CP12] What its heir keeps of it. Of a chain of deaths the goal of the first is kept. */
export function predecessor({ session, state }: Handed): Predecessor {
  const current = upToDate(state);
  const goal = firstGoal(state) ?? goalOf(current)?.text ?? null;
  const own = rulesOf(current).orders.map(({ text }) => text);
  const orders = [...new Set([...(state.continues?.orders ?? []), ...own])].slice(-maxOrders);
  const next = nextStepOf(current)?.text ?? null;
  return { session, goal: short(goal), nextStep: short(next), ...(orders.length > 0 ? { orders } : {}) };
}

function firstGoal({ goal, continues }: WorkState): string | null {
  return goal ?? continues?.goal ?? null;
}

/** Standing orders that go on with the work. */
const maxOrders = 20;

/** Characters kept of each text of a predecessor. */
const maxHanded = 600;

function short(text: string | null): string | null {
  return text === null ? null : text.slice(0, maxHanded);
}

/**
 * [RE9] A dead session is recovered by a chat that goes on with it: it has taken it up, or works on a file that the dead one had worked on
 * (or, where that changed none, had read). A chat that was only told of it leaves it on offer.
 */
export function takeOver(sql: Sql, at: number, heir: string, heirState: WorkState, handed: readonly Handed[]): void {
  for (const dead of sessions.offeredTo(sql, heir)) {
    const known = handed.find(({ session }) => session === dead.id);
    const isUsed = recoveries.isTaken(sql, dead.id, heir) || (known && isGoneOnWith(known.state, heirState));
    if (!isUsed) continue;
    sessions.setRecovery(sql, at, dead.id, "recovered", heir);
    recoveries.note(sql, { at, sessionId: dead.id, action: "recovered", by: heir });
  }
}

function isGoneOnWith(dead: WorkState, heir: WorkState): boolean {
  const worked = dead.files.filter(isWorkedOn);
  const known = new Set((worked.length > 0 ? worked : dead.files).map(({ path }) => path));
  return heir.files.some((file) => isWorkedOn(file) && known.has(file.path));
}

function isWorkedOn({ action }: FileNote): boolean {
  return action === "edited" || action === "created";
}
