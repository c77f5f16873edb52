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

/** A larger value of any of them may lose more at a death: such a step is a person's. */
export function lowersSafety(from: number, to: number): boolean {
  return to > from;
}

/** One full step in that direction, or the rest up to the bound; null: no step is allowed. */
export function nextValue(parameter: Parameter, from: number, direction: "up" | "down"): number | null {
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

/** Another value of a setting. */
export interface Variant {
  readonly key: string;
  readonly from: number;
  readonly value: number;
}

type ValueOf = (key: string) => number;

/** Two steps of each setting of a group in each direction. */
export function usualVariants(group: Parameter["group"], valueOf: ValueOf): Variant[] {
  return parameters
    .filter((parameter) => parameter.group === group)
    .flatMap((parameter) => {
      const { key } = parameter;
      const from = valueOf(key);
      return (["down", "up"] as const).flatMap((direction) => {
        const first = nextValue(parameter, from, direction);
        const second = first === null ? null : nextValue(parameter, first, direction);
        return [first, second].flatMap((value) => (value === null ? [] : [{ key, from, value }]));
      });
    });
}

/** @param given `key=value` @returns a text: what is wrong with one */
export function parseVariants(valueOf: ValueOf, given: readonly string[]): Variant[] | string {
  const variants: Variant[] = [];
  for (const one of given) {
    const [key = "", text = ""] = one.split("=");
    const parameter = findParameter(key);
    if (!parameter)
      return `"${key.slice(0, 60)}" cannot be replayed. These can:\n${parameters.map((each) => `  ${each.key}`).join("\n")}`;
    const value = text.trim() === "" ? Number.NaN : Number(text);
    if (!Number.isFinite(value) || value <= 0)
      return `"${one.slice(0, 80)}": ${key} has no such value. Give one such as ${key}=${parameter.min}.`;
    variants.push({ key, from: valueOf(key), value });
  }
  return variants;
}
