import type { WorkState } from "../../contract/work-state.ts";
import { interpret } from "../../platform/time-budget.ts";
import type { JournalRow } from "./journal.ts";
import { fold } from "./work-state.ts";

export interface FoldedRows {
  readonly state: WorkState;
  /** Positions of the rows that took too long; the state is as if they were not there. */
  readonly unread: readonly number[];
}

/** [JO42] Folds rows, each within its budget of time. */
export function foldWithinBudget(base: WorkState, rows: readonly JournalRow[]): FoldedRows {
  const unread: number[] = [];
  let [state, folded] = [base, 0];
  while (folded < rows.length) {
    interpret(() => {
      for (const row of rows.slice(folded)) {
        state = fold(state, [row]);
        folded += 1;
      }
    });
    const row = rows[folded];
    if (row === undefined) break;
    // Many rows together may have taken the time.
    const one = interpret(() => fold(state, [row]));
    if (one === null) unread.push(row.seq);
    else state = one;
    folded += 1;
  }
  return { state, unread };
}
