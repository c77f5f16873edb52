import type { OutputOf } from "../../contract/operations.ts";
import type { Result } from "../../shared/result.ts";
import type { Given } from "../edge/calls.ts";
import type { EdgeClient } from "../edge/client.ts";
import type { Outside } from "../edge/outside.ts";
import type { Chat, Trouble, WorkLink, WorkName } from "./work-link.ts";

/** What was pushed, and missed, is found after so long. */
const lookEveryMs = 15_000;

/** Over a client that reconnects and registers by itself. */
export class EdgeWorkLink implements WorkLink {
  readonly lookEveryMs = lookEveryMs;
  readonly #client: EdgeClient;
  readonly #outside: Pick<Outside, "setTimer">;

  constructor(client: EdgeClient, outside: Pick<Outside, "setTimer">) {
    this.#client = client;
    this.#outside = outside;
  }

  register(chat: Chat): Promise<Result<unknown, Trouble>> {
    return this.#client.register(chat);
  }

  call<Name extends WorkName>(
    name: Name,
    given: Given<Name>,
    deadlineMs: number,
  ): Promise<Result<OutputOf<Name>, Trouble>> {
    return this.#client.call(name, given, { deadlineMs });
  }

  onNews(heed: () => void): () => void {
    return this.#client.onTasks(heed);
  }

  onLost(heed: (reason: string) => void): () => void {
    return this.#client.on((event) => {
      if (event.type === "chat-lost") heed(event.error.message);
      if (event.type === "state" && event.state === "closed") heed(event.reason);
    });
  }

  async leave(withinMs: number): Promise<void> {
    const late = Promise.withResolvers<void>();
    const cancel = this.#outside.setTimer(() => late.resolve(), withinMs);
    await Promise.race([this.#client.unregister(), late.promise]);
    // A timer that is left keeps the process from its end.
    cancel();
  }
}
