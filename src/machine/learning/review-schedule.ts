import { spawn } from "node:child_process";
import type { OpportunityPattern } from "../../contract/learning.ts";
import { isWithin } from "../../shared/known-time.ts";
import type { Sql } from "../../shared/sql.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import * as meta from "../../store/meta.ts";

const intervalMs = 86_400_000;
/** A review of a thousand sessions takes seconds. */
const timeLimit = "5m";
const key = "reviewed_at";

/** Starts the daily review, in a process of its own: it would hold up the chat. */
export function reviewIfDue(runtime: Runtime): void {
  const now = runtime.now();
  if (runtime.config.kaizen === "off" || !runtime.store.write((sql) => claimReview(sql, now))) return;
  const { node, script } = runtime.launch;
  const child = spawn(node, [script, "report", "run", "--time-limit", timeLimit], {
    stdio: "ignore",
    windowsHide: true,
    env: runtime.env,
  });
  child.on("error", (error) => runtime.log("error", "the daily review did not start", { reason: error.message }));
  child.unref();
}

/** One process of all gets the day's review; a new store has nothing to review for a day. */
export function claimReview(sql: Sql, now: number): boolean {
  const last = meta.read(sql, key);
  if (last !== null && isWithin(now - Number(last), intervalMs)) return false;
  meta.write(sql, key, String(now));
  return last !== null;
}

const foundKey = "opportunities";

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

/** Part of the caller's transaction. */
export function storeRun(sql: Sql, until: number, patterns: readonly OpportunityPattern[]): void {
  const counts = [...new Set(patterns)].map((pattern) => ({
    pattern,
    n: patterns.filter((one) => one === pattern).length,
  }));
  const run: LastRun = { until, counts };
  meta.write(sql, foundKey, JSON.stringify(run));
}

/** None after the window of that run. */
export function countsOfLastRun(sql: Sql, now: number): readonly PatternCount[] {
  const text = meta.read(sql, foundKey);
  if (text === null) return [];
  const { until, counts } = JSON.parse(text) as LastRun;
  return now < until ? counts : [];
}
