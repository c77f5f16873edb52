/**
 * Repeats work until its outcome is final.
 *
 * @param pauseAfter time before the next attempt in ms; null: the outcome is final
 * @param attempt counts from 0
 */
export async function repeat<T>(
  work: (attempt: number) => Promise<T>,
  pauseAfter: (outcome: T, attempt: number) => number | null,
  wait: (ms: number) => Promise<void>,
): Promise<T> {
  for (let attempt = 0; ; attempt += 1) {
    const outcome = await work(attempt);
    const pauseMs = pauseAfter(outcome, attempt);
    if (pauseMs === null) return outcome;
    await wait(pauseMs);
  }
}
