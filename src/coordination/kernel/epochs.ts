/**
 * Epochs follow the clock, so that two restores of one old state do not begin the same one. Two for each minute since 2026: a file that is new
 * takes the first, what is raised the second. There are 2^25, so the clock gives them until 2057.
 */
const firstDay = 1_767_225_600_000;
const minuteMs = 60_000;
const epochCount = 2 ** 25;

/** 0 where the clock is set beyond them: then it says nothing. */
export function firstEpoch(now: number): number {
  const epoch = 2 * Math.max(1, Math.floor((now - firstDay) / minuteMs));
  return epoch < epochCount ? epoch : 0;
}

/** The least that one is raised to at this time. */
export function raisedEpoch(now: number): number {
  return firstEpoch(now) + 1;
}
