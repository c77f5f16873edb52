import { expect, it, vi } from "vitest";
import { maxEnvelopeChars } from "#src/contract/sync.ts";
import { EdgeRuntime } from "#harness/edge/edge-runtime.ts";
import { realEdgeClient, value } from "#harness/edge/real-edge-client.ts";

/** A chat that takes what it is given, and works on it for a while. */
class Worker {
  readonly #edge: EdgeRuntime;
  readonly #chat: string;
  readonly #done: Map<number, number[]>;
  #isOver = false;
  /** Set to die in the middle of the next task. */
  isDoomed = false;
  died: (() => void) | null = null;

  constructor(edge: EdgeRuntime, chat: string, done: Map<number, number[]>) {
    this.#edge = edge;
    this.#chat = chat;
    this.#done = done;
  }

  stop(): void {
    this.#isOver = true;
  }

  async run(): Promise<void> {
    const client = await realEdgeClient(this.#edge.url, this.#edge.adminToken, this.#chat, {
      taskTypes: ["refactor"],
      isInteractive: false,
    });
    while (!this.#isOver) {
      const claimed = await client.call("tasks.claim", { limit: 1 }, 20_000);
      for (const { task, claim, attempt } of claimed.ok ? claimed.value.claims : []) {
        await new Promise((resolve) => setTimeout(resolve, 200));
        if (this.isDoomed) {
          client.close();
          this.died?.();
          return;
        }
        const acked = await client.call("tasks.ack", { task, claim, result: this.#chat }, 20_000);
        if (acked.ok) this.#done.set(task, [...(this.#done.get(task) ?? []), attempt]);
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

it("[TA20] [QU5] tasks go to waiting chats over the queue; one chat dies, then the runtime is killed: each task is done once", async () => {
  const edge = await EdgeRuntime.open();
  await edge.call("settings.set", { settings: { workerGraceMs: 1_000 } });
  const done = new Map<number, number[]>();
  const [first, ...others] = ["w1", "w2", "w3"].map((chat) => new Worker(edge, chat, done));
  if (!first) throw new Error("no worker");
  first.isDoomed = true;
  const died = new Promise<void>((resolve) => (first.died = resolve));
  const running = [first, ...others].map((worker) => worker.run());
  const { tasks } = await edge.call("tasks.submit", {
    tasks: Array.from({ length: 12 }, (_, n) => ({ type: "refactor", payload: { file: `src/${n}.ts` } })),
  });
  await died;
  await vi.waitFor(async () => expect((await edge.call("chats.get", { chat: "w1" })).status).toBe("offline"), {
    timeout: 10_000,
    interval: 50,
  });
  edge.kill();
  await edge.isBack();
  await vi.waitFor(
    async () => {
      const { completedTasks } = await edge.call("tasks.progress", {});
      expect(completedTasks).toBe(tasks.length);
    },
    { timeout: 40_000, interval: 200 },
  );
  expect([...done.keys()].toSorted((a, b) => a - b)).toEqual(tasks.map(({ task }) => task));
  expect([...done.values()].every((acks) => acks.length === 1)).toBe(true);
  const all = await Promise.all(tasks.map(({ task }) => edge.call("tasks.history", { task })));
  const ends = all.flatMap(({ attempts }) => attempts.map(({ end }) => end));
  expect(ends.filter((end) => end === "chat_offline")).toHaveLength(1);
  for (const worker of others) worker.stop();
  await Promise.all(running);
});

it("[EC2] a submit that no frame holds arrives at the real runtime, while the socket stays", async () => {
  const edge = await EdgeRuntime.open();
  const client = await realEdgeClient(edge.url, edge.adminToken, "large");
  const tasks = Array.from({ length: 120 }, () => ({ type: "t", payload: "x".repeat(65_000) }));
  const submitted = value(await client.call("tasks.submit", { tasks }, 30_000));
  expect([submitted.tasks.length, client.state]).toEqual([120, "connected"]);
  expect((await edge.call("tasks.progress", {})).queuedTasks).toBe(120);
});

it("[EC2] sealed texts of the largest size arrive at the real runtime and come back, while the socket stays", async () => {
  const edge = await EdgeRuntime.open();
  const client = await realEdgeClient(edge.url, edge.adminToken, "sealed");
  const { epoch } = value(await client.call("sync.begin", { device: "d1", keyId: "0123456789abcdef" }));
  const envelope = "x".repeat(maxEnvelopeChars);
  const op = { seq: 1, hash: "0".repeat(64), kind: "session", session: "s1", ageMs: 0, envelope } as const;
  const ops = [op, { ...op, seq: 2, kind: "checkpoint", checkpoint: "k1" } as const];
  expect(value(await client.call("sync.push", { device: "d1", epoch, ops }, 30_000)).mark).toBe(2);
  expect(value(await client.call("sync.list", {})).sessions[0]?.envelope).toBe(envelope);
  expect(value(await client.call("sync.checkpoint", { checkpoint: "k1" })).envelope).toBe(envelope);
  expect(client.state).toBe("connected");
});
