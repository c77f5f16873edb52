import { fullJitter } from "../shared/backoff.ts";

/** The first failure may be the task's own fault: no pause. */
const pauseBackoff = { baseMs: 2_000, capMs: 60_000 };
const suspiciousFailures = 2;

/** [WK9] Consecutive failures of any tasks: the worker itself may be at fault. */
export class FailureStreak {
  readonly #random: () => number;
  #failures = 0;

  constructor(random: () => number) {
    this.#random = random;
  }

  get failures(): number {
    return this.#failures;
  }

  get wouldPause(): boolean {
    return this.#failures + 1 >= suspiciousFailures;
  }

  recordSuccess(): void {
    this.#failures = 0;
  }

  /** @returns pause in ms */
  recordFailure(): number {
    this.#failures += 1;
    return this.#failures < suspiciousFailures
      ? 0
      : fullJitter(pauseBackoff, this.#failures - suspiciousFailures, this.#random);
  }
}
