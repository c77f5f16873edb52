import type { ProgramExit } from "../worker-runner/run-program.ts";
import type { ResultEvent } from "../worker-runner/claude/claude-events.ts";

/** What the end of a program means. */
export type ProgramEnding =
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
export interface EndEvidence {
  readonly exit: ProgramExit;
  /** This supervisor has told it to end. */
  readonly wasAskedToEnd: boolean;
  /** Its session bears an end mark. */
  readonly isSessionOver: boolean;
  readonly limit: { readonly resetsAtMs: number | null } | null;
  /** What Claude Code has told last; null for other programs, and where it told nothing. */
  readonly result: ResultEvent | null;
}

/** 128 and the number of the signal: what a user ends a program with. kill -9, and the signals of a fault, are none of them. */
const userSignalCodes: ReadonlySet<number> = new Set([130, 143]);
/** Limits that the user has set. */
const userLimits: ReadonlySet<string> = new Set(["error_max_turns", "error_max_budget_usd"]);

/** [SU1] Tells a crash from an end that somebody wanted. Pure. */
export function classifyEnd({ exit, wasAskedToEnd, isSessionOver, limit, result }: EndEvidence): ProgramEnding {
  if (isSessionOver) return { kind: "finished" };
  if (wasAskedToEnd) return { kind: "left" };
  if (exit.kind === "not_started") return { kind: "crashed", reason: `it cannot be started: ${exit.message}` };
  if (exit.code === 0 && result?.isError !== true) return { kind: "finished" };
  return limit ? { kind: "limited", resetsAtMs: limit.resetsAtMs } : classifyFailure(exit.code, result);
}

function classifyFailure(code: number, result: ResultEvent | null): ProgramEnding {
  if (result && userLimits.has(result.subtype)) return { kind: "failed", reason: result.subtype };
  // At SIGINT Claude Code ends with exit code 0, and this reason.
  const isStopped = userSignalCodes.has(code) || result?.terminalReason?.startsWith("aborted_") === true;
  return isStopped ? { kind: "stopped" } : { kind: "crashed", reason: crashReason(code, result) };
}

function crashReason(code: number, result: ResultEvent | null): string {
  if (code === 0) return `Claude Code ended with ${result?.subtype ?? "nothing"}`;
  return code > 128 ? `it was ended by signal ${code - 128}` : `it ended with exit code ${code}`;
}
