import type { Refusal } from "../../contract/errors.ts";
import type { OutputOf } from "../../contract/operations.ts";
import type { Schedule } from "../../contract/schedules.ts";
import { NewTask } from "../../contract/tasks.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import type { Tx } from "../kernel/tx.ts";
import { submitOnce } from "../tasks/submit.ts";
import { nextTime } from "./cron-times.ts";
import type { RowOf } from "../../shared/table.ts";
import { tasks } from "../tasks/task-tables.ts";
import { schedules } from "./schedule-table.ts";

const scheduleRows = schedules.without("task");
const taskTexts = schedules.pick("task");

export type ScheduleRow = RowOf<typeof scheduleRows>;

export function find({ sql }: Tx, name: string): ScheduleRow | null {
  return scheduleRows.find(sql, { name });
}

export function requireSchedule(tx: Tx, name: string): Result<ScheduleRow, Refusal> {
  const row = find(tx, name);
  return row ? ok(row) : err({ code: "unknown_schedule", message: `there is no schedule ${name}` });
}

export function list({ sql }: Tx): ScheduleRow[] {
  return scheduleRows.select(sql, "ORDER BY name");
}

/** JSON text of the task, as it was checked at the creation. */
export function readTask({ sql }: Tx, { name }: ScheduleRow): string {
  return taskTexts.find(sql, { name })?.task ?? "null";
}

export type ScheduleChanges = Partial<Omit<ScheduleRow, "name" | "cron" | "timeZone" | "type">>;

export function update<Row extends ScheduleRow>({ sql }: Tx, row: Row, changes: ScheduleChanges): Row {
  schedules.update(sql, { name: row.name }, changes);
  return { ...row, ...changes };
}

type Limits = Pick<ScheduleRow, "cron" | "timeZone" | "endAt">;

/** @returns the first time after `after` that the schedule still has; null: none */
export function timeAfter(row: Limits, after: number): number | null {
  const next = nextTime(row, after);
  return next === null || (row.endAt !== null && next > row.endAt) ? null : next;
}

/** @returns at most three, as far as the schedule's last run is not before them */
export function listTimes(row: Limits & Pick<ScheduleRow, "maxRuns" | "runs">, first: number | null): number[] {
  const times: number[] = [];
  const max = Math.min(3, row.maxRuns === null ? 3 : row.maxRuns - row.runs);
  for (let at = first; at !== null && times.length < max; at = timeAfter(row, at)) times.push(at);
  return times;
}

type Progress = Pick<ScheduleRow, "state" | "nextAt" | "dueAt">;

/** [SD4] Never a time that has passed: the clock may have been set back. */
export function progressAfter(row: ScheduleRow, after: number): Progress {
  const isDone = row.maxRuns !== null && row.runs >= row.maxRuns;
  const next = isDone ? null : timeAfter(row, Math.max(after, row.lastAt ?? 0));
  return next === null ? { state: "ended", nextAt: null, dueAt: null } : { state: "active", nextAt: next, dueAt: next };
}

/** @throws {z.ZodError} when the stored task is not one */
export function submit(tx: Tx, row: ScheduleRow): Result<OutputOf<"tasks.submit">["tasks"][number], Refusal> {
  const submitted = submitOnce(tx, [NewTask.parse(JSON.parse(readTask(tx, row)))]);
  if (!submitted.ok) return submitted;
  const [task] = submitted.value.tasks;
  if (!task) throw new Error(`the schedule ${row.name} submitted no task`);
  tasks.update(tx.sql, { task: task.task }, { schedule: row.name });
  return ok(task);
}

export function toSchedule({ now }: Tx, row: ScheduleRow): Schedule {
  return {
    name: row.name,
    cron: row.cron,
    timeZone: row.timeZone,
    type: row.type,
    overlap: row.overlap,
    missed: row.missed,
    state: row.state,
    endAt: row.endAt,
    maxRuns: row.maxRuns,
    runs: row.runs,
    nextAt: row.nextAt,
    last:
      row.lastAt === null || row.lastOutcome === null
        ? null
        : { at: row.lastAt, outcome: row.lastOutcome, detail: row.lastDetail },
    lastTask: row.lastTask,
    ageMs: Math.max(0, now - row.at),
  };
}
