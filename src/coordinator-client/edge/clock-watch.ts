import { jumpedMs, readClock, type Clock, type Instant } from "./trust.ts";

/** Notices that the machine slept, or that a clock was set, by looking at both clocks now and then. [EC7] */
export class ClockWatch {
  readonly #clock: Clock;
  #lastReading: Instant;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#lastReading = readClock(clock);
  }

  /** By how much the clocks have parted since the last look, in ms; 0: no more than drift. */
  jumpedMs(): number {
    const now = readClock(this.#clock);
    const byMs = jumpedMs(this.#lastReading, now);
    this.#lastReading = now;
    return byMs;
  }
}
