/** What a claim costs while 100, 10,000 and 100,000 tasks wait, of five priorities and ten sets of capabilities. The sizes take turns. */
import { range, ms, ratio, sample, type Row } from "../figures.ts";
import type { EdgeRig } from "../edge/edge-rig.ts";
import { freshRig } from "./fresh-rig.ts";
import { payload, perSubmit } from "./sizes.ts";
import { scaled } from "../size.ts";
import { TaskWorker } from "./task-worker.ts";

const sizes = [100, scaled(10_000, 500), scaled(100_000, 1_000)] as const;
const rounds = scaled(300);
const mostGrowth = 1.3;

const labels = ["git", "browser", "gpu", "docs"];
/** Ten of the sixteen sets of these. */
const sets = range(10, (n) => labels.filter((_, at) => (n & (1 << at)) !== 0));

interface Place {
  readonly size: number;
  readonly rig: EdgeRig;
  readonly worker: TaskWorker;
  readonly times: Record<string, number[]>;
}

export async function backlog(): Promise<Row[]> {
  const places: Place[] = [];
  for (const size of sizes) places.push(await filled(size));
  for (let round = 0; round < rounds; round++) {
    for (const place of places) for (const limit of [1, 10]) await once(place, limit);
  }
  for (const { rig, worker } of places) {
    worker.client.close();
    await rig.close();
  }
  return [rowOf(places, 1), rowOf(places, 10)];
}

async function filled(size: number): Promise<Place> {
  const rig = await freshRig();
  const producer = await rig.client("producer");
  for (let there = 0; there < size; there += perSubmit) {
    const tasks = range(Math.min(perSubmit, size - there), (n) => taskOf(there + n));
    await producer.call("tasks.submit", { tasks });
  }
  producer.close();
  const client = await rig.client("worker", { capabilities: labels, capacity: 10 });
  return { size, rig, worker: new TaskWorker(client, 10), times: {} };
}

/** Every priority with every set. */
function taskOf(n: number): object {
  return { type: "task", payload: payload(n), priority: n % 5, capabilities: sets[Math.floor(n / 5) % sets.length] };
}

/** What was taken is given back, so that as many wait as before. */
async function once({ worker, times }: Place, limit: number): Promise<void> {
  const startedAt = performance.now();
  const held = await worker.claim(limit);
  (times[limit] ??= []).push(performance.now() - startedAt);
  if (held.length !== limit) throw new Error(`${held.length} tasks came instead of ${limit}`);
  for (const one of held) await worker.release(one);
}

function rowOf(places: readonly Place[], limit: number): Row {
  const p50 = ({ times }: Place): number => sample(times[limit] ?? []).p50;
  const [first, last] = [places[0], places.at(-1)];
  const growth = first && last ? p50(last) / p50(first) : NaN;
  const costs = places.map((place) => `${place.size.toLocaleString("en")}: ${ms(p50(place))}`);
  return {
    group: "backlog",
    n: last?.times[limit]?.length ?? 0,
    name: `claim of ${limit}, p50, the largest backlog against the smallest`,
    figure: ratio(growth),
    against: costs.join(", "),
    goal: `at most ${mostGrowth} x`,
    isReached: growth <= mostGrowth,
  };
}
