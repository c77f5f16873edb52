import * as z from "zod";
import { counter, durationMs } from "./values.ts";

/** Usage measured by the worker outside the model, never the model's own figures. */

export const Usage = z.strictObject({
  wallMs: durationMs.default(0),
  /** Input and output tokens, including cached input. */
  tokens: counter.default(0),
  /** Millionths of a US dollar. */
  costMicros: counter.default(0),
});
export type Usage = z.infer<typeof Usage>;

const limitAmount = z.int().min(1).optional();

/** Hard limits. Work that reaches one is stopped; an absent measure has no limit. */
export const Budget = z.strictObject({ wallMs: limitAmount, tokens: limitAmount, costMicros: limitAmount });
export type Budget = z.infer<typeof Budget>;

/** Limits of a task over all attempts (unless it has its own), a chat's life and one UTC day. */
export const Budgets = z.strictObject({
  task: Budget.default({}),
  chat: Budget.default({}),
  day: Budget.default({}),
});
export type Budgets = z.infer<typeof Budgets>;

const changedAmount = limitAmount.nullable();
const BudgetChange = z.strictObject({ wallMs: changedAmount, tokens: changedAmount, costMicros: changedAmount });
/** Changes of budgets: absent fields stay; null removes a limit. */
export const BudgetChanges = z.strictObject({ task: BudgetChange, chat: BudgetChange, day: BudgetChange }).partial();
export type BudgetChanges = z.infer<typeof BudgetChanges>;

/** Remaining amounts; null where there is no limit. */
export const RemainingBudget = z.object({
  wallMs: durationMs.nullable(),
  tokens: counter.nullable(),
  costMicros: counter.nullable(),
});
export type RemainingBudget = z.infer<typeof RemainingBudget>;

export const measures = ["wallMs", "tokens", "costMicros"] as const;
export type Measure = (typeof measures)[number];

export const zeroUsage: Usage = { wallMs: 0, tokens: 0, costMicros: 0 };

/** Cap of a sum: a number that every host can read, so that no report blocks others forever. */
export const maxCounted = Number.MAX_SAFE_INTEGER;

export function sum(a: Usage, b: Usage): Usage {
  return mapMeasures((name) => Math.min(maxCounted, a[name] + b[name]));
}

export function difference(a: Usage, b: Usage): Usage {
  return mapMeasures((name) => a[name] - b[name]);
}

export function maxUsage(a: Usage, b: Usage): Usage {
  return mapMeasures((name) => Math.max(a[name], b[name]));
}

function mapMeasures(amountOf: (name: Measure) => number): Usage {
  return { wallMs: amountOf("wallMs"), tokens: amountOf("tokens"), costMicros: amountOf("costMicros") };
}
