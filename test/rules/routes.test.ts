import { expect } from "vitest";
import type { Ran, Route, TypeRoutes } from "#src/contract/model-routes.ts";
import type { RuleHost } from "#harness/coordinator/engine-host.ts";
import { pass } from "#harness/coordinator/peers.ts";
import { ask, minute } from "#harness/coordinator/state-calls.ts";
import { submit, submitOne } from "#harness/coordinator/task-calls.ts";
import { taskRowTest, taskTest } from "./rule-test.ts";

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

const cost = (dollars: number): { tokens: number; costMicros: number } => ({
  tokens: 1_000,
  costMicros: dollars * 1_000_000,
});

taskTest("each end of a routed attempt is counted for its tier and its model", async ({ host, a }) => {
  await submit(host, { type: "build" }, { type: "build" }, { type: "build" });
  await a.do("tasks.ack", await a.take(), { route: route(), usage: cost(2) });
  await a.do("tasks.ack", await a.take(), { route: route(), usage: cost(4) });
  await a.do("tasks.nack", await a.take(), { route: route(), reason: "no", isRetryable: false, usage: cost(1) });
  const { tiers } = await routesOf(host);
  expect(tiers).toMatchObject([{ tier: "medium", model: "claude-sonnet-5-5", band: "usual", tried: 3, succeeded: 2 }]);
  expect(tiers[0]?.meanCostMicros).toBeCloseTo(7_000_000 / 3);
  expect(await ask(host, "tasks.routes", {})).toEqual({ types: ["build"], routes: null });
  expect(await routesOf(host, "other")).toEqual({ tiers: [], routed: { tasks: 0, accepted: 0, costMicros: 0 } });
});

taskTest("a route that a heartbeat reported counts when the coordinator ends the attempt", async ({ host, a }) => {
  await submitOne(host, { startToCloseMs: minute, heartbeatMs: 10 * minute });
  const held = await a.take();
  await a.do("tasks.heartbeat", held, { route: route(), usage: cost(3) });
  await pass(host, 2 * minute);
  expect((await routesOf(host)).tiers).toMatchObject([{ tried: 1, succeeded: 0, meanCostMicros: 3_000_000 }]);
});

taskTest("machine trouble, a release and later attempts count for no tier", async ({ host, a }) => {
  await submit(host, { type: "build" });
  const trouble = route({ isCounted: false });
  await a.do("tasks.nack", await a.take(), { route: trouble, reason: "no account", delayMs: 0 });
  await a.do("tasks.release", await a.take(), { route: route() });
  await a.do("tasks.nack", await a.take(), { route: route({ reason: "retried" }), reason: "broken", delayMs: 0 });
  await a.do("tasks.ack", await a.take(), { route: route({ ...large, reason: "escalated" }) });
  expect((await routesOf(host)).tiers).toEqual([]);
});

taskTest("a task is accepted when its last attempt was done, at the cost of all of them", async ({ host, a }) => {
  await submitOne(host);
  await a.do("tasks.nack", await a.take(), { route: route(), reason: "broken", delayMs: 0, usage: cost(1) });
  expect((await routesOf(host)).routed).toMatchObject({ tasks: 0 });
  const next = route({ ...large, reason: "escalated" });
  await a.do("tasks.ack", await a.take(), { route: next, usage: cost(4) });
  expect((await routesOf(host)).routed).toEqual({ tasks: 1, accepted: 1, costMicros: 5_000_000 });
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

taskTest("a task with an attempt of unknown cost is in no sum; an explored tier is counted", async ({ host, a }) => {
  await submit(host, { type: "build" }, { type: "build" });
  await a.do("tasks.ack", await a.take(), { route: route({ reason: "explored" }), usage: cost(1) });
  await a.do("tasks.ack", await a.take(), { route: route(), usage: { tokens: 5, costMicros: 0 } });
  expect(await routesOf(host)).toMatchObject({ tiers: [{ tried: 2 }], routed: { tasks: 1 } });
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
  expect(await routesOf(host, "other")).toMatchObject({ models: [{ attempts: 1, done: 0 }], tiers: [] });
  const { attempts } = await ask(host, "tasks.history", { task: other.task });
  expect(attempts.map(({ end, model }) => [end, model?.model ?? null])).toEqual([
    ["done", null],
    ["released", ran.model],
  ]);
});

taskRowTest("of a type the newest 2,000 attempts stay, of at most 200 types", async ({ host, a }) => {
  const insert = `INSERT INTO routes (type, task, claim, tier, model, band, reason, isCounted, ended, became,
       at, tokens, costMicros)
     WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < ?)`;
  const rest = "'t', 'm', 'usual', 'chosen', 1, 'done', 'done', 0, 1, 1 FROM n";
  await host.run(`${insert} SELECT 'many', -n, 1, ${rest}`, 2_100);
  await host.run(`${insert} SELECT 'type' || n, 1, 1, ${rest}`, 198);
  await submit(host, { type: "many" }, { type: "new" }, { type: "last" });
  for (const type of ["many", "new", "last"])
    await a.do("tasks.ack", await a.take({ types: [type] }), { route: route() });
  expect(await host.rows("SELECT count(*) AS n, min(task) AS oldest FROM routes WHERE type = 'many'")).toEqual([
    { n: 2_000, oldest: -1_999 },
  ]);
  const { types } = await ask(host, "tasks.routes", {});
  expect([types.length, types.includes("new"), types.includes("last")]).toEqual([200, true, false]);
});
