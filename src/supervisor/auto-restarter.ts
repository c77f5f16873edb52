import * as z from "zod";
import type { ProgramEnding } from "./program-end.ts";

/** Pure: no clock, no timers. When a program that has ended is started again, and when no more. */

/** All in ms. */
export const RestartRules = z.strictObject({
  /** Wait after the first crash; doubles with each further one. */
  firstMs: z.int().min(10).max(600_000).default(1_000),
  mostMs: z.int().min(10).max(86_400_000).default(600_000),
  /** Who ran for so long begins anew with the first wait. */
  healthyMs: z.int().min(10).max(86_400_000).default(600_000),
  /** So many crashes within that time are a loop: nothing is started any more until the user says so. */
  loopCrashes: z.int().min(2).max(1_000_000).default(5),
  loopWithinMs: z.int().min(10).max(86_400_000).default(900_000),
});
export type RestartRules = z.infer<typeof RestartRules>;

export const RestartWhen = z.enum(["on-crash", "always", "never"]);
export type RestartWhen = z.infer<typeof RestartWhen>;

/** Stored. Add fields as optional. */
export const Restarts = z.object({
  /** due: to be started when `waitMs` after `since` are over. looping: only the user starts it again. */
  phase: z.enum(["due", "running", "finished", "stopped", "failed", "looping"]),
  /** When the phase began, epoch ms. */
  since: z.number(),
  waitMs: z.number(),
  /** Crashes one after the other, without a healthy time between them. */
  failures: z.number(),
  /** Usage limits one after the other whose end nobody told. */
  limits: z.number(),
  /** When the last crashes were, epoch ms. */
  crashes: z.array(z.number()),
  /** Why it is not running; null: nothing has happened. */
  reason: z.string().nullable(),
});
export type Restarts = z.infer<typeof Restarts>;

/** Where nobody told when a usage limit ends: doubles from the first to the last, which is the longest window of a plan but for a week's. */
const firstLimitMs = 300_000;
const maxLimitMs = 18_000_000;
/** A time that was told may be years away by mistake. */
const maxResetDelayMs = 7 * 86_400_000;
/** Who cannot go on now tries again after this time. */
export const holdMs = 30_000;
const leftReason = "it ended with its supervisor";
/** The clock of who told it is not ours. */
const resetMarginMs = 2_000;

export function initial(now: number): Restarts {
  return { phase: "due", since: now, waitMs: 0, failures: 0, limits: 0, crashes: [], reason: null };
}

export function afterStart(previous: Restarts, now: number): Restarts {
  return { ...previous, phase: "running", since: now, waitMs: 0 };
}

/** What a supervisor finds that another one left: whatever ran then has ended with it, and was no crash of its own. [SU9] */
export function afterTakeover(previous: Restarts, now: number): Restarts {
  if (previous.phase !== "running") return previous;
  return { ...previous, phase: "due", since: now, waitMs: 0, reason: leftReason };
}

/** Not now: somebody else is at it. */
export function afterHold(previous: Restarts, now: number, reason: string): Restarts {
  return { ...previous, phase: "due", since: now, waitMs: holdMs, reason };
}

/** Ms until it is to be started; null: it is not. A clock that was set back makes nobody wait for longer. */
export function dueInMs({ phase, since, waitMs }: Restarts, now: number): number | null {
  if (phase !== "due") return null;
  return now < since ? 0 : Math.max(0, since + waitMs - now);
}

export interface RestartPolicy {
  readonly when: RestartWhen;
  readonly rules: RestartRules;
}

/** [SU2] The next state after an end. */
export function afterEnd(previous: Restarts, ending: ProgramEnding, now: number, policy: RestartPolicy): Restarts {
  const base = { ...previous, since: now, waitMs: 0 };
  switch (ending.kind) {
    case "finished":
      return policy.when === "always"
        ? afterCrash(previous, "it ended by itself", now, policy)
        : { ...base, phase: "finished", reason: null };
    case "stopped":
      return { ...base, phase: "stopped", reason: "the user has ended it" };
    case "left":
      return { ...base, phase: "due", reason: leftReason };
    case "failed":
      return { ...base, phase: "failed", reason: ending.reason };
    case "limited":
      return afterLimit(base, ending.resetsAtMs, now, policy);
    case "crashed":
      return afterCrash(previous, ending.reason, now, policy);
  }
}

/** [SU3] Waits double, and begin anew after a healthy time. [SU4] Too many crashes in a while are a loop. */
function afterCrash(previous: Restarts, reason: string, now: number, { when, rules }: RestartPolicy): Restarts {
  if (when === "never") return { ...previous, phase: "failed", since: now, waitMs: 0, reason };
  const isRecent = (at: number): boolean => at <= now && now - at < rules.loopWithinMs;
  const crashes = [...previous.crashes.filter(isRecent), now].slice(-rules.loopCrashes);
  const failures = now - previous.since >= rules.healthyMs ? 1 : previous.failures + 1;
  const nextState = { ...previous, since: now, limits: 0, failures, crashes, reason };
  if (crashes.length >= rules.loopCrashes) return { ...nextState, phase: "looping", waitMs: 0 };
  const waitMs = Math.min(rules.mostMs, rules.firstMs * 2 ** Math.min(failures - 1, 50));
  return { ...nextState, phase: "due", waitMs };
}

const limitReason = "a usage limit was reached";

/** [SU5] Waits for the reset; it is no crash. */
function afterLimit(base: Restarts, resetsAtMs: number | null, now: number, { when }: RestartPolicy): Restarts {
  const reason = limitReason;
  if (when === "never") return { ...base, phase: "failed", reason };
  if (resetsAtMs !== null && resetsAtMs > now) {
    return { ...base, phase: "due", reason, waitMs: Math.min(maxResetDelayMs, resetsAtMs - now + resetMarginMs) };
  }
  const waitMs = Math.min(maxLimitMs, firstLimitMs * 2 ** Math.min(base.limits, 50));
  return { ...base, phase: "due", reason, waitMs, limits: base.limits + 1 };
}
