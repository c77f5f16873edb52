import { jumpedMs, read, type Clock, type Instant } from "./trust.ts";

/** Notices that the machine slept, or that a clock was set, by looking at both clocks now and then. [EC7] */
export class ClockWatch {
  readonly #clock: Clock;
  #seen: Instant;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#seen = read(clock);
  }

  /** By how much the clocks have parted since the last look, in ms; 0: no more than drift. */
  jumpedMs(): number {
    const now = read(this.#clock);
    const byMs = jumpedMs(this.#seen, now);
    this.#seen = now;
    return byMs;
  }
}
