import type { Message } from "../../../src/contract/messages.ts";
import type { Client } from "./client.ts";

/** Reads and acknowledges what is sent to its chat. */
export class Inbox {
  readonly #client: Client;

  constructor(client: Client) {
    this.#client = client;
  }

  pull(limit: number, isUrgent: boolean): void {
    const { self } = this.#client;
    this.#client.call(
      "messages.pull",
      { self, limit, ...(isUrgent ? { minPriority: "high" as const } : {}) },
      (reply) => {
        if (!reply?.ok) return;
        const { messages, isMore } = reply.value;
        if (messages.length > 0) this.#ack(messages, isMore || isUrgent);
      },
      { tries: 2 },
    );
  }

  /** All up to the newest by cursor, when all are known; else each by its id, or only some. */
  #ack(messages: readonly Message[], isPart: boolean): void {
    const { rng } = this.#client.around.sim;
    const { self } = this.#client;
    const ids = messages.map(({ id }) => id);
    const isByCursor = !isPart && rng.chance(0.4);
    const input = isByCursor
      ? { self, cursor: Math.max(...ids), ids: [] }
      : { self, ids: rng.chance(0.3) ? ids.filter(() => rng.chance(0.5)) : ids };
    this.#client.call("messages.ack", input, () => undefined, { tries: 2 });
  }
}
