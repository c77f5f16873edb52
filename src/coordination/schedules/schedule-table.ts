import type { Schedule } from "../../contract/schedules.ts";
import { integer, table, text } from "../../shared/table.ts";

/** A task's row has the name of its schedule. */
export const schedules = table("schedules", {
  name: text().primary(),
  cron: text(),
  timeZone: text(),
  overlap: text<Schedule["overlap"]>(),
  missed: text<Schedule["missed"]>(),
  state: text<Schedule["state"]>(),
  endAt: integer().nullable(),
  maxRuns: integer().nullable(),
  runs: integer().default(0),
  at: integer(),
  /** Next time of the expression; null: paused or ended. */
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
