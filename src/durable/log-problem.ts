import type { Failure } from "../contract/errors.ts";
import { rollbackSignal } from "../coordination/engine.ts";
import { stackOf } from "../shared/error.ts";

export function logProblem(what: string, details: object): void {
  // oxlint-disable-next-line no-console
  console.error(JSON.stringify({ what, ...details }));
}

/**
 * Logs a bug with its stack; its refusal has none.
 * @throws {typeof rollbackSignal} unchanged
 */
export function failureOf(error: unknown): Failure {
  if (error === rollbackSignal) throw error;
  logProblem("an operation failed", { error: stackOf(error) });
  return { code: "internal", message: "the coordinator failed; nothing was changed", retryAfterMs: 1_000 };
}
