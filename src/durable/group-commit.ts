interface QueuedFrame {
  readonly work: () => void;
  readonly handled: PromiseWithResolvers<void>;
}

/**
 * [DO20] Handles a frame at once, and all frames that arrive until its rows are on disk together,
 * so that the runtime commits those together. Each frame stays its own transaction.
 */
export class GroupCommit {
  readonly #event: (work: () => void) => void;
  readonly #storage: { readonly written: number };
  readonly #synced: () => Promise<unknown>;
  #queued: QueuedFrame[] = [];
  #isCommitting = false;
  /** Frames of the last event: after several, more will come while an empty commit is awaited. */
  #lastSize = 1;

  /**
   * @param event runs work as one event of the object
   * @param storage counts the rows written
   * @param synced resolves when all that was written is on disk
   */
  constructor(
    event: (work: () => void) => void,
    storage: { readonly written: number },
    synced: () => Promise<unknown>,
  ) {
    this.#event = event;
    this.#storage = storage;
    this.#synced = synced;
  }

  run(work: () => void): void | Promise<void> {
    if (!this.#isCommitting && this.#lastSize === 1) return this.#runEvent(work);
    const handled = Promise.withResolvers<void>();
    this.#queued.push({ work, handled });
    if (!this.#isCommitting) void this.#commit();
    return handled.promise;
  }

  #runEvent(work: () => void): void {
    const before = this.#storage.written;
    this.#event(work);
    if (this.#storage.written > before) void this.#commit();
  }

  async #commit(): Promise<void> {
    this.#isCommitting = true;
    // A failed commit resets the object, so nothing waits for ever.
    await this.#synced().catch(() => undefined);
    this.#isCommitting = false;
    const batch = this.#queued;
    if (batch.length === 0) return;
    this.#queued = [];
    this.#lastSize = batch.length;
    this.#runEvent(() => {
      for (const { work, handled } of batch) {
        try {
          work();
          handled.resolve();
        } catch (error) {
          handled.reject(error);
        }
      }
    });
  }
}
