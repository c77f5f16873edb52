import * as due from "../coordination/due.ts";
import { sweepRows } from "./alarm.ts";
import { logProblem } from "./log-problem.ts";
import type { Transactions } from "./transactions.ts";

const sweepsPerAlarm = 20;

/** Does what is due, in transactions of its own. */
export function sweepDue(transactions: Transactions, storage: DurableObjectStorage): void {
  for (let times = 0; times < sweepsPerAlarm; times++) {
    // [QU12] Tasks that become runnable here go through the queue.
    const tx = { ...transactions.tx(), requestDispatch: null };
    const next = due.nextDue(tx);
    if (next === null || next > tx.now) return;
    const problems = due.sweep(tx, (work) => storage.transactionSync(work), sweepRows);
    for (const problem of problems) logProblem("a sweep failed", { error: problem });
  }
}
