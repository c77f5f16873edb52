import type { RemainingBudget, Usage } from "../../../contract/budgets.ts";

const names: Readonly<Record<keyof RemainingBudget, string>> = {
  wallMs: "ms of time",
  tokens: "tokens",
  costMicros: "millionths of a dollar",
};

/** What has reached a limit is over it. @returns which one, for people; null: none */
export function reached(usage: Usage, left: RemainingBudget): string | null {
  for (const key of ["tokens", "costMicros", "wallMs"] as const) {
    const limit = left[key];
    if (limit !== null && usage[key] >= limit) return `${usage[key]} of ${limit} ${names[key]} were used`;
  }
  return null;
}
