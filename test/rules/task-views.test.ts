import { expect } from "vitest";
import type { MetricName } from "#src/contract/metrics.ts";
import { admin, type RuleHost } from "#harness/coordinator/engine-host.ts";
import { pass } from "#harness/coordinator/peers.ts";
import { ask, day, given, hour, minute, refusal } from "#harness/coordinator/state-calls.ts";
import { cancel, Hand, stateOf, submit, submitOne, taskOf } from "#harness/coordinator/task-calls.ts";
import { taskTest } from "./rule-test.ts";

taskTest("tasks are listed by number, page by page, by any filter", async ({ host, a }) => {
  const all = await submit(
    host,
    { type: "x", priority: 9, ref: "p" },
    { type: "y", tags: ["t", "u"], parent: "p" },
    { type: "x", tags: ["u"] },
    { type: "y", parent: "p", priority: 8 },
  );
  const of = (...places: number[]): number[] => places.map((at) => all[at] ?? 0);
  const held = await a.take();
  await a.nack(await a.take(), { isRetryable: false });
  for (const limit of [1, 2, 3, 4, 200]) {
    expect(await listed(host, {}, limit)).toEqual(all);
    expect(await listed(host, { type: "y" }, limit)).toEqual(of(1, 3));
    expect(await listed(host, { tag: "u" }, limit)).toEqual(of(1, 2));
    expect(await listed(host, { parent: all[0] ?? 0 }, limit)).toEqual(of(1, 3));
    expect(await listed(host, { parent: all[0] ?? 0, state: "queued" }, limit)).toEqual(of(1));
  }
  expect(await listed(host, { chat: "a" })).toEqual([held.task]);
  expect(await listed(host, { state: "dead" })).toEqual(of(3));
  expect(await listed(host, { state: "running" })).toEqual([held.task]);
  expect(await listed(host, { state: "running", type: "y" })).toEqual([]);
  const assigned = await a.take({ isStarted: false });
  expect(await listed(host, { state: "assigned" })).toEqual([assigned.task]);
});

taskTest("a running attempt is listed with its start, last heartbeat and time left", async ({ host, a }) => {
  const task = await submitOne(host, { startToCloseMs: hour, heartbeatMs: minute });
  expect((await taskOf(host, task)).running).toBeNull();
  const held = await a.take({ isStarted: false });
  expect((await taskOf(host, task)).running).toBeNull();
  await a.do("tasks.heartbeat", held, {});
  host.wait(25_000);
  await a.do("tasks.heartbeat", held, {});
  host.wait(5_000);
  expect((await taskOf(host, task)).running).toEqual({
    startedAgeMs: 30_000,
    heardAgeMs: 5_000,
    remainingMs: hour - 30_000,
    silenceLeftMs: minute - 5_000,
  });
  await a.ack(held);
  expect((await taskOf(host, task)).running).toBeNull();
});

const mostChars = 1_100_000;

taskTest("a page of tasks has about a million characters; the next ones tell the rest", async ({ host }) => {
  const a = await Hand.join(host, "a", { capacity: 100 });
  const tags = Array.from({ length: 16 }, (_, at) => `${at}`.padEnd(200, "x"));
  const all = await submit(host, ...Array.from({ length: 100 }, () => ({ type: "x", tags })));
  const progress = { data: "x".repeat(8_000) };
  for (let left = 100; left > 0; left -= 50)
    for (const held of await a.claim({ limit: 50 })) await a.do("tasks.heartbeat", held, { progress });
  const page = await ask(host, "tasks.list", { limit: 200 });
  expect(page.tasks.length).toBeLessThan(100);
  expect(JSON.stringify(page).length).toBeLessThan(mostChars);
  expect(await listed(host, {})).toEqual(all);
});

