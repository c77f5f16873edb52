/** A chat that works on tasks and does nothing with them. */
import type { WireClient } from "../edge/wire-client.ts";
import { range } from "../measure.ts";

/** Tasks of one frame, and of one `addBulk`. */
export const perSubmit = 500;
export const workers = 8;
/** Tasks that a worker has at a time. */
export const perWorker = 10;

/** The same for both sides. */
export function payload(n: number): { n: number; text: string } {
  return { n, text: "Look through the module and write down what it does, with the files that it touches." };
}

export function newTasks(type: string, count: number): object[] {
  return range(count, (n) => ({ type, payload: payload(n) }));
}

interface Claim {
  readonly task: number;
  readonly claim: number;
}

export class TaskWorker {
  readonly client: WireClient;
  readonly #limit: number;
  #asked = 0;
  #isNotified = false;
  #wake: () => void = () => undefined;

  /** @param limit tasks that it has at a time: at most its capacity */
  constructor(client: WireClient, limit: number) {
    this.client = client;
    this.#limit = limit;
    client.onNotification = (text) => {
      if (!text.includes('"tasks.new"')) return;
      this.#isNotified = true;
      this.#wake();
    };
  }

  async claim(): Promise<Claim[]> {
    const { self } = this.client;
    const requestId = `q${(this.#asked += 1)}`;
    return (await this.client.call<{ claims: Claim[] }>("tasks.claim", { self, requestId, limit: this.#limit })).claims;
  }

  /** All in one frame. @returns the next ones, which the last acknowledgement asks for */
  async ack(held: readonly Claim[], isMore: boolean): Promise<Claim[]> {
    const { self } = this.client;
    const next = isMore ? { next: { limit: this.#limit } } : {};
    const calls = held.map(({ task, claim }, at) => ({
      method: "tasks.ack",
      params: { self, task, claim, ...(at === held.length - 1 ? next : {}) },
    }));
    const answers = (await this.client.batch(calls)) as { next: Claim[] }[];
    return answers.at(-1)?.next ?? [];
  }

  /** Until there is nothing more. */
  async drain(onDone: (count: number) => void): Promise<void> {
    let held = await this.claim();
    while (held.length > 0) {
      const done = held.length;
      held = await this.ack(held, true);
      onDone(done);
    }
  }

  /** Resolves when it is notified that there is something for it, or woken. */
  async notified(): Promise<void> {
    if (!this.#isNotified) await new Promise<void>((resolve) => (this.#wake = resolve));
    this.#isNotified = false;
  }

  wake(): void {
    this.#isNotified = true;
    this.#wake();
  }
}
