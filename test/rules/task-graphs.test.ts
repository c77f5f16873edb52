import { expect } from "vitest";
import type { InputOf } from "#src/contract/operations.ts";
import type { RuleHost } from "#harness/coordinator/engine-host.ts";
import { Peer, type NewTask, ask, refusal } from "#harness/coordinator/peers.ts";
import { cancel, endsOf, stateOf, statesOf, submit, submitOne, taskOf } from "#harness/coordinator/tasks.ts";
import { pass, day, minute } from "#harness/coordinator/times.ts";
import { taskTest } from "./rule-test.ts";

taskTest("circles, unknown tasks and too long chains are refused with the names", async ({ host }) => {
  const needs = { start: [], a: ["start", "c"], b: ["a"], c: ["b"] };
  const circle = Object.entries(needs).map(([ref, dependsOn]) => ({ type: "x", ref, dependsOn }));
  const said = await why(host, ...circle);
  expect(said).toMatch(/^bad_input: .*cycle/);
  for (const name of ["a", "b", "c"]) expect(said).toContain(`"${name}"`);
  expect(said).not.toContain("start");
  expect(await why(host, { type: "x", ref: "me", dependsOn: ["me"] })).toContain(`cycle among "me"`);
  const parents = Object.entries({ p: "q", q: "p" }).map(([ref, parent]) => ({ type: "x", ref, parent }));
  expect(await why(host, ...parents)).toContain("cycle");
  expect(await why(host, { type: "x", dependsOn: ["none"] })).toContain(`"none"`);
  expect(await why(host, { type: "x", dependsOn: [12_345] })).toMatch(/^unknown_task: .*12345/);
  expect(await why(host, { type: "x", parent: 12_345 })).toMatch(/^unknown_task: .*12345/);
  expect(await why(host, ...chain(102))).toContain(`"r101"`);
  expect((await ask(host, "tasks.list", {})).tasks).toEqual([]);
  expect(await why(host, { type: "x", ref: "r" }, { type: "y", ref: "r" })).toContain("ref r");
});

taskTest("at most a thousand depend on one", async ({ host }) => {
  const first = await submitOne(host);
  const many = (count: number): NewTask[] => Array.from({ length: count }, () => ({ type: "x", dependsOn: [first] }));
  await submit(host, ...many(999));
  expect((await refusal(host, "tasks.submit", { tasks: many(2) })).code).toBe("quota_exceeded");
  await submit(host, ...many(1));
  const a = await Peer.join(host, "a");
  await a.ack(await a.take({ types: ["build"] }));
  expect((await ask(host, "tasks.stats", {})).types).toMatchObject([{ type: "build" }, { type: "x", queued: 1_000 }]);
});

taskTest("a parent may wait for its parts", async ({ host }) => {
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
  expect((await ask(host, "tasks.tree", { task: join, limit: 3 })).isMore).toBe(false);
  const part = await ask(host, "tasks.tree", { task: join, limit: 2 });
  expect(part).toMatchObject({ tasks: [{ task: join }, { task: left }], isMore: true });
  expect(await ask(host, "tasks.progress", { parent: join })).toMatchObject({ totalTasks: 2, queuedTasks: 2 });
});

