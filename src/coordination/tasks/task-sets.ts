import { jsonText } from "../../contract/json.ts";
import type { ClaimedTaskReference } from "../../contract/tasks.ts";
import * as chatRows from "../kernel/chat-rows.ts";
import type { SetHandlers } from "../kernel/handlers.ts";
import type { Tx } from "../kernel/tx.ts";
import { canKeepAll } from "./attempt-rows.ts";
import { claimNext } from "./attempts.ts";
import * as chatPerformance from "./chat-performance.ts";
import * as pruning from "./task-pruning.ts";
import { isReported } from "./routes.ts";
import { isExpired, remainingMs, type TaskRow } from "./task-rows.ts";

/** Requests of one chat, for different tasks that it holds. */
export const setHandlers = {
  /** No other task depends on these; only the last request may ask for more. */
  "tasks.ack"(tx, inputs) {
    const isSimple = inputs.every(
      ({ usage, route, ran, next }, at) => !usage && !route && !ran && (!next || at === inputs.length - 1),
    );
    const caller = isSimple ? chatRows.findCommonCaller(tx, inputs) : null;
    const rows = caller && findHeld(tx, caller, inputs);
    if (!rows || !rows.every(canKeepAll) || rows.some(isReported) || hasDependents(tx, rows)) return null;
    const chat = chatRows.recordActivity(tx, caller);
    chatPerformance.recordAll(tx, rows, true);
    const pruneAt = pruning.pruneTimeOf(tx, "done");
    tx.sql.run(
      `UPDATE tasks SET state = 'done', reason = NULL, detail = NULL, doneBy = chat, doneIncarnation = incarnation, chat = NULL,
         incarnation = NULL, requestId = NULL, result = given.value ->> 1, endedAt = ?, dueAt = ?
       FROM json_each(?) AS given WHERE task = given.value ->> 0`,
      tx.now,
      pruneAt,
      JSON.stringify(inputs.map(({ task, result }) => [task, jsonText(result)])),
    );
    pruning.schedule(tx, pruneAt);
    return inputs.map((input) => ({
      state: "done",
      next: claimNext(tx, { chat, state: "done", isRepeat: false }, input),
    }));
  },

  /** All are running. */
  "tasks.extend"(tx, inputs) {
    const caller = chatRows.findCommonCaller(tx, inputs);
    const rows = caller && findHeld(tx, caller, inputs);
    if (!rows || !rows.every(({ state }) => state === "running")) return null;
    chatRows.recordActivity(tx, caller);
    const extended = rows.map((row, at) => ({
      task: row.task,
      closeMs: row.closeMs,
      closeAt: Math.max(row.closeAt ?? 0, tx.now + (inputs[at]?.ms ?? 0)),
    }));
    tx.sql.run(
      `UPDATE tasks SET closeAt = given.value ->> 1, seenAt = ? FROM json_each(?) AS given WHERE task = given.value ->> 0`,
      tx.now,
      JSON.stringify(extended.map((row) => [row.task, row.closeAt])),
    );
    return extended.map((row) => ({ remainingMs: remainingMs(tx, row) }));
  },
} satisfies SetHandlers;

type HeldRow = Pick<
  TaskRow,
  | "task"
  | "type"
  | "state"
  | "claim"
  | "chat"
  | "incarnation"
  | "startedAt"
  | "seenAt"
  | "closeAt"
  | "closeMs"
  | "heartbeatMs"
  | "dueAt"
  | "route"
>;

/** The rows in the order of the claims; null: a claim is not held, has expired, or comes twice. */
function findHeld(
  tx: Tx,
  { chat, incarnation }: chatRows.LivenessRow,
  claims: readonly ClaimedTaskReference[],
): HeldRow[] | null {
  const found = tx.sql.all<HeldRow>(
    `SELECT task, type, state, claim, chat, incarnation, startedAt, seenAt, closeAt, closeMs, heartbeatMs, dueAt, route
     FROM tasks WHERE task IN (SELECT value FROM json_each(?))`,
    JSON.stringify(claims.map(({ task }) => task)),
  );
  const byTask = new Map(found.map((row) => [row.task, row]));
  if (byTask.size !== claims.length) return null;
  const rows: HeldRow[] = [];
  for (const { task, claim } of claims) {
    const row = byTask.get(task);
    const isHeld = row?.chat === chat && row.incarnation === incarnation && row.claim === claim && !isExpired(tx, row);
    if (!isHeld) return null;
    rows.push(row);
  }
  return rows;
}

function hasDependents({ sql }: Tx, rows: readonly HeldRow[]): boolean {
  const tasks = JSON.stringify(rows.map(({ task }) => task));
  return (
    sql.all("SELECT 1 FROM task_dependents WHERE needs IN (SELECT value FROM json_each(?)) LIMIT 1", tasks).length > 0
  );
}
