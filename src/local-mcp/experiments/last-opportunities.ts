import type { OpportunityPattern } from "../../contract/opportunities.ts";
import type { Sql } from "../../shared/sql.ts";
import * as meta from "../../store/meta.ts";

const key = "opportunities";

export interface PatternCount {
  readonly pattern: OpportunityPattern;
  readonly n: number;
}

/** Stored as JSON. Counts only: a subject may be the user's text. */
interface LastRun {
  /** Epoch ms: the evidence has left the window. */
  readonly until: number;
  readonly counts: readonly PatternCount[];
}

/** [EX67] Part of the caller's transaction. */
export function storeRun(sql: Sql, until: number, patterns: readonly OpportunityPattern[]): void {
  const counts = [...new Set(patterns)].map((pattern) => ({
    pattern,
    n: patterns.filter((one) => one === pattern).length,
  }));
  const run: LastRun = { until, counts };
  meta.write(sql, key, JSON.stringify(run));
}

/** [EX67] None after the window of that run. */
export function countsOfLastRun(sql: Sql, now: number): readonly PatternCount[] {
  const text = meta.read(sql, key);
  if (text === null) return [];
  const { until, counts } = JSON.parse(text) as LastRun;
  return now < until ? counts : [];
}
