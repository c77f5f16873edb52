import * as fc from "fast-check";
import { expect, it } from "vitest";
import type { OutputOf } from "#src/contract/operations.ts";
import * as due from "#src/coordination/due.ts";
import { openBetterSqlite3 } from "#src/store/driver-better-sqlite3.ts";
import { err } from "#src/shared/result.ts";
import { LocalHost } from "#harness/coordinator/local-host.ts";
import { ask, hour, minute } from "#harness/coordinator/state-calls.ts";
import { cancel, stateOf } from "#harness/coordinator/task-calls.ts";
import { step } from "../../../rules/steps.ts";

type Shown = OutputOf<"schedules.list">["schedules"][number];

const every = 15 * minute;
const name = "s";

async function shown(host: LocalHost): Promise<Shown> {
  const [schedule] = (await ask(host, "schedules.list", {})).schedules;
  if (!schedule) throw new Error("the schedule is gone");
  return schedule;
}

/** What a schedule of every quarter of an hour does, without a word about its expression. */
class ScheduleModel {
  readonly overlap: Shown["overlap"];
  readonly tasks: number[] = [];
  /** Times that had a task. */
  readonly times: number[] = [];
  state: Shown["state"] = "active";
  nextAt: number | null;
  lastAt = 0;
  outcome: string | null = null;

  constructor(now: number, overlap: Shown["overlap"]) {
    this.overlap = overlap;
    this.nextAt = this.#after(now);
  }

  /** @returns whether a task is submitted */
  ring(now: number, isLastOpen: boolean): boolean {
    if (this.nextAt === null || this.nextAt > now) return false;
    const isSubmitted = !(this.overlap === "skip" && isLastOpen);
    if (isSubmitted) this.times.push(this.nextAt);
    this.lastAt = this.nextAt;
    this.outcome = isSubmitted ? "submitted" : "skipped";
    this.resume(now);
    return isSubmitted;
  }

  pause(): void {
    if (this.state === "active") Object.assign(this, { state: "paused", nextAt: null });
  }

  resume(now: number): void {
    this.state = "active";
    this.nextAt = this.#after(Math.max(now, this.lastAt));
  }

  #after(at: number): number {
    return (Math.floor(at / every) + 1) * every;
  }
}

const deeds = ["pause", "resume", "run", "end the last task", "die in the sweep"] as const;
const anyStep = fc.oneof(
  step(6, "pass", { ms: fc.oneof(fc.integer({ min: 1, max: 20 * minute }), fc.integer({ min: hour, max: 9 * hour })) }),
  step(1, "set back", { ms: fc.integer({ min: 1, max: 2 * hour }) }),
  step(6, deeds),
  step(4, "end the last task"),
);
type Step = typeof anyStep extends fc.Arbitrary<infer One> ? One : never;

const policies = fc.constantFrom("skip", "submit");

class Run {
  readonly host = new LocalHost(openBetterSqlite3);
  readonly #model: ScheduleModel;

  constructor(model: (now: number) => ScheduleModel) {
    this.#model = model(this.host.now());
  }

  async create(): Promise<void> {
    const { overlap } = this.#model;
    const task = { type: "build" };
    await ask(this.host, "schedules.create", { name, cron: "*/15 * * * *", task, overlap });
  }

  async do(one: Step): Promise<void> {
    const { host } = this;
    if (one.kind === "pass") host.wait(one.ms);
    else if (one.kind === "set back") host.wait(-one.ms);
    else await this.#act(one.kind);
    const last = this.#model.tasks.at(-1);
    const isLastOpen = last !== undefined && (await stateOf(host, last)) !== "cancelled";
    const isSubmitted = this.#model.ring(host.now(), isLastOpen);
    for (let times = 0; times < 2; times++) await host.ring();
    await this.#check(isSubmitted);
  }

  async #act(kind: (typeof deeds)[number]): Promise<void> {
    if (kind === "end the last task") await this.#endLast();
    else if (kind === "die in the sweep") this.#die();
    else await this.#ask(kind);
  }

  async #endLast(): Promise<void> {
    const last = this.#model.tasks.at(-1);
    if (last !== undefined) await cancel(this.host, last);
  }

  /** All that is due at the next time, and no commit. */
  #die(): void {
    const { host } = this;
    host.wait(Math.max(0, (this.#model.nextAt ?? host.now()) - host.now()));
    host.commit((tx) => err(due.sweep(tx, (work) => work(), 100)));
  }

  async #ask(kind: "pause" | "resume" | "run"): Promise<void> {
    const { host } = this;
    await ask(host, `schedules.${kind}`, { name });
    if (kind === "pause") this.#model.pause();
    if (kind === "resume" && this.#model.state === "paused") this.#model.resume(host.now());
    if (kind !== "run") return;
    const schedule = await shown(host);
    this.#model.tasks.push(schedule.lastTask ?? 0);
    Object.assign(this.#model, { lastAt: host.now(), outcome: "submitted" });
  }

  /** No time has two tasks, and none that the policy gives one is without. */
  async #check(isSubmitted: boolean): Promise<void> {
    const model = this.#model;
    const schedule = await shown(this.host);
    if (isSubmitted) model.tasks.push(schedule.lastTask ?? 0);
    const { state, nextAt, times, tasks, outcome, lastAt } = model;
    const last = outcome === null ? null : { at: lastAt, outcome };
    const { detail: _, ...shownLast } = schedule.last ?? { detail: null };
    expect({ ...schedule, last: schedule.last === null ? null : shownLast }).toMatchObject({
      state,
      nextAt,
      last,
      runs: times.length,
      lastTask: tasks.at(-1) ?? null,
    });
    const listed = await ask(this.host, "tasks.list", { schedule: name, limit: 200 });
    expect(listed.tasks.map(({ task }) => task)).toEqual([...new Set(tasks)]);
    expect(new Set(times).size).toBe(times.length);
  }
}

it("a schedule does what its policies say, whatever happens @night", async () => {
  const steps = fc.array(anyStep, { maxLength: 40 });
  await fc.assert(
    fc.asyncProperty(policies, steps, async (policy, all) => {
      const run = new Run((now) => new ScheduleModel(now, policy));
      await run.create();
      for (const one of all) await run.do(one);
    }),
    { numRuns: 100 },
  );
});

it("no time comes again when the clock is set back", async () => {
  const host = new LocalHost(openBetterSqlite3);
  const task = { type: "build" };
  await ask(host, "schedules.create", { name, cron: "0 * * * *", task, overlap: "submit" });
  const tasks = async (): Promise<number> => (await ask(host, "tasks.list", { schedule: name })).tasks.length;
  host.wait(hour);
  await host.ring();
  expect(await tasks()).toBe(1);
  host.wait(-hour);
  for (const again of ["pause", "resume"] as const) await ask(host, `schedules.${again}`, { name });
  host.wait(hour);
  await host.ring();
  expect(await tasks()).toBe(1);
});
