import { expect, it } from "vitest";
import type { Ran, Route } from "#src/contract/model-routes.ts";
import { WorkerRig } from "#harness/worker/worker-rig.ts";

const route: Route = {
  tier: "small",
  model: "haiku",
  effort: null,
  band: "usual",
  reason: "chosen",
  isCounted: true,
};

it("the route of an attempt reaches the coordinator with its end, and the next reads the counts", async () => {
  const rig = new WorkerRig();
  const [first, second] = [rig.submit(), rig.submit()];
  const made = await rig.begun();
  const { run, end } = made.executor.last;
  expect(await run.findRouteCounts()).toEqual([]);
  run.onRoute(route);
  run.onUsage({ wallMs: 0, tokens: 100, costMicros: 5_000 });
  end({ kind: "done", result: null });
  await rig.time.untilTrue(() => made.executor.attempts.length > 1);
  expect(rig.state(first)).toBe("done");
  const counts = await made.executor.last.run.findRouteCounts();
  expect(counts).toEqual([
    { tier: "small", model: "haiku", effort: null, band: "usual", tried: 1, succeeded: 1, meanCostMicros: 5_000 },
  ]);
  made.executor.last.run.onRoute({ ...route, model: "sonnet" });
  made.executor.last.end({ kind: "failed", reason: "broken", isRetryable: false });
  await rig.time.untilTrue(() => rig.state(second) === "dead");
  expect(rig.call("tasks.routes", { type: "build" }).routes?.tiers).toMatchObject([
    { model: "haiku", succeeded: 1 },
    { model: "sonnet", tried: 1, succeeded: 0 },
  ]);
});

it("an attempt that runs out of time has reported its route", async () => {
  const rig = new WorkerRig();
  const task = rig.submit({ startToCloseMs: 60_000, heartbeatMs: 10_000, maxAttempts: 1 });
  const made = await rig.begun();
  made.executor.last.run.onRoute(route);
  await rig.time.untilTrue(() => rig.state(task) === "dead");
  expect(rig.call("tasks.routes", { type: "build" }).routes?.tiers).toMatchObject([{ tier: "small", tried: 1 }]);
});

const ran: Ran = { model: "claude-opus-5-5", effort: null, source: "default" };

it("the model of an attempt reaches the coordinator with its end or before, and is no evidence", async () => {
  const rig = new WorkerRig();
  const [first, second] = [rig.submit(), rig.submit({ startToCloseMs: 60_000, heartbeatMs: 10_000, maxAttempts: 1 })];
  const made = await rig.begun();
  made.executor.last.run.onModel(ran);
  made.executor.last.run.onUsage({ wallMs: 0, tokens: 100, costMicros: 5_000 });
  made.executor.last.end({ kind: "done", result: null });
  await rig.time.untilTrue(() => made.executor.attempts.length > 1);
  expect(rig.call("tasks.history", { task: first }).attempts).toMatchObject([
    { end: "done", model: { ...ran, tokens: 100, costMicros: 5_000 } },
  ]);
  made.executor.last.run.onModel(ran);
  await rig.time.untilTrue(() => rig.state(second) === "dead");
  expect(rig.call("tasks.history", { task: second }).attempts).toMatchObject([{ model: ran }]);
  expect(rig.call("tasks.routes", {})).toEqual({ types: [], routes: null });
  expect(rig.call("tasks.routes", { type: "build" }).routes).toMatchObject({
    tiers: [],
    models: [{ ...ran, attempts: 2, done: 1, meanCostMicros: 5_000 }],
  });
});

it("a result that is refused is refused with its model, too", async () => {
  const rig = new WorkerRig();
  const task = rig.submit({ maxAttempts: 1 });
  const made = await rig.begun();
  made.link.alter = (name, given) => (name === "tasks.ack" ? { ...given, unknownField: 1 } : given);
  made.executor.last.run.onModel(ran);
  made.executor.last.end({ kind: "done", result: null });
  await rig.time.untilTrue(() => rig.state(task) === "dead");
  expect(rig.call("tasks.history", { task }).attempts).toMatchObject([{ end: "failed", model: ran }]);
});
