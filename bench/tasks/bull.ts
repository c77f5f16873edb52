/** A queue of BullMQ, as it comes, on a Redis of the bench's own. What is done stays there, as with us. */
import { Queue, Worker } from "bullmq";
import type { OwnRedis } from "../edge/redis.ts";
import { range } from "../measure.ts";
import { payload } from "./worker.ts";

export class Bull {
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
