import * as z from "zod";
import { repeatedExits } from "../../contract/exit-codes.ts";
import { waitAtLimit } from "../../machine/sessions/usage/at-limit.ts";
import { isUserSignal, type ProgramExit } from "../../platform/run-program.ts";

/** Pure: what an end means, and when a program starts again. No clock, no timers. */

export type ProgramEnding =
  /** Completed. */
  | { readonly kind: "finished" }
  /** `reason` absent: the user ended it. */
  | { readonly kind: "stopped"; readonly reason?: string }
  /** Ended by this supervisor's own end; the next one starts it again. */
  | { readonly kind: "left" }
  | { readonly kind: "crashed"; readonly reason: string }
  /** Deterministic failure: a restart would end the same way. */
  | { readonly kind: "failed"; readonly reason: string }
  /** A usage limit; `waitMs` null: its end is not known. */
  | { readonly kind: "limited"; readonly waitMs: number | null; readonly reason: string };

/** The machine has too few of something just now, or the program is being written. */
const passing = /\bE(?:AGAIN|NOMEM|MFILE|NFILE|TXTBSY)\b/;

/** Begins of what parsers of a client's arguments print: commander, yargs, clap. */
const refusedArguments =
  /\b(?:error: (?:unknown (?:option|command)|unexpected argument|option '|too many arguments|missing required)|Unknown arguments?:)/;

/** Whether another run would end the same way, by the last words of a client that did nothing. */
export function areArgumentsRefused(words: string): boolean {
  return refusedArguments.test(words);
}

/**
 * Distinguishes a worker's crash from an intended end, and from one that a restart would repeat.
 *
 * @param isLeft it was asked to end
 * @param hasRun it was started before: what keeps it from that now, such as an update, may pass
 */
export function endingOf(exit: ProgramExit, isLeft: boolean, hasRun: boolean): ProgramEnding {
  if (isLeft) return { kind: "left" };
  if (exit.kind === "not_started") {
    const kind = hasRun || passing.test(exit.message) ? "crashed" : "failed";
    return { kind, reason: `it cannot be started: ${exit.message}` };
  }
  const { code } = exit;
  if (code === 0) return { kind: "finished" };
  if (isUserSignal(exit)) return { kind: "stopped" };
  if (repeatedExits.includes(code))
    return { kind: "failed", reason: `it ended with exit code ${code}, as it would again` };
  const how = code > 128 ? `it was ended by signal ${code - 128}` : `it ended with exit code ${code}`;
  return { kind: "crashed", reason: how };
}

/** All in ms. */
export const RestartRules = z.strictObject({
  /** Wait after the first crash; doubles with each further one. */
  firstMs: z.int().min(10).max(600_000).default(1_000),
  mostMs: z.int().min(10).max(86_400_000).default(600_000),
  /** Longer runs reset the wait to the first one. */
  healthyMs: z.int().min(10).max(86_400_000).default(600_000),
  /** This many crashes within `loopWithinMs` are a loop, which only the user ends. */
  loopCrashes: z.int().min(2).max(1_000_000).default(5),
  loopWithinMs: z.int().min(10).max(86_400_000).default(900_000),
});
export type RestartRules = z.infer<typeof RestartRules>;

/** End of the run before; `asked`: the user wants another one. */
const EndedBy = z.enum(["crashed", "limited", "left", "asked"]);

/** Stored. Add fields as optional. */
export const Restarts = z.object({
  /** due: to be started `waitMs` after `since`. looping: only the user restarts it. */
  phase: z.enum(["due", "running", "finished", "stopped", "failed", "looping"]),
  /** Start of the phase, epoch ms. */
  since: z.number(),
  waitMs: z.number(),
  /** Consecutive crashes without a healthy run between them. */
  failures: z.number(),
  /** Consecutive usage limits without a known reset time. */
  limits: z.number(),
  /** Times of the last crashes, epoch ms. */
  crashes: z.array(z.number()),
  reason: z.string().nullable(),
  /** Set while a restart is planned. */
  endedBy: EndedBy.nullish(),
});
export type Restarts = z.infer<typeof Restarts>;

export const holdMs = 30_000;
export const leftReason = "it ended with its supervisor";

export function initial(now: number): Restarts {
  return { phase: "due", since: now, waitMs: 0, failures: 0, limits: 0, crashes: [], reason: null };
}

export function afterRequest(now: number): Restarts {
  return { ...initial(now), endedBy: "asked" };
}

export function afterStart(previous: Restarts, now: number): Restarts {
  return { ...previous, phase: "running", since: now, waitMs: 0, endedBy: null };
}

/** A program that ended with the supervisor before has not crashed. */
export function afterTakeover(previous: Restarts, now: number): Restarts {
  if (previous.phase !== "running") return previous;
  return { ...previous, phase: "due", since: now, waitMs: 0, reason: leftReason, endedBy: "left" };
}

export function afterHold(previous: Restarts, now: number, reason: string): Restarts {
  return { ...previous, phase: "due", since: now, waitMs: holdMs, reason };
}

/** Ms until the start; null: none is planned. A clock that was set back makes it due at once. */
export function dueInMs({ phase, since, waitMs }: Restarts, now: number): number | null {
  if (phase !== "due") return null;
  return now < since ? 0 : Math.max(0, since + waitMs - now);
}

export function afterEnd(previous: Restarts, ending: ProgramEnding, now: number, rules: RestartRules): Restarts {
  const base = { ...previous, since: now, waitMs: 0 };
  switch (ending.kind) {
    case "finished":
      return { ...base, phase: "finished", reason: null };
    case "stopped":
      return { ...base, phase: "stopped", reason: ending.reason ?? "the user ended it" };
    case "left":
      return { ...base, phase: "due", reason: leftReason, endedBy: "left" };
    case "failed":
      return { ...base, phase: "failed", reason: ending.reason };
    case "limited":
      return afterLimit(base, ending, now);
    case "crashed":
      return afterCrash(previous, ending.reason, now, rules);
  }
}

/** Waits double until a healthy run. Too many recent crashes are a loop. */
function afterCrash(previous: Restarts, reason: string, now: number, rules: RestartRules): Restarts {
  const isRecent = (at: number): boolean => at <= now && now - at < rules.loopWithinMs;
  const crashes = [...previous.crashes.filter(isRecent), now].slice(-rules.loopCrashes);
  const failures = now - previous.since >= rules.healthyMs ? 1 : previous.failures + 1;
  const nextState = { ...previous, since: now, limits: 0, failures, crashes, reason };
  if (crashes.length >= rules.loopCrashes) return { ...nextState, phase: "looping", waitMs: 0 };
  const waitMs = Math.min(rules.mostMs, rules.firstMs * 2 ** Math.min(failures - 1, 50));
  return { ...nextState, phase: "due", waitMs, endedBy: "crashed" };
}

/** A usage limit is no crash. */
function afterLimit(
  base: Restarts,
  { waitMs, reason }: Extract<ProgramEnding, { kind: "limited" }>,
  now: number,
): Restarts {
  const waits = waitMs === null ? waitAtLimit({ resetsAtMs: null }, now, base.limits) : { waitMs };
  return { ...base, phase: "due", reason, endedBy: "limited", ...waits };
}
