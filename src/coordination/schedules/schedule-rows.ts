import type { Refusal } from "../../contract/errors.ts";
import type { OutputOf } from "../../contract/operations.ts";
import type { Schedule } from "../../contract/schedules.ts";
import { NewTask } from "../../contract/tasks.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import type { Tx } from "../kernel/tx.ts";
import { submitOnce } from "../tasks/submit.ts";
import { nextTime } from "./cron-times.ts";

export interface ScheduleRow {
  readonly name: string;
  readonly cron: string;
  readonly time_zone: string;
  readonly overlap: Schedule["overlap"];
  readonly missed: Schedule["missed"];
  readonly state: Schedule["state"];
  readonly end_at: number | null;
  readonly max_runs: number | null;
  readonly runs: number;
  readonly at: number;
  /** Next time of the expression; null: paused or ended. */
  readonly next_at: number | null;
  /** The next time, or later after a sweep that failed. */
  readonly due_at: number | null;
  readonly last_at: number | null;
  readonly last_outcome: NonNullable<Schedule["last"]>["outcome"] | null;
  readonly last_detail: string | null;
  readonly last_task: number | null;
  readonly type: string;
}

const columns =
  "name, cron, time_zone, overlap, missed, state, end_at, max_runs, runs, at, next_at, due_at, last_at, last_outcome, last_detail, last_task, type";

export function find({ sql }: Tx, name: string): ScheduleRow | null {
  return sql.all<ScheduleRow>(`SELECT ${columns} FROM schedules WHERE name = ?`, name)[0] ?? null;
}

export function requireSchedule(tx: Tx, name: string): Result<ScheduleRow, Refusal> {
  const row = find(tx, name);
  return row ? ok(row) : err({ code: "unknown_schedule", message: `there is no schedule ${name}` });
}

export function list({ sql }: Tx): ScheduleRow[] {
  return sql.all<ScheduleRow>(`SELECT ${columns} FROM schedules ORDER BY name`);
}

/** JSON text of the task, as it was checked at the creation. */
export function readTask({ sql }: Tx, { name }: ScheduleRow): string {
  const [row] = sql.all<{ task: string }>("SELECT task FROM schedules WHERE name = ?", name);
  return row?.task ?? "null";
}

export type ScheduleChanges = Partial<Omit<ScheduleRow, "name" | "cron" | "time_zone" | "type">>;

export function update<Row extends ScheduleRow>({ sql }: Tx, row: Row, changes: ScheduleChanges): Row {
  const fields = Object.entries(changes);
  const assignments = fields.map(([column]) => `${column} = ?`).join(", ");
  sql.run(`UPDATE schedules SET ${assignments} WHERE name = ?`, ...fields.map(([, value]) => value), row.name);
  return { ...row, ...changes };
}

type Limits = Pick<ScheduleRow, "cron" | "time_zone" | "end_at">;

/** @returns the first time after `after` that the schedule still has; null: none */
export function timeAfter(row: Limits, after: number): number | null {
  const next = nextTime(row, after);
  return next === null || (row.end_at !== null && next > row.end_at) ? null : next;
}

/** @returns at most three, as far as the schedule's last run is not before them */
export function listTimes(row: Limits & Pick<ScheduleRow, "max_runs" | "runs">, first: number | null): number[] {
  const times: number[] = [];
  const max = Math.min(3, row.max_runs === null ? 3 : row.max_runs - row.runs);
  for (let at = first; at !== null && times.length < max; at = timeAfter(row, at)) times.push(at);
  return times;
}

type Progress = Pick<ScheduleRow, "state" | "next_at" | "due_at">;

/** [SD4] Never a time that has passed: the clock may have been set back. */
export function progressAfter(row: ScheduleRow, after: number): Progress {
  const isDone = row.max_runs !== null && row.runs >= row.max_runs;
  const next = isDone ? null : timeAfter(row, Math.max(after, row.last_at ?? 0));
  return next === null
    ? { state: "ended", next_at: null, due_at: null }
    : { state: "active", next_at: next, due_at: next };
}

/** @throws {z.ZodError} when the stored task is not one */
export function submit(tx: Tx, row: ScheduleRow): Result<OutputOf<"tasks.submit">["tasks"][number], Refusal> {
  const submitted = submitOnce(tx, [NewTask.parse(JSON.parse(readTask(tx, row)))]);
  if (!submitted.ok) return submitted;
  const [task] = submitted.value.tasks;
  if (!task) throw new Error(`the schedule ${row.name} submitted no task`);
  tx.sql.run("UPDATE tasks SET schedule = ? WHERE task = ?", row.name, task.task);
  return ok(task);
}

export function toSchedule({ now }: Tx, row: ScheduleRow): Schedule {
  return {
    name: row.name,
    cron: row.cron,
    timeZone: row.time_zone,
    type: row.type,
    overlap: row.overlap,
    missed: row.missed,
    state: row.state,
    endAt: row.end_at,
    maxRuns: row.max_runs,
    runs: row.runs,
    nextAt: row.next_at,
    last:
      row.last_at === null || row.last_outcome === null
        ? null
        : { at: row.last_at, outcome: row.last_outcome, detail: row.last_detail },
    lastTask: row.last_task,
    ageMs: Math.max(0, now - row.at),
  };
}
