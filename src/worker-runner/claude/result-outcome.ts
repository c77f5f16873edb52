import type { Json } from "../../contract/values.ts";
import { redactAndClip } from "../../local-mcp/sessions/entries.ts";
import { redactJson } from "../../redaction/redact.ts";
import { parseObject, textAt } from "../../local-mcp/signals/json-fields.ts";
import type { RunOutcome } from "../executor.ts";
import type { ResultEvent } from "./claude-events.ts";

/** What else a run has told before its last event. */
export interface ResultContext {
  readonly session: string;
  /** Claude Code's word for what went wrong with the API; null: nothing. */
  readonly problem: string | null;
  /** Epoch ms. */
  readonly resetsAtMs: number | null;
  readonly now: number;
  /** Comes with the result of a task that is done. */
  readonly facts: Readonly<Record<string, Json>>;
}

const maxTextChars = 100_000;
const maxReasonChars = 400;

/** [CX10] What the last event means for the task. Pure. */
export function outcomeOfResult(result: ResultEvent, context: ResultContext): RunOutcome {
  if (result.subtype === "error_max_budget_usd") return { kind: "over_budget", reason: toReason(result.text) };
  return result.isError ? failedOutcome(result, context) : outcomeOfAnswer(result, context);
}

/** [CX11] The model's own word: its last line, where that is one of the two forms that it was told of. */
function outcomeOfAnswer({ text, turns, refused }: ResultEvent, { session, facts }: ResultContext): RunOutcome {
  const lastLine = parseLastLine(text);
  if (lastLine?.["shim"] === "failed") {
    const isRetryable = lastLine["isRetryable"] === true;
    return {
      kind: "failed",
      reason: toReason(textAt(lastLine, "reason") ?? "it says that it has failed"),
      isRetryable,
    };
  }
  // What JSON.parse has made is JSON.
  const resultField =
    lastLine?.["shim"] === "done" && "result" in lastLine
      ? { value: redactJson(lastLine["result"]).value as Json }
      : {};
  return { kind: "done", result: { text: fitText(text), ...resultField, session, turns, refused, ...facts } };
}

/** As JSON a character may become six; a result has room for two and a half times as many. */
function fitText(text: string): string {
  const bounded = redactAndClip(text, maxTextChars);
  return JSON.stringify(bounded).length <= 2 * maxTextChars ? bounded : redactAndClip(text, maxTextChars / 6);
}

/** A model likes to put JSON into a code block. */
function parseLastLine(text: string): ReturnType<typeof parseObject> {
  const lines = text.split("\n").map((line) => line.trim());
  const lastLine = lines.findLast((line) => line !== "" && line !== "```") ?? "";
  return lastLine.startsWith("{") ? parseObject(lastLine) : null;
}

/** It is this machine's to be put right: another may do better, or this one a little later. */
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
  // The session is full, and a new one may still do it.
  const isRetryable = isFull(result) || problem !== "invalid_request";
  return { kind: "failed", reason, isRetryable, ...retryDelay(problem, resetsAtMs, now) };
}

function retryDelay(problem: string | null, resetsAtMs: number | null, now: number): { delayMs?: number } {
  if (problem === "rate_limit" && resetsAtMs !== null) {
    return { delayMs: Math.min(maxDelayMs, Math.max(0, resetsAtMs - now)) };
  }
  return problem !== null && machineProblems.has(problem) ? { delayMs: machineRetryMs } : {};
}

export function isFull({ terminalReason }: ResultEvent): boolean {
  return terminalReason === "prompt_too_long";
}

/** [CX4] It was told to resume a session that it cannot find. */
export function isUnknownSession({ isError, subtype, turns }: ResultEvent): boolean {
  return isError && subtype === "error_during_execution" && turns === 0;
}

/** One line that can be stored. */
export function toReason(text: string): string {
  return redactAndClip(text, maxReasonChars).replaceAll(/\s+/g, " ").trim() || "no reason is given";
}
