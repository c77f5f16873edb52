/** From the submit to a worker that has the task, where ever more idle workers are connected. The sizes take turns. */
import type { EdgeRig } from "../edge/edge-rig.ts";
import type { WireClient } from "../edge/wire-client.ts";
import { range, ratio, sample, type Row } from "../figures.ts";
import { both } from "./latency.ts";
import { freshRig, newTasks } from "./fresh-rig.ts";
import { scaled } from "../size.ts";
import { TaskWorker } from "./task-worker.ts";

const sizes = [10, scaled(100, 20), scaled(1_000, 30)];
const rounds = scaled(200);

interface Fleet {
  readonly size: number;
  readonly rig: EdgeRig;
  readonly producer: WireClient;
  readonly workers: readonly TaskWorker[];
  readonly times: number[];
}

export async function connected(): Promise<Row[]> {
  const fleets: Fleet[] = [];
  for (const size of sizes) fleets.push(await fleetOf(size));
  for (let round = 0; round < rounds; round++) for (const fleet of fleets) fleet.times.push(await once(fleet));
  for (const { producer, workers, rig } of fleets) {
    for (const client of [producer, ...workers.map((worker) => worker.client)]) client.close();
    await rig.close();
  }
  const p50 = (fleet: Fleet | undefined): number => sample(fleet?.times ?? []).p50;
  return [
    {
      group: "connected",
      n: rounds,
      name: `submit to received, p50 / p99, ${sizes.join(", ")} idle workers`,
      figure: fleets.map(({ times }) => both(times)).join("; "),
      against: `the most against the fewest: ${ratio(p50(fleets.at(-1)) / p50(fleets[0]))}`,
    },
  ];
}

async function fleetOf(size: number): Promise<Fleet> {
  const rig = await freshRig();
  await rig.set({ chatTtlMs: 600_000, maxConcurrentChats: 2 * size });
  const producer = await rig.client("producer");
  const workers: TaskWorker[] = [];
  // Fifty at a time: a listener has room for so many that wait.
  while (workers.length < size) {
    const some = range(Math.min(50, size - workers.length), (n) =>
      rig.client(`idle-${workers.length + n}`, { taskTypes: ["*"] }),
    );
    workers.push(...(await Promise.all(some)).map((client) => new TaskWorker(client, 1)));
  }
  return { size, rig, producer, workers, times: [] };
}

/** Whoever gets it: the one that is told first. */
async function once({ producer, workers }: Fleet): Promise<number> {
  const startedAt = performance.now();
  const submitted = producer.call("tasks.submit", { tasks: newTasks("connected", 1) });
  const worker = await Promise.race(workers.map(async (one) => (await one.told(), one)));
  const held = await worker.claim();
  const spent = performance.now() - startedAt;
  if (held.length !== 1) throw new Error(`${held.length} tasks came instead of one`);
  await Promise.all([submitted, worker.ack(held, false)]);
  return spent;
}
