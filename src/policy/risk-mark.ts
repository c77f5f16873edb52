import type { RiskLevel, RiskMark } from "../contract/readings.ts";

const levels: readonly RiskLevel[] = ["safe", "warning", "danger", "critical"];

/** A level that returns sooner was saved a moment ago: it is no new rise. */
const minBelowMs = 300_000;

/** Pure. [SI28] Any process may be the first to see a rise. [SI29] */
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
