import { freshRig } from "../edge/edge.ts";
import type { Counted, WireClient } from "../edge/wire-client.ts";
import { scaled, range } from "../measure.ts";
import { TaskWorker, newTasks, perWorker } from "./worker.ts";

/** Longer than the runtime waits before it puts an idle object to sleep. */
const idleMs = scaled(25_000, 1_000);
const pingMs = scaled(5_000, 500);

/** Rows that an operation writes, alarms among them, as the runtime counts them; `idle`: those of a chat that only pings. */
export async function rows() {
  const rig = await freshRig(true);
  const [client, receiver] = [await rig.client("counted"), await rig.client("receiver")];
  const { self } = client;
  const count = async (work: () => Promise<unknown>): Promise<number> => {
    await client.counted();
    await work();
    const { written, alarms } = await client.counted();
    return written + alarms;
  };
  const acquire = (resource: string) =>
    client.call<{ lease: { token: number } }>("leases.acquire", { self, resource, requestId: "r" });
  const putSession = (session: string) =>
    client.call("sync.put", {
      device: "dev_bench",
      keyId: "0123456789abcdef",
      records: [Object.assign({}, aRecord, { session, checkpoint: `cp_${session}` })],
    });
  // The first lease of a chat sets its alarm, the first session of a device adds that.
  await acquire("first");
  await putSession("first");
  let token = 0;
  const written = {
    acquire: await count(async () => (token = (await acquire("second")).lease.token)),
    renew: await count(() => client.call("leases.renew", { self, resource: "second", token })),
    release: await count(() => client.call("leases.release", { self, resource: "second", token })),
    message: await count(() => client.call("messages.send", { self, target: { to: "all" }, body: "x" })),
    messageAck: await count(async () => {
      const pulled = await receiver.call<{ messages: { id: number }[] }>("messages.pull", { self: receiver.self });
      return receiver.call("messages.ack", { self: receiver.self, cursor: pulled.messages.at(-1)?.id });
    }),
    session: await count(() => putSession("second")),
    idle: await count(async () => {
      for (const _ of range(Math.ceil(idleMs / pingMs), (n) => n)) {
        await new Promise((resolve) => setTimeout(resolve, pingMs));
        await client.raw("ping");
      }
    }),
  };
  for (const one of [client, receiver]) one.close();
  await rig.close();
  return written;
}

const aRecord = {
  kind: "session",
  ageMs: 0,
  envelope: "A".repeat(2_000),
  project: null,
  isEnded: false,
  replaces: 0,
};

const rounds = scaled(100);
const hourMs = 3_600_000;

/** Cloudflare, paid plan, in dollars for each million beyond what is included: developers.cloudflare.com/durable-objects/platform/pricing, and the same of queues and workers. */
const prices = {
  rowWritten: 1,
  rowRead: 0.001,
  objectRequest: 0.15,
  queueOperation: 0.4,
  workerRequest: 0.3,
  gbSecond: 12.5,
};
/** A queue message is written, read and deleted. */
const operationsPerMessage = 3;
/** Frames of a socket that are billed as one request. */
const framesPerRequest = 20;
const gbOfAnObject = 0.128;

/** For each task; rows and dollars of its whole life, as the runtime counts it. */
export interface Life {
  readonly rows: number;
  /** Of a million tasks; storage and what a plan includes are left out. */
  readonly dollars: number;
}

/** Tasks from submit to pruned: in batches of ten with workers that are notified and that ask, and one at a time. */
export async function cost() {
  const notified = await lifeOf(perWorker, true);
  return { tasks: rounds * perWorker, notified, asking: await lifeOf(perWorker, false), single: await lifeOf(1, true) };
}

/** @param isNotified whether the worker is notified, or asks */
async function lifeOf(perBatch: number, isNotified: boolean): Promise<Life> {
  const rig = await freshRig(true);
  await rig.set({ keepTasksMs: hourMs });
  const producer = await rig.client("producer");
  const about = { capacity: perWorker, ...(isNotified ? { taskTypes: ["*"] } : {}) };
  const worker = new TaskWorker(await rig.client("idle", about), perBatch);
  const batch = (): Promise<void> => once(producer, worker, perBatch, isNotified);
  // What watches the worker, and the first alarm, are there before it counts.
  await batch();
  await producer.counted();
  const startedAt = performance.now();
  for (let round = 0; round < rounds; round++) await batch();
  const seconds = (performance.now() - startedAt) / 1_000;
  const live = await producer.counted();
  const pruned = await pruning(producer, (rounds + 1) * perBatch);
  producer.close();
  worker.client.close();
  await rig.close();
  const tasks = rounds * perBatch;
  const per = (count: number): number => count / tasks;
  const perPruned = (count: number): number => count / (tasks + perBatch);
  const rows = per(live.written + live.alarms) + perPruned(pruned.written + pruned.alarms);
  // The question itself was a frame.
  const requests =
    per(live.events - 1) / framesPerRequest + per(live.calls + live.looks + live.rings) + perPruned(pruned.rings);
  const dollars =
    rows * prices.rowWritten +
    (per(live.read) + perPruned(pruned.read)) * prices.rowRead +
    requests * prices.objectRequest +
    per(live.looks) * prices.workerRequest +
    per(live.tokens) * operationsPerMessage * prices.queueOperation +
    per(seconds) * gbOfAnObject * prices.gbSecond;
  return { rows, dollars };
}

/** A batch is submitted, received, and done. */
async function once(producer: WireClient, worker: TaskWorker, perBatch: number, isNotified: boolean): Promise<void> {
  await producer.call("tasks.submit", { tasks: newTasks("cost", perBatch) });
  if (isNotified) await worker.notified();
  const held = await worker.claim();
  if (held.length !== perBatch) throw new Error(`${held.length} tasks came instead of ${perBatch}`);
  await worker.ack(held, false);
}

/** Kept for an hour, then to the full hour: the object's clock is put two hours on, and its alarm rings. */
async function pruning(client: WireClient, tasks: number): Promise<Counted> {
  await client.raw(`later ${2 * hourMs}`);
  const counted = await client.counted();
  const { totalTasks } = await client.call<{ totalTasks: number }>("tasks.progress", {});
  if (totalTasks !== 0) throw new Error(`${totalTasks} of ${tasks} tasks were not pruned`);
  return counted;
}
