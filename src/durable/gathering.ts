/** While another connection has sent so lately, in ms, a frame may have company. */
const nearMs = 20;

/** Before and after the work of a turn. */
export interface Turn {
  readonly begin: () => void;
  readonly end: () => void;
}

interface Waiting {
  readonly work: () => void;
  readonly handled: PromiseWithResolvers<void>;
}

/**
 * Frames of several connections that are there at the same time are handled in one turn of the event loop, so that the runtime commits them
 * together, as a Redis with `appendfsync always` does. Each stays a transaction of its own. A connection that is alone waits for nobody. Decides
 * nothing: it is about when a frame is handled, never how.
 */
export class Gathering {
  readonly #turn: Turn;
  readonly #wait: () => Promise<void>;
  /** Null: nobody waits. */
  #waiting: Waiting[] | null = null;
  #last: WebSocket | null = null;
  #othersAt = Number.NEGATIVE_INFINITY;

  /** @param wait until what has arrived by now was delivered */
  constructor(turn: Turn, wait: () => Promise<void> = () => scheduler.wait(0)) {
    this.#turn = turn;
    this.#wait = wait;
  }

  /** Work on a frame of this connection, at once or with the next turn. In the order of the calls. */
  join(socket: WebSocket, now: number, work: () => void): void | Promise<void> {
    if (socket !== this.#last) {
      if (this.#last !== null) this.#othersAt = now;
      this.#last = socket;
    }
    if (!this.#waiting && now - this.#othersAt <= nearMs) {
      this.#waiting = [];
      void this.#open();
    }
    return this.after(work);
  }

  /** Behind all that waits for its turn. @throws what the work throws */
  after(work: () => void): void | Promise<void> {
    if (!this.#waiting) return this.#alone(work);
    const handled = Promise.withResolvers<void>();
    this.#waiting.push({ work, handled });
    return handled.promise;
  }

  #alone(work: () => void): void {
    this.#turn.begin();
    try {
      work();
    } finally {
      // What was written before it threw is settled all the same.
      this.#turn.end();
    }
  }

  async #open(): Promise<void> {
    await this.#wait();
    const all = this.#waiting ?? [];
    this.#waiting = null;
    this.#turn.begin();
    for (const { work, handled } of all) {
      try {
        work();
        handled.resolve();
      } catch (error) {
        handled.reject(error);
      }
    }
    this.#turn.end();
  }
}
