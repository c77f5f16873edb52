/** From the submit to an idle worker that has the task, beside a queue message that does nothing and BullMQ's way. All take turns. */
import { ms, sample, timed, type Row } from "../figures.ts";
import type { OwnRedis, Peers } from "../edge/redis.ts";
import type { WireClient } from "../edge/wire-client.ts";
import { Bull } from "./bull.ts";
import { freshRig, newTasks } from "./fresh-rig.ts";
import { scaled } from "../size.ts";
import { TaskWorker } from "./task-worker.ts";

const rounds = scaled(300);
const mostMs = 100;

export async function latency(peers: Peers): Promise<Row[]> {
  const rig = await freshRig();
  // One that only waits for the empty message: it comes to all sockets of a workspace.
  const empty = await freshRig();
  const [producer, idle] = [await rig.client("producer"), await rig.client("idle", { taskTypes: ["*"] })];
  const waiting = await empty.client("waiting");
  const worker = new TaskWorker(idle, 1);
  const [always, everysec] = [await theirs(peers.always), await theirs(peers.everysec)];
  const ours: number[] = [];
  const floor: number[] = [];
  for (let round = 0; round < rounds; round++) {
    ours.push(await received(producer, worker));
    floor.push(await timed(() => waiting.raw("queue")));
    await always.once(round);
    await everysec.once(round);
  }
  for (const client of [producer, idle, waiting]) client.close();
  await Promise.all([rig.close(), empty.close(), always.close(), everysec.close()]);
  return [
    {
      group: "latency",
      n: ours.length,
      name: "submit to received by an idle worker, p50 / p99",
      figure: both(ours),
      against: `an empty queue message there and back: ${both(floor)}; BullMQ, always: ${both(always.times)}; everysec: ${both(everysec.times)}`,
      goal: `p99 under ${mostMs} ms`,
      isReached: sample(ours).p99 < mostMs,
    },
  ];
}

export function both(times: readonly number[]): string {
  const { p50, p99 } = sample(times);
  return `${ms(p50)} / ${ms(p99)}`;
}

async function received(producer: WireClient, worker: TaskWorker): Promise<number> {
  const startedAt = performance.now();
  const submitted = producer.call("tasks.submit", { tasks: newTasks("latency", 1) });
  await worker.told();
  const held = await worker.claim();
  const spent = performance.now() - startedAt;
  if (held.length !== 1) throw new Error(`${held.length} tasks came instead of one`);
  await Promise.all([submitted, worker.ack(held, false)]);
  return spent;
}

interface Timed {
  readonly times: number[];
  readonly once: (n: number) => Promise<void>;
  readonly close: () => Promise<void>;
}

async function theirs(redis: OwnRedis): Promise<Timed> {
  const bull = await Bull.open(redis, "latency");
  const times: number[] = [];
  let startedAt = 0;
  let done = Promise.withResolvers<void>();
  await bull.hire(
    1,
    1,
    () => times.push(performance.now() - startedAt),
    () => done.resolve(),
  );
  bull.run();
  const once = async (n: number): Promise<void> => {
    done = Promise.withResolvers();
    startedAt = performance.now();
    await Promise.all([bull.add(n), done.promise]);
  };
  return { times, once, close: () => bull.close() };
}
