import type { Trigger } from "../../contract/checkpoint.ts";
import { attempt } from "../../platform/log-file.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { takeAwaited, takePending } from "../../snapshots/stored-snapshots.ts";
import type { Chat } from "../mcp/chat/chat.ts";

/** Time to save after the client was killed. */
const maxLastSaveMs = 5_000;
/** Below the wait of the hook channel: a running tool may have changed the files. */
const maxTurnMs = 3_500;

export class FileSaver {
  readonly #runtime: Runtime;
  readonly #chat: Pick<Chat, "servedSessions">;
  readonly #abort = new AbortController();
  #running = Promise.resolve();

  constructor(runtime: Runtime, chat: Pick<Chat, "servedSessions">) {
    this.#runtime = runtime;
    this.#chat = chat;
  }

  save(): Promise<void> {
    return this.#queue(() => takePending(this.#runtime, this.#chat.servedSessions(), this.#abort.signal));
  }

  /** Resolves once saved for a tool or a compaction, else at once. */
  saveFor(trigger: Trigger | null): Promise<void> {
    if (trigger === "turn") return this.#saveNow(maxTurnMs);
    if (trigger === "before_tool" || trigger === "compact") return this.#saveNow();
    if (trigger !== null) void this.save();
    return Promise.resolve();
  }

  stop(): void {
    this.#abort.abort();
  }

  saveLast(): Promise<void> {
    const signal = AbortSignal.timeout(maxLastSaveMs);
    return this.#queue(() => takePending(this.#runtime, this.#chat.servedSessions(), signal));
  }

  /** Not behind others in the queue: the client waits, and the files change soon. */
  #saveNow(maxMs?: number): Promise<void> {
    const saved = this.#logged(() => takeAwaited(this.#runtime, maxMs));
    void this.#queue(() => saved);
    return saved;
  }

  #queue(work: () => Promise<void>): Promise<void> {
    this.#running = this.#running.then(() => this.#logged(work));
    return this.#running;
  }

  #logged(work: () => Promise<void>): Promise<void> {
    return attempt(this.#runtime.log, "the files of a checkpoint were not saved", work);
  }
}
