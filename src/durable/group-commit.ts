interface QueuedFrame {
  readonly work: () => void;
  readonly handled: PromiseWithResolvers<void>;
}

/**
 * [DO20] Handles a frame at once, and all frames that arrive until its rows are on disk together,
 * so that the runtime commits those together. Each frame stays its own transaction.
 */
export class GroupCommit {
  readonly #event: (work: () => void) => boolean;
  readonly #synced: () => Promise<unknown>;
  #queued: QueuedFrame[] = [];
  #isCommitting = false;

  /**
   * @param event runs work as one event of the object; returns whether it has written
   * @param synced resolves when all that was written is on disk
   */
  constructor(event: (work: () => void) => boolean, synced: () => Promise<unknown>) {
    this.#event = event;
    this.#synced = synced;
  }

  run(work: () => void): void | Promise<void> {
    if (!this.#isCommitting) return this.#runEvent(work);
    const handled = Promise.withResolvers<void>();
    this.#queued.push({ work, handled });
    return handled.promise;
  }

  #runEvent(work: () => void): void {
    if (this.#event(work)) void this.#commit();
  }

  async #commit(): Promise<void> {
    this.#isCommitting = true;
    // A failed commit resets the object, so nothing waits for ever.
    await this.#synced().catch(() => undefined);
    this.#isCommitting = false;
    const batch = this.#queued;
    if (batch.length === 0) return;
    this.#queued = [];
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
