import type { Config } from "../../contract/config.ts";
import type { Reading, ReadingName, Readings, Risk, RiskLevel, RiskReason } from "../../contract/readings.ts";

/** Pure: what readings say of the danger that a chat dies and loses work. No clock, no storage. */

type RiskSettings = Config["risk"];

interface RiskRule {
  readonly name: ReadingName;
  readonly weight: keyof RiskSettings["weights"];
  readonly threshold: keyof RiskSettings["thresholds"];
  /** Counts only while that reading is not known. */
  readonly insteadOf?: ReadingName;
}

const rules: readonly RiskRule[] = [
  { name: "contextFill", weight: "contextFill", threshold: "contextFill" },
  { name: "contextTokens", weight: "contextFill", threshold: "contextTokens", insteadOf: "contextFill" },
  { name: "sinceCheckpointMs", weight: "sinceCheckpoint", threshold: "sinceCheckpointMs" },
  { name: "hostMemory", weight: "memory", threshold: "memory" },
  { name: "rateLimit", weight: "rateLimit", threshold: "rateLimit" },
  { name: "toolErrors", weight: "toolErrors", threshold: "toolErrors" },
  { name: "latencyTrend", weight: "latencyTrend", threshold: "latencyTrend" },
  { name: "transcriptBytes", weight: "transcriptSize", threshold: "transcriptBytes" },
];

/** Older readings are not used. Memory moves within minutes; the others only while the chat works, and then they are read again. */
const maxAgeMs = { hostMemory: 300_000, others: 3_600_000 };

/** Durations up to a moment: they go on growing after they were read, so they are never stale. */
const durationReadings: ReadonlySet<ReadingName> = new Set(["sinceCheckpointMs", "sessionAgeMs"]);

/**
 * [SI13] The sum of the weights of all known readings above their thresholds, capped at 1
 * (docs/reference/signals.md). [SI14] A reading that is missing, stale or no number gives no reason. [SI15] Durations count as they are at `now`.
 *
 * @param now epoch ms
 * @returns reasons by falling weight
 */
export function assess(readings: Readings, config: RiskSettings, now: number): Risk {
  const reasons = rules
    .flatMap((rule) => reasonOf(rule, readings, config, now) ?? [])
    .sort((a, b) => b.weight - a.weight);
  const sum = reasons.reduce((total, reason) => total + reason.weight, 0);
  // 0.4 + 0.3 + 0.1 is 0.7999999999999999 in floating point: without rounding it would miss the level 0.8.
  const score = Math.min(1, Math.round(sum * 1e6) / 1e6);
  return { score, level: levelOf(score, config.levels), reasons };
}

/** [SI14] The inputs of the risk that are not known at `now`: what is silent about them must not be shown as safe. */
export function unknownInputs(readings: Readings, now: number): ReadingName[] {
  return rules
    .filter((rule) => rule.insteadOf === undefined)
    .map((rule) => rule.name)
    .filter((name) => valueAt(readings, name, now) === null);
}

function reasonOf(rule: RiskRule, readings: Readings, config: RiskSettings, now: number): RiskReason | null {
  const value = valueAt(readings, rule.name, now);
  const reading = readings[rule.name];
  const threshold = config.thresholds[rule.threshold];
  const weight = config.weights[rule.weight];
  if (value === null || !reading || value <= threshold || weight === 0) return null;
  if (rule.insteadOf !== undefined && valueAt(readings, rule.insteadOf, now) !== null) return null;
  return { name: rule.name, value, threshold, weight, source: reading.source };
}

/** Null when missing, stale or no number. A time ahead of `now` counts as now: clocks jump back. */
function valueAt(readings: Readings, name: ReadingName, now: number): number | null {
  const reading: Reading | undefined = readings[name];
  if (!reading || !Number.isFinite(reading.value) || !Number.isFinite(reading.at)) return null;
  const age = Math.max(0, now - reading.at);
  if (durationReadings.has(name)) return reading.value + age;
  return age > (name === "hostMemory" ? maxAgeMs.hostMemory : maxAgeMs.others) ? null : reading.value;
}

function levelOf(score: number, levels: RiskSettings["levels"]): RiskLevel {
  if (score >= levels.critical) return "critical";
  if (score >= levels.danger) return "danger";
  return score >= levels.warning ? "warning" : "safe";
}
