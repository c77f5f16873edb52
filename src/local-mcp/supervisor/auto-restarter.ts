import * as z from "zod";
import type { Ending } from "./program-end.ts";

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
const mostLimitMs = 18_000_000;
/** A time that was told may be years away by mistake. */
const longestTellMs = 7 * 86_400_000;
/** Who cannot go on now tries again after this time. */
export const heldMs = 30_000;
const leftReason = "it ended with its supervisor";
/** The clock of who told it is not ours. */
const resetMarginMs = 2_000;

export function begun(now: number): Restarts {
  return { phase: "due", since: now, waitMs: 0, failures: 0, limits: 0, crashes: [], reason: null };
}

export function started(before: Restarts, now: number): Restarts {
  return { ...before, phase: "running", since: now, waitMs: 0 };
}

/** What a supervisor finds that another one left: whatever ran then has ended with it, and was no crash of its own. [SU9] */
export function inherited(before: Restarts, now: number): Restarts {
  if (before.phase !== "running") return before;
  return { ...before, phase: "due", since: now, waitMs: 0, reason: leftReason };
}

/** Not now: somebody else is at it. */
export function held(before: Restarts, now: number, reason: string): Restarts {
  return { ...before, phase: "due", since: now, waitMs: heldMs, reason };
}

/** Ms until it is to be started; null: it is not. A clock that was set back makes nobody wait for longer. */
export function dueIn({ phase, since, waitMs }: Restarts, now: number): number | null {
  if (phase !== "due") return null;
  return now < since ? 0 : Math.max(0, since + waitMs - now);
}

export interface Policy {
  readonly when: RestartWhen;
  readonly rules: RestartRules;
}

/** [SU2] The next state after an end. */
export function ended(before: Restarts, ending: Ending, now: number, policy: Policy): Restarts {
  const at = { ...before, since: now, waitMs: 0 };
  switch (ending.kind) {
    case "finished":
      return policy.when === "always"
        ? crashed(before, "it ended by itself", now, policy)
        : { ...at, phase: "finished", reason: null };
    case "stopped":
      return { ...at, phase: "stopped", reason: "the user has ended it" };
    case "left":
      return { ...at, phase: "due", reason: leftReason };
    case "failed":
      return { ...at, phase: "failed", reason: ending.reason };
    case "limited":
      return limited(at, ending.resetsAtMs, now, policy);
    case "crashed":
      return crashed(before, ending.reason, now, policy);
  }
}

/** [SU3] Waits double, and begin anew after a healthy time. [SU4] Too many crashes in a while are a loop. */
function crashed(before: Restarts, reason: string, now: number, { when, rules }: Policy): Restarts {
  if (when === "never") return { ...before, phase: "failed", since: now, waitMs: 0, reason };
  const isRecent = (at: number): boolean => at <= now && now - at < rules.loopWithinMs;
  const crashes = [...before.crashes.filter(isRecent), now].slice(-rules.loopCrashes);
  const failures = now - before.since >= rules.healthyMs ? 1 : before.failures + 1;
  const next = { ...before, since: now, limits: 0, failures, crashes, reason };
  if (crashes.length >= rules.loopCrashes) return { ...next, phase: "looping", waitMs: 0 };
  const waitMs = Math.min(rules.mostMs, rules.firstMs * 2 ** Math.min(failures - 1, 50));
  return { ...next, phase: "due", waitMs };
}

const limitReason = "a usage limit was reached";

/** [SU5] Waits for the reset; it is no crash. */
function limited(at: Restarts, resetsAtMs: number | null, now: number, { when }: Policy): Restarts {
  const reason = limitReason;
  if (when === "never") return { ...at, phase: "failed", reason };
  if (resetsAtMs !== null && resetsAtMs > now) {
    return { ...at, phase: "due", reason, waitMs: Math.min(longestTellMs, resetsAtMs - now + resetMarginMs) };
  }
  const waitMs = Math.min(mostLimitMs, firstLimitMs * 2 ** Math.min(at.limits, 50));
  return { ...at, phase: "due", reason, waitMs, limits: at.limits + 1 };
}
