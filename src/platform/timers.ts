/** @returns cancels the timer, which keeps the process running until then */
export function setTimer(work: () => void, ms: number): () => void {
  const timer = setTimeout(work, ms);
  return () => clearTimeout(timer);
}

/** The same; the process may end before. */
export function setIdleTimer(work: () => void, ms: number): () => void {
  const timer = setTimeout(work, ms).unref();
  return () => clearTimeout(timer);
}

/** Time since the start of this process, in ms. To load `performance` takes a hook 2 ms. */
export function sinceStartMs(): number {
  return process.uptime() * 1_000;
}
