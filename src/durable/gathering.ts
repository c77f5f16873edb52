/** While another connection has sent so lately, in ms, a frame may have company. */
const nearMs = 20;

/**
 * Frames of several connections that are there at the same time are handled in one turn of the event loop, so that the runtime commits them
 * together, as a Redis with `appendfsync always` does. Each stays a transaction of its own. A connection that is alone waits for nobody. Decides
 * nothing: it is about when a frame is handled, never how.
 */
export class Gathering {
  readonly #wait: () => Promise<void>;
  #turn: Promise<void> | null = null;
  #last: WebSocket | null = null;
  #othersAt = Number.NEGATIVE_INFINITY;

  /** @param wait until what has arrived by now was delivered */
  constructor(wait: () => Promise<void>) {
    this.#wait = wait;
  }

  /** Work on a frame of this connection, at once or with the next turn. In the order of the calls. */
  join(socket: WebSocket, now: number, work: () => void): void | Promise<void> {
    if (socket !== this.#last) {
      if (this.#last !== null) this.#othersAt = now;
      this.#last = socket;
    }
    if (now - this.#othersAt <= nearMs) this.#turn ??= this.#open();
    return this.after(work);
  }

  /** Behind all that waits for its turn. */
  after(work: () => void): void | Promise<void> {
    return this.#turn ? this.#turn.then(work) : work();
  }

  async #open(): Promise<void> {
    await this.#wait();
    this.#turn = null;
  }
}
