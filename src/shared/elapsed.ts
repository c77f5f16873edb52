/** Counts a negative time, after a wall clock was set back, as passed. */
export function isWithin(sinceMs: number, everyMs: number): boolean {
  return sinceMs >= 0 && sinceMs < everyMs;
}
