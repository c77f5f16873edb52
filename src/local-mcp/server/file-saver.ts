import type { Trigger } from "../checkpoints/checkpoints.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { takeAwaited, takePending } from "../../snapshots/pending-snapshots.ts";
import type { Chat } from "./chat.ts";
import { stackOf } from "../../shared/error.ts";

/** How long a process whose client was killed may take to save the files, in ms. */
const maxLastSaveMs = 5_000;

/** Saves the files of the checkpoints that wait for it, one after the other, while the process goes on. */
export class FileSaver {
  readonly #runtime: Runtime;
  readonly #chat: Chat;
  readonly #abort = new AbortController();
  #running = Promise.resolve();

  constructor(runtime: Runtime, chat: Chat) {
    this.#runtime = runtime;
    this.#chat = chat;
  }

  /** Resolves when all that waits now is saved. */
  save(): Promise<void> {
    return this.#queue(() => takePending(this.#runtime, this.#chat.servedSessions(), this.#abort.signal));
  }

  /** After a hook event. [GS21] [CP33] Resolves for a risky tool and a compaction when the files are saved, else at once. */
  saveFor(trigger: Trigger | null): Promise<void> {
    if (trigger === "before_tool" || trigger === "compact") return this.#queue(() => takeAwaited(this.#runtime));
    if (trigger !== null) void this.save();
    return Promise.resolve();
  }

  stop(): void {
    this.#abort.abort();
  }

  /** [MC9] A client that was killed leaves this process behind for a moment: time to save the files as they are. */
  saveLast(): Promise<void> {
    const signal = AbortSignal.timeout(maxLastSaveMs);
    return this.#queue(() => takePending(this.#runtime, this.#chat.servedSessions(), signal));
  }

  #queue(work: () => Promise<void>): Promise<void> {
    this.#running = this.#running.then(work).catch((error: unknown) => {
      this.#runtime.log("error", "the files of a checkpoint were not saved", { error: stackOf(error) });
    });
    return this.#running;
  }
}
