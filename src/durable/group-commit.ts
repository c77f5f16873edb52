/** While another connection has sent so lately, in ms, a frame may have company. */
const recentMs = 20;

/** Before and after the work of a turn. */
export interface BatchHooks {
  readonly begin: () => void;
  readonly end: () => void;
}

interface QueuedFrame {
  readonly work: () => void;
  readonly handled: PromiseWithResolvers<void>;
}

/**
 * Frames of several connections that are there at the same time are handled in one turn of the event loop, so that the runtime commits them
 * together, as a Redis with `appendfsync always` does. Each stays a transaction of its own. A connection that is alone waits for nobody. Decides
 * nothing: it is about when a frame is handled, never how.
 */
export class GroupCommit {
  readonly #hooks: BatchHooks;
  readonly #wait: () => Promise<void>;
  /** Null: nobody waits. */
  #queued: QueuedFrame[] | null = null;
  #last: WebSocket | null = null;
  #othersAt = Number.NEGATIVE_INFINITY;

  /** @param wait until what has arrived by now was delivered */
  constructor(hooks: BatchHooks, wait: () => Promise<void> = () => scheduler.wait(0)) {
    this.#hooks = hooks;
    this.#wait = wait;
  }

  /** Work on a frame of this connection, at once or with the next turn. In the order of the calls. */
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

  /** Behind all that waits for its turn. @throws what the work throws */
  runAfterQueued(work: () => void): void | Promise<void> {
    if (!this.#queued) return this.#runAlone(work);
    const handled = Promise.withResolvers<void>();
    this.#queued.push({ work, handled });
    return handled.promise;
  }

  #runAlone(work: () => void): void {
    this.#hooks.begin();
    try {
      work();
    } finally {
      // What was written before it threw is settled all the same.
      this.#hooks.end();
    }
  }

  async #runBatch(): Promise<void> {
    await this.#wait();
    const all = this.#queued ?? [];
    this.#queued = null;
    this.#hooks.begin();
    for (const { work, handled } of all) {
      try {
        work();
        handled.resolve();
      } catch (error) {
        handled.reject(error);
      }
    }
    this.#hooks.end();
  }
}
