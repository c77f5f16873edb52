import type { Json } from "../../contract/json.ts";
import { outcomeOfAnswer, toReason } from "../client/answer.ts";
import type { RunOutcome } from "../executor.ts";
import type { ResultEvent } from "../client/claude-events.ts";

export interface ResultContext {
  readonly session: string;
  readonly problem: string | null;
  readonly facts: Readonly<Record<string, Json>>;
}

/** [CX10] Pure. */
export function outcomeOfResult(result: ResultEvent, context: ResultContext): RunOutcome {
  if (result.subtype === "error_max_budget_usd") return { kind: "over_budget", reason: toReason(result.text) };
  if (result.isError) return failedOutcome(result, context);
  const { text, turns, refused } = result;
  return outcomeOfAnswer(text, { session: context.session, turns, refused, ...context.facts });
}

/** Another machine may do better, or this one a little later. */
const machineProblems: ReadonlySet<string> = new Set([
  "authentication_failed",
  "oauth_org_not_allowed",
  "account_on_hold",
  "verification_required",
  "billing_error",
  "cloud_credential_error",
  "model_not_found",
]);
const machineRetryMs = 60_000;

function failedOutcome(result: ResultEvent, { problem }: ResultContext): RunOutcome {
  const reason = toReason(result.text || `Claude Code ended with ${result.subtype}`);
  const isRetryable = isFull(result) || problem !== "invalid_request";
  return { kind: "failed", reason, isRetryable, ...(isMachineProblem(problem) ? { delayMs: machineRetryMs } : {}) };
}

function isMachineProblem(problem: string | null): boolean {
  return problem !== null && machineProblems.has(problem);
}

const serviceProblems: ReadonlySet<string> = new Set(["rate_limit", "server_error", "overloaded", "unknown"]);

/** Whether it failed for another reason than its model: the account, the service or the network. */
export function isMachineTrouble(result: ResultEvent, problem: string | null): boolean {
  if (!result.isError || isFull(result) || problem === null || problem === "model_not_found") return false;
  return machineProblems.has(problem) || serviceProblems.has(problem);
}

export function isFull({ terminalReason }: ResultEvent): boolean {
  return terminalReason === "prompt_too_long";
}

/** [CX22] Whether the session to resume does not exist. */
export function isUnknownSession({ isError, subtype, turns }: ResultEvent): boolean {
  return isError && subtype === "error_during_execution" && turns === 0;
}
