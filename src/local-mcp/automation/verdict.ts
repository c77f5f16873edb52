import type { Json } from "../../contract/values.ts";
import type { Result } from "../../shared/result.ts";
import type { Outcome } from "./executor.ts";
import type { Stop } from "./stop.ts";
import type { Work } from "./work-place.ts";

/** Pure. What is to be told of an attempt that has come to its end. */
export type Verdict =
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

/** @param work what became of the folder, or why it could not be kept */
export function verdictOf(outcome: Outcome, stop: Stop | null, work: Result<Work | null, string>): Verdict {
  // A result that is there is told, whatever else was wanted meanwhile: whether it still counts the coordinator says.
  if (outcome.kind === "done") return doneWith(outcome, work);
  if (outcome.kind === "over_budget") return outcome;
  if (stop) return stopped(stop);
  if (outcome.kind === "failed") return { ...outcome, end: "failed" };
  return failed("failed", "it stopped by itself");
}

function doneWith(
  { result: output, tests }: Extract<Outcome, { kind: "done" }>,
  work: Result<Work | null, string>,
): Verdict {
  if (!work.ok) return failed("failed", `its work could not be kept: ${work.error}`);
  if (work.value === null) return { kind: "done", result: output };
  return { kind: "done", result: { ...work.value, ...(tests ? { tests } : {}), output } };
}

function stopped({ kind, message: reason }: Stop): Verdict {
  switch (kind) {
    case "lost":
      return { kind: "lost", reason };
    case "budget":
      return { kind: "over_budget", reason };
    case "time":
      return failed("timeout", reason);
    case "cancelled":
      return { kind: "given_back", end: "cancelled", reason };
    case "leaving":
      return { kind: "given_back", end: "released", reason };
  }
}

function failed(end: "failed" | "timeout", reason: string): Verdict {
  return { kind: "failed", end, reason, isRetryable: true };
}
