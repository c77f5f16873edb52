import type { Config } from "../../../contract/config.ts";
import type { Risk } from "../../../contract/machine/sessions.ts";
import type { Reading, ReadingName, Readings, RiskLevel, RiskMark } from "../../../contract/readings.ts";
import type { Trigger } from "../../../contract/checkpoint.ts";

/** Pure: no clock, no storage. */

type RiskSettings = Config["risk"];

interface RiskRule {
  /** Share that the reading adds to the risk. */
  readonly adds: number;
  /** Threshold, or the setting that is it. */
  readonly over: number | keyof RiskSettings["thresholds"];
  /** Counts only while that reading is unknown. */
  readonly insteadOf?: ReadingName;
}

export const riskRules: Readonly<Partial<Record<ReadingName, RiskRule>>> = {
  contextFill: { adds: 0.3, over: "contextFill" },
  contextTokens: { adds: 0.3, over: 150_000, insteadOf: "contextFill" },
  sinceCheckpointMs: { adds: 0.4, over: "sinceCheckpointMs" },
  hostMemory: { adds: 0.3, over: "memory" },
  rateLimit: { adds: 0.2, over: 0.9 },
  toolErrors: { adds: 0.1, over: 0.3 },
  latencyTrend: { adds: 0.1, over: 3 },
  apiErrors: { adds: 0.2, over: 2 },
  transcriptBytes: { adds: 0.1, over: 50_000_000 },
};

/** Memory and the service change within minutes. */
const maxAgeMs: Partial<Record<ReadingName, number>> = { hostMemory: 300_000, apiErrors: 600_000 };
/** Others change only while the chat works, when they are read again. */
const usualMaxAgeMs = 3_600_000;

/** Durations keep growing after they were read, but for that of an all-saved chat, which is 0. */
const durationReadings: ReadonlySet<ReadingName> = new Set(["sinceCheckpointMs", "sessionAgeMs"]);

/**
 * Sums the weights of readings above their thresholds, at most 1
 * (docs/guide/signals.md). Returns the reasons by falling weight.
 */
export function assess(readings: Readings, config: RiskSettings, now: number): Risk {
  const reasons = Object.entries(riskRules)
    .flatMap(([name, rule]) => reasonOf(name as ReadingName, rule, { readings, config, now }) ?? [])
    .sort((a, b) => b.weight - a.weight);
  const sum = reasons.reduce((total, reason) => total + reason.weight, 0);
  // 0.4 + 0.3 + 0.1 is 0.7999999999999999: without rounding it would miss the level 0.8.
  const score = Math.min(1, Math.round(sum * 1e6) / 1e6);
  return { score, level: levelOf(score), reasons };
}

interface Assessed {
  readonly readings: Readings;
  readonly config: RiskSettings;
  readonly now: number;
}

function reasonOf(
  name: ReadingName,
  { adds: weight, over, insteadOf }: RiskRule,
  { readings, config, now }: Assessed,
): Risk["reasons"][number] | null {
  const value = valueAt(readings, name, now);
  const reading = readings[name];
  const threshold = typeof over === "number" ? over : config.thresholds[over];
  if (value === null || !reading || value <= threshold) return null;
  if (insteadOf !== undefined && valueAt(readings, insteadOf, now) !== null) return null;
  return { name, value, threshold, weight, source: reading.source };
}

/** Counts a time ahead of `now` as now: clocks jump back. */
function valueAt(readings: Readings, name: ReadingName, now: number): number | null {
  const reading: Reading | undefined = readings[name];
  if (!reading || !Number.isFinite(reading.value) || !Number.isFinite(reading.at)) return null;
  const age = Math.max(0, now - reading.at);
  if (durationReadings.has(name)) return name === "sinceCheckpointMs" && reading.value === 0 ? 0 : reading.value + age;
  return age > (maxAgeMs[name] ?? usualMaxAgeMs) ? null : reading.value;
}

/** Least score of each level. */
export const levelFrom = { safe: 0, warning: 0.3, danger: 0.6, critical: 0.8 } as const satisfies Record<
  RiskLevel,
  number
>;
/** Rising. */
const levels = Object.keys(levelFrom) as RiskLevel[];

function levelOf(score: number): RiskLevel {
  return levels.findLast((level) => score >= levelFrom[level]) ?? "safe";
}

/** A level that returns sooner was saved a moment ago: it is no new rise. */
const minBelowMs = 300_000;

/** Pure. Any process may be the first to see a rise. */
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

/** Pure. Reasons for a checkpoint after a tool call, or while the chat is idle. */

export interface SaveFacts {
  /** Calls since the last checkpoint. */
  readonly toolCalls: number;
  /** Null if never saved. */
  readonly sinceSavedMs: number | null;
  readonly isRiskPending: boolean;
}

export type SaveLimits = Pick<Config["checkpoint"], "everyToolCalls" | "everyMs">;

export function timerTrigger(facts: SaveFacts, limits: SaveLimits): Trigger | null {
  return facts.isRiskPending ? "risk" : countTrigger(facts, limits);
}

export function countTrigger(facts: Omit<SaveFacts, "isRiskPending">, limits: SaveLimits): Trigger | null {
  if (facts.toolCalls >= limits.everyToolCalls) return "tools";
  return facts.sinceSavedMs === null || facts.sinceSavedMs >= limits.everyMs ? "time" : null;
}
