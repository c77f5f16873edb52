import { setTimeout as pause } from "node:timers/promises";
import { expect, it, vi } from "vitest";
import type { OutputOf } from "#src/contract/operations.ts";
import { maxEnvelopeChars } from "#src/contract/sync.ts";
import { EdgeRuntime } from "#harness/edge/edge-runtime.ts";
import { given } from "#harness/coordinator/state-calls.ts";
import { realEdgeClient } from "#harness/edge/real-edge-client.ts";

/**
 * A chat that works on the tasks it gets for a while each, until its signal is aborted; a doomed one dies in the middle of its first.
 *
 * @param after no task is finished before it
 */
async function work(
  edge: EdgeRuntime,
  chat: string,
  done: Map<number, number[]>,
  until: AbortSignal,
  after: Promise<unknown> | null = null,
): Promise<void> {
  const about = { taskTypes: ["refactor"], isInteractive: false };
  const client = await realEdgeClient(edge.url, edge.adminToken, chat, about);
  while (!until.aborted) {
    const claimed = await client.call("tasks.claim", { limit: 1 }, 20_000);
    for (const { task, claim, attempt } of claimed.ok ? claimed.value.claims : []) {
      await pause(200);
      if (after === null) return client.close();
      await after;
      const acked = await client.call("tasks.ack", { task, claim, result: chat }, 20_000);
      if (acked.ok) done.set(task, [...(done.get(task) ?? []), attempt]);
    }
    await pause(50);
  }
}

it("tasks go to waiting chats over the queue; one chat dies, then the runtime is killed: each task is done once", async () => {
  const edge = await EdgeRuntime.open();
  await edge.call("settings.set", { settings: { workerGraceMs: 1_000 } });
  const done = new Map<number, number[]>();
  const over = new AbortController();
  const doomed = work(edge, "w1", done, over.signal);
  // The doomed one would find no task where the others were fast.
  const others = ["w2", "w3"].map((chat) => work(edge, chat, done, over.signal, doomed));
  const { tasks } = await edge.call("tasks.submit", {
    tasks: Array.from({ length: 12 }, (_, n) => ({ type: "refactor", payload: { file: `src/${n}.ts` } })),
  });
  await doomed;
  const status = async () => (await edge.call("chats.get", { chat: "w1" })).status;
  await vi.waitFor(async () => expect(await status()).toBe("offline"), { timeout: 120_000, interval: 50 });
  edge.kill();
  await edge.isBack();
  const completed = async () => (await edge.call("tasks.progress", {})).completedTasks;
  await vi.waitFor(async () => expect(await completed()).toBe(tasks.length), { timeout: 120_000, interval: 200 });
  expect([...done.keys()].toSorted((a, b) => a - b)).toEqual(tasks.map(({ task }) => task));
  expect([...done.values()].every((acks) => acks.length === 1)).toBe(true);
  const all = await Promise.all(tasks.map(({ task }) => edge.call("tasks.history", { task })));
  const ends = all.flatMap(({ attempts }) => attempts.map(({ end }) => end));
  expect(ends.filter((end) => end === "chat_offline")).toHaveLength(1);
  over.abort();
  await Promise.all(others);
});

it("a submit that no frame holds arrives at the real runtime, while the socket stays", async () => {
  const edge = await EdgeRuntime.open();
  const client = await realEdgeClient(edge.url, edge.adminToken, "large");
  const tasks = Array.from({ length: 120 }, () => ({ type: "t", payload: "x".repeat(65_000) }));
  const submitted = given(await client.call("tasks.submit", { tasks }, 30_000));
  expect([submitted.tasks.length, client.state]).toEqual([120, "connected"]);
  expect((await edge.call("tasks.progress", {})).queuedTasks).toBe(120);
});

it("sealed texts of the largest size arrive at the real runtime and are returned, while the socket stays @night", async () => {
  const edge = await EdgeRuntime.open();
  const client = await realEdgeClient(edge.url, edge.adminToken, "sealed");
  const envelope = "x".repeat(maxEnvelopeChars);
  const sealed = { session: "s1", ageMs: 0, envelope };
  const records = [
    { kind: "session" as const, ...sealed, replaces: 0 },
    { kind: "files" as const, ...sealed, checkpoint: "k1", bundle: "b1" },
  ];
  const put = { device: "d1", keyId: "0123456789abcdef", records };
  const stored = { outcome: "stored" };
  expect(given(await client.call("sync.put", put, 30_000)).results).toMatchObject([stored, stored]);
  expect(given(await client.call("sync.list", {})).sessions[0]?.envelope).toBe(envelope);
  expect(given(await client.call("sync.read", { device: "d1", session: "s1", kind: "files" })).envelope).toBe(envelope);
  expect(client.state).toBe("connected");
});

/** The worker logs what it finds locked, and is meant to. */
const log = (): void => undefined;

function granted(settled: readonly PromiseSettledResult<OutputOf<"leases.acquire">>[]): string[] {
  const answers = settled.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
  return answers.flatMap((answer) => (answer.state === "granted" ? [answer.lease.holder] : []));
}

it("two runtimes on one folder: what was acknowledged is there, no lease has two holders, no number comes twice @night", async () => {
  // Nobody should do that, and SQLite's locks are all that separates them.
  const one = await EdgeRuntime.open({ log });
  const edges = [one, await EdgeRuntime.open({ log, beside: one })] as const;
  const selves = [await edges[0].register("a"), await edges[1].register("b")] as const;
  for (let n = 0; n < 30; n++) {
    const request = { resource: `r${n}`, requestId: `q${n}`, ttlMs: 600_000 };
    const both = await Promise.allSettled(
      edges.map((edge, at) => edge.call("leases.acquire", { ...request, self: selves[at as 0 | 1] })),
    );
    const { leases } = await edges[0].call("leases.list", { prefix: request.resource });
    const holders = leases.filter(({ resource }) => resource === request.resource).map(({ holder }) => holder);
    expect(granted(both)).toEqual(holders);
  }
  const write = async (n: number): Promise<{ key: string; version: number }> => {
    const { version } = await edges[(n % 2) as 0 | 1].call("state.set", { key: `n${n}`, value: n });
    return { key: `n${n}`, version };
  };
  const writes = await Promise.allSettled(Array.from({ length: 200 }, (_, n) => write(n)));
  const done = writes.flatMap((each) => (each.status === "fulfilled" ? [each.value] : []));
  expect(new Set(done.map(({ version }) => version)).size).toBe(done.length);
  const texts = (rows: typeof done): string[] => rows.map(({ key, version }) => `${key} ${version}`).toSorted();
  for (const edge of edges) {
    const { entries } = await edge.call("state.list", { prefix: "n", limit: 500 });
    expect(texts(entries)).toEqual(texts(done));
  }
  // A request that finds the file locked is answered that nothing was changed, and that it may be repeated.
  for (const each of writes)
    if (each.status === "rejected") expect(String(each.reason)).toMatch(/"internal".*"retryable":true/);
});
