import type { RiskLevel } from "../../contract/readings.ts";

/** Pure: which rise of a session's risk still awaits a checkpoint. */

export interface RiskMark {
  /** The level up to which a checkpoint has been taken. */
  readonly covered: RiskLevel;
  /** A higher level that was seen since; null: none. */
  readonly pending: RiskLevel | null;
  /** Since when the level has been below the covered one, epoch ms. */
  readonly belowAt: number | null;
}

const levels: readonly RiskLevel[] = ["safe", "warning", "danger", "critical"];

/** A level that was left for less than this and comes back was saved a moment ago: it is no new rise. */
const minBelowMs = 300_000;

/**
 * [SI28] Any process may be the first to see a rise, so the rise stays pending until a checkpoint is taken. [SI29] The covered level falls only after the
 * risk has been lower for five minutes.
 */
export function markReading(mark: RiskMark, level: RiskLevel, now: number): RiskMark {
  const { covered, belowAt } = afterLevel(mark, level, now);
  const highest = mark.pending ?? covered;
  return { covered, belowAt, pending: isAbove(level, highest) ? level : mark.pending };
}

function afterLevel({ covered, belowAt }: RiskMark, level: RiskLevel, now: number): Omit<RiskMark, "pending"> {
  if (!isAbove(covered, level)) return { covered, belowAt: null };
  // A clock that was set back begins the wait again.
  const since = belowAt === null || belowAt > now ? now : belowAt;
  return now - since >= minBelowMs ? { covered: level, belowAt: null } : { covered, belowAt: since };
}

function isAbove(one: RiskLevel, other: RiskLevel): boolean {
  return levels.indexOf(one) > levels.indexOf(other);
}
