/** A frame waits for others if another connection has sent within this time. */
const recentMs = 20;

export interface BatchHooks {
  readonly begin: () => void;
  readonly end: () => void;
}

interface QueuedFrame {
  readonly work: () => void;
  readonly handled: PromiseWithResolvers<void>;
}

/**
 * Handles concurrent frames in one turn, so that the runtime commits them together (like Redis with
 * `appendfsync always`). Each stays its own transaction; a single active connection never waits.
 */
export class GroupCommit {
  readonly #hooks: BatchHooks;
  readonly #wait: () => Promise<void>;
  #queued: QueuedFrame[] | null = null;
  #last: WebSocket | null = null;
  #othersAt = Number.NEGATIVE_INFINITY;

  constructor(hooks: BatchHooks, wait: () => Promise<void> = () => scheduler.wait(0)) {
    this.#hooks = hooks;
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
