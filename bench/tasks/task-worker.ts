/** A chat that works on tasks and does nothing with them. */
import type { WireClient } from "../edge/wire-client.ts";

interface Claim {
  readonly task: number;
  readonly claim: number;
}

export class TaskWorker {
  readonly client: WireClient;
  readonly #limit: number;
  #asked = 0;
  #isTold = false;
  #wake: () => void = () => undefined;

  /** @param limit tasks that it has at a time: at most its capacity */
  constructor(client: WireClient, limit: number) {
    this.client = client;
    this.#limit = limit;
    client.onNotification = (text) => {
      if (!text.includes('"tasks.new"')) return;
      this.#isTold = true;
      this.#wake();
    };
  }

  async claim(limit = this.#limit): Promise<Claim[]> {
    const { self } = this.client;
    const requestId = `q${(this.#asked += 1)}`;
    return (await this.client.call<{ claims: Claim[] }>("tasks.claim", { self, requestId, limit })).claims;
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

  release({ task, claim }: Claim): Promise<unknown> {
    return this.client.call("tasks.release", { self: this.client.self, task, claim });
  }

  /** Until it is told that there is something for it, or woken. */
  async told(): Promise<void> {
    if (!this.#isTold) await new Promise<void>((resolve) => (this.#wake = resolve));
    this.#isTold = false;
  }

  wake(): void {
    this.#isTold = true;
    this.#wake();
  }
}
