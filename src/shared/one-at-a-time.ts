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
