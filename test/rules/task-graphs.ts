import { expect } from "vitest";
import { pass } from "#harness/coordinator/peers.ts";
import { type RuleHost } from "#harness/coordinator/engine-host.ts";
import { ask, day, minute, refusal } from "#harness/coordinator/state-calls.ts";
import { cancel, Hand, stateOf, statesOf, submit, submitOne, type NewTask } from "#harness/coordinator/task-calls.ts";
import type { TaskTest } from "./rule-test.ts";

/** Rules of tasks that depend on others, are parts of others, or are the same as others. */
export function taskGraphRules(it: TaskTest): void {
  it("circles, unknown tasks and too long chains are refused with the names", async ({ host }) => {
    const circle = [
      { type: "x", ref: "start" },
      { type: "x", ref: "a", dependsOn: ["start", "c"] },
      { type: "x", ref: "b", dependsOn: ["a"] },
      { type: "x", ref: "c", dependsOn: ["b"] },
    ];
    const said = await why(host, ...circle);
    expect(said).toMatch(/^bad_input: .*cycle/);
    for (const name of ["a", "b", "c"]) expect(said).toContain(`"${name}"`);
    expect(said).not.toContain("start");
    expect(await why(host, { type: "x", ref: "me", dependsOn: ["me"] })).toContain(`cycle among "me"`);
    expect(await why(host, { type: "x", ref: "p", parent: "q" }, { type: "x", ref: "q", parent: "p" })).toContain(
      "cycle",
    );
    expect(await why(host, { type: "x", dependsOn: ["none"] })).toContain(`"none"`);
    expect(await why(host, { type: "x", dependsOn: [12_345] })).toMatch(/^unknown_task: .*12345/);
    expect(await why(host, { type: "x", parent: 12_345 })).toMatch(/^unknown_task: .*12345/);
    expect(await why(host, ...chain(102))).toContain(`"r101"`);
    expect((await ask(host, "tasks.list", {})).tasks).toEqual([]);
    expect(await why(host, { type: "x", ref: "r" }, { type: "y", ref: "r" })).toContain("ref r");
  });

  it("a chain may have a hundred links, over several submits, and no more", async ({ host }) => {
    const numbers = await submit(host, ...chain(61).toReversed());
    const [end] = numbers;
    const more: NewTask[] = [{ type: "x", ref: "r0", dependsOn: [end ?? 0] }, ...chain(40).slice(1)];
    const last = (await submit(host, ...more)).at(-1) ?? 0;
    expect(await why(host, { type: "x", dependsOn: [last] })).toContain("more than 100");
    // Numbers of a submit are nobody's before it is answered.
    expect(await why(host, { type: "x" }, { type: "x", dependsOn: [last + 1] })).toContain("unknown_task");
    const parts: number[] = [];
    for (let n = 0; n <= 100; n++) parts.push(await submitOne(host, n === 0 ? {} : { parent: parts[n - 1] ?? 0 }));
    expect(await why(host, { type: "x", parent: parts[100] ?? 0 })).toContain("more than 100");
  });

  it("at most a thousand depend on one", async ({ host }) => {
    const first = await submitOne(host);
    const many = (count: number): NewTask[] => Array.from({ length: count }, () => ({ type: "x", dependsOn: [first] }));
    await submit(host, ...many(999));
    expect((await refusal(host, "tasks.submit", { tasks: many(2) })).code).toBe("quota_exceeded");
    await submit(host, ...many(1));
    const a = await Hand.join(host, "a");
    await a.ack(await a.take({ types: ["build"] }));
    expect(await ask(host, "tasks.stats", {})).toMatchObject({
      types: [{ type: "build" }, { type: "x", queued: 1_000 }],
    });
  });

  it("a parent may wait for its parts", async ({ host }) => {
    const [join, left, right] = await submit(
      host,
      { type: "join", ref: "join", dependsOn: ["left", "right"] },
      { type: "part", ref: "left", parent: "join" },
      { type: "part", ref: "right", parent: "join", dependsOn: ["left"] },
    );
    expect(await statesOf(host, [join, left, right])).toEqual(["blocked", "queued", "blocked"]);
    expect((await ask(host, "tasks.tree", { task: join })).tasks).toEqual([
      { task: join, parent: null, ref: "join", type: "join", state: "blocked", dependsOn: [left, right] },
      { task: left, parent: join, ref: "left", type: "part", state: "queued", dependsOn: [] },
      { task: right, parent: join, ref: "right", type: "part", state: "blocked", dependsOn: [left] },
    ]);
    expect(await ask(host, "tasks.tree", { task: join, limit: 2 })).toMatchObject({
      tasks: [{ task: join }, { task: left }],
      isMore: true,
    });
    expect(await ask(host, "tasks.progress", { parent: join })).toMatchObject({ totalTasks: 2, queuedTasks: 2 });
  });

  it("a task runs when all its dependencies are done, with their results", async ({ host, a }) => {
    const [one, two] = await submit(host, { type: "x" }, { type: "x" });
    const [join, late] = await submit(
      host,
      { type: "join", dependsOn: [one, two, one], priority: 9 },
      { type: "late", dependsOn: [one], delayMs: minute },
    );
    await a.ack(await a.take(), { n: 1 });
    expect(await statesOf(host, [join, late])).toEqual(["blocked", "scheduled"]);
    await a.ack(await a.take(), "x".repeat(200_000));
    const held = await a.take();
    expect(held).toMatchObject({
      task: join,
      inputs: [
        { task: one, state: "done", result: { n: 1 }, isLeftOut: false },
        { task: two, state: "done", result: "x".repeat(200_000), isLeftOut: false },
      ],
    });
    // What is done already keeps nobody waiting.
    expect(await stateOf(host, await submitOne(host, { dependsOn: [one, two] }))).toBe("queued");
    await pass(host, minute);
    expect(await stateOf(host, late)).toBe("queued");
  });

  it("results that are too large together are left out, and said to be", async ({ host, a }) => {
    const parts = await submit(host, { type: "x" }, { type: "x" }, { type: "x" });
    // Bytes are counted: of this sign there are three in each.
    for (const _ of parts) await a.ack(await a.take(), "€".repeat(66_000));
    await submitOne(host, { dependsOn: parts });
    const { inputs } = await a.take();
    expect(inputs.map(({ isLeftOut }) => isLeftOut)).toEqual([false, false, true]);
    expect(inputs[2]).toEqual({ task: parts[2], ref: null, state: "done", result: null, isLeftOut: true });
  });

  it("what others still wait for is kept longer, then no row of it is left", async ({ host, a }) => {
    const first = await submitOne(host);
    const [next] = await submit(host, { type: "x", dependsOn: [first], delayMs: 20 * day });
    await a.ack(await a.take(), "kept");
    await pass(host, 21 * day);
    await a.back();
    const held = await a.take();
    expect(held).toMatchObject({ task: next, inputs: [{ task: first, result: "kept" }] });
    await a.ack(held);
    await pass(host, 9 * day);
    expect((await ask(host, "tasks.list", {})).tasks).toEqual([]);
    expect((await refusal(host, "tasks.history", { task: first })).code).toBe("unknown_task");
  });

  it("dependents of a dead or cancelled task die, unless they ignore it", async ({ host, a }) => {
    for (const end of ["dies", "is cancelled"] as const) {
      const first = await submitOne(host);
      const others = await submit(
        host,
        { type: "y", ref: "child", dependsOn: [first] },
        { type: "y", dependsOn: ["child"] },
        { type: "y", dependsOn: [first], onDependencyDeath: "ignore", delayMs: minute },
      );
      if (end === "dies") await a.nack(await a.take(), { isRetryable: false });
      else await cancel(host, first);
      expect(await statesOf(host, others)).toEqual(["dead dependency", "dead dependency", "scheduled"]);
      // Who comes later is no better off.
      expect(await stateOf(host, await submitOne(host, { dependsOn: [first] }))).toBe("dead dependency");
      expect(
        await stateOf(host, await submitOne(host, { dependsOn: [first], onDependencyDeath: "ignore", delayMs: day })),
      ).toBe("scheduled");
    }
  });

  it("a second task under a key is the first one, or is refused", async ({ host, a }) => {
    const first = await submitOne(host, { dedupeKey: "k" });
    const again = await ask(host, "tasks.submit", {
      tasks: [
        { type: "other", dedupeKey: "k", ref: "known" },
        { type: "new", dedupeKey: "k2", ref: "fresh" },
        { type: "new", dedupeKey: "k2" },
        { type: "new", dependsOn: ["known", "fresh"] },
      ],
    });
    expect(again.tasks.map(({ task, state, isDuplicate }) => [task - first, state, isDuplicate])).toEqual([
      [0, "queued", true],
      [1, "queued", false],
      [1, "queued", true],
      [2, "blocked", false],
    ]);
    const twice = { tasks: [{ type: "x" }, { type: "x", dedupeKey: "k", onDuplicate: "reject" as const }] };
    expect(await refusal(host, "tasks.submit", twice)).toMatchObject({
      code: "duplicate_task",
      details: { task: first, key: "k" },
    });
    await a.ack(await a.take());
    expect((await refusal(host, "tasks.submit", twice)).code).toBe("duplicate_task");
  });

  it("a key is known for keepDedupeMs, and as long as its task is kept", async ({ host }) => {
    await ask(host, "settings.set", { settings: { keepDedupeMs: 10 * day } });
    const a = await Hand.join(host, "a");
    const short = await submitOne(host, { dedupeKey: "short" });
    await a.ack(await a.take());
    const long = await submitOne(host, { dedupeKey: "long" });
    const duplicate = async (dedupeKey: string): Promise<unknown> =>
      (await ask(host, "tasks.submit", { tasks: [{ type: "x", dedupeKey }] })).tasks[0];
    await pass(host, 9 * day);
    expect((await refusal(host, "tasks.get", { task: short })).code).toBe("unknown_task");
    expect(await duplicate("short")).toEqual({ task: short, state: null, isDuplicate: true });
    await pass(host, 2 * day);
    expect(await duplicate("short")).toMatchObject({ state: "queued", isDuplicate: false });
    await pass(host, 30 * day);
    expect(await duplicate("long")).toEqual({ task: long, state: "queued", isDuplicate: true });
  });
}

async function why(host: RuleHost, ...tasks: NewTask[]): Promise<string> {
  const { code, message } = await refusal(host, "tasks.submit", { tasks });
  return `${code}: ${message}`;
}

function chain(length: number): NewTask[] {
  const refs = Array.from({ length }, (_, at) => `r${at}`);
  return refs.map((ref, at) => ({ type: "x", ref, dependsOn: refs.slice(Math.max(0, at - 1), at) }));
}
