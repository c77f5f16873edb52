import type { OutputOf } from "../../contract/operations.ts";
import type { Change } from "../../contract/state.ts";
import type { Self } from "../../contract/values.ts";
import type { Result } from "../../shared/result.ts";
import type { Given } from "../edge/calls.ts";
import type { CallName, EdgeClient } from "../edge/client.ts";
import type { Outside } from "../edge/outside.ts";
import type { Chat, ChatLink, News, Trouble } from "./chat-link.ts";

/** What was pushed, and missed, is found after so long. */
const pollEveryMs = 15_000;

/** Over a client that reconnects and registers by itself. */
export class EdgeChatLink implements ChatLink {
  readonly pollEveryMs = pollEveryMs;
  readonly #client: EdgeClient;
  readonly #outside: Pick<Outside, "setTimer">;

  constructor(client: EdgeClient, outside: Pick<Outside, "setTimer">) {
    this.#client = client;
    this.#outside = outside;
  }

  get self(): Self | null {
    return this.#client.self;
  }

  register(chat: Chat): Promise<Result<OutputOf<"chats.register">, Trouble>> {
    return this.#client.register(chat);
  }

  call<Name extends CallName>(
    name: Name,
    given: Given<Name>,
    deadlineMs: number,
  ): Promise<Result<OutputOf<Name>, Trouble>> {
    return this.#client.call(name, given, { deadlineMs });
  }

  onNews(heed: (news: News) => void): () => void {
    return this.#client.onNews(heed);
  }

  onLost(heed: (reason: string) => void): () => void {
    return this.#client.on((event) => {
      if (event.type === "chat-lost") heed(event.error.message);
      if (event.type === "state" && event.state === "closed") heed(event.reason);
    });
  }

  watch(prefix: string, heed: (changes: readonly Change[] | null) => void): () => void {
    const watch = this.#client.watch({ prefix });
    const follow = async (): Promise<void> => {
      // Keys of the coordinator's own are in no snapshot: it only says that changes were missed.
      for await (const event of watch)
        if (event.type !== "failed") heed(event.type === "changes" ? event.changes : null);
    };
    void follow();
    return () => watch.close();
  }

  async leave(withinMs: number): Promise<void> {
    const late = Promise.withResolvers<void>();
    const cancel = this.#outside.setTimer(() => late.resolve(), withinMs);
    await Promise.race([this.#client.unregister(), late.promise]);
    // A timer that is left keeps the process from its end.
    cancel();
  }
}
