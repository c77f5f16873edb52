import { expect } from "vitest";
import type { InputOf, OutputOf } from "#src/contract/operations.ts";
import type { RuleHost } from "#harness/coordinator/engine-host.ts";
import { ask, refusal } from "#harness/coordinator/peers.ts";
import { cancel, stateOf, submit, submitOne } from "#harness/coordinator/tasks.ts";
import { day, hour, minute } from "#harness/coordinator/times.ts";
import { nextTime } from "#src/coordination/schedules/schedule-rows.ts";
import { it, taskTest } from "./rule-test.ts";

type NewSchedule = InputOf<"schedules.create">;
type Schedule = OutputOf<"schedules.list">["schedules"][number];

const hourly: NewSchedule = { name: "hourly", cron: "0 * * * *", task: { type: "build" } };

function create(host: RuleHost, more: Partial<NewSchedule> = {}): Promise<OutputOf<"schedules.create">> {
  return ask(host, "schedules.create", { ...hourly, ...more });
}

async function scheduleOf(host: RuleHost, name = "hourly"): Promise<Schedule> {
  const found = (await ask(host, "schedules.list", {})).schedules.find((one) => one.name === name);
  if (!found) throw new Error(`there is no schedule ${name}`);
  return found;
}

async function tasksOf(host: RuleHost, schedule = "hourly"): Promise<number[]> {
  return (await ask(host, "tasks.list", { schedule, limit: 200 })).tasks.map(({ task }) => task);
}

/** To the given full hour from now, when the alarm rings. */
async function passHours(host: RuleHost, hours = 1): Promise<void> {
  host.wait(hour - (host.now() % hour) + (hours - 1) * hour);
  await host.ring();
}

const fullHour = (host: RuleHost, hours = 1): number => Math.floor(host.now() / hour + hours) * hour;

async function auditOf(host: RuleHost): Promise<string[]> {
  const { entries } = await ask(host, "audit.list", {});
  const own = entries.filter(({ kind }) => kind.startsWith("schedule."));
  // The coordinator's own entries have no actor.
  for (const { kind, actor } of own) expect([kind, actor]).toEqual([kind, kind === "schedule.refused" ? null : "m1"]);
  return own.map(({ kind }) => kind);
}

taskTest("a schedule is created once, with its next times, and its tasks are as given", async ({ host }) => {
  const given = { ...hourly, task: { type: "build", payload: { of: "web" }, priority: 7, tags: ["a"] } };
  const request = { ...given, requestId: "r1" };
  const created = await ask(host, "schedules.create", request);
  expect(created.nextTimes).toEqual([1, 2, 3].map((hours) => fullHour(host, hours)));
  expect(created.schedule).toMatchObject({ name: "hourly", type: "build", state: "active", runs: 0, last: null });
  expect(await ask(host, "schedules.create", request)).toEqual(created);
  expect((await ask(host, "schedules.list", {})).schedules).toEqual([created.schedule]);
  expect((await refusal(host, "schedules.create", hourly)).code).toBe("schedule_exists");
  for (const operation of ["schedules.run", "schedules.pause", "schedules.resume", "schedules.delete"] as const)
    expect((await refusal(host, operation, { name: "nightly" })).code).toBe("unknown_schedule");
  expect(await tasksOf(host)).toEqual([]);
  await ask(host, "schedules.run", { name: "hourly" });
  const [task = 0] = await tasksOf(host);
  expect(await ask(host, "tasks.get", { task })).toMatchObject(given.task);
});

taskTest("a task that no submit would take, and one schedule too many, are refused", async ({ host }) => {
  for (const task of [{ type: "a b" }, { type: "a", priority: 10 }, { type: "a", dependsOn: [1] }])
    expect((await refusal(host, "schedules.create", { ...hourly, task })).code).toBe("bad_input");
  await ask(host, "settings.set", { settings: { maxSchedules: 2 } });
  await create(host);
  await create(host, { name: "b" });
  expect((await refusal(host, "schedules.create", { ...hourly, name: "c" })).message).toContain("maxSchedules");
  await ask(host, "schedules.delete", { name: "b" });
  await create(host, { name: "c" });
  expect((await ask(host, "schedules.list", {})).schedules.map(({ name }) => name)).toEqual(["c", "hourly"]);
});

taskTest("an expression or a time zone that is none is refused with the reason", async ({ host }) => {
  for (const [cron, reason] of Object.entries({ "61 * * * *": "minute", "0 0 30 2 *": "no time", "": "five" }))
    expect((await refusal(host, "schedules.create", { ...hourly, cron })).message).toContain(reason);
  for (const timeZone of ["Nowhere/City", "+01:00", ""])
    expect((await refusal(host, "schedules.create", { ...hourly, timeZone })).message).toContain("time zone");
  expect((await ask(host, "schedules.list", {})).schedules).toEqual([]);
});

