export interface Backoff {
  /** Most of the first wait, in ms; doubles with each attempt. */
  readonly baseMs: number;
  /** Most of any wait, in ms. */
  readonly capMs: number;
}

/**
 * How long to wait before the next attempt: exponential with full jitter, so that many who failed together do not come back together
 * (AWS Architecture Blog, "Exponential Backoff And Jitter").
 *
 * @param attempt 0 before the first repeat
 * @param random at least 0, below 1
 * @returns whole ms, from 0 up to the limit of this attempt
 */
export function fullJitter({ baseMs, capMs }: Backoff, attempt: number, random: () => number): number {
  return Math.floor(random() * Math.min(capMs, baseMs * 2 ** Math.min(attempt, 50)));
}
