/** Pure. In 1973: a smaller number of milliseconds is none. */
const firstTime = 100_000_000_000;

/** A clock may be so much ahead of the one of the machine that reads. */
export const maxAheadMs = 300_000;

/** False for the ordinal of an event whose source gives no times, and for seconds. */
export function isKnownTime(at: number): boolean {
  return at >= firstTime;
}

/** A time as tools write it: in milliseconds, or in seconds. */
export function toMilliseconds(time: number): number {
  return isKnownTime(time) ? time : time * 1_000;
}

/** Latest time of a date, in epoch ms. */
const lastTime = 8_640_000_000_000_000;

/** Returns null for what no clock shows. @param at NaN: nothing was written as a time */
export function asTime(at: number | null): number | null {
  return at !== null && at >= 0 && at <= lastTime ? Math.round(at) : null;
}

/** False also for a time to come. @param at epoch ms, or the ordinal of an event without a time */
export function isPast(now: number, at: number): boolean {
  return isKnownTime(at) && at <= now + maxAheadMs;
}

/** Counts a negative time, after a wall clock was set back, as passed. */
export function isWithin(sinceMs: number, everyMs: number): boolean {
  return sinceMs >= 0 && sinceMs < everyMs;
}
