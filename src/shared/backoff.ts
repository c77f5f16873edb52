export interface Backoff {
  readonly baseMs: number;
  readonly capMs: number;
}

/**
 * Full jitter, so that clients that failed together spread out (AWS Architecture Blog, "Exponential
 * Backoff And Jitter").
 * @param attempt 0 before the first repeat
 * @param random at least 0, below 1
 * @returns whole ms, from 0 up to the limit of this attempt
 */
export function fullJitter({ baseMs, capMs }: Backoff, attempt: number, random: () => number): number {
  return Math.floor(random() * Math.min(capMs, baseMs * 2 ** Math.min(attempt, 50)));
}
