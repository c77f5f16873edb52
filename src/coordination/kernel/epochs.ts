/**
 * Two epochs per minute since 2026, until 2057: a new file takes the first, a raise the second. Two
 * restores of one state thus never start the same epoch.
 */
const firstDay = 1_767_225_600_000;
const minuteMs = 60_000;
const epochCount = 2 ** 25;

/** 0 where the clock is beyond the last epoch. */
export function firstEpoch(now: number): number {
  const epoch = 2 * Math.max(1, Math.floor((now - firstDay) / minuteMs));
  return epoch < epochCount ? epoch : 0;
}

export function raisedEpoch(now: number): number {
  return firstEpoch(now) + 1;
}
