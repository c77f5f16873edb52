import type { Budget } from "../contract/budgets.ts";
import type { InputOf } from "../contract/operations.ts";
import type { Json } from "../contract/json.ts";
import { omitUndefined } from "../shared/omit-undefined.ts";
import type { Candidate, ChangeTask, JudgeRules, RunLimits } from "./candidate.ts";
import type { RunFacts } from "./run-state.ts";

export type SubmittedTask = InputOf<"tasks.submit">["tasks"][number];

export interface PlanOptions {
  readonly type: string;
  readonly rules: JudgeRules;
  readonly limits: RunLimits;
  /** Limits of each task. */
  readonly budget?: Budget | undefined;
  readonly facts: RunFacts;
}

const reportRef = "report";

function refOf(index: number): string {
  return `change-${index + 1}`;
}

/**
 * [EV9] Pure. One task for each candidate and one that reports, which is their parent. A task waits
 * for those before it that have a file in common: no two change a file at the same time.
 */
export function toTasks(candidates: readonly Candidate[], options: PlanOptions): SubmittedTask[] {
  const { type, rules, limits, budget, facts } = options;
  const changes = candidates.map((candidate, at): SubmittedTask => {
    const files = new Set(candidate.files);
    // All of them: the last may be rejected, and its work is not there then.
    const before = candidates
      .slice(0, at)
      .flatMap((one, index) => (one.files.some((file) => files.has(file)) ? refOf(index) : []));
    const payload: ChangeTask = { evolve: "change", candidate, rules, limits };
    return {
      type,
      ref: refOf(at),
      payload: payload as unknown as Json,
      parent: reportRef,
      dependsOn: before,
      onDependencyDeath: "ignore",
      startToCloseMs: limits.timeMs,
      tags,
      ...omitUndefined({ budget: budgetOf(budget, limits) }),
    };
  });
  const report: SubmittedTask = {
    type,
    ref: reportRef,
    payload: { evolve: "report", facts },
    dependsOn: changes.flatMap(({ ref }) => ref ?? []),
    onDependencyDeath: "ignore",
    tags,
  };
  return [...changes, report];
}

const tags = ["evolve"];

/** A task never gets more than the whole run may use. */
function budgetOf(budget: Budget | undefined, { tokens, costMicros }: RunLimits): Budget | undefined {
  const whole = omitUndefined({ tokens: tokens ?? undefined, costMicros: costMicros ?? undefined });
  const both = { ...whole, ...budget };
  const least = omitUndefined({
    ...both,
    tokens: leastOf(whole.tokens, budget?.tokens),
    costMicros: leastOf(whole.costMicros, budget?.costMicros),
  });
  return Object.keys(least).length === 0 ? undefined : least;
}

function leastOf(...limits: readonly (number | undefined)[]): number | undefined {
  const known = limits.filter((limit) => limit !== undefined);
  return known.length === 0 ? undefined : Math.min(...known);
}
