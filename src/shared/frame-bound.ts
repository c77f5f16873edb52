/** The most that an end takes from a peer which may send without limit. */
export interface FrameLimits {
  /** Sustained; three seconds' worth may come at once. */
  readonly framesPerSecond: number;
  /** So many characters count as one more frame. */
  readonly charsPerFrame: number;
}

/** Counts frames by time and size. Pure but for its own count. */
export class FrameBound {
  readonly #limits: FrameLimits;
  /** Frames that may come now; Infinity: none has come. */
  #left = Number.POSITIVE_INFINITY;
  /** Frames that may come besides, since they were asked for. */
  #asked = 0;
  #at = 0;

  constructor(limits: FrameLimits) {
    this.#limits = limits;
  }

  /**
   * @param frames as many as its work is worth
   * @param now ms of any clock
   * @returns false: it is beyond the limit, and its connection is to be closed
   */
  take(chars: number, now: number, frames = 1): boolean {
    const { framesPerSecond, charsPerFrame } = this.#limits;
    const passed = (Math.max(0, now - this.#at) * framesPerSecond) / 1_000;
    const left = Math.min(3 * framesPerSecond, this.#left + passed) - frames - chars / charsPerFrame;
    const used = Math.min(this.#asked, Math.max(0, -left));
    this.#asked -= used;
    this.#left = left + used;
    this.#at = now;
    return this.#left >= 0;
  }

  /** Something of up to so many characters was asked for. */
  ask(chars: number): void {
    this.#asked += chars / this.#limits.charsPerFrame;
  }

  /** @param chars of all that is still to come of what was asked for */
  keepAsked(chars: number): void {
    this.#asked = Math.min(this.#asked, chars / this.#limits.charsPerFrame);
  }
}
