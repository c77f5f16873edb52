import type { LoadShedder } from "./load-limits.ts";

interface Queued {
  readonly handle: () => void;
  /** Arrival, epoch ms. */
  readonly at: number;
}

interface GroupCommitOptions {
  /** Runs work as one event of the object. */
  readonly event: <T>(work: () => T) => T;
  /** Counts the rows written. */
  readonly storage: { readonly written: number };
  /** Resolves when all that was written is on disk. */
  readonly synced: () => Promise<unknown>;
  readonly load: LoadShedder;
  /** Epoch ms. */
  readonly now: () => number;
}

/**
 * Handles a request at once, and all that arrive until its rows are on disk together, so
 * that the runtime commits those together. Each frame stays its own transaction.
 */
export class GroupCommit {
  readonly #options: GroupCommitOptions;
  #queued: Queued[] = [];
  #isCommitting = false;
  /** Requests of the last event: after several, more will come while an empty commit is awaited. */
  #lastSize = 1;

  constructor(options: GroupCommitOptions) {
    this.#options = options;
  }

  run<T>(work: () => T): T | Promise<T> {
    if (!this.#isCommitting && this.#lastSize === 1) return this.#runEvent(work, 0);
    const handled = Promise.withResolvers<T>();
    const handle = (): void => {
      try {
        handled.resolve(work());
      } catch (error) {
        handled.reject(error);
      }
    };
    this.#queued.push({ handle, at: this.#options.now() });
    if (!this.#isCommitting) void this.#commit();
    return handled.promise;
  }

  #runEvent<T>(work: () => T, waitedMs: number): T {
    const { event, storage, load } = this.#options;
    const before = storage.written;
    load.beginEvent(waitedMs);
    const result = event(work);
    if (storage.written > before) void this.#commit();
    return result;
  }

  async #commit(): Promise<void> {
    this.#isCommitting = true;
    const { synced, now } = this.#options;
    // A failed commit resets the object, so nothing waits for ever.
    await synced().catch(() => undefined);
    this.#isCommitting = false;
    const [oldest] = this.#queued;
    if (!oldest) return;
    const batch = this.#queued;
    this.#queued = [];
    this.#lastSize = batch.length;
    this.#runEvent(() => {
      for (const { handle } of batch) handle();
    }, now() - oldest.at);
  }
}
