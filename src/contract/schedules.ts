import * as z from "zod";
import { operation } from "./operation.ts";
import { NewTask, TaskState } from "./tasks.ts";
import { counter, durationMs, Id } from "./values.ts";

/** Epoch ms: the times of a schedule are those of a calendar, so no durations. */
const moment = z.int().min(0);

const nicknames = "@hourly, @daily, @weekly, @monthly or @yearly";
const Cron = z
  .string()
  .max(200)
  .regex(
    /^(?:\S+(?: +\S+){4}|@(?:hourly|daily|weekly|monthly|yearly))$/,
    `five fields (minute hour day month weekday), or ${nicknames}; a schedule has at most one time a minute, so no field for seconds`,
  );
const TimeZone = z.string().regex(/^[A-Za-z][\w+/-]{0,63}$/, "the name of a time zone, such as Europe/Berlin or UTC");

/** Effect of a time at which the last task of the schedule has not ended. */
const Overlap = z.enum(["skip", "submit"]);
const ScheduleState = z.enum(["active", "paused"]);
const ScheduleOutcome = z.enum(["submitted", "skipped", "refused"]);

/** A graph belongs to one submit, and `overlap` does what a key would. */
const ScheduledTask = NewTask.omit({
  dedupeKey: true,
  onDuplicate: true,
  ref: true,
  dependsOn: true,
  onDependencyDeath: true,
  parent: true,
  joinRule: true,
});

export const Schedule = z.object({
  name: Id,
  cron: z.string(),
  timeZone: z.string(),
  type: z.string(),
  overlap: Overlap,
  state: ScheduleState,
  /** Tasks submitted at its times, without those of `schedules.run`. */
  runs: counter,
  nextAt: moment.nullable(),
  /** Newest time, or `schedules.run`, and its outcome; detail: why nothing was submitted. */
  last: z.object({ at: moment, outcome: ScheduleOutcome, detail: z.string().nullable() }).nullable(),
  lastTask: counter.nullable(),
  ageMs: durationMs,
});
export type Schedule = z.infer<typeof Schedule>;

const repeatable = z.strictObject({ name: Id, requestId: Id.optional() });

export const scheduleOperations = {
  "schedules.create": operation("POST /schedules", "submit", {
    input: z.strictObject({
      name: Id,
      cron: Cron,
      timeZone: TimeZone.default("UTC"),
      task: ScheduledTask,
      overlap: Overlap.default("skip"),
      requestId: Id.optional(),
    }),
    output: z.object({ schedule: Schedule, /** At most three. */ nextTimes: z.array(moment) }),
    errors: ["schedule_exists", "quota_exceeded", "key_reused"],
    summary: "Submits a task again and again, at the times of a cron expression in a time zone.",
    isPostponable: true,
    example: { name: "nightly", cron: "0 3 * * *", task: { type: "build" } },
  }),
  "schedules.list": operation("GET /schedules", "observe", {
    output: z.object({ schedules: z.array(Schedule) }),
    summary: "Lists all schedules, by name.",
  }),
  "schedules.pause": operation("POST /schedules/pause", "submit", {
    input: repeatable,
    output: z.object({ schedule: Schedule }),
    errors: ["unknown_schedule", "key_reused"],
    summary: "Pauses a schedule: its times pass without a task.",
    effect: "free",
    example: { name: "nightly" },
  }),
  "schedules.resume": operation("POST /schedules/resume", "submit", {
    input: repeatable,
    output: z.object({ schedule: Schedule }),
    errors: ["unknown_schedule", "key_reused"],
    summary: "Continues a paused schedule with its next time.",
    effect: "free",
    example: { name: "nightly" },
  }),
  "schedules.delete": operation("POST /schedules/delete", "submit", {
    input: repeatable,
    output: z.object({}),
    errors: ["unknown_schedule", "key_reused"],
    summary: "Deletes a schedule; its tasks stay.",
    effect: "free",
    isDestructive: true,
    example: { name: "nightly" },
  }),
  "schedules.run": operation("POST /schedules/run", "submit", {
    input: repeatable,
    output: z.object({ task: counter, state: TaskState.nullable() }),
    errors: ["unknown_schedule", "quota_exceeded", "key_reused"],
    summary: "Submits the task of a schedule now, also while it is paused or its last task has not ended.",
    isPostponable: true,
    example: { name: "nightly" },
  }),
} as const;
