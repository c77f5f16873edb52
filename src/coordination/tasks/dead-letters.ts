import type { CheckedInputOf, OutputOf } from "../../contract/operations.ts";
import { fail, ok, type Result } from "../../shared/result.ts";
import * as totals from "../kernel/metric-totals.ts";
import * as rows from "./task-rows.ts";
import { dependencyState, finish, makeRunnable } from "./lifecycle.ts";
import { repeatable, unchanged, type Handlers } from "../kernel/handlers.ts";
import type { Tx } from "../kernel/tx.ts";
import { tasks, taskUsage } from "./task-tables.ts";

type Replayed = OutputOf<"tasks.replay">;
type ReplayFilter = NonNullable<CheckedInputOf<"tasks.replay">["filter"]>;

export const handlers = {
  /** Counts restart at 0, the last checkpoint stays; dependents of a dead one stay dead. */
  "tasks.replay": repeatable("tasks.replay", (tx, { task, filter, payload }) => {
    if (task === undefined) {
      if (!filter || payload !== undefined)
        return fail("bad_input", "tasks.replay: give a task, with a new payload or without, or a filter");
      return replayed(findDead(tx, filter).flatMap((row) => revive(tx, row)));
    }
    if (filter) return fail("bad_input", "tasks.replay: give a task or a filter, not both");
    const found = rows.requireTask(tx, task);
    if (!found.ok) return found;
    const tasks = revive(tx, found.value);
    if (payload !== undefined && tasks.length > 0) rows.updatePayload(tx, task, payload);
    return replayed(tasks);
  }),

  /** Discarded tasks stay until pruned, and are never replayed. */
  "tasks.discard": repeatable("tasks.discard", (tx, { task, reason }) => {
    const found = rows.requireTask(tx, task);
    if (!found.ok) return found;
    const row = found.value;
    if (!isDead(row)) return unchanged({ state: row.state });
    return ok({ state: finish(tx, row, { state: "dead", reason: "discarded", detail: reason }) });
  }),
} satisfies Partial<Handlers>;

function replayed(tasks: Replayed["tasks"]): Result<Replayed, never> {
  return tasks.length === 0 ? unchanged({ tasks }) : ok({ tasks });
}

function isDead({ state, reason }: rows.TaskRow): boolean {
  return state === "dead" && reason !== "discarded";
}

const maxScannedRows = 2_000;

function findDead({ sql }: Tx, { type, reason, tag, limit }: ReplayFilter): rows.TaskRow[] {
  const dead = sql.all<rows.TaskRow>(
    `SELECT ${rows.columns} FROM tasks WHERE state = 'dead' AND reason <> 'discarded' AND type = ifnull(?, type) AND reason = ifnull(?, reason)
     ORDER BY task LIMIT ?`,
    type ?? null,
    reason ?? null,
    maxScannedRows,
  );
  return dead
    .filter(({ tags }) => tag === undefined || (JSON.parse(tags) as string[]).includes(tag))
    .slice(0, limit)
    .toSorted((a, b) => a.depth - b.depth || a.task - b.task);
}

function revive(tx: Tx, row: rows.TaskRow): Replayed["tasks"] {
  if (!isDead(row)) return [];
  const dependencies = dependencyState(tx, rows.dependenciesOf(tx, row.task), row.onDeath);
  if (dependencies.state === "doomed") return [];
  taskUsage.delete(tx.sql, { task: row.task });
  totals.add(tx, "shim_task_replays_total");
  const resetRow = { ...row, failures: 0, stalls: 0, lostChats: 0, detail: null };
  if (dependencies.state === "free") return [{ task: row.task, state: makeRunnable(tx, resetRow, tx.now) }];
  const counts = { failures: 0, stalls: 0, lostChats: 0 };
  const change = { state: "blocked", reason: null, detail: null, ...counts, endedAt: null, dueAt: null } as const;
  tasks.update(tx.sql, { task: row.task }, change);
  return [{ task: row.task, state: "blocked" }];
}
