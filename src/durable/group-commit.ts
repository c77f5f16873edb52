/** A frame waits for others if another connection has sent within this time. */
const recentMs = 20;

interface QueuedFrame {
  readonly work: () => void;
  readonly handled: PromiseWithResolvers<void>;
}

/**
 * Handles concurrent frames in one turn, so that the runtime commits them together (like Redis with
 * `appendfsync always`). Each stays its own transaction; a single active connection never waits.
 */
export class GroupCommit {
  readonly #event: (work: () => void) => void;
  readonly #wait: () => Promise<void>;
  #queued: QueuedFrame[] | null = null;
  #last: WebSocket | null = null;
  #othersAt = Number.NEGATIVE_INFINITY;

  /** @param event runs work as one event of the object */
  constructor(event: (work: () => void) => void, wait: () => Promise<void> = () => scheduler.wait(0)) {
    this.#event = event;
    this.#wait = wait;
  }

  runFrame(socket: WebSocket, now: number, work: () => void): void | Promise<void> {
    if (socket !== this.#last) {
      if (this.#last !== null) this.#othersAt = now;
      this.#last = socket;
    }
    if (!this.#queued && now - this.#othersAt <= recentMs) {
      this.#queued = [];
      void this.#runBatch();
    }
    return this.runAfterQueued(work);
  }

  runAfterQueued(work: () => void): void | Promise<void> {
    if (!this.#queued) return this.#event(work);
    const handled = Promise.withResolvers<void>();
    this.#queued.push({ work, handled });
    return handled.promise;
  }

  async #runBatch(): Promise<void> {
    await this.#wait();
    const all = this.#queued ?? [];
    this.#queued = null;
    this.#event(() => {
      for (const { work, handled } of all) {
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
