import { savingMs } from "../../contract/hook-limits.ts";
import type { Trigger } from "../../contract/checkpoint.ts";
import { attempt } from "../../platform/log-file.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { takeAwaited, takePending } from "../../snapshots/stored-snapshots.ts";

/** Time to save after the client was killed. */
const maxLastSaveMs = 5_000;

/** Reads the files of the checkpoints that wait for them, one after the other. */
export class FileSaver {
  readonly #abort = new AbortController();
  #running = Promise.resolve();

  /** @param runtime its variables are git's */
  save(runtime: Runtime): Promise<void> {
    const { signal } = this.#abort;
    const limited = (): AbortSignal =>
      AbortSignal.any([signal, AbortSignal.timeout(runtime.config.snapshots.timeoutMs)]);
    return this.#queue(runtime, () => takePending(runtime, null, limited()));
  }

  /** Resolves once saved for a tool or a compaction, else at once. */
  saveFor(runtime: Runtime, trigger: Trigger | null): Promise<void> {
    if (trigger === "turn") return this.#saveNow(runtime, savingMs.turn);
    if (trigger === "before_tool" || trigger === "compact") return this.#saveNow(runtime);
    if (trigger !== null) void this.save(runtime);
    return Promise.resolve();
  }

  /** A client was killed: not behind others in the queue. */
  saveLast(runtime: Runtime): Promise<void> {
    return logged(runtime, () => takePending(runtime, null, AbortSignal.timeout(maxLastSaveMs)));
  }

  /** Else a snapshot would count as being taken, and its process outlive the host. */
  stop(): Promise<void> {
    this.#abort.abort();
    return this.#running;
  }

  /** Not behind others in the queue: the client waits, and the files change soon. */
  #saveNow(runtime: Runtime, maxMs?: number): Promise<void> {
    const saved = logged(runtime, () => takeAwaited(runtime, maxMs));
    void this.#queue(runtime, () => saved);
    return saved;
  }

  #queue(runtime: Runtime, work: () => Promise<void>): Promise<void> {
    this.#running = this.#running.then(() => logged(runtime, work));
    return this.#running;
  }
}

function logged({ log }: Runtime, work: () => Promise<void>): Promise<void> {
  return attempt(log, "the files of a checkpoint were not saved", work);
}
