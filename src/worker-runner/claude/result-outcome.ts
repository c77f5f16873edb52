import type { Json } from "../../contract/json.ts";
import { parseObject, textAt } from "../../shared/json-fields.ts";
import { redactAndClip } from "../../local-mcp/sessions/entries.ts";
import { redactJson } from "../../redaction/redact.ts";
import type { RunOutcome } from "../executor.ts";
import type { ResultEvent } from "./claude-events.ts";

export interface ResultContext {
  readonly session: string;
  readonly problem: string | null;
  /** Epoch ms. */
  readonly resetsAtMs: number | null;
  readonly now: number;
  readonly facts: Readonly<Record<string, Json>>;
}

const maxTextChars = 100_000;
const maxReasonChars = 400;

/** [CX10] Pure. */
export function outcomeOfResult(result: ResultEvent, context: ResultContext): RunOutcome {
  if (result.subtype === "error_max_budget_usd") return { kind: "over_budget", reason: toReason(result.text) };
  return result.isError ? failedOutcome(result, context) : outcomeOfAnswer(result, context);
}

/** [CX11] Reads the last line if it has one of the two forms that the prompt names. */
function outcomeOfAnswer({ text, turns, refused }: ResultEvent, { session, facts }: ResultContext): RunOutcome {
  const lastLine = parseLastLine(text);
  if (lastLine?.["shim"] === "failed") {
    const isRetryable = lastLine["isRetryable"] === true;
    return {
      kind: "failed",
      reason: toReason(textAt(lastLine, "reason") ?? "it reported a failure without a reason"),
      isRetryable,
    };
  }
  const resultField =
    lastLine?.["shim"] === "done" && "result" in lastLine
      ? { value: redactJson(lastLine["result"]).value as Json }
      : {};
  return { kind: "done", result: { text: fitText(text), ...resultField, session, turns, refused, ...facts } };
}

/** A character may take six in JSON; a result has room for two and a half times as many. */
function fitText(text: string): string {
  const bounded = redactAndClip(text, maxTextChars);
  return JSON.stringify(bounded).length <= 2 * maxTextChars ? bounded : redactAndClip(text, maxTextChars / 6);
}

/** Models like to put JSON into a code block. */
function parseLastLine(text: string): ReturnType<typeof parseObject> {
  const lines = text.split("\n").map((line) => line.trim());
  const lastLine = lines.findLast((line) => line !== "" && line !== "```") ?? "";
  return lastLine.startsWith("{") ? parseObject(lastLine) : null;
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
const maxDelayMs = 7 * 86_400_000;

function failedOutcome(result: ResultEvent, { problem, resetsAtMs, now }: ResultContext): RunOutcome {
  const reason = toReason(result.text || `Claude Code ended with ${result.subtype}`);
  const isRetryable = isFull(result) || problem !== "invalid_request";
  return { kind: "failed", reason, isRetryable, ...retryDelay(problem, resetsAtMs, now) };
}

function retryDelay(problem: string | null, resetsAtMs: number | null, now: number): { delayMs?: number } {
  if (problem === "rate_limit" && resetsAtMs !== null) {
    return { delayMs: Math.min(maxDelayMs, Math.max(0, resetsAtMs - now)) };
  }
  return problem !== null && machineProblems.has(problem) ? { delayMs: machineRetryMs } : {};
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

export function toReason(text: string): string {
  return redactAndClip(text, maxReasonChars).replaceAll(/\s+/g, " ").trim() || "no reason is given";
}
