import type { Predecessor, WorkState } from "../../contract/work-state.ts";
import type { Sql } from "../../shared/sql.ts";
import { isEdited, shortened } from "../sessions/work-state.ts";
import * as recoveries from "../sessions/recoveries.ts";
import * as sessions from "../sessions/sessions.ts";

export interface InheritedWork {
  readonly session: string;
  readonly state: WorkState;
}

/** Keeps the prompts of a chain of deaths: the first, and the newest. */
export function toPredecessor({ session, state }: InheritedWork): Predecessor {
  const all = [...(state.continues?.prompts ?? []), ...state.prompts];
  const kept = [...all.slice(0, 1), ...all.slice(1).slice(-maxPrompts)];
  const effects = [...(state.continues?.effects ?? []), ...(state.effects ?? [])].slice(-maxEffects);
  return {
    session,
    prompts: kept.map((prompt) => shortened(prompt, maxPromptChars)),
    ...(effects.length === 0 ? {} : { effects }),
  };
}

const maxPrompts = 12;
const maxEffects = 30;
const maxPromptChars = 500;

/** Work on a file of the dead session counts as continuing it; an offer alone does not. */
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
    recoveries.add(sql, { at, session: dead.id, action: "recovered", by: successor });
  }
}

function continuesWork(dead: WorkState, successor: WorkState): boolean {
  const workedOnFiles = dead.files.filter(isEdited);
  const known = new Set((workedOnFiles.length > 0 ? workedOnFiles : dead.files).map(({ path }) => path));
  return successor.files.some((file) => isEdited(file) && known.has(file.path));
}
