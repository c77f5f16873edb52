import type { RemainingBudget, Usage } from "../../contract/budgets.ts";

const limitNames: Readonly<Record<keyof RemainingBudget, string>> = {
  wallMs: "ms of time",
  tokens: "tokens",
  costMicros: "millionths of a dollar",
};

export function findReachedLimit(usage: Usage, budgetLeft: RemainingBudget): string | null {
  for (const key of ["tokens", "costMicros", "wallMs"] as const) {
    const limit = budgetLeft[key];
    if (limit !== null && usage[key] >= limit) return `${usage[key]} of ${limit} ${limitNames[key]} were used`;
  }
  return null;
}
