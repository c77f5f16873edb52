import { Queue, Worker } from "bullmq";
import { type OwnRedis, freshRig, besideRedis } from "../edge/edge.ts";
import { range, inTurns, sample, scaled, timed } from "../measure.ts";
import { payload, TaskWorker, newTasks, perSubmit, perWorker, workers } from "./worker.ts";

/** A queue of BullMQ, as it comes, on a Redis of the bench's own. What is done stays there, as with us. */
class Bull {
  readonly #queue: Queue;
  readonly #connection: { host: string; port: number; maxRetriesPerRequest: null };
  #workers: Worker[] = [];

  private constructor(redis: OwnRedis, name: string) {
    this.#connection = { host: "127.0.0.1", port: redis.port, maxRetriesPerRequest: null };
    this.#queue = new Queue(name, { connection: this.#connection });
  }

  static async open(redis: OwnRedis, name: string): Promise<Bull> {
    const bull = new Bull(redis, name);
    await bull.#queue.waitUntilReady();
    return bull;
  }

  add(n: number): Promise<unknown> {
    return this.#queue.add("task", payload(n));
  }

  addBulk(count: number): Promise<unknown> {
    return this.#queue.addBulk(range(count, (n) => ({ name: "task", data: payload(n) })));
  }

  /** Connected, and not at work before {@link run}. */
  async hire(count: number, concurrency: number, onTask: () => void, onDone: () => void): Promise<void> {
    const work = (): Promise<void> => Promise.resolve(onTask());
    const make = (): Worker => {
      const worker = new Worker(this.#queue.name, work, { connection: this.#connection, concurrency, autorun: false });
      worker.on("error", () => undefined);
      return worker.on("completed", onDone);
    };
    this.#workers = range(count, make);
    await Promise.all(this.#workers.map((worker) => worker.waitUntilReady()));
  }

  run(): void {
    for (const worker of this.#workers) void worker.run();
  }

  async close(): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.close()));
    await this.#queue.close();
  }
}

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
