/** Rows, requests and queue messages of a task's whole life, as the runtime counts them, and what a million of them cost. */
import type { Row } from "../figures.ts";
import type { Counted, WireClient } from "../edge/wire-client.ts";
import { freshRig, newTasks } from "./fresh-rig.ts";
import { perWorker } from "./sizes.ts";
import { scaled } from "../size.ts";
import { TaskWorker } from "./task-worker.ts";

const rounds = scaled(100);
const hourMs = 3_600_000;
const mostRows = 14;
const mostRequests = 4;
const mostDollars = 20;

/** Cloudflare, paid plan, in dollars for each million beyond what is included: docs/benchmarks.md has the sources. */
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

/** For each task. */
interface Life {
  /** How many there were. */
  readonly tasks: number;
  readonly live: number;
  readonly pruning: number;
  readonly rowsRead: number;
  /** Frames over a socket, each counted as one; and all other requests of the object. */
  readonly frames: number;
  readonly others: number;
  readonly looks: number;
  readonly messages: number;
  /** All the time in which the object had something to do. */
  readonly seconds: number;
}

export async function cost(): Promise<Row[]> {
  const [told, asking, single] = [
    await livesOf(perWorker, true),
    await livesOf(perWorker, false),
    await livesOf(1, true),
  ];
  return [
    ...rowsOf(told, `batches of ${perWorker}, workers that are notified`),
    ...rowsOf(asking, `batches of ${perWorker}, workers that ask`),
    ...rowsOf(single, "one at a time, a worker that is notified", false),
  ];
}

function rowsOf(life: Life, how: string, hasGoals = true): Row[] {
  const rows = life.live + life.pruning;
  const requests = life.frames + life.others;
  const dollars = dollarsOf(life);
  const held = (goal: string, isReached: boolean): Partial<Row> => (hasGoals ? { goal, isReached } : {});
  return [
    {
      group: "cost",
      n: life.tasks,
      name: `rows written for a task, ${how}`,
      figure: fixed(rows),
      against: `submit to acknowledgement ${fixed(life.live)}, pruning ${fixed(life.pruning)}; ${fixed(life.rowsRead)} read`,
      ...held(`at most ${mostRows}`, rows <= mostRows),
    },
    {
      group: "cost",
      n: life.tasks,
      name: `object requests for a task, ${how}`,
      figure: fixed(requests),
      against: `${fixed(life.frames)} of them frames, each counted as one; queue messages ${fixed(life.messages)}`,
      ...held(`at most ${mostRequests}`, requests <= mostRequests),
    },
    {
      group: "cost",
      n: life.tasks,
      name: `a million tasks, ${how}`,
      figure: `$${dollars.toFixed(2)}`,
      against: partsOf(life),
      ...held(`under $${mostDollars}`, dollars < mostDollars),
    },
  ];
}

function fixed(count: number): string {
  return count.toFixed(2);
}

/** Of a million tasks. */
function billOf(life: Life): Record<string, number> {
  return {
    "rows written": (life.live + life.pruning) * prices.rowWritten,
    "rows read": life.rowsRead * prices.rowRead,
    requests: (life.frames / framesPerRequest + life.others) * prices.objectRequest + life.looks * prices.workerRequest,
    queue: life.messages * operationsPerMessage * prices.queueOperation,
    duration: life.seconds * gbOfAnObject * prices.gbSecond,
  };
}

function dollarsOf(life: Life): number {
  return Object.values(billOf(life)).reduce((sum, dollars) => sum + dollars, 0);
}

function partsOf(life: Life): string {
  return Object.entries(billOf(life))
    .map(([name, dollars]) => `${name} $${dollars.toFixed(2)}`)
    .join(", ");
}

/** @param isTold whether the worker is notified, or asks */
async function livesOf(perBatch: number, isTold: boolean): Promise<Life> {
  const rig = await freshRig(true);
  await rig.set({ keepTasksMs: hourMs });
  const producer = await rig.client("producer");
  const about = { capacity: perWorker, ...(isTold ? { taskTypes: ["*"] } : {}) };
  const worker = new TaskWorker(await rig.client("idle", about), perBatch);
  const batch = (): Promise<void> => once(producer, worker, perBatch, isTold);
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
  // The question itself was a frame.
  const per = (count: number): number => count / tasks;
  return {
    tasks,
    live: per(live.written + live.alarms),
    pruning: (pruned.written + pruned.alarms) / (tasks + perBatch),
    rowsRead: per(live.read) + pruned.read / (tasks + perBatch),
    frames: per(live.events - 1),
    others: per(live.calls + live.looks + live.rings) + pruned.rings / (tasks + perBatch),
    looks: per(live.looks),
    messages: per(live.tokens),
    seconds: per(seconds),
  };
}

/** A batch is submitted, received, and done. */
async function once(producer: WireClient, worker: TaskWorker, perBatch: number, isTold: boolean): Promise<void> {
  await producer.call("tasks.submit", { tasks: newTasks("cost", perBatch) });
  if (isTold) await worker.told();
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
