import type { FileNote, Predecessor, WorkState } from "../../contract/work-state.ts";
import type { Sql } from "../../shared/sql.ts";
import * as recoveries from "../sessions/recoveries.ts";
import * as sessions from "../sessions/sessions.ts";
import { upgradeState } from "../sessions/work-state.ts";
import { goalOf, nextStepOf, rulesOf } from "../recovery/current-work.ts";

/** A dead session that is on offer to a chat. */
export interface InheritedWork {
  readonly session: string;
  readonly state: WorkState;
}

/** [CP12] What its heir keeps of it. Of a chain of deaths the goal of the first is kept. */
export function toPredecessor({ session, state }: InheritedWork): Predecessor {
  const current = upgradeState(state);
  const goal = firstGoal(state) ?? goalOf(current)?.text ?? null;
  const own = rulesOf(current).orders.map(({ text }) => text);
  const orders = [...new Set([...(state.continues?.orders ?? []), ...own])].slice(-maxOrders);
  const next = nextStepOf(current)?.text ?? null;
  return { session, goal: shorten(goal), nextStep: shorten(next), ...(orders.length > 0 ? { orders } : {}) };
}

function firstGoal({ goal, continues }: WorkState): string | null {
  return goal ?? continues?.goal ?? null;
}

/** Standing orders that go on with the work. */
const maxOrders = 20;

/** Characters kept of each text of a predecessor. */
const maxTextChars = 600;

function shorten(text: string | null): string | null {
  return text === null ? null : text.slice(0, maxTextChars);
}

/**
 * [RE9] A dead session is recovered by a chat that goes on with it: it has taken it up, or works on a file that the dead one had worked on
 * (or, where that changed none, had read). A chat that was only told of it leaves it on offer.
 */
export function markRecovered(
  sql: Sql,
  at: number,
  successor: string,
  successorState: WorkState,
  inherited: readonly InheritedWork[],
): void {
  for (const dead of sessions.listOfferedTo(sql, successor)) {
    const known = inherited.find(({ session }) => session === dead.id);
    const isContinued =
      recoveries.isTaken(sql, dead.id, successor) || (known && continuesWork(known.state, successorState));
    if (!isContinued) continue;
    sessions.setRecovery(sql, at, dead.id, "recovered", successor);
    recoveries.add(sql, { at, sessionId: dead.id, action: "recovered", by: successor });
  }
}

function continuesWork(dead: WorkState, successor: WorkState): boolean {
  const workedOnFiles = dead.files.filter(isWorkedOn);
  const known = new Set((workedOnFiles.length > 0 ? workedOnFiles : dead.files).map(({ path }) => path));
  return successor.files.some((file) => isWorkedOn(file) && known.has(file.path));
}

function isWorkedOn({ action }: FileNote): boolean {
  return action === "edited" || action === "created";
}
