import type { Refusal } from "../contract/errors.ts";
import { rollbackSignal } from "../coordination/engine-host.ts";
import { stackOf } from "../shared/error.ts";
import { err, type Result } from "../shared/result.ts";

export function logProblem(what: string, details: object): void {
  // oxlint-disable-next-line no-console
  console.error(JSON.stringify({ what, ...details }));
}

/** A bug is logged with its stack and answered without it. */
export function withErrorBoundary<T>(work: () => Result<T, Refusal>): Result<T, Refusal> {
  try {
    return work();
  } catch (error) {
    if (error === rollbackSignal) throw error;
    logProblem("an operation failed", { error: stackOf(error) });
    return err({ code: "internal", message: "the coordinator failed; nothing was changed", retryAfterMs: 1_000 });
  }
}
