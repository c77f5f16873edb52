import { fullJitter } from "../shared/backoff.ts";

/** After the first failure it goes on at once: that may be the task's own fault. */
const pauseBackoff = { baseMs: 2_000, capMs: 60_000 };
const suspiciousFailures = 2;

/** Failures one after the other, whatever their tasks: perhaps the worker is what is wrong. [WK9] */
export class FailureStreak {
  readonly #random: () => number;
  #failures = 0;

  constructor(random: () => number) {
    this.#random = random;
  }

  get failures(): number {
    return this.#failures;
  }

  /** Whether one more would make it wait. */
  get wouldPause(): boolean {
    return this.#failures + 1 >= suspiciousFailures;
  }

  recordSuccess(): void {
    this.#failures = 0;
  }

  /** @returns how long to take nothing new, in ms */
  recordFailure(): number {
    this.#failures += 1;
    return this.#failures < suspiciousFailures
      ? 0
      : fullJitter(pauseBackoff, this.#failures - suspiciousFailures, this.#random);
  }
}
