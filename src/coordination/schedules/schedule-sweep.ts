import * as audit from "../kernel/audit.ts";
import * as totals from "../kernel/metric-totals.ts";
import type { Tx } from "../kernel/tx.ts";
import * as taskRows from "../tasks/task-rows.ts";
import * as rows from "./schedule-rows.ts";

export const dueAt = "SELECT min(dueAt) FROM schedules WHERE dueAt IS NOT NULL";

/** The longest overdue first. */
export function listDue({ sql, now }: Tx, limit: number): string[] {
  const query = "SELECT name FROM schedules WHERE dueAt <= ? ORDER BY dueAt, name LIMIT ?";
  return sql.all<{ name: string }>(query, now, limit).map(({ name }) => name);
}

export function postpone({ sql }: Tx, name: string, until: number): void {
  sql.run("UPDATE schedules SET dueAt = ? WHERE name = ?", until, name);
}

/**
 * [SD3] The task and the next time are stored in one transaction, so each time has at most one
 * task. The next time is after now: however many have passed, one is left.
 */
export function checkSchedule(tx: Tx, name: string): void {
  const row = rows.find(tx, name);
  if (!row || row.nextAt === null || row.dueAt === null || row.dueAt > tx.now) return;
  const time = { ...row, nextAt: row.nextAt };
  const { outcome, detail, task } = runTime(tx, time);
  const isSubmitted = task !== null;
  const updated = {
    ...row,
    runs: row.runs + (isSubmitted ? 1 : 0),
    lastAt: row.nextAt,
    lastOutcome: outcome,
    lastDetail: detail,
    lastTask: task ?? row.lastTask,
  };
  const { runs, lastAt, lastOutcome, lastDetail, lastTask } = updated;
  const progress = rows.progressAfter(updated, tx.now);
  rows.update(tx, row, { runs, lastAt, lastOutcome, lastDetail, lastTask, ...progress });
  totals.add(tx, "shim_schedule_times_total", outcome);
  // Only the first of several refusals, as a full queue would fill the log.
  if (outcome === "refused" && row.lastOutcome !== "refused")
    audit.append(tx, { kind: "schedule.refused", subject: name, detail: { reason: detail } });
}

interface Outcome {
  readonly outcome: NonNullable<rows.ScheduleRow["lastOutcome"]>;
  readonly detail: string | null;
  readonly task: number | null;
}

function runTime(tx: Tx, row: rows.ScheduleRow & { readonly nextAt: number }): Outcome {
  const obstacle = findObstacle(tx, row);
  if (obstacle !== null) return { outcome: "skipped", detail: obstacle, task: null };
  if (tx.isFull) return { outcome: "refused", detail: "the storage of the workspace is full", task: null };
  const submitted = rows.submit(tx, row);
  if (submitted.ok) return { outcome: "submitted", detail: null, task: submitted.value.task };
  return { outcome: "refused", detail: submitted.error.message.slice(0, maxDetailChars), task: null };
}

const maxDetailChars = 500;
/** Delay, in ms, after which a time counts as missed; an alarm and its repeats may be late. */
const lateMs = 300_000;

function findObstacle(tx: Tx, row: rows.ScheduleRow & { readonly nextAt: number }): string | null {
  if (row.missed === "skip" && !isOnTime(tx, row)) return "the time was missed";
  if (row.overlap === "submit" || row.lastTask === null) return null;
  const last = taskRows.find(tx, row.lastTask);
  return last && !taskRows.isEnded(last) ? `task ${row.lastTask} has not ended` : null;
}

/** Whether any time up to now is less than five minutes ago. */
function isOnTime({ now }: Tx, row: rows.ScheduleRow & { readonly nextAt: number }): boolean {
  if (row.nextAt >= now - lateMs) return true;
  const recent = rows.timeAfter(row, now - lateMs - 1);
  return recent !== null && recent <= now;
}
