/**
 * Settings that SHIM may change by itself, each within its own bounds. A setting that is not listed
 * here is never touched: redaction, tokens, keys, limits, budgets, retention, snapshots,
 * notifications, strict files and what a chat may do without asking.
 */
export interface Parameter {
  /** Key in config.json. */
  readonly key: string;
  /** At most one trial of a group at a time. */
  readonly group: "interval" | "risk";
  /** No trial leaves these bounds, whatever the configuration allows. */
  readonly min: number;
  readonly max: number;
  /** Largest factor between the value before and the value of one trial. */
  readonly maxFactor: number;
  readonly isWhole: boolean;
}

const usual = { isWhole: true, maxFactor: 1.5 } as const;
const interval = { ...usual, group: "interval" } as const;
const threshold = { ...usual, group: "risk" } as const;
const share = { ...threshold, isWhole: false } as const;

export const parameters: readonly Parameter[] = [
  { ...interval, key: "checkpoint.everyToolCalls", min: 2, max: 40 },
  { ...interval, key: "checkpoint.everyMs", min: 30_000, max: 1_200_000 },
  { ...share, key: "risk.thresholds.contextFill", min: 0.4, max: 0.9 },
  { ...threshold, key: "risk.thresholds.sinceCheckpointMs", min: 30_000, max: 1_200_000 },
  { ...share, key: "risk.thresholds.memory", min: 0.5, max: 0.95 },
];

export function findParameter(key: string): Parameter | null {
  return parameters.find((parameter) => parameter.key === key) ?? null;
}

/** Why a trial may not take such a step, for the person who asks for it; null: it may. */
export function refusalOfStep(parameter: Parameter, from: number, to: number): string | null {
  const { key, min, max, maxFactor, isWhole } = parameter;
  if (!isInRange(parameter, to)) return `${key} stays between ${min} and ${max} in experiments.`;
  if (isWhole && !Number.isSafeInteger(to)) return `${key} is a whole number.`;
  if (to === from) return `${key} is ${from} already.`;
  if (!isFar(parameter, from, to)) return null;
  return `${key} is ${from}: an experiment changes it by a factor of ${maxFactor} at most.`;
}

export function isInRange({ min, max }: Parameter, value: number): boolean {
  return Number.isFinite(value) && value >= min && value <= max;
}

/** Rounding to a whole number may take a small value a little further. */
function isFar({ maxFactor, isWhole }: Parameter, from: number, to: number): boolean {
  const largest = Math.min(to, from) * maxFactor * (1 + 1e-9) + (isWhole ? 1 : 0);
  return from <= 0 || Math.max(to, from) > largest;
}

/**
 * One full step down, or the rest to the bound; a whole number moves by one at least.
 *
 * @returns null: no step is allowed
 */
export function nextLower(parameter: Parameter, from: number): number | null {
  const stepped = from / parameter.maxFactor;
  // Up: a step that is rounded down would be too large.
  const rounded = parameter.isWhole
    ? Math.min(Math.ceil(stepped), Math.ceil(from) - 1)
    : Math.ceil(stepped * 1_000 - 1e-6) / 1_000;
  const to = Math.max(parameter.min, rounded);
  return to < from && refusalOfStep(parameter, from, to) === null ? to : null;
}

/** Another value of a setting. */
export interface Variant {
  readonly key: string;
  readonly from: number;
  readonly value: number;
}
