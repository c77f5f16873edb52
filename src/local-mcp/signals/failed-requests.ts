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
  return outcomes
    .toSorted((a, b) => a.at - b.at)
    .reduce((streak, outcome) => afterOutcome(streak, outcome, source, now), before);
}

function afterOutcome(
  streak: Reading | undefined,
  { at: reportedAt, failedTries }: RequestOutcome,
  source: Source,
  now: number,
): Reading | undefined {
  const at = Math.min(now, reportedAt);
  if (!streak) return failedTries === 0 ? undefined : { value: failedTries, source, at };
  const isSame = streak.source === source;
  // A repeated delivery counts nothing twice, and a late answer ends no later streak.
  if (at <= streak.at && (isSame || failedTries === 0)) return streak;
  if (failedTries === 0) return streak.value === 0 ? streak : { value: 0, source, at };
  return { value: (isSame ? triesUntil(streak, at) : 0) + failedTries, source, at };
}

function triesUntil(streak: Reading, at: number): number {
  return at - streak.at <= maxGapMs ? streak.value : 0;
}
