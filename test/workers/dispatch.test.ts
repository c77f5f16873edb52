import { afterEach, expect, vi, type MockInstance } from "vitest";
import type { Env } from "#src/worker/env.ts";
import { bindings, it, type Joined, stopClock, TestWorkspace, wait } from "./support.ts";

afterEach(() => void vi.restoreAllMocks());

/** What is sent to the queue goes nowhere. */
function tokens(): MockInstance<Env["DISPATCH"]["send"]> {
  return vi
    .spyOn(bindings.DISPATCH, "send")
    .mockResolvedValue({ metadata: { metrics: { backlogCount: 0, backlogBytes: 0 } } });
}

function tasks(count: number, typeOf: (at: number) => string = () => "build"): { type: string }[] {
  return Array.from({ length: count }, (_, at) => ({ type: typeOf(at) }));
}

async function countIn(workspace: TestWorkspace, state: string): Promise<number> {
  const [row] = await workspace.rows<{ n: number }>("SELECT count(*) AS n FROM tasks WHERE state = ?", state);
  return row?.n ?? 0;
}

async function outbox(workspace: TestWorkspace): Promise<number> {
  return (await workspace.ask("health", {})).outboxDepth;
}

async function claimed({ connection, self }: Joined): Promise<number> {
  return (await connection.ask("tasks.claim", { self, requestId: "r", limit: 50 })).claims.length;
}

it("what a submit makes runnable is assigned in its commit, without a token and without an outbox row", async ({
  workspace,
}) => {
  const sent = tokens();
  const taker = await workspace.join("taker", { taskTypes: ["build"], capacity: 2 });
  await workspace.ask("tasks.submit", { tasks: tasks(1) });
  expect(await taker.connection.told()).toMatchObject([{ method: "tasks.new" }]);
  expect(await countIn(workspace, "assigned")).toBe(1);
  expect(await claimed(taker)).toBe(1);
  // One more finds room, the others do not, and wait without a token.
  await workspace.ask("tasks.submit", { tasks: tasks(3) });
  expect([await countIn(workspace, "assigned"), await countIn(workspace, "queued")]).toEqual([1, 2]);
  expect([await outbox(workspace), sent.mock.calls.length]).toEqual([0, 0]);
});

it("requests of one frame are dispatched together, after the last: by priority, not by the order of the frame", async ({
  workspace,
}) => {
  const { connection } = await workspace.join("taker", { taskTypes: ["*"], capacity: 1 });
  connection.send([
    { jsonrpc: "2.0", id: 1, method: "tasks.submit", params: { tasks: [{ type: "low", priority: 1 }] } },
    { jsonrpc: "2.0", id: 2, method: "tasks.submit", params: { tasks: [{ type: "high", priority: 9 }] } },
  ]);
  expect(await connection.next()).toMatchObject([{ id: 1 }, { id: 2 }]);
  expect(await connection.told()).toMatchObject([{ method: "tasks.new" }]);
  const assigned = await workspace.rows("SELECT type FROM tasks WHERE state = 'assigned'");
  expect(assigned).toEqual([{ type: "high" }]);
});

it("an end that makes tasks runnable dispatches them at once too", async ({ workspace }) => {
  const sent = tokens();
  const taker = await workspace.join("taker", { taskTypes: ["*"], capacity: 2 });
  const { connection, self } = taker;
  await workspace.ask("tasks.submit", {
    tasks: [
      { type: "a", ref: "a" },
      { type: "b", dependsOn: ["a"] },
    ],
  });
  const { claims } = await connection.ask("tasks.claim", { self, requestId: "first" });
  for (const { task, claim } of claims) await connection.ask("tasks.ack", { self, task, claim, result: 1 });
  expect([await countIn(workspace, "assigned"), sent.mock.calls.length]).toEqual([1, 0]);
});

it("more than a hundred tasks go through the queue, which assigns the rest", async ({ workspace }) => {
  const sent = tokens();
  for (const chat of ["a", "b"]) await workspace.join(chat, { taskTypes: ["*"], capacity: 100 });
  await workspace.ask("tasks.submit", { tasks: tasks(150) });
  expect([await countIn(workspace, "assigned"), await outbox(workspace)]).toEqual([100, 1]);
  expect(sent.mock.calls).toEqual([[{ workspace: workspace.name }]]);
  await bindings.COORDINATOR.getByName(workspace.name).dispatch();
  expect([await countIn(workspace, "assigned"), await outbox(workspace)]).toEqual([150, 0]);
  expect(sent).toHaveBeenCalledTimes(1);
});

it("where more than twenty partition keys have something queued, the queue dispatches", async ({ workspace }) => {
  const sent = tokens();
  await workspace.ask("tasks.submit", { tasks: tasks(20, (at) => `t${at}`) });
  await workspace.join("taker", { taskTypes: ["*"], capacity: 100 });
  await workspace.ask("tasks.submit", { tasks: tasks(1, () => "t0") });
  expect([await countIn(workspace, "assigned"), sent.mock.calls.length]).toEqual([21, 0]);
  await workspace.ask("tasks.submit", { tasks: tasks(21, (at) => `t${at}`) });
  expect([await countIn(workspace, "assigned"), await outbox(workspace)]).toEqual([21, 1]);
  expect(sent).toHaveBeenCalledTimes(1);
  await bindings.COORDINATOR.getByName(workspace.name).dispatch();
  expect(await countIn(workspace, "assigned")).toBe(42);
});

it("a dispatch that fails undoes no request: its tasks stay queued, and a token is sent", async ({ workspace }) => {
  const log = vi.spyOn(console, "error").mockImplementation(() => undefined);
  const sent = tokens();
  const { connection } = await workspace.join("taker", { taskTypes: ["*"], capacity: 100 });
  await workspace.rows(
    "CREATE TRIGGER broken BEFORE UPDATE ON tasks WHEN new.state = 'assigned' BEGIN SELECT RAISE(ABORT, 'broken'); END",
  );
  await workspace.ask("tasks.submit", { tasks: tasks(2) });
  expect([await countIn(workspace, "queued"), await outbox(workspace)]).toEqual([2, 1]);
  expect([sent.mock.calls.length, log.mock.calls.length, await connection.told()]).toEqual([1, 1, []]);
  await workspace.rows("DROP TRIGGER broken");
  await bindings.COORDINATOR.getByName(workspace.name).dispatch();
  expect([await countIn(workspace, "assigned"), await outbox(workspace)]).toEqual([2, 0]);
});

it("what an alarm makes runnable goes through the queue", async ({ workspace }) => {
  stopClock();
  const sent = tokens();
  const taker = await workspace.join("taker", { taskTypes: ["*"] });
  await workspace.ask("tasks.submit", { tasks: [{ type: "later", delayMs: 10_000 }] });
  wait(10_000);
  await workspace.ring();
  expect([await countIn(workspace, "queued"), await outbox(workspace)]).toEqual([1, 1]);
  expect(sent).toHaveBeenCalledTimes(1);
  await bindings.COORDINATOR.getByName(workspace.name).dispatch();
  expect(await taker.connection.told()).toMatchObject([{ method: "tasks.new" }]);
});

it("a chat without a connection is assigned nothing, and no token is sent for it", async ({ workspace }) => {
  const sent = tokens();
  await workspace.register("away", { taskTypes: ["*"] });
  await workspace.ask("tasks.submit", { tasks: tasks(1) });
  expect([await countIn(workspace, "queued"), await outbox(workspace), sent.mock.calls.length]).toEqual([1, 0, 0]);
});
