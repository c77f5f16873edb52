import { expect, it } from "vitest";
import { aClient } from "#harness/edge/edge-runtime.ts";
import { given } from "#harness/coordinator/peers.ts";
import { FakeEdge, token } from "#harness/edge/fake-edge.ts";
import { assignQueued } from "#harness/coordinator/local-host.ts";
import { ofEvents, startWorker } from "#harness/worker/worker-rig.ts";

function aWorker(edge: FakeEdge) {
  const { machine, client } = aClient(edge);
  return startWorker({ machine, name: "w", link: client, process: "process of w" });
}

/** A task is at work. */
async function begun(overrides: object = {}) {
  const edge = new FakeEdge();
  const worker = aWorker(edge);
  const task = await submit(edge, overrides);
  await edge.time.untilTrue(() => worker.executor.attempts.length === 1);
  return { edge, worker, task };
}

async function submit(edge: FakeEdge, overrides: object = {}): Promise<number> {
  return given(await edge.host.call("tasks.submit", { tasks: [{ type: "build", ...overrides }] })).tasks[0]?.task ?? 0;
}

async function ends(edge: FakeEdge, task: number): Promise<string[]> {
  return given(await edge.host.call("tasks.history", { task })).attempts.map(({ end }) => end);
}

it("on the edge a task that is pushed is taken at once; one whose hint was lost at the next request", async () => {
  const edge = new FakeEdge();
  const worker = aWorker(edge);
  await edge.time.pass(1_000);
  await submit(edge);
  // What the consumer of the queue does with a token, and what follows for the connections.
  assignQueued(edge.host);
  edge.tell();
  await edge.time.pass(50);
  expect(worker.executor.attempts).toHaveLength(1);
  worker.executor.last.end({ kind: "done", result: null });
  await edge.time.pass(1_000);
  await submit(edge);
  await edge.time.pass(1_000);
  expect(worker.executor.attempts).toHaveLength(1);
  await edge.time.pass(15_000);
  expect(worker.executor.attempts).toHaveLength(2);
});

it("a short loss of the connection is survived: the attempt continues, and its result is reported after the reconnect", async () => {
  const { edge, worker, task } = await begun();
  await edge.time.pass(2_000);
  edge.faults.isUnreachable = true;
  await edge.deploy();
  await edge.time.pass(20_000);
  worker.executor.last.end({ kind: "done", result: "kept" });
  await edge.time.pass(5_000);
  edge.faults.isUnreachable = false;
  await edge.time.untilTrue(() => ofEvents(worker, "ended").length > 0);
  expect(ofEvents(worker, "ended")).toMatchObject([{ end: "done", state: "done" }]);
  expect(given(await edge.host.call("tasks.get", { task })).result).toBe("kept");
  expect(await ends(edge, task)).toEqual(["done"]);
});

it("the work of a worker that was cut off too long is stopped before another gets it", async () => {
  const { edge, worker, task } = await begun({ heartbeatMs: 20_000 });
  edge.faults.isUnreachable = true;
  for (const connection of edge.connections) connection.freeze();
  const { signal } = worker.executor.last.run;
  await edge.time.untilTrue(() => signal.aborted);
  expect(await ends(edge, task)).toEqual([]);
  await edge.time.pass(60_000);
  expect(await ends(edge, task)).not.toContain("done");
  edge.faults.isUnreachable = false;
  await edge.time.untilTrue(() => worker.executor.attempts.length === 2);
  worker.executor.last.end({ kind: "done", result: null });
  await edge.time.pass(1_000);
  expect(given(await edge.host.call("tasks.get", { task })).state).toBe("done");
});

it("a worker whose chat is taken over, or whose token is revoked, stops everything and says why it ends", async () => {
  const { edge, worker } = await begun();
  edge.revoke(token);
  expect(await edge.time.until(worker.ended)).toMatchObject({ ok: false, error: { code: "chat_lost" } });
  expect(worker.executor.last.run.signal.reason).toMatchObject({ kind: "lost" });
});
