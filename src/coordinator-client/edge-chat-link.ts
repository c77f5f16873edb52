import type { OutputOf } from "../contract/operations.ts";
import type { Change } from "../contract/state.ts";
import type { Self } from "../contract/values.ts";
import type { Result } from "../shared/result.ts";
import type { CallInput } from "./edge/calls.ts";
import type { CallName, EdgeClient } from "./edge/client.ts";
import { within, type Platform } from "./edge/platform.ts";
import type { ChatInput, ChatLink, HintKind, CallError } from "./chat-link.ts";

const pollEveryMs = 15_000;

export class EdgeChatLink implements ChatLink {
  readonly pollEveryMs = pollEveryMs;
  readonly #client: EdgeClient;
  readonly #platform: Pick<Platform, "setTimer">;

  constructor(client: EdgeClient, platform: Pick<Platform, "setTimer">) {
    this.#client = client;
    this.#platform = platform;
  }

  get self(): Self | null {
    return this.#client.self;
  }

  register(chat: ChatInput): Promise<Result<OutputOf<"chats.register">, CallError>> {
    return this.#client.register(chat);
  }

  call<Name extends CallName>(
    name: Name,
    input: CallInput<Name>,
    deadlineMs: number,
  ): Promise<Result<OutputOf<Name>, CallError>> {
    return this.#client.call(name, input, { deadlineMs });
  }

  onHint(listener: (hint: HintKind) => void): () => void {
    return this.#client.onHint(listener);
  }

  onLost(listener: (reason: string) => void): () => void {
    return this.#client.on((event) => {
      if (event.type === "chat-lost") listener(event.error.message);
      if (event.type === "state" && event.state === "closed") listener(event.reason);
    });
  }

  watch(prefix: string, listener: (changes: readonly Change[] | null) => void): () => void {
    const watch = this.#client.watch({ prefix });
    const follow = async (): Promise<void> => {
      // A snapshot lacks the coordinator's own keys: it only signals that changes were missed.
      for await (const event of watch)
        if (event.type !== "failed") listener(event.type === "changes" ? event.changes : null);
    };
    void follow();
    return () => watch.close();
  }

  async leave(timeoutMs: number): Promise<void> {
    await within(this.#platform, timeoutMs, this.#client.unregister());
  }
}
