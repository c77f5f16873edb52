/** Whether less than `everyMs` has passed. A clock that was set back makes the time negative: then it is due, too. */
export function isWithin(sinceMs: number, everyMs: number): boolean {
  return sinceMs >= 0 && sinceMs < everyMs;
}