taskTest("each time submits one task, which carries the schedule's name", async ({ host, a }) => {
  const { nextTimes } = await create(host);
  const usual = await submitOne(host);
  await a.ack(await a.take());
  expect(await host.ring()).toBeLessThanOrEqual(nextTimes[0] ?? 0);
  host.wait((nextTimes[0] ?? 0) - host.now() - 1);
  await host.ring();
  expect(await tasksOf(host)).toEqual([]);
  host.wait(1);
  for (let times = 0; times < 3; times++) await host.ring();
  const [first = 0] = await tasksOf(host);
  expect(await tasksOf(host)).toEqual([first]);
  const last = { at: nextTimes[0], outcome: "submitted", detail: null };
  expect(await scheduleOf(host)).toMatchObject({ nextAt: nextTimes[1], runs: 1, last, lastTask: first });
  await a.back();
  await a.ack(await a.take());
  await passHours(host);
  expect(await tasksOf(host)).toEqual([first, first + 1]);
  expect((await ask(host, "tasks.get", { task: first })).schedule).toBe("hourly");
  expect((await ask(host, "tasks.get", { task: usual })).schedule).toBeNull();
});

taskTest("a time is skipped while the last task has not ended, or submits one more", async ({ host, a }) => {
  await create(host);
  await create(host, { name: "any", overlap: "submit", task: { type: "other" } });
  await passHours(host);
  await a.back();
  const held = await a.take({ types: ["build"] });
  await passHours(host);
  const last = { outcome: "skipped", detail: `task ${held.task} has not ended` };
  expect(await scheduleOf(host)).toMatchObject({ runs: 1, last, lastTask: held.task });
  expect([(await tasksOf(host)).length, (await tasksOf(host, "any")).length]).toEqual([1, 2]);
  await cancel(host, held.task);
  if ((await stateOf(host, held.task)) === "running") await a.ack(held);
  await passHours(host);
  expect((await tasksOf(host)).length).toBe(2);
});

taskTest("of several missed times one submits a task", async ({ host }) => {
  await create(host);
  host.wait(10 * hour - (host.now() % hour) + 6 * minute);
  await host.ring();
  expect(await tasksOf(host)).toHaveLength(1);
  expect((await scheduleOf(host)).nextAt).toBe(fullHour(host));
});

taskTest("a refused task is stored with the reason; the schedule continues", async ({ host }) => {
  await create(host, { overlap: "submit", task: { type: "late" } });
  await ask(host, "settings.set", { settings: { maxLanes: 10 } });
  const filling = await submit(host, ...Array.from({ length: 10 }, (_, at) => ({ type: `x${at}` })));
  for (let times = 0; times < 2; times++) await passHours(host);
  const last = { outcome: "refused", detail: expect.stringContaining("maxLanes") as string };
  expect(await scheduleOf(host)).toMatchObject({ runs: 0, last, nextAt: fullHour(host), lastTask: null });
  expect(await auditOf(host)).toEqual(["schedule.refused", "schedule.created"]);
  await cancel(host, filling[0] ?? 0);
  await passHours(host);
  expect(await scheduleOf(host)).toMatchObject({ runs: 1, last: { outcome: "submitted", detail: null } });
});

taskTest("a paused schedule has no time, and misses none", async ({ host }) => {
  await create(host);
  const paused = await ask(host, "schedules.pause", { name: "hourly" });
  expect(paused.schedule).toMatchObject({ state: "paused", nextAt: null });
  await passHours(host, 5);
  expect(await ask(host, "schedules.pause", { name: "hourly" })).toMatchObject({ schedule: { state: "paused" } });
  host.wait(minute);
  const resumed = await ask(host, "schedules.resume", { name: "hourly" });
  expect(resumed.schedule).toMatchObject({ state: "active", nextAt: fullHour(host), last: null });
  await ask(host, "schedules.resume", { name: "hourly" });
  await host.ring();
  expect(await tasksOf(host)).toEqual([]);
  await passHours(host);
  expect(await tasksOf(host)).toHaveLength(1);
  await ask(host, "schedules.run", { name: "hourly" });
  await ask(host, "schedules.delete", { name: "hourly" });
  const verbs = ["deleted", "run", "resumed", "paused", "created"];
  expect(await auditOf(host)).toEqual(verbs.map((verb) => `schedule.${verb}`));
});

