import type { Refusal } from "../../contract/errors.ts";
import type { OutputOf } from "../../contract/operations.ts";
import { ok, type Result } from "../../shared/result.ts";
import { requeue } from "./requeue.ts";
import * as rows from "./task-rows.ts";
import { finish, enqueueDispatch } from "./task-states.ts";
import type { Handlers } from "../kernel/handlers.ts";
import type { Tx } from "../kernel/tx.ts";

export const handlers = {
  /** [TA21] A running task learns of it by its heartbeat; its result is still accepted. */
  "tasks.cancel"(tx, { task, reason }) {
    const found = rows.requireTask(tx, task);
    if (!found.ok) return found;
    const row = found.value;
    if (rows.isEnded(row) || row.cancel_reason !== null) return ok({ state: row.state });
    if (row.chat !== null) tx.tell({ kind: "task", chat: row.chat });
    if (row.state === "running") {
      tx.sql.run("UPDATE tasks SET cancel_reason = ? WHERE task = ?", reason, task);
      return ok({ state: "running" });
    }
    if (row.state === "assigned") {
      const state = requeue(tx, { ...row, cancel_reason: reason }, { ended: "cancelled", reason });
      enqueueDispatch(tx);
      return ok({ state });
    }
    return ok({ state: finish(tx, row, { state: "cancelled", detail: reason }) });
  },
} satisfies Partial<Handlers>;