taskTest("progress and figures are told of all tasks and by type", async ({ host }) => {
  const a = await Hand.join(host, "a", { capacity: 9 });
  const b = await Hand.join(host, "b");
  const five = Array.from({ length: 5 }, () => ({ type: "x", heartbeatMs: hour }));
  await submit(host, ...five, { type: "y", delayMs: day });
  host.wait(2_000);
  const [one, two, three] = await a.claim({ limit: 3 });
  if (!one || !two || !three) throw new Error("three were queued");
  await b.take();
  host.wait(3_000);
  await a.ack(one);
  host.wait(4_000);
  await a.ack(two);
  await a.nack(three, { isRetryable: false });
  const counts = { totalTasks: 6, completedTasks: 2, inProgressTasks: 1, queuedTasks: 2, activeChats: 1 };
  expect(await ask(host, "tasks.progress", {})).toEqual({ ...counts, isAll: true });
  const states = { type: "x", queued: 1, running: 1, done: 2, dead: 1, oldestQueuedMs: 9_000, doneLastHour: 2 };
  const x = { ...states, wait: { p50Ms: 2_000, p95Ms: 2_000 }, run: { p50Ms: 3_000, p95Ms: 7_000 } };
  expect(await ask(host, "tasks.stats", { type: "x" })).toEqual({ types: [x], isAll: true });
  expect((await ask(host, "tasks.stats", {})).types).toMatchObject([
    x,
    { type: "y", queued: 0, oldestQueuedMs: null, wait: null, run: null },
  ]);
  host.wait(hour);
  expect((await ask(host, "tasks.stats", { type: "x" })).types).toMatchObject([{ done: 2, doneLastHour: 0 }]);
});

taskTest("a dead task begins anew, once, with its last checkpoint and a new payload", async ({ host, a }) => {
  const task = await submitOne(host, { payload: "old", maxAttempts: 1 });
  const held = await a.take();
  await a.do("tasks.heartbeat", held, { checkpoint: 7 });
  await a.nack(held);
  const replay = { task, payload: "new" };
  expect((await ask(host, "tasks.replay", replay)).tasks).toEqual([{ task, state: "queued" }]);
  expect((await ask(host, "tasks.replay", replay)).tasks).toEqual([]);
  expect(await taskOf(host, task)).toMatchObject({ failures: 0, reason: null, detail: null, payload: "new" });
  const next = await a.take();
  expect(next).toMatchObject({ attempt: 1, checkpoint: 7, payload: "new" });
  expect((await ask(host, "tasks.replay", { task, payload: "third" })).tasks).toEqual([]);
  expect(next.claim).toBeGreaterThan(held.claim);
  await a.ack(next);
  expect(await taskOf(host, task)).toMatchObject({ state: "done", payload: "new" });
  for (const bad of [{}, { task, filter: {} }, { filter: {}, payload: 1 }]) {
    expect((await refusal(host, "tasks.replay", bad)).code).toBe("bad_input");
  }
});

taskTest("fitting tasks are replayed behind their dependencies, or stay dead", async ({ host }) => {
  const [child, root, other] = await submit(
    host,
    { type: "x", ref: "child", dependsOn: ["root"] },
    { type: "x", ref: "root", tags: ["t"] },
    { type: "y", tags: ["t"] },
  );
  const a = await Hand.join(host, "a");
  for (const held of await a.claim({ limit: 2 })) await a.nack(held, { isRetryable: false });
  expect(await stateOf(host, child)).toBe("dead dependency");
  expect((await ask(host, "tasks.replay", { task: child })).tasks).toEqual([]);
  expect((await ask(host, "tasks.replay", { filter: { reason: "poison" } })).tasks).toEqual([]);
  expect((await ask(host, "tasks.replay", { filter: { type: "y", tag: "t" } })).tasks).toEqual([
    { task: other, state: "queued" },
  ]);
  expect((await ask(host, "tasks.replay", { filter: { type: "x" } })).tasks).toEqual([
    { task: root, state: "queued" },
    { task: child, state: "blocked" },
  ]);
  await a.ack(await a.take({ types: ["x"] }));
  expect(await a.take({ types: ["x"] })).toMatchObject({ task: child });
});

taskTest("what is discarded stays dead; what is not dead is left alone", async ({ host, a }) => {
  const [task, other] = await submit(host, { type: "x", maxAttempts: 1 }, { type: "y" });
  await a.nack(await a.take());
  expect((await ask(host, "tasks.discard", { task: task, reason: "no use" })).state).toBe("dead");
  expect((await ask(host, "tasks.discard", { task: task, reason: "again" })).state).toBe("dead");
  expect((await ask(host, "tasks.discard", { task: other, reason: "no use" })).state).toBe("queued");
  expect(await taskOf(host, task)).toMatchObject({ reason: "discarded", detail: "no use" });
  expect((await ask(host, "tasks.replay", { task: task })).tasks).toEqual([]);
  expect((await ask(host, "tasks.replay", { filter: {} })).tasks).toEqual([]);
  expect((await refusal(host, "tasks.discard", { task: 999, reason: "x" })).code).toBe("unknown_task");
});

