import { createExecutionContext, createMessageBatch, getQueueResult } from "cloudflare:test";
import { afterEach, expect, vi, type MockInstance } from "vitest";
import type { Env } from "#src/worker/env.ts";
import { deadLetterQueue } from "#src/worker/queues.ts";
import worker from "#src/worker/worker-entry.ts";
import { bindings, it, TestWorkspace, wait } from "./support.ts";

afterEach(() => void vi.restoreAllMocks());

/** What is sent to the queue goes nowhere. */
function tokens(): MockInstance<Env["DISPATCH"]["send"]> {
  const metadata = { metrics: { backlogCount: 0, backlogBytes: 0 } };
  return vi.spyOn(bindings.DISPATCH, "send").mockResolvedValue({ metadata });
}

function submit(workspace: TestWorkspace, count: number): Promise<unknown> {
  return workspace.ask("tasks.submit", { tasks: Array.from({ length: count }, () => ({ type: "build" })) });
}

/** Assigned and queued tasks, and tokens that are under way. */
async function counts(workspace: TestWorkspace): Promise<number[]> {
  const { tasks } = await workspace.ask("tasks.list", { limit: 200 });
  const of = (state: string): number => tasks.filter((task) => task.state === state).length;
  return [of("assigned"), of("queued"), (await workspace.ask("health", {})).outboxDepth];
}

it("what a submit makes runnable is assigned in its commit and reaches its chat", async ({ workspace }) => {
  const sent = tokens();
  const { connection, self } = await workspace.join("taker", { taskTypes: ["build"], capacity: 2 });
  await submit(workspace, 1);
  expect(await connection.told()).toMatchObject([{ method: "tasks.new" }]);
  expect(await counts(workspace)).toEqual([1, 0, 0]);
  const { claims } = await connection.ask("tasks.claim", { self, requestId: "r" });
  expect(claims).toMatchObject([{ type: "build", isStarted: true }]);
  // One more finds room, the others do not, and wait without a token.
  await submit(workspace, 3);
  expect([await counts(workspace), sent.mock.calls.length]).toEqual([[1, 2, 0], 0]);
});

it("requests of one frame are dispatched together, after the last, by priority", async ({ workspace }) => {
  const { connection } = await workspace.join("taker", { taskTypes: ["*"], capacity: 1 });
  const submits = [1, 9].map((priority) => ({ tasks: [{ type: `p${priority}`, priority }] }));
  connection.send(submits.map((params, id) => ({ jsonrpc: "2.0", id, method: "tasks.submit", params })));
  expect(await connection.next()).toMatchObject([{ id: 0 }, { id: 1 }]);
  expect(await connection.told()).toMatchObject([{ method: "tasks.new" }]);
  expect((await workspace.ask("tasks.list", { state: "assigned" })).tasks).toMatchObject([{ type: "p9" }]);
});

it("more than a hundred tasks go through the queue, which assigns the rest", async ({ workspace }) => {
  const sent = tokens();
  for (const chat of ["a", "b"]) await workspace.join(chat, { taskTypes: ["*"], capacity: 100 });
  await submit(workspace, 150);
  expect(await counts(workspace)).toEqual([100, 50, 1]);
  expect(sent.mock.calls).toEqual([[{ workspace: workspace.name }]]);
  await hand("shim-dispatch", [{ workspace: workspace.name }]);
  expect(await counts(workspace)).toEqual([150, 0, 0]);
  expect(sent).toHaveBeenCalledTimes(1);
});

it("with a queue that refuses or loses every message the alarm dispatches what is due, within five seconds", async ({
  workspace,
}) => {
  vi.spyOn(console, "error").mockImplementation(() => undefined);
  const sent = tokens().mockRejectedValue(new Error("the queue is away"));
  for (const chat of ["a", "b"]) await workspace.join(chat, { taskTypes: ["*"], capacity: 100 });
  const later = Array.from({ length: 3 }, () => ({ type: "build", delayMs: 2_000 }));
  await workspace.ask("tasks.submit", { tasks: later });
  wait(2_000);
  await workspace.ring();
  expect([await counts(workspace), sent.mock.calls.length]).toEqual([[3, 0, 0], 0]);
  await submit(workspace, 180);
  expect(await counts(workspace)).toEqual([103, 80, 1]);
  wait(5_000);
  await workspace.ring();
  expect(await counts(workspace)).toEqual([183, 0, 0]);
});

it("a dispatch that fails undoes no request: its tasks stay queued, and a token is sent", async ({ workspace }) => {
  const log = vi.spyOn(console, "error").mockImplementation(() => undefined);
  const sent = tokens();
  const { connection } = await workspace.join("taker", { taskTypes: ["*"], capacity: 100 });
  const broken = "BEFORE UPDATE ON tasks WHEN new.state = 'assigned' BEGIN SELECT RAISE(ABORT, 'broken'); END";
  await workspace.rows(`CREATE TRIGGER broken ${broken}`);
  await submit(workspace, 2);
  expect(await counts(workspace)).toEqual([0, 2, 1]);
  expect([sent.mock.calls.length, log.mock.calls.length, await connection.told()]).toEqual([1, 1, []]);
  await workspace.rows("DROP TRIGGER broken");
  await hand("shim-dispatch", [{ workspace: workspace.name }]);
  expect(await counts(workspace)).toEqual([2, 0, 0]);
});

/** The queue delivers messages. @returns what is acknowledged, and what comes again */
async function hand(queue: string, bodies: readonly unknown[]) {
  const messages = bodies.map((body, at) => ({ id: String(at), timestamp: new Date(0), attempts: 1, body }));
  const batch = createMessageBatch(queue, messages);
  const context = createExecutionContext();
  await worker.queue(batch, bindings);
  const { explicitAcks, retryMessages } = await getQueueResult(batch, context);
  return { acked: explicitAcks.toSorted(), retried: retryMessages.map(({ msgId }) => msgId).toSorted() };
}

it("a token comes again where its object fails; what cannot be read is logged, and gone", async () => {
  const [good, bad] = [await TestWorkspace.create(), await TestWorkspace.create()];
  const log = vi.spyOn(console, "error").mockImplementation(() => undefined);
  await bad.rows("ALTER TABLE outbox RENAME TO lost");
  const bodies = [bad.name, good.name, good.name, "never-made"].map((workspace) => ({ workspace }));
  expect(await hand("shim-dispatch", bodies)).toEqual({ acked: ["1", "2", "3"], retried: ["0"] });
  log.mockClear();
  const circle: { workspace?: unknown } = {};
  circle.workspace = circle;
  const handed = await hand("shim-dispatch", ["junk", { workspace: "No Name" }, null, undefined, 1n, circle]);
  expect(handed).toEqual({ acked: ["0", "1", "2", "3", "4", "5"], retried: [] });
  expect(log).toHaveBeenCalledTimes(6);
});

it("a token that the queue has given up is in the audit log", async ({ workspace }) => {
  await hand(deadLetterQueue, [{ workspace: workspace.name }, { workspace: workspace.name }]);
  const { entries } = await workspace.ask("audit.list", { kind: "queue.lost" });
  expect(entries).toMatchObject([{ detail: { count: 2 } }]);
});
