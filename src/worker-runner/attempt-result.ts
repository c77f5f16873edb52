import type { Json } from "../contract/values.ts";
import type { Result } from "../shared/result.ts";
import type { RunOutcome } from "./executor.ts";
import type { Stop } from "./stop.ts";
import type { CommittedWork } from "./task-folder.ts";

export type AttemptResult =
  | { readonly kind: "done"; readonly result: Json }
  | {
      readonly kind: "failed";
      readonly end: "failed" | "timeout";
      readonly reason: string;
      readonly isRetryable: boolean;
      readonly delayMs?: number;
    }
  | { readonly kind: "over_budget"; readonly reason: string }
  | { readonly kind: "given_back"; readonly end: "cancelled" | "released"; readonly reason: string }
  | { readonly kind: "lost"; readonly reason: string };

export function toAttemptResult(
  outcome: RunOutcome,
  stop: Stop | null,
  work: Result<CommittedWork | null, string>,
): AttemptResult {
  // The coordinator decides whether the result still counts.
  if (outcome.kind === "done") return doneResult(outcome, work);
  if (outcome.kind === "over_budget") return outcome;
  if (stop) return stoppedResult(stop);
  if (outcome.kind === "failed") return { ...outcome, end: "failed" };
  return failedResult("failed", "it stopped by itself");
}

function doneResult(
  { result: output, tests }: Extract<RunOutcome, { kind: "done" }>,
  work: Result<CommittedWork | null, string>,
): AttemptResult {
  if (!work.ok) return failedResult("failed", `its work could not be kept: ${work.error}`);
  if (work.value === null) return { kind: "done", result: output };
  return { kind: "done", result: { ...work.value, ...(tests ? { tests } : {}), output } };
}

function stoppedResult({ kind, message: reason }: Stop): AttemptResult {
  switch (kind) {
    case "lost":
      return { kind: "lost", reason };
    case "budget":
      return { kind: "over_budget", reason };
    case "time":
      return failedResult("timeout", reason);
    case "cancelled":
      return { kind: "given_back", end: "cancelled", reason };
    case "leaving":
      return { kind: "given_back", end: "released", reason };
  }
}

function failedResult(end: "failed" | "timeout", reason: string): AttemptResult {
  return { kind: "failed", end, reason, isRetryable: true };
}
