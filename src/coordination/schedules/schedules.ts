import type { Failure } from "../../contract/errors.ts";
import type { CheckedInputOf, OutputOf } from "../../contract/operations.ts";
import { messageOf } from "../../shared/error.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import * as audit from "../kernel/audit.ts";
import { repeatable, type Handlers } from "../kernel/handlers.ts";
import type { Tx } from "../kernel/tx.ts";
import * as rows from "./schedule-rows.ts";
import { schedules } from "./schedule-rows.ts";

type NewSchedule = CheckedInputOf<"schedules.create">;
type Named = CheckedInputOf<"schedules.pause">;
type Changed = OutputOf<"schedules.pause">;

export const handlers = {
  /** Checked as a whole; nothing is submitted before the first time. */
  "schedules.create": repeatable("schedules.create", (tx: Tx, input: NewSchedule) => {
    const refused = checkName(tx, input.name);
    if (refused) return err(refused);
    const nextTimes = findTimes(tx, input);
    if (!nextTimes.ok) return nextTimes;
    insert(tx, input, nextTimes.value[0] ?? null);
    append(tx, "schedule.created", input.name, { cron: input.cron, timeZone: input.timeZone });
    const stored = rows.requireSchedule(tx, input.name);
    return stored.ok ? ok({ schedule: rows.toSchedule(tx, stored.value), nextTimes: nextTimes.value }) : stored;
  }),

  "schedules.list"(tx) {
    return ok({ schedules: rows.list(tx).map((row) => rows.toSchedule(tx, row)) });
  },

  /** Times that pass meanwhile are not missed ones. */
  "schedules.pause": repeatable("schedules.pause", (tx: Tx, { name }: Named) => {
    const found = rows.requireSchedule(tx, name);
    if (!found.ok) return found;
    if (found.value.state !== "active") return unchanged(tx, found.value);
    return change(tx, found.value, "schedule.paused", { state: "paused", nextAt: null, dueAt: null });
  }),

  "schedules.resume": repeatable("schedules.resume", (tx: Tx, { name }: Named) => {
    const found = rows.requireSchedule(tx, name);
    if (!found.ok) return found;
    if (found.value.state !== "paused") return unchanged(tx, found.value);
    return change(tx, found.value, "schedule.resumed", rows.progressAfter(found.value, tx.now));
  }),

  "schedules.delete": repeatable("schedules.delete", (tx: Tx, { name }: Named) => {
    const found = rows.requireSchedule(tx, name);
    if (!found.ok) return found;
    tx.sql.run("DELETE FROM schedules WHERE name = ?", name);
    append(tx, "schedule.deleted", name);
    return ok({});
  }),

  /** A person decides: neither the overlap policy nor the next time matters. */
  "schedules.run": repeatable("schedules.run", (tx: Tx, { name }: Named) => {
    const found = rows.requireSchedule(tx, name);
    if (!found.ok) return found;
    const submitted = rows.submit(tx, found.value);
    if (!submitted.ok) return submitted;
    const { task, state } = submitted.value;
    const last = { lastAt: tx.now, lastOutcome: "submitted", lastDetail: null, lastTask: task } as const;
    rows.update(tx, found.value, last);
    append(tx, "schedule.run", name, { task });
    return ok({ task, state });
  }),
} satisfies Partial<Handlers>;

function unchanged(tx: Tx, row: rows.ScheduleRow): Result<Changed> {
  return ok({ schedule: rows.toSchedule(tx, row) });
}

function change(tx: Tx, row: rows.ScheduleRow, kind: string, changes: rows.ScheduleChanges): Result<Changed> {
  append(tx, kind, row.name);
  return unchanged(tx, rows.update(tx, row, changes));
}

function append(tx: Tx, kind: string, subject: string, detail: audit.NewAuditEntry["detail"] = {}): void {
  audit.append(tx, { kind, subject, actor: tx.actor?.machine ?? null, detail });
}

function checkName(tx: Tx, name: string): Failure | null {
  if (rows.find(tx, name)) {
    const message = `there is a schedule ${name} already; delete it first, or give another name`;
    return { code: "schedule_exists", message };
  }
  const { maxSchedules } = tx.settings;
  const [{ n } = { n: 0 }] = tx.sql.all<{ n: number }>("SELECT count(*) AS n FROM schedules");
  if (n < maxSchedules) return null;
  return {
    code: "quota_exceeded",
    message: `there are ${n} schedules, as many as the workspace keeps (maxSchedules); delete one, such as one that has ended`,
  };
}

/** The library's words name the field that is wrong. */
function findTimes({ now }: Tx, { cron, timeZone }: NewSchedule): Result<number[]> {
  if (!isTimeZone(timeZone))
    return err(badInput(`there is no time zone ${timeZone}; give a name such as Europe/Berlin or UTC`));
  try {
    const times = rows.listTimes({ cron, timeZone }, rows.nextTime({ cron, timeZone }, now));
    return times.length > 0 ? ok(times) : err(badInput(`"${cron}" has no time`));
  } catch (error) {
    return err(badInput(`"${cron}" is not a cron expression: ${messageOf(error).replace(/^\w+: /, "")}`));
  }
}

function isTimeZone(timeZone: string): boolean {
  try {
    return new Intl.DateTimeFormat("en", { timeZone }) instanceof Intl.DateTimeFormat;
  } catch {
    return false;
  }
}

function badInput(message: string): Failure {
  return { code: "bad_input", message: `schedules.create: ${message}` };
}

function insert(tx: Tx, input: NewSchedule, next: number | null): void {
  const { task, ...fields } = input;
  const times = { at: tx.now, nextAt: next, dueAt: next };
  schedules.insert(tx.sql, { ...fields, ...times, state: "active", type: task.type, task: JSON.stringify(task) });
}
