import type { Baseline } from "../../contract/workspace-trials.ts";
import { atLeast, shareInterval, type Counted } from "../opportunities/exact-tests.ts";

/** Totals of the workspace until now. */
export interface WorkspaceCounts extends Pick<Baseline, "ended" | "dead" | "attempts" | "overdue"> {
  /** The budget of the day is used up. */
  readonly isDaySpent: boolean;
}

/** Chats that went offline by silence, and the time in which they did, in ms. */
export type Silence = Pick<Baseline, "silent" | "silentMs">;

/** In words, for a person. */
export const guardrailWords = {
  deadTasks: "more tasks are dead",
  overdueAttempts: "more attempts time out or stall",
  silentChats: "more chats go silent",
  dayBudget: "the budget of the day is used up",
} as const;

export interface Violation {
  readonly guardrail: keyof typeof guardrailWords;
  /** Figures, for a person. */
  readonly note: string;
}

/** Four guardrails, read daily for a week, stop a harmless value in 2 % of trials at most. */
const alpha = 0.005 / 8;
/** With fewer cases before, half is the limit. */
const minUsual = 20;
const limitOfFew = 0.5;
/** Allowed ratio of silent chats in a time: a machine that sleeps takes all of its chats. */
const allowedRatio = 2;

/** [EX94] Exact tests of what has happened since the deployment against what was usual before. */
export function findViolation(before: Baseline, now: WorkspaceCounts, since: Silence): Violation | null {
  const grown = (name: "ended" | "dead" | "attempts" | "overdue"): number =>
    // After a restore from an older state the counters may be lower.
    now[name] >= before[name] ? now[name] - before[name] : now[name];
  const dead = { hits: grown("dead"), n: grown("ended") };
  const overdue = { hits: grown("overdue"), n: grown("attempts") };
  if (isHigher({ hits: before.dead, n: before.ended }, dead))
    return { guardrail: "deadTasks", note: shareText(dead, "ended tasks are dead", before.dead, before.ended) };
  if (isHigher({ hits: before.overdue, n: before.attempts }, overdue))
    return {
      guardrail: "overdueAttempts",
      note: shareText(overdue, "attempts timed out or stalled", before.overdue, before.attempts),
    };
  if (isMoreFrequent(before, since))
    return { guardrail: "silentChats", note: `${since.silent} chats went silent, ${before.silent} before it` };
  return now.isDaySpent ? { guardrail: "dayBudget", note: guardrailWords.dayBudget } : null;
}

function shareText({ hits, n }: Counted, what: string, hitsBefore: number, nBefore: number): string {
  return `${hits} of ${n} ${what}, ${hitsBefore} of ${nBefore} before it`;
}

function isHigher(usual: Counted, since: Counted): boolean {
  const limit = usual.n < minUsual ? limitOfFew : shareInterval(usual.hits, usual.n).high;
  return atLeast(Math.min(since.hits, since.n), since.n, limit) <= alpha;
}

/** Events after the deployment are a binomial share of all, by its time. */
function isMoreFrequent(before: Silence, since: Silence): boolean {
  if (before.silentMs <= 0 || since.silentMs <= 0) return false;
  const weight = allowedRatio * since.silentMs;
  const all = before.silent + since.silent;
  return atLeast(since.silent, all, weight / (weight + before.silentMs)) <= alpha;
}
