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

/** One run of the work at a time: a call during a run gets that run's outcome. */
export function oneAtATime<T>(work: () => Promise<T>): () => Promise<T> {
  let running: Promise<T> | null = null;
  const run = async (): Promise<T> => {
    try {
      return await work();
    } finally {
      running = null;
    }
  };
  return () => (running ??= run());
}

/**
 * One run of the work at a time, and another one after a run during which there was a call; all of
 * them get the last outcome.
 *
 * @param isOver whether an outcome ends it in spite of such a call
 */
export function oneAfterAnother<T>(
  work: () => Promise<T>,
  isOver: (outcome: T) => boolean = () => false,
): () => Promise<T> {
  let isCalled = false;
  const run = oneAtATime(async () => {
    for (;;) {
      isCalled = false;
      const outcome = await work();
      if (!isCalled || isOver(outcome)) return outcome;
    }
  });
  return () => {
    isCalled = true;
    return run();
  };
}
