import { freshRig } from "../edge/edge-rig.ts";
import { besideRedis, type OwnRedis } from "../edge/redis.ts";
import { inTurns, range, sample, scaled, timed } from "../measure.ts";
import { Bull } from "./bull.ts";
import { TaskWorker, newTasks, perSubmit, perWorker, workers } from "./worker.ts";

const cycleTasks = scaled(10_000, 200);
const cycleRounds = scaled(3);

/** Tasks beside BullMQ on a Redis as durable as the coordinator; all in turn. Rates in tasks a second, latency in ms. */
export function tasks() {
  return besideRedis(async (redis) => ({ ...(await bulk(redis)), ...(await cycle(redis)), ...(await latency(redis)) }));
}

async function bulk(redis: OwnRedis) {
  const rig = await freshRig();
  const client = await rig.client("submitter");
  const bull = await Bull.open(redis, "bulk");
  const times = await inTurns(scaled(40), {
    ours: () => client.call("tasks.submit", { tasks: newTasks("bulk", perSubmit) }),
    bull: () => bull.addBulk(perSubmit),
  });
  client.close();
  await Promise.all([bull.close(), rig.close()]);
  return { bulk: bulkRate(times.ours), bulkBull: bulkRate(times.bull) };
}

function bulkRate(times: readonly number[]): number {
  return (times.length * perSubmit * 1_000) / times.reduce((sum, time) => sum + time, 0);
}

/** From the first submit to the last acknowledgement; eight idle workers of ten are notified. */
async function cycle(redis: OwnRedis) {
  const rig = await freshRig();
  const producer = await rig.client("producer");
  const about = { capacity: perWorker, taskTypes: ["work"] };
  const crew = await Promise.all(
    range(workers, async (n) => new TaskWorker(await rig.client(`worker-${n}`, about), perWorker)),
  );
  const submit = async (): Promise<void> => {
    for (let left = cycleTasks; left > 0; left -= perSubmit)
      await producer.call("tasks.submit", { tasks: newTasks("work", Math.min(perSubmit, left)) });
  };
  const ours = async (): Promise<void> => {
    const count = { done: 0 };
    const onDone = (more: number): void => {
      if ((count.done += more) === cycleTasks) for (const worker of crew) worker.wake();
    };
    const work = async (worker: TaskWorker): Promise<void> => {
      while (count.done < cycleTasks) {
        await worker.notified();
        await worker.drain(onDone);
      }
    };
    await Promise.all([submit(), ...crew.map(work)]);
  };
  const times: { ours: number[]; bull: number[] } = { ours: [], bull: [] };
  for (let round = 0; round < cycleRounds; round++) {
    times.ours.push(await timed(ours));
    times.bull.push(await cycleOfBull(redis, `cycle${round}`));
  }
  for (const { client } of crew) client.close();
  producer.close();
  await rig.close();
  return { cycle: cycleRate(times.ours), cycleBull: cycleRate(times.bull) };
}

function cycleRate(times: readonly number[]): number {
  return (cycleTasks * 1_000) / sample(times).p50;
}

async function cycleOfBull(redis: OwnRedis, name: string): Promise<number> {
  const bull = await Bull.open(redis, name);
  const isOver = Promise.withResolvers<void>();
  let done = 0;
  const onDone = (): void => {
    if ((done += 1) === cycleTasks) isOver.resolve();
  };
  await bull.hire(workers, perWorker, () => undefined, onDone);
  bull.run();
  const spent = await timed(async () => {
    for (let left = cycleTasks; left > 0; left -= perSubmit) await bull.addBulk(Math.min(perSubmit, left));
    await isOver.promise;
  });
  await bull.close();
  return spent;
}

/** From before the submit until an idle worker has the task. */
async function latency(redis: OwnRedis) {
  const rig = await freshRig();
  const producer = await rig.client("producer");
  const worker = new TaskWorker(await rig.client("idle", { taskTypes: ["*"] }), 1);
  const bull = await Bull.open(redis, "latency");
  const times: { ours: number[]; bull: number[] } = { ours: [], bull: [] };
  let startedAt = 0;
  let done = Promise.withResolvers<void>();
  const onTask = (): void => void times.bull.push(performance.now() - startedAt);
  await bull.hire(1, 1, onTask, () => done.resolve());
  bull.run();
  for (let round = 0; round < scaled(300); round++) {
    startedAt = performance.now();
    const submitted = producer.call("tasks.submit", { tasks: newTasks("latency", 1) });
    await worker.notified();
    const held = await worker.claim();
    times.ours.push(performance.now() - startedAt);
    await Promise.all([submitted, worker.ack(held, false)]);
    done = Promise.withResolvers();
    startedAt = performance.now();
    await Promise.all([bull.add(round), done.promise]);
  }
  for (const client of [producer, worker.client]) client.close();
  await Promise.all([rig.close(), bull.close()]);
  const [ours, theirs] = [sample(times.ours), sample(times.bull)];
  return { latency50: ours.p50, latency99: ours.p99, bull50: theirs.p50, bull99: theirs.p99 };
}