async function listed(host: RuleHost, filter: object, limit = 200): Promise<number[]> {
  const numbers: number[] = [];
  for (let cursor: string | null = "0"; cursor !== null;) {
    const page: { tasks: { task: number }[]; cursor: string | null } = given(
      await host.call("tasks.list", { ...filter, limit, cursor }, admin),
    );
    expect(page.tasks.length).toBeLessThanOrEqual(limit);
    numbers.push(...page.tasks.map(({ task }) => task));
    ({ cursor } = page);
  }
  return numbers;
}

type Values = (name: MetricName, label?: string) => number | undefined;

async function sampled(host: RuleHost): Promise<Values> {
  // The object keeps its samples for ten seconds.
  await pass(host, 10_000);
  const { samples } = await ask(host, "metrics", {});
  return (name, label) => {
    const own = samples.filter(
      (one) => one.name === name && (label === undefined || Object.values(one.labels)[0] === label),
    );
    return own.length === 0 ? undefined : own.reduce((sum, { value }) => sum + value, 0);
  };
}

taskTest("tasks are counted by state, and each end once", async ({ host, a }) => {
  for (let n = 0; n < 3; n++) await submitOne(host);
  await a.ack(await a.take());
  const failed = await a.take();
  await a.nack(failed, { isRetryable: false });
  await cancel(host, await submitOne(host));
  const open = await sampled(host);
  const states = ["blocked", "scheduled", "queued", "assigned", "running", "dead", "ended"];
  expect(states.map((state) => open("shim_tasks", state))).toEqual([0, 0, 1, 0, 0, 1, 2]);
  expect(["done", "dead", "cancelled"].map((outcome) => open("shim_task_ends_total", outcome))).toEqual([1, 1, 1]);
  expect(open("shim_tasks_submitted_total")).toBe(4);
  expect(open("shim_dead_tasks", "failed")).toBe(1);
  expect(open("shim_task_attempts_total", "failed")).toBe(1);
  await ask(host, "tasks.replay", { task: failed.task });
  const replayed = await sampled(host);
  expect(replayed("shim_task_replays_total")).toBe(1);
  await a.back();
  for (let n = 0; n < 2; n++) await a.ack(await a.take());
  const ended = await sampled(host);
  expect(["done", "dead", "cancelled"].map((outcome) => ended("shim_task_ends_total", outcome))).toEqual([3, 1, 1]);
});

taskTest("the queue's age begins when a task becomes ready, not when it was submitted", async ({ host, a }) => {
  const age = async (): Promise<unknown> => (await sampled(host))("shim_task_oldest_queued_seconds");
  await submitOne(host, { type: "later", delayMs: 40_000 });
  const first = await submitOne(host, { type: "x" });
  await submitOne(host, { type: "then", dependsOn: [first] });
  await a.take({ types: ["x"] });
  await pass(host, 20_000);
  expect(await age()).toBe(0);
  await pass(host, 20_000);
  expect(await age()).toBe(20);
});

taskTest("a counter does not fall when what it counted is pruned", async ({ host, a }) => {
  await submitOne(host);
  await a.ack(await a.take());
  await a.leave();
  const before = await sampled(host);
  for (let days = 0; days < 45; days++) await pass(host, day);
  const after = await sampled(host);
  expect(after("shim_tasks", "ended")).toBe(0);
  expect(after("shim_task_ends_total", "done")).toBe(before("shim_task_ends_total", "done"));
  expect(after("shim_tasks_submitted_total")).toBe(1);
  const events = "shim_workspace_events_total";
  for (const kind of ["chat.registered", "chat.offline"])
    expect(after(events, kind)).toBeGreaterThanOrEqual(before(events, kind) ?? Number.NaN);
});

taskTest("chats are counted by status, leases while they are held", async ({ host }) => {
  const a = await Hand.join(host, "a");
  await Hand.join(host, "b");
  await ask(host, "leases.acquire", { self: a.self, resource: "r", requestId: "r1", ttlMs: 60_000 });
  const held = await sampled(host);
  expect([held("shim_chats", "idle"), held("shim_leases")]).toEqual([2, 1]);
  await a.leave();
  const left = await sampled(host);
  expect([left("shim_chats", "idle"), left("shim_chats", "offline"), left("shim_leases")]).toEqual([1, 1, 0]);
});
