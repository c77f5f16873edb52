/** Eight workers of ten that do nothing: what waits already, and the whole way from the submit to the end. Round by round in turn. */
import { range, perSecond, ratio, timed, type Row } from "../figures.ts";
import type { EdgeRig } from "../edge/edge-rig.ts";
import type { OwnRedis, Peers } from "../edge/redis.ts";
import type { WireClient } from "../edge/wire-client.ts";
import { Bull } from "./bull.ts";
import { freshRig, submitAll } from "./fresh-rig.ts";
import { median, perSubmit, perWorker, workers } from "./sizes.ts";
import { scaled } from "../size.ts";
import { TaskWorker } from "./task-worker.ts";

const tasks = scaled(10_000, 200);
const rounds = scaled(3);

type Run = (round: number) => Promise<number>;

export async function working(peers: Peers): Promise<Row[]> {
  const [asking, told] = [await Crew.open(), await Crew.open(["work"])];
  const waiting = await rates({
    ours: () => asking.backlog(),
    always: (round) => theirs(peers.always, `waiting${round}`, false),
    everysec: (round) => theirs(peers.everysec, `waiting${round}`, false),
  });
  const whole = await rates({
    ours: () => told.cycle(),
    always: (round) => theirs(peers.always, `whole${round}`, true),
    everysec: (round) => theirs(peers.everysec, `whole${round}`, true),
  });
  await Promise.all([asking.close(), told.close()]);
  const name = `${workers} workers of ${perWorker}, ${tasks.toLocaleString("en")} tasks`;
  const goal = { goal: "at least 1.0 x always", isReached: whole("ours") / whole("always") >= 1 };
  return [
    row(`claim and acknowledge: ${name} that wait`, waiting),
    { ...row(`submit, claim, acknowledge: ${name}`, whole), ...goal },
  ];
}

function row(name: string, rate: (subject: string) => number): Row {
  const of = (peer: string): string => `${perSecond(rate(peer))}: ${ratio(rate("ours") / rate(peer))}`;
  const against = `BullMQ, always: ${of("always")}; everysec: ${of("everysec")}`;
  return { group: "work", n: rounds, name, figure: perSecond(rate("ours")), against };
}

/** Tasks in a second, of the median round. */
async function rates(subjects: Readonly<Record<string, Run>>): Promise<(name: string) => number> {
  const times = new Map<string, number[]>(Object.keys(subjects).map((name) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    for (const [name, run] of Object.entries(subjects)) times.get(name)?.push(await run(round));
  }
  return (name) => (tasks * 1_000) / median(times.get(name) ?? []);
}

/** Our workers, and who submits for them. */
class Crew {
  readonly #rig: EdgeRig;
  readonly #producer: WireClient;
  readonly #workers: readonly TaskWorker[];

  private constructor(rig: EdgeRig, producer: WireClient, hired: readonly TaskWorker[]) {
    this.#rig = rig;
    this.#producer = producer;
    this.#workers = hired;
  }

  /** @param taskTypes without them the workers ask for themselves */
  static async open(taskTypes?: readonly string[]): Promise<Crew> {
    const rig = await freshRig();
    const about = { capacity: perWorker, ...(taskTypes ? { taskTypes } : {}) };
    const clients = await Promise.all(range(workers, (n) => rig.client(`worker-${n}`, about)));
    const hired = clients.map((client) => new TaskWorker(client, perWorker));
    return new Crew(rig, await rig.client("producer"), hired);
  }

  /** Of what waits already. */
  async backlog(): Promise<number> {
    await submitAll(this.#producer, "work", tasks);
    let done = 0;
    const drain = (worker: TaskWorker): Promise<void> => worker.drain((count) => (done += count));
    const spent = await timed(() => Promise.all(this.#workers.map(drain)));
    if (done !== tasks) throw new Error(`${done} of ${tasks} tasks were done`);
    return spent;
  }

  /** The workers are idle at first, and are notified. */
  cycle(): Promise<number> {
    const count = { done: 0 };
    const onDone = (more: number): void => {
      count.done += more;
      if (count.done === tasks) for (const worker of this.#workers) worker.wake();
    };
    const work = async (worker: TaskWorker): Promise<void> => {
      while (count.done < tasks) {
        await worker.told();
        await worker.drain(onDone);
      }
    };
    return timed(() => Promise.all([submitAll(this.#producer, "work", tasks), ...this.#workers.map(work)]));
  }

  async close(): Promise<void> {
    for (const { client } of this.#workers) client.close();
    this.#producer.close();
    await this.#rig.close();
  }
}

async function theirs(redis: OwnRedis, name: string, isWhole: boolean): Promise<number> {
  const bull = await Bull.open(redis, name);
  let done = 0;
  const isOver = Promise.withResolvers<void>();
  await bull.hire(
    workers,
    perWorker,
    () => undefined,
    () => {
      if ((done += 1) === tasks) isOver.resolve();
    },
  );
  const submit = async (): Promise<void> => {
    for (let left = tasks; left > 0; left -= perSubmit) await bull.addBulk(Math.min(perSubmit, left));
  };
  if (isWhole) bull.run();
  else await submit();
  const spent = await timed(async () => {
    if (isWhole) await submit();
    else bull.run();
    await isOver.promise;
  });
  await bull.close();
  return spent;
}
