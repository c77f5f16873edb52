import type { Ended } from "../automation/run-program.ts";
import type { ResultEvent } from "../automation/claude/events.ts";

/** What the end of a program means. */
export type Ending =
  /** It is through: never started again, unless the settings want it always. */
  | { readonly kind: "finished" }
  /** The user has ended it. */
  | { readonly kind: "stopped" }
  /** This supervisor has ended it, as it ends itself: the next one starts it again. */
  | { readonly kind: "left" }
  | { readonly kind: "crashed"; readonly reason: string }
  /** The same again would end the same way. */
  | { readonly kind: "failed"; readonly reason: string }
  /** A usage limit; `resetsAtMs`: when requests are taken again, epoch ms, where that was told. */
  | { readonly kind: "limited"; readonly resetsAtMs: number | null };

/** What is known of an end. */
export interface Evidence {
  readonly ended: Ended;
  /** This supervisor has told it to end. */
  readonly isAsked: boolean;
  /** Its session bears an end mark. */
  readonly isSessionOver: boolean;
  readonly limit: { readonly resetsAtMs: number | null } | null;
  /** What Claude Code has told last; null for other programs, and where it told nothing. */
  readonly result: ResultEvent | null;
}

/** 128 and the number of the signal: what a user ends a program with. kill -9, and the signals of a fault, are none of them. */
const bySignalOfUser: ReadonlySet<number> = new Set([130, 143]);
/** Limits that the user has set. */
const byOwnLimit: ReadonlySet<string> = new Set(["error_max_turns", "error_max_budget_usd"]);

/** [SU1] Tells a crash from an end that somebody wanted. Pure. */
export function endingOf({ ended, isAsked, isSessionOver, limit, result }: Evidence): Ending {
  if (isSessionOver) return { kind: "finished" };
  if (isAsked) return { kind: "left" };
  if (ended.kind === "not_started") return { kind: "crashed", reason: `it cannot be started: ${ended.message}` };
  if (ended.code === 0 && result?.isError !== true) return { kind: "finished" };
  return limit ? { kind: "limited", resetsAtMs: limit.resetsAtMs } : failing(ended.code, result);
}

function failing(code: number, result: ResultEvent | null): Ending {
  if (result && byOwnLimit.has(result.subtype)) return { kind: "failed", reason: result.subtype };
  // At SIGINT Claude Code ends with exit code 0, and this reason.
  const isStopped = bySignalOfUser.has(code) || result?.terminalReason?.startsWith("aborted_") === true;
  return isStopped ? { kind: "stopped" } : { kind: "crashed", reason: reasonOf(code, result) };
}

function reasonOf(code: number, result: ResultEvent | null): string {
  if (code === 0) return `Claude Code ended with ${result?.subtype ?? "nothing"}`;
  return code > 128 ? `it was ended by signal ${code - 128}` : `it ended with exit code ${code}`;
}
