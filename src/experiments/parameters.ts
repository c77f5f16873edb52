/**
 * Settings that SHIM may change by itself, each within its own bounds. A setting that is not listed
 * here is never touched: redaction, tokens, keys, budgets, retention, snapshots, notifications,
 * strict files and what a chat may do without asking.
 */
export interface Parameter extends Bounded {
  /** At most one experiment of a group at a time. */
  readonly group: "interval" | "risk" | "brief" | "offers";
  /**
   * Evidence that can decide: recorded sessions, only chats that run with the value, or none, so
   * that a person does.
   */
  readonly method: "replay" | "live" | "person";
}

/** Steps that a setting may take: one of this machine, or of a workspace. */
export interface Bounded {
  /** Key in config.json, or of a workspace's settings. */
  readonly key: string;
  /** No experiment leaves these bounds, whatever the configuration allows. */
  readonly min: number;
  readonly max: number;
  /** Largest factor between the value before and the value of one experiment. */
  readonly maxFactor: number;
  readonly isWhole: boolean;
  /** Direction in which more may be lost at a death: only a person goes there. */
  readonly risky: "up" | "down" | "neither";
}

const interval = { group: "interval", maxFactor: 1.5, isWhole: true, risky: "up", method: "replay" } as const;
const threshold = { group: "risk", maxFactor: 1.5, isWhole: false, risky: "up", method: "replay" } as const;
const wholeThreshold = { ...threshold, isWhole: true } as const;
const weight = { ...threshold, risky: "down", min: 0.05, max: 0.6 } as const;
export const parameters: readonly Parameter[] = [
  { ...interval, key: "checkpoint.everyToolCalls", min: 2, max: 40 },
  { ...interval, key: "checkpoint.everyMs", min: 30_000, max: 1_200_000 },
  { ...threshold, key: "risk.thresholds.contextFill", min: 0.4, max: 0.9 },
  { ...wholeThreshold, key: "risk.thresholds.contextTokens", min: 50_000, max: 500_000 },
  { ...wholeThreshold, key: "risk.thresholds.sinceCheckpointMs", min: 30_000, max: 1_200_000 },
  { ...threshold, key: "risk.thresholds.memory", min: 0.5, max: 0.95 },
  { ...threshold, key: "risk.thresholds.rateLimit", min: 0.6, max: 0.98 },
  { ...threshold, key: "risk.thresholds.toolErrors", min: 0.1, max: 0.8 },
  { ...threshold, key: "risk.thresholds.latencyTrend", min: 1.5, max: 10 },
  { ...wholeThreshold, key: "risk.thresholds.apiErrors", min: 1, max: 10 },
  { ...wholeThreshold, key: "risk.thresholds.transcriptBytes", min: 5_000_000, max: 200_000_000 },
  { ...weight, key: "risk.weights.contextFill" },
  { ...weight, key: "risk.weights.sinceCheckpoint" },
  { ...weight, key: "risk.weights.memory" },
  { ...weight, key: "risk.weights.rateLimit" },
  { ...weight, key: "risk.weights.toolErrors" },
  { ...weight, key: "risk.weights.latencyTrend" },
  { ...weight, key: "risk.weights.apiErrors" },
  { ...weight, key: "risk.weights.transcriptSize" },
  {
    key: "brief.prompts",
    group: "brief",
    min: 6,
    max: 150,
    maxFactor: 1.5,
    isWhole: true,
    risky: "down",
    method: "live",
  },
  {
    key: "offerMaxAgeMs",
    group: "offers",
    min: 86_400_000,
    max: 2_592_000_000,
    maxFactor: 2,
    isWhole: true,
    risky: "down",
    method: "person",
  },
];

export function findParameter(key: string): Parameter | null {
  return parameters.find((parameter) => parameter.key === key) ?? null;
}

type StepRefusal = "out_of_range" | "step_too_large" | "not_whole" | "no_change";

/** [EX50] Reason why an experiment may not take the step; null for none. */
export function refusalOfStep(parameter: Bounded, from: number, to: number): StepRefusal | null {
  if (!isInRange(parameter, to)) return "out_of_range";
  if (parameter.isWhole && !Number.isSafeInteger(to)) return "not_whole";
  if (to === from) return "no_change";
  return isFar(parameter, from, to) ? "step_too_large" : null;
}

/** Why such a step is refused, for the person who asks for it; null: it is not. */
export function refusalText(parameter: Bounded, from: number, to: number): string | null {
  const { key, min, max, maxFactor } = parameter;
  const texts: Record<StepRefusal, string> = {
    out_of_range: `${key} stays between ${min} and ${max} in experiments.`,
    step_too_large: `${key} is ${from}: an experiment changes it by a factor of ${maxFactor} at most.`,
    not_whole: `${key} is a whole number.`,
    no_change: `${key} is ${from} already.`,
  };
  const refusal = refusalOfStep(parameter, from, to);
  return refusal === null ? null : texts[refusal];
}

export function isInRange({ min, max }: Bounded, value: number): boolean {
  return Number.isFinite(value) && value >= min && value <= max;
}

/** Rounding to a whole number may take a small value a little further. */
function isFar({ maxFactor, isWhole }: Bounded, from: number, to: number): boolean {
  const largest = Math.min(to, from) * maxFactor * (1 + 1e-9) + (isWhole ? 1 : 0);
  return from <= 0 || Math.max(to, from) > largest;
}

/** [EX51] More may be lost at a death: SHIM does not take this step without a person. */
export function lowersSafety({ risky }: Bounded, from: number, to: number): boolean {
  return (risky === "up" && to > from) || (risky === "down" && to < from);
}

/** One full step in that direction, or the rest up to the bound; null: no step is allowed. */
export function nextValue(parameter: Bounded, from: number, direction: "up" | "down"): number | null {
  const stepped = direction === "up" ? from * parameter.maxFactor : from / parameter.maxFactor;
  const rounded = parameter.isWhole ? roundTowards(stepped, from) : roundShare(stepped, from);
  const to = Math.min(parameter.max, Math.max(parameter.min, rounded));
  const isRight = direction === "up" ? to > from : to < from;
  return isRight && refusalOfStep(parameter, from, to) === null ? to : null;
}

/** To three decimals, towards `from`: away from it the step would be too large. */
function roundShare(value: number, from: number): number {
  return (value > from ? Math.floor(value * 1_000 + 1e-6) : Math.ceil(value * 1_000 - 1e-6)) / 1_000;
}

/** At least one away from `from`, so that small whole numbers can move. */
function roundTowards(value: number, from: number): number {
  if (value > from) return Math.max(Math.floor(value), Math.floor(from) + 1);
  return Math.min(Math.ceil(value), Math.ceil(from) - 1);
}
