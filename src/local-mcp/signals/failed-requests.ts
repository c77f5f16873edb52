import type { Reading, Source } from "../../contract/readings.ts";

/** Pure. */

/** A request's answer, or tries of it that failed. */
export interface RequestOutcome {
  readonly at: number;
  /** 0: it was answered. */
  readonly failedTries: number;
}

const maxGapMs = 600_000;

/**
 * [OB24] Counts failed tries since the last answer; ten minutes without one end a streak. The tries
 * that another source has counted are among those of this one.
 */
export function streakAfter(
  before: Reading | undefined,
  outcomes: readonly RequestOutcome[],
  source: Source,
  now: number,
): Reading | undefined {
  let streak = before;
  for (const { at: reportedAt, failedTries } of outcomes.toSorted((a, b) => a.at - b.at)) {
    const at = Math.min(now, reportedAt);
    const isAnswer = failedTries === 0;
    // A repeated delivery counts nothing twice, and a late answer ends no later streak.
    if (streak && at <= streak.at && (isAnswer || streak.source === source)) continue;
    const value = isAnswer ? 0 : earlierTries(streak, source, at) + failedTries;
    if (value > 0 || (streak && streak.value > 0)) streak = { value, source, at };
  }
  return streak;
}

function earlierTries(streak: Reading | undefined, source: Source, at: number): number {
  return streak?.source === source && at - streak.at <= maxGapMs ? streak.value : 0;
}
