/**
 * Whether less than `everyMs` has passed. The one way to ask it of a wall clock: where that was set back the time is negative, and it counts as
 * passed, so that nothing waits until the clock has caught up.
 */
export function isWithin(sinceMs: number, everyMs: number): boolean {
  return sinceMs >= 0 && sinceMs < everyMs;
}