taskTest("a run submits at once, whatever the policy says, and moves no time", async ({ host }) => {
  const { nextTimes } = await create(host);
  const first = await ask(host, "schedules.run", { name: "hourly", requestId: "r1" });
  expect(await ask(host, "schedules.run", { name: "hourly", requestId: "r1" })).toEqual(first);
  const second = await ask(host, "schedules.run", { name: "hourly" });
  expect(await tasksOf(host)).toEqual([first.task, second.task]);
  const expected = { runs: 0, nextAt: nextTimes[0], lastTask: second.task, last: { at: host.now() } };
  expect(await scheduleOf(host)).toMatchObject(expected);
  await passHours(host);
  // The task of the run has not ended.
  expect((await scheduleOf(host)).last).toMatchObject({ outcome: "skipped" });
});

taskTest("a deleted schedule leaves its tasks, and its name is free", async ({ host }) => {
  await create(host);
  await passHours(host);
  await ask(host, "schedules.delete", { name: "hourly", requestId: "r1" });
  await ask(host, "schedules.delete", { name: "hourly", requestId: "r1" });
  expect((await refusal(host, "schedules.delete", { name: "hourly" })).code).toBe("unknown_schedule");
  expect(await tasksOf(host)).toHaveLength(1);
  await passHours(host, 3);
  expect(await tasksOf(host)).toHaveLength(1);
  await create(host, { cron: "@daily" });
  expect((await scheduleOf(host)).nextAt).toBe(Math.floor(host.now() / day + 1) * day);
});

taskTest("a damaged schedule is put off and recorded, and keeps no other from its time", async ({ host }) => {
  await create(host, { name: "bad" });
  await create(host, { name: "good" });
  await host.run("UPDATE schedules SET task = '{}' WHERE name = 'bad'");
  host.wait(hour - (host.now() % hour));
  expect(await host.sweep(100)).toEqual([expect.stringContaining("schedule bad")]);
  expect([await tasksOf(host, "good"), await tasksOf(host, "bad")]).toEqual([[1], []]);
  const { entries } = await ask(host, "audit.list", { kind: "sweep.failed" });
  expect(entries).toMatchObject([{ subject: "schedule bad" }]);
  expect(await host.sweep(100)).toEqual([]);
  const task = JSON.stringify({ type: "build" });
  await host.run("UPDATE schedules SET task = ? WHERE name = 'bad'", task);
  host.wait(minute);
  await host.ring();
  expect(await tasksOf(host, "bad")).toHaveLength(1);
  expect((await scheduleOf(host, "bad")).last).toMatchObject({ at: fullHour(host, 0), outcome: "submitted" });
});

taskTest("no time comes again when the clock is set back", async ({ host }) => {
  await create(host, { overlap: "submit" });
  await passHours(host);
  expect(await tasksOf(host)).toHaveLength(1);
  host.wait(-hour);
  for (const verb of ["pause", "resume"] as const) await ask(host, `schedules.${verb}`, { name: "hourly" });
  host.wait(hour);
  await host.ring();
  expect(await tasksOf(host)).toHaveLength(1);
  await passHours(host);
  expect(await tasksOf(host)).toHaveLength(2);
});

function timesBetween(cron: string, timeZone: string, start: number, end: number): number[] {
  const times: number[] = [];
  for (let at = start - 1; ;) {
    const next = nextTime({ cron, timeZone }, at);
    if (next === null || next >= end) return times;
    times.push(next);
    at = next;
  }
}

const spring = { start: Date.UTC(2026, 2, 28, 12), end: Date.UTC(2026, 2, 29, 12) };
const autumn = { start: Date.UTC(2026, 9, 24, 12), end: Date.UTC(2026, 9, 25, 12) };

it.each([
  ["30 2 * * *", spring, ["03-29T01:00"]],
  ["15 0-3 * * *", spring, ["03-28T23:15", "03-29T00:15", "03-29T01:00", "03-29T01:15"]],
  ["30 1-3 * * *", autumn, ["10-24T23:30", "10-25T00:30", "10-25T02:30"]],
])("%s in Berlin: fixed times are neither lost nor doubled", (cron, { start, end }, expected) => {
  const times = timesBetween(cron, "Europe/Berlin", start, end);
  expect(times.map((at) => new Date(at).toISOString().slice(5, 16))).toEqual(expected);
});

it.each([
  ["30 * * * *", spring, 24],
  ["30 * * * *", autumn, 24],
  ["*/20 2 * * *", spring, 0],
  ["*/20 2 * * *", autumn, 6],
])("%s in Berlin: intervals run through a changed clock", (cron, { start, end }, count) => {
  expect(timesBetween(cron, "Europe/Berlin", start, end)).toHaveLength(count);
});
