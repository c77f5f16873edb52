import type { ProgramExit } from "../worker-runner/run-program.ts";
import type { ResultEvent } from "../worker-runner/client/claude-events.ts";

export type ProgramEnding =
  /** Completed: restarted only under `always`. */
  | { readonly kind: "finished" }
  | { readonly kind: "stopped" }
  /** Ended by this supervisor's own end; the next one starts it again. */
  | { readonly kind: "left" }
  | { readonly kind: "crashed"; readonly reason: string }
  /** Deterministic failure: a restart would end the same way. */
  | { readonly kind: "failed"; readonly reason: string }
  /**
   * A usage limit; `resetsAtMs`: epoch ms of its end, where known. `continuesIn`: title of a client
   * that continues meanwhile.
   */
  | { readonly kind: "limited"; readonly resetsAtMs: number | null; readonly continuesIn?: string };

export interface EndEvidence {
  readonly exit: ProgramExit;
  readonly wasAskedToEnd: boolean;
  readonly isSessionOver: boolean;
  readonly limit: { readonly resetsAtMs: number | null } | null;
  /** Last result event of Claude Code; null for other programs, and where there was none. */
  readonly result: ResultEvent | null;
}

/** Signals that users send; kill -9 and fault signals are not among them. */
const userSignalCodes: ReadonlySet<number> = new Set([130, 143]);
const userLimits: ReadonlySet<string> = new Set(["error_max_turns", "error_max_budget_usd"]);

/** [SU1] [SU34] Distinguishes a crash from an intended end. Pure. */
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
