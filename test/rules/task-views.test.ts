import { expect } from "vitest";
import type { MetricName } from "#src/contract/metrics.ts";
import type { RuleHost } from "#harness/coordinator/engine-host.ts";
import { Peer, ask, refusal } from "#harness/coordinator/peers.ts";
import { cancel, stateOf, submit, submitOne, taskOf } from "#harness/coordinator/tasks.ts";
import { pass, day, hour, minute } from "#harness/coordinator/times.ts";
import { pagesOf } from "#harness/coordinator/views.ts";
import { taskTest } from "./rule-test.ts";
import type { Ran, Route, TypeRoutes } from "#src/contract/model-routes.ts";
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

taskTest("a task is listed with the beginning of its payload: the words of a text, else its JSON", async ({ host }) => {
  const long = `say "${"word ".repeat(8_000)}"`;
  const payloads = ["add\nunary minus", { package: "parser" }, [1], 7, null, long, { text: long }];
  const tasks = await submit(host, ...payloads.map((payload) => ({ type: "x", payload })));
  const { tasks: lines } = await ask(host, "tasks.list", { limit: 20 });
  const [words, json, list, number, none, cut, cutJson] = lines.map(({ about }) => about);
  expect([words, json, list, number, none]).toEqual(["add unary minus", '{"package":"parser"}', "[1]", "7", null]);
  expect([cut, cutJson]).toEqual([
    expect.stringMatching(/^say "word .{180,190}\.\.\.$/),
    expect.stringMatching(/^\{"text":"say \\"word .*\.\.\.$/),
  ]);
  expect((await taskOf(host, tasks[0] ?? 0)).about).toBe("add unary minus");
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
  const left = { remainingMs: hour - 30_000, silenceLeftMs: minute - 5_000 };
  expect((await taskOf(host, task)).running).toEqual({ startedAgeMs: 30_000, heardAgeMs: 5_000, ...left });
  await a.ack(held);
  expect((await taskOf(host, task)).running).toBeNull();
});

const mostChars = 1_100_000;

taskTest("a page of tasks has about a million characters; the next ones tell the rest", async ({ host }) => {
  const a = await Peer.join(host, "a", { capacity: 100 });
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
  const a = await Peer.join(host, "a", { capacity: 9 });
  const b = await Peer.join(host, "b");
  const five = Array.from({ length: 5 }, () => ({ type: "x", heartbeatMs: hour }));
  await submit(host, ...five, { type: "y", delayMs: day });
  host.wait(2_000);
  const [one, two, three] = [await a.take(), await a.take(), await a.take()];
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
  const y = { type: "y", queued: 0, oldestQueuedMs: null, wait: null, run: null };
  expect((await ask(host, "tasks.stats", {})).types).toMatchObject([x, y]);
  host.wait(hour);
  expect((await ask(host, "tasks.stats", { type: "x" })).types).toMatchObject([{ done: 2, doneLastHour: 0 }]);
});

taskTest("beyond 10,000 tasks the figures say that they are not of all; a list goes to the last", async ({ host }) => {
  const task = await submitOne(host);
  const columnsSql = "SELECT name FROM pragma_table_info('tasks') WHERE name <> 'task'";
  const columns = await host.rows<{ name: string }>(columnsSql);
  const names = columns.map(({ name }) => name).join(", ");
  await host.run(
    `WITH RECURSIVE n (i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < 9999)
     INSERT INTO tasks (task, ${names}) SELECT i, ${names} FROM n CROSS JOIN tasks WHERE task = ?`,
    task,
  );
  expect((await ask(host, "tasks.stats", {})).isAll).toBe(true);
  const last = await submitOne(host, { type: "last" });
  expect((await ask(host, "tasks.stats", {})).isAll).toBe(false);
  expect(await listed(host, { type: "last" })).toEqual([last]);
  expect(await listed(host, { type: "none" })).toEqual([]);
});

taskTest("a dead task begins anew, once, with its last checkpoint and a new payload", async ({ host, a }) => {
  const task = await submitOne(host, { payload: "old", maxAttempts: 1 });
  const held = await a.take();
  await a.do("tasks.heartbeat", held, { checkpoint: 7, usage: { tokens: 5 } });
  await a.nack(held);
  const replay = { task, payload: "new" };
  expect((await ask(host, "tasks.replay", replay)).tasks).toEqual([{ task, state: "queued" }]);
  expect((await ask(host, "tasks.replay", replay)).tasks).toEqual([]);
  const fresh = { failures: 0, reason: null, detail: null, payload: "new", used: { tokens: 0 } };
  expect(await taskOf(host, task)).toMatchObject(fresh);
  const next = await a.take();
  expect(next).toMatchObject({ attempt: 1, checkpoint: 7, payload: "new" });
  expect((await ask(host, "tasks.replay", { task, payload: "third" })).tasks).toEqual([]);
  expect(next.claim).toBeGreaterThan(held.claim);
  await a.ack(next);
  expect(await taskOf(host, task)).toMatchObject({ state: "done", payload: "new" });
  for (const bad of [{}, { task, filter: {} }, { filter: {}, payload: 1 }])
    expect((await refusal(host, "tasks.replay", bad)).code).toBe("bad_input");
});

taskTest("fitting tasks are replayed behind their dependencies, or stay dead", async ({ host }) => {
  const [child, root, other] = await submit(
    host,
    { type: "x", ref: "child", dependsOn: ["root"] },
    { type: "x", ref: "root", tags: ["t"] },
    { type: "y", tags: ["t"] },
  );
  const a = await Peer.join(host, "a");
  for (const held of await a.claim({ limit: 2 })) await a.nack(held, { isRetryable: false });
  expect(await stateOf(host, child)).toBe("dead dependency");
  expect((await ask(host, "tasks.replay", { task: child, payload: "new" })).tasks).toEqual([]);
  expect((await taskOf(host, child)).payload).toBeNull();
  expect((await ask(host, "tasks.replay", { filter: { reason: "poison" } })).tasks).toEqual([]);
  // The first, which cannot be.
  expect((await ask(host, "tasks.replay", { filter: { limit: 1 } })).tasks).toEqual([]);
  const replayed = async (filter: object): Promise<string[]> =>
    (await ask(host, "tasks.replay", { filter })).tasks.map(({ task, state }) => `${task} ${state}`);
  expect(await replayed({ type: "y", tag: "t" })).toEqual([`${other} queued`]);
  expect(await replayed({ type: "x" })).toEqual([`${root} queued`, `${child} blocked`]);
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
  const pages = await pagesOf((from) => ask(host, "tasks.list", { ...filter, limit, ...from }));
  expect(Math.max(...pages.map(({ tasks }) => tasks.length))).toBeLessThanOrEqual(limit);
  return pages.flatMap(({ tasks }) => tasks.map(({ task }) => task));
}

type Values = (name: MetricName, label?: string) => number | undefined;

async function sampled(host: RuleHost): Promise<Values> {
  // The object keeps its samples for ten seconds.
  await pass(host, 10_000);
  const { samples } = await ask(host, "metrics", {});
  return (name, label) => {
    const isLabelled = (labels: object): boolean => label === undefined || Object.values(labels)[0] === label;
    const own = samples.filter((one) => one.name === name && isLabelled(one.labels));
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
  await a.do("tasks.ack", await a.take(), { usage: { tokens: 5 } });
  await a.campaign("main");
  await a.leave();
  const before = await sampled(host);
  // At the end of the 40th day the first one is kept for the last time.
  for (const days of [39, 6]) {
    for (let passed = 0; passed < days; passed++) await pass(host, day);
    await a.back();
    await submitOne(host);
    await a.do("tasks.ack", await a.take(), { usage: { tokens: 1 } });
  }
  for (let days = 0; days < 10; days++) await pass(host, day);
  await ask(host, "epoch.raise", { reason: "restored", quietMs: 0 });
  const after = await sampled(host);
  expect(after("shim_tasks", "ended")).toBe(0);
  expect([before("shim_task_ends_total", "done"), after("shim_task_ends_total", "done")]).toEqual([1, 3]);
  expect([after("shim_tasks_submitted_total"), after("shim_leader_changes_total")]).toEqual([3, 1]);
  expect(after("shim_task_tokens_total")).toBe(7);
  const events = "shim_workspace_events_total";
  for (const kind of ["chat.registered", "chat.offline"])
    expect(after(events, kind)).toBeGreaterThanOrEqual(before(events, kind) ?? Number.NaN);
});

function route(overrides: Partial<Route> = {}): Route {
  const usual = { tier: "medium", model: "claude-sonnet-5-5", effort: null, band: "usual", reason: "chosen" } as const;
  return { ...usual, isCounted: true, ...overrides };
}

const ran: Ran = { model: "claude-opus-5-5", effort: "high", source: "default" };

const large = { tier: "large", model: "claude-opus-5-5" } as const;

async function routesOf(host: RuleHost, type = "build"): Promise<TypeRoutes> {
  const { routes } = await ask(host, "tasks.routes", { type });
  if (!routes) throw new Error("a type was named");
  return routes;
}

const cost = (dollars: number) => ({ tokens: 1_000, costMicros: dollars * 1_000_000 });

type Attempt = readonly ["tasks.ack" | "tasks.nack" | "tasks.release", object];

const broken = { route: route(), reason: "broken", delayMs: 0 };

taskTest.for<[rule: string, tasks: number, attempts: readonly Attempt[], routes: object]>([
  [
    "each end of a routed attempt is counted for its tier and its model",
    3,
    [
      ["tasks.ack", { route: route(), usage: cost(2) }],
      ["tasks.ack", { route: route(), usage: cost(5) }],
      ["tasks.nack", { ...broken, isRetryable: false, usage: cost(2) }],
    ],
    { tiers: [{ tier: "medium", band: "usual", tried: 3, succeeded: 2, meanCostMicros: 3_000_000 }] },
  ],
  [
    "machine trouble, a release and later attempts count for no tier",
    1,
    [
      ["tasks.nack", { ...broken, route: route({ isCounted: false }) }],
      ["tasks.release", { route: route() }],
      ["tasks.nack", { ...broken, route: route({ reason: "retried" }) }],
      ["tasks.ack", { route: route({ ...large, reason: "escalated" }) }],
    ],
    { tiers: [] },
  ],
  [
    "a task whose last attempt has not ended it is in no sum",
    1,
    [["tasks.nack", { ...broken, usage: cost(1) }]],
    { routed: { tasks: 0 } },
  ],
  [
    "a task is accepted when its last attempt was done, at the cost of all of them",
    1,
    [
      ["tasks.nack", { ...broken, usage: cost(1) }],
      ["tasks.ack", { route: route({ ...large, reason: "escalated" }), usage: cost(4) }],
    ],
    { routed: { tasks: 1, accepted: 1, costMicros: 5_000_000 } },
  ],
  [
    "a task with an attempt of unknown cost is in no sum; an explored tier is counted",
    2,
    [
      ["tasks.ack", { route: route({ reason: "explored" }), usage: cost(1) }],
      ["tasks.ack", { route: route(), usage: { tokens: 5, costMicros: 0 } }],
    ],
    { tiers: [{ tried: 2 }], routed: { tasks: 1 } },
  ],
])("%s", async ([, tasks, attempts, routes], { host, a }) => {
  await submit(host, ...Array.from({ length: tasks }, () => ({ type: "build" })));
  for (const [end, more] of attempts) await a.do(end, await a.take(), more);
  expect(await routesOf(host)).toMatchObject(routes);
});

taskTest("a route that a heartbeat reported counts when the coordinator ends the attempt", async ({ host, a }) => {
  await submitOne(host, { startToCloseMs: minute, heartbeatMs: 10 * minute });
  const held = await a.take();
  await a.do("tasks.heartbeat", held, { route: route(), usage: cost(3) });
  await pass(host, 2 * minute);
  expect((await routesOf(host)).tiers).toMatchObject([{ tried: 1, succeeded: 0, meanCostMicros: 3_000_000 }]);
});

taskTest("a dead task is not accepted; replayed, it is open until it ends again", async ({ host, a }) => {
  const task = await submitOne(host, { maxAttempts: 1 });
  await a.do("tasks.nack", await a.take(), { route: route(), reason: "broken", usage: cost(1) });
  expect((await routesOf(host)).routed).toMatchObject({ tasks: 1, accepted: 0, costMicros: 1_000_000 });
  await ask(host, "tasks.replay", { task });
  await a.do("tasks.release", await a.take(), { route: route({ reason: "retried" }) });
  expect((await routesOf(host)).routed).toMatchObject({ tasks: 0 });
  await a.do("tasks.ack", await a.take(), { route: route({ reason: "retried" }), usage: cost(2) });
  expect((await routesOf(host)).routed).toMatchObject({ tasks: 1, accepted: 1, costMicros: 3_000_000 });
});

taskTest("the model of every attempt is recorded, and is no evidence for a choice", async ({ host, a }) => {
  await submit(host, { type: "build" }, { type: "build" }, { type: "other" });
  await a.do("tasks.ack", await a.take({ types: ["build"] }), { ran, usage: cost(2) });
  const held = await a.take({ types: ["build"] });
  await a.do("tasks.heartbeat", held, { ran: { ...ran, source: "router" } });
  await a.do("tasks.heartbeat", held, { route: route(), usage: cost(1) });
  await a.do("tasks.nack", held, { reason: "broken", isRetryable: false });
  const { models, tiers, routed } = await routesOf(host);
  expect(models).toEqual([
    { ...ran, source: "default", attempts: 1, done: 1, meanCostMicros: 2_000_000 },
    { ...ran, source: "router", attempts: 1, done: 0, meanCostMicros: 1_000_000 },
  ]);
  expect([tiers, routed]).toMatchObject([[{ model: "claude-sonnet-5-5", tried: 1, succeeded: 0 }], { tasks: 1 }]);
  const other = await a.take({ types: ["other"] });
  await a.do("tasks.heartbeat", other, { ran });
  await a.do("tasks.release", other, {});
  await a.ack(await a.take({ types: ["other"] }));
  expect(await ask(host, "tasks.routes", {})).toEqual({ types: ["build"], routes: null });
  expect(await routesOf(host, "none")).toEqual({ tiers: [], routed: { tasks: 0, accepted: 0, costMicros: 0 } });
  expect(await routesOf(host, "other")).toMatchObject({ models: [{ attempts: 1, done: 0 }], tiers: [] });
  const { attempts } = await ask(host, "tasks.history", { task: other.task });
  expect(attempts.map(({ end, model }) => `${end} ${model?.model}`)).toEqual([
    "done undefined",
    `released ${ran.model}`,
  ]);
});

taskTest("a route of another version costs no result, and its band is evidence for no tier", async ({ host, a }) => {
  await submit(host, { type: "build" }, { type: "build" });
  const band = "weak" as "unknown";
  const held = await a.take();
  await a.do("tasks.heartbeat", held, { route: route({ band }) });
  expect(await a.do("tasks.ack", held, { route: route({ band }) })).toMatchObject({ state: "done" });
  const later = { route: { ...route(), reason: "later" as "chosen" }, ran: { ...ran, effort: "later" as "high" } };
  expect(await a.do("tasks.ack", await a.take(), later)).toMatchObject({ state: "done" });
  expect(await routesOf(host)).toMatchObject({ tiers: [], routed: { tasks: 1 } });
  await host.run("UPDATE routes SET band = 'weak'");
  expect(await routesOf(host)).toMatchObject({ tiers: [], routed: { tasks: 1 } });
});

taskTest("of a type the newest 2,000 attempts stay, of at most 200 types", async ({ host, a }) => {
  const insert = `INSERT INTO routes (type, task, claim, tier, model, band, reason, isCounted, ended, became,
       at, tokens, costMicros)
     WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < ?)`;
  const rest = "'t', 'm', 'usual', 'chosen', 1, 'done', 'done', 0, 1, 1 FROM n";
  await host.run(`${insert} SELECT 'many', -n, 1, ${rest}`, 2_100);
  await host.run(`${insert} SELECT 'type' || n, 1, 1, ${rest}`, 198);
  await submit(host, { type: "many" }, { type: "new" }, { type: "last" });
  for (const type of ["many", "new", "last"])
    await a.do("tasks.ack", await a.take({ types: [type] }), { route: route() });
  const figures = "SELECT count(*) AS n, min(task) AS oldest FROM routes WHERE type = 'many'";
  expect(await host.rows(figures)).toEqual([{ n: 2_000, oldest: -1_999 }]);
  const { types } = await ask(host, "tasks.routes", {});
  expect([types.length, types.includes("new"), types.includes("last")]).toEqual([200, true, false]);
});