taskTest("a task runs when all its dependencies are done, with their results", async ({ host, a }) => {
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

taskTest("results that are too large together are left out, and said to be", async ({ host, a }) => {
  const parts = await submit(host, { type: "x" }, { type: "x" }, { type: "x" });
  // Bytes are counted: of this sign there are three in each.
  for (const _ of parts) await a.ack(await a.take(), "€".repeat(66_000));
  await submitOne(host, { dependsOn: parts });
  const { inputs } = await a.take();
  expect(inputs.map(({ isLeftOut }) => isLeftOut)).toEqual([false, false, true]);
  expect(inputs[2]).toEqual({ task: parts[2], ref: null, state: "done", result: null, isLeftOut: true });
});

taskTest("what others still wait for is kept longer, then no row of it is left", async ({ host, a }) => {
  const first = await submitOne(host);
  const [next, early] = await submit(host, { type: "x", dependsOn: [first], delayMs: 20 * day }, { type: "y" });
  await a.ack(await a.take({ types: ["build"] }), "kept");
  await a.do("tasks.ack", await a.take(), { usage: { tokens: 1 } });
  await pass(host, 21 * day);
  await a.back();
  const held = await a.take();
  expect(held).toMatchObject({ task: next, inputs: [{ task: first, result: "kept" }] });
  await a.ack(held);
  await pass(host, 9 * day);
  expect((await ask(host, "tasks.list", {})).tasks).toEqual([]);
  expect((await refusal(host, "tasks.history", { task: first })).code).toBe("unknown_task");
  for (const table of ["attempts", "task_usage", "task_texts", "task_dependents"])
    expect([table, await host.rows(`SELECT * FROM ${table}`)]).toEqual([table, []]);
  // No number comes twice.
  expect(await submitOne(host)).toBe(early + 1);
});

taskTest("a task is kept while a part of it has not ended", async ({ host, a }) => {
  const whole = await submitOne(host);
  await a.ack(await a.take());
  const part = await submitOne(host, { parent: whole, delayMs: 20 * day });
  await pass(host, 19 * day);
  expect(await stateOf(host, whole)).toBe("done");
  await cancel(host, part);
  await pass(host, 9 * day);
  expect((await ask(host, "tasks.list", {})).tasks).toEqual([]);
});

taskTest("dependents of a dead or cancelled task die, unless they ignore it", async ({ host, a }) => {
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
    const other = { dependsOn: [first], onDependencyDeath: "ignore" as const, delayMs: day };
    expect(await stateOf(host, await submitOne(host, other))).toBe("scheduled");
  }
});

taskTest("a second task under a key is the first one, or is refused", async ({ host, a }) => {
  const first = await submitOne(host, { dedupeKey: "k" });
  const again = await ask(host, "tasks.submit", {
    tasks: [
      { type: "other", dedupeKey: "k", ref: "known" },
      { type: "new", dedupeKey: "k2", ref: "fresh" },
      { type: "new", dedupeKey: "k2" },
      { type: "new", dependsOn: ["known", "fresh"] },
    ],
  });
  const told = again.tasks.map(({ task, state, isDuplicate }) => `${task - first} ${state} ${isDuplicate}`);
  expect(told).toEqual(["0 queued true", "1 queued false", "1 queued true", "2 blocked false"]);
  await a.ack(await a.take());
  const late = await ask(host, "tasks.submit", { tasks: [{ type: "x", dedupeKey: "k" }] });
  expect(late).toMatchObject({ tasks: [{ task: first, state: "done", isDuplicate: true }] });
});

taskTest("a key is known for keepDedupeMs, and as long as its task is kept", async ({ host }) => {
  await ask(host, "settings.set", { settings: { keepDedupeMs: 10 * day } });
  const a = await Peer.join(host, "a");
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
  // Without an alarm.
  host.wait(30 * day);
  expect(await duplicate("long")).toEqual({ task: long, state: "queued", isDuplicate: true });
});

async function why(host: RuleHost, ...tasks: NewTask[]): Promise<string> {
  const { code, message } = await refusal(host, "tasks.submit", { tasks });
  return `${code}: ${message}`;
}

function chain(length: number): NewTask[] {
  const refs = Array.from({ length }, (_, at) => `r${at}`);
  return refs.map((ref, at) => ({ type: "x", ref, dependsOn: refs.slice(Math.max(0, at - 1), at) }));
}

type Job = InputOf<"plans.submit">["job"];

const small: Job = { title: "a typing error", files: [{ path: "docs/a.md" }] };

/** Forty files in eight folders. */
const large: Job = {
  title: "migrate the stores and their tests",
  text: "rename all",
  kinds: ["migrate", "test"],
  payload: { from: "v1" },
  files: Array.from({ length: 40 }, (_, n) => ({ path: `m${n % 8}/f${n}.ts` })),
};

taskTest("a job is split above the threshold, where it is asked for, and as it is listed", async ({ host }) => {
  const plain = await ask(host, "plans.estimate", { job: small });
  expect(plain).toMatchObject({ complexity: { score: 1, threshold: 8, isAboveThreshold: false }, parts: null });
  const complex = await ask(host, "plans.estimate", { job: large });
  expect(complex.complexity).toMatchObject({ score: 10, isAboveThreshold: true });
  expect(complex.complexity.reasons[0]?.points).toBeGreaterThan(0);
  expect(complex.parts).toHaveLength(8);
  const forced = await ask(host, "plans.estimate", { job: small, isForced: true });
  expect(forced.parts?.map(({ name }) => name)).toEqual(["analyse", "change", "test", "document"]);
  const parts = [
    { name: "one", files: ["docs/a.md"] },
    { name: "two", text: "read it", dependsOn: ["one"] },
  ];
  const listed = await ask(host, "plans.estimate", { job: small, strategy: { by: "list", parts } });
  expect(listed.parts).toMatchObject([{ name: "one" }, { name: "two", dependsOn: ["one"] }]);
  expect((await ask(host, "tasks.list", {})).tasks).toEqual([]);
});

taskTest("parts are submitted together, and the join represents the job", async ({ host }) => {
  const same = { job: large, type: "code", joinRule: "collect", dedupeKey: "job-1" } as const;
  const options = { priority: 7, capabilities: ["ts"], tags: ["job"] };
  const made = await ask(host, "plans.submit", { ...same, options });
  expect(made).toMatchObject({ isDuplicate: false, state: "blocked", reason: null });
  expect(made.parts).toHaveLength(8);
  const a = await Peer.join(host, "a", { capabilities: ["ts"], capacity: 10 });
  const claims = await a.claim({ limit: 10 });
  expect(claims.map(({ task }) => task)).toEqual(made.parts.map(({ task }) => task));
  const payload = { job: { title: large.title, payload: { from: "v1" } }, part: { name: "part-1" } };
  expect(claims[0]).toMatchObject({ type: "code", priority: 7, payload });
  for (const claim of claims) await a.ack(claim, { done: claim.task });
  const whole = await taskOf(host, made.task);
  expect(whole).toMatchObject({ state: "done", tags: ["job"], result: { isComplete: true } });
  expect((await ask(host, "tasks.progress", { parent: made.task })).completedTasks).toBe(8);
  const again = await ask(host, "plans.submit", same);
  expect(again).toMatchObject({ task: made.task, isDuplicate: true, state: "done", parts: [] });
});

taskTest("a join of what is done already is done itself, and no chat gets it", async ({ host }) => {
  const a = await Peer.join(host, "a");
  const one = await submitOne(host, {});
  await a.ack(await a.take(), { n: 1 });
  const join = await submitOne(host, { dependsOn: [one], joinRule: "collect" });
  expect(await taskOf(host, join)).toMatchObject({ state: "done", chat: null, result: { isComplete: true } });
});

taskTest("a job that is not split is one task; the same request again submits nothing more", async ({ host }) => {
  const request = { job: small, type: "docs", requestId: "r1" };
  const made = await ask(host, "plans.submit", request);
  expect(made).toMatchObject({ parts: [], state: "queued", complexity: { score: 1 } });
  expect(await ask(host, "plans.submit", request)).toEqual(made);
  const job = { title: small.title, text: "", payload: null, files: ["docs/a.md"] };
  expect((await taskOf(host, made.task)).payload).toEqual({ job });
  const huge: Job = { ...large, payload: "x".repeat(60_000), text: "y".repeat(10_000) };
  const tooLarge = await refusal(host, "plans.submit", { job: huge, type: "x" });
  expect(tooLarge).toMatchObject({ code: "bad_input", message: expect.stringContaining("65536") as string });
  const byFile = { job: small, type: "x", strategy: { by: "file" as const }, isForced: true };
  expect((await refusal(host, "plans.submit", byFile)).code).toBe("bad_input");
  expect((await ask(host, "tasks.list", {})).tasks).toHaveLength(1);
});

taskTest("done parts are joined by the rule; no chat claims the join", async ({ host, a }) => {
  const [web, api, all] = await submit(
    host,
    { type: "x", ref: "web" },
    { type: "x", ref: "api" },
    { type: "join", dependsOn: ["web", "api"], joinRule: "collect" },
  );
  const [first, second] = await a.claim({ limit: 5 });
  if (!first || !second) throw new Error("two tasks were there");
  await a.ack(first, { web: 1 });
  expect(await stateOf(host, all)).toBe("blocked");
  await a.ack(second, { api: 2 });
  const [ofWeb, ofApi] = [{ web: 1 }, { api: 2 }].map((result) => ({ part: Object.keys(result)[0], result }));
  const result = { value: [ofWeb, ofApi], isComplete: true, missing: [] };
  expect(await taskOf(host, all)).toMatchObject({ state: "done", joinRule: "collect", result });
  const { attempts } = await ask(host, "tasks.history", { task: all });
  expect(attempts).toMatchObject([{ chat: null, end: "done", state: "done", ranMs: 0 }]);
  expect(await a.claim()).toEqual([]);
  expect([first.task, second.task]).toEqual([web, api]);
});

taskTest("with `ignore` a join names missing parts; else it dies with them", async ({ host, a }) => {
  const [good, bad, gone, all, strict] = await submit(
    host,
    { type: "x", ref: "good" },
    { type: "x", ref: "bad" },
    { type: "y", ref: "gone" },
    { type: "join", dependsOn: ["good", "bad", "gone"], joinRule: "collect", onDependencyDeath: "ignore" },
    { type: "join", dependsOn: ["good", "bad", "gone"], joinRule: "collect" },
  );
  await a.ack(await a.take(), 1);
  await a.nack(await a.take({ types: ["x"] }), { isRetryable: false, reason: "does not compile" });
  expect(await stateOf(host, strict)).toBe("dead dependency");
  expect(await stateOf(host, all)).toBe("blocked");
  await cancel(host, gone, "not needed");
  expect((await taskOf(host, all)).result).toEqual({
    value: [{ part: "good", result: 1 }],
    isComplete: false,
    missing: [
      { part: "bad", state: "dead", reason: "does not compile" },
      { part: "gone", state: "cancelled", reason: "not needed" },
    ],
  });
  expect([await stateOf(host, good), await stateOf(host, bad)]).toEqual(["done", "dead failed"]);
});

taskTest("a ref that is the number of another part does not name it", async ({ host, a }) => {
  const one = await submitOne(host);
  const other = await submitOne(host, { ref: String(one) });
  const all = await submitOne(host, { dependsOn: [one, other], joinRule: "collect" });
  for (const result of [1, 2]) await a.ack(await a.take(), result);
  const named = [one, other].map((task, at) => ({ part: String(task), result: at + 1 }));
  expect((await taskOf(host, all)).result).toMatchObject({ value: named });
});

taskTest("results that are too large together end the join as dead, with the reason", async ({ host, a }) => {
  const names = ["a", "b"];
  const join = { type: "join", dependsOn: names, joinRule: "collect" as const };
  const numbers = await submit(host, ...names.map((ref) => ({ type: "x", ref })), join);
  const all = numbers.at(-1) ?? 0;
  for (const held of await a.claim({ limit: 3 })) await a.ack(held, "x".repeat(200_000));
  expect(await taskOf(host, all)).toMatchObject({ state: "dead", reason: "failed" });
  expect((await taskOf(host, all)).detail).toContain("too_large");
  expect((await ask(host, "tasks.replay", { task: all })).tasks).toEqual([{ task: all, state: "dead" }]);
  expect(await endsOf(host, all)).toEqual([]);
});

taskTest("a join of nothing, or at a time of its own, is refused", async ({ host }) => {
  const whyRefused = await refusal(host, "tasks.submit", { tasks: [{ type: "join", joinRule: "collect" }] });
  expect(whyRefused).toMatchObject({ code: "bad_input" });
  expect(whyRefused.message).toContain("dependsOn");
  const tasks = [
    { type: "x", ref: "x" },
    { type: "join", joinRule: "collect" as const, dependsOn: ["x"], delayMs: 1_000 },
  ];
  expect((await refusal(host, "tasks.submit", { tasks })).message).toContain("delayMs");
});
