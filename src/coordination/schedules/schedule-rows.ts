import type { OutputOf } from "../../contract/operations.ts";
import type { Schedule } from "../../contract/schedules.ts";
import { NewTask } from "../../contract/tasks.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import type { Tx } from "../kernel/tx.ts";
import { submitOnce } from "../tasks/submit.ts";
import { type RowOf, integer, table, text } from "../../shared/table.ts";
import { tasks } from "../tasks/task-tables.ts";
import { Cron } from "croner";
import * as audit from "../kernel/audit.ts";
import * as totals from "../kernel/metric-totals.ts";
import * as taskRows from "../tasks/task-rows.ts";

/** A task's row has the name of its schedule. */
export const schedules = table("schedules", {
  name: text().primary(),
  cron: text(),
  timeZone: text(),
  overlap: text<Schedule["overlap"]>(),
  state: text<Schedule["state"]>(),
  runs: integer().default(0),
  at: integer(),
  /** Next time of the expression; null: paused. */
  nextAt: integer().nullable(),
  /** The next time, or later after a sweep that failed. */
  dueAt: integer().nullable(),
  lastAt: integer().nullable(),
  lastOutcome: text<NonNullable<Schedule["last"]>["outcome"]>().nullable(),
  lastDetail: text().nullable(),
  lastTask: integer().nullable(),
  type: text(),
  /** JSON of the task, as it was checked at the creation. */
  task: text(),
});

export const scheduleIndex = "CREATE INDEX schedules_due ON schedules (dueAt) WHERE dueAt IS NOT NULL";

const scheduleRows = schedules.without("task");
const taskTexts = schedules.pick("task");

export type ScheduleRow = RowOf<typeof scheduleRows>;

export function find({ sql }: Tx, name: string): ScheduleRow | null {
  return scheduleRows.find(sql, { name });
}

export function requireSchedule(tx: Tx, name: string): Result<ScheduleRow> {
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

/** @returns at most three from the first one on */
export function listTimes(times: CronTimes, first: number | null): number[] {
  const found: number[] = [];
  for (let at = first; at !== null && found.length < 3; at = nextTime(times, at)) found.push(at);
  return found;
}

/** Never a time that has passed: the clock may have been set back. */
export function progressAfter(row: ScheduleRow, after: number): Pick<ScheduleRow, "state" | "nextAt" | "dueAt"> {
  const next = nextTime(row, Math.max(after, row.lastAt ?? 0));
  return { state: "active", nextAt: next, dueAt: next };
}

/** @throws {z.ZodError} when the stored task is not one */
export function submit(tx: Tx, row: ScheduleRow): Result<OutputOf<"tasks.submit">["tasks"][number]> {
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
    state: row.state,
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

export interface CronTimes {
  readonly cron: string;
  readonly timeZone: string;
}

/**
 * Five fields: at most one time a minute. no-wildcard: an expression without wildcard and step in
 * minute and hour names fixed times, the others intervals; a changed clock treats them differently.
 */
const options = { mode: "5-part", fixedTimeRule: "no-wildcard" } as const;

/**
 * Reads no clock: the library reads it only where no time is passed.
 *
 * @param after epoch ms
 * @returns the first time after it, epoch ms; null: none up to the year 9999
 * @throws {Error} when the expression or the time zone is not valid
 */
export function nextTime({ cron, timeZone: timezone }: CronTimes, after: number): number | null {
  const next = new Cron(cron, { ...options, timezone }).nextRun(new Date(after));
  return next === null ? null : next.getTime();
}

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
 * The task and the next time are stored in one transaction, so each time has at most one
 * task. The next time is after now: however many have passed, one is left.
 */
export function checkSchedule(tx: Tx, name: string): void {
  const row = find(tx, name);
  if (!row || row.nextAt === null) return;
  const { outcome, detail, task } = runTime(tx, row);
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
  const progress = progressAfter(updated, tx.now);
  update(tx, row, { runs, lastAt, lastOutcome, lastDetail, lastTask, ...progress });
  totals.add(tx, "shim_schedule_times_total", outcome);
  // Only the first of several refusals, as a full queue would fill the log.
  if (outcome === "refused" && row.lastOutcome !== "refused")
    audit.append(tx, { kind: "schedule.refused", subject: name, detail: { reason: detail } });
}

interface Outcome {
  readonly outcome: NonNullable<ScheduleRow["lastOutcome"]>;
  readonly detail: string | null;
  readonly task: number | null;
}

function runTime(tx: Tx, row: ScheduleRow): Outcome {
  const obstacle = findObstacle(tx, row);
  if (obstacle !== null) return { outcome: "skipped", detail: obstacle, task: null };
  if (tx.isFull) return { outcome: "refused", detail: "the storage of the workspace is full", task: null };
  const submitted = submit(tx, row);
  if (submitted.ok) return { outcome: "submitted", detail: null, task: submitted.value.task };
  return { outcome: "refused", detail: submitted.error.message.slice(0, maxDetailChars), task: null };
}

const maxDetailChars = 500;

function findObstacle(tx: Tx, row: ScheduleRow): string | null {
  if (row.overlap === "submit" || row.lastTask === null) return null;
  const last = taskRows.find(tx, row.lastTask);
  return last && !taskRows.isEnded(last) ? `task ${row.lastTask} has not ended` : null;
}
