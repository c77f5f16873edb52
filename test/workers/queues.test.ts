import { createExecutionContext, createMessageBatch, getQueueResult } from "cloudflare:test";
import { afterEach, expect, vi } from "vitest";
import worker from "#src/worker/worker-entry.ts";
import { deadLetterQueue } from "#src/worker/queues.ts";
import { bindings, it, TestWorkspace } from "./support.ts";

afterEach(() => void vi.restoreAllMocks());

interface Handed {
  readonly acked: string[];
  readonly retried: string[];
}

async function hand(queue: string, bodies: readonly unknown[]): Promise<Handed> {
  const messages = bodies.map((body, at) => ({ id: String(at), timestamp: new Date(0), attempts: 1, body }));
  const batch = createMessageBatch(queue, messages);
  const context = createExecutionContext();
  await worker.queue(batch, bindings);
  const { explicitAcks, retryMessages } = await getQueueResult(batch, context);
  return { acked: explicitAcks.toSorted(), retried: retryMessages.map(({ msgId }) => msgId).toSorted() };
}

it("a submitted task reaches a waiting chat", async ({ workspace }) => {
  const connection = await workspace.connect();
  const { incarnation } = await connection.ask("chats.register", {
    chat: "c1",
    session: "c1",
    process: "c1",
    machine: "admin",
    client: "test",
    taskTypes: ["build"],
  });
  const told = connection.next();
  const { tasks } = await workspace.ask("tasks.submit", { tasks: [{ type: "build", payload: { n: 1 } }] });
  expect(await told).toMatchObject({ method: "tasks.new" });
  const self = { chat: "c1", incarnation };
  const { claims } = await connection.ask("tasks.claim", { self, requestId: "r" });
  expect(claims).toMatchObject([{ task: tasks[0]?.task, payload: { n: 1 }, isStarted: true }]);
});

it("each workspace of a batch is asked once, and its tokens are acknowledged when it has answered", async () => {
  const [one, other] = [await TestWorkspace.create(), await TestWorkspace.create()];
  const handed = await hand("shim-dispatch", [
    { workspace: one.name },
    { workspace: other.name },
    { workspace: one.name, newer: true },
    { workspace: "nobody-made-it" },
  ]);
  expect(handed).toEqual({ acked: ["0", "1", "2", "3"], retried: [] });
});

it("health counts a token that is under way, until its dispatch", async ({ workspace }) => {
  await workspace.rows("INSERT INTO outbox (dueAt, tries) VALUES (?, 0)", Date.now() + 30_000);
  expect((await workspace.ask("health", {})).outboxDepth).toBe(1);
  await hand("shim-dispatch", [{ workspace: workspace.name }]);
  expect((await workspace.ask("health", {})).outboxDepth).toBe(0);
});

it("a workspace whose object fails gets its tokens again, and the others are not kept waiting", async () => {
  const [good, bad] = [await TestWorkspace.create(), await TestWorkspace.create()];
  vi.spyOn(console, "error").mockImplementation(() => undefined);
  await bad.rows("ALTER TABLE outbox RENAME TO lost");
  const handed = await hand("shim-dispatch", [{ workspace: bad.name }, { workspace: good.name }]);
  expect(handed).toEqual({ acked: ["1"], retried: ["0"] });
});

it("a message that cannot be read is logged and not delivered a second time", async () => {
  const log = vi.spyOn(console, "error").mockImplementation(() => undefined);
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
