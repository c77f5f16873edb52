import { jumpedMs, readClock, type Clock, type Instant } from "./trust.ts";

/** [EC7] Compares both clocks to notice sleep or a clock that was set. */
export class ClockWatch {
  readonly #clock: Clock;
  #lastReading: Instant;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#lastReading = readClock(clock);
  }

  jumpedMs(): number {
    const now = readClock(this.#clock);
    const byMs = jumpedMs(this.#lastReading, now);
    this.#lastReading = now;
    return byMs;
  }
}
