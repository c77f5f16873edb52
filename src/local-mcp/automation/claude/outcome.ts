import type { Json } from "../../../contract/values.ts";
import { redactAndClip } from "../../sessions/entries.ts";
import { redactJson } from "../../redaction/redact.ts";
import { parseObject, textAt } from "../../signals/json-fields.ts";
import type { Outcome } from "../executor.ts";
import type { ResultEvent } from "./events.ts";

/** What else a run has told before its last event. */
export interface Circumstances {
  readonly session: string;
  /** Claude Code's word for what went wrong with the API; null: nothing. */
  readonly problem: string | null;
  /** Epoch ms. */
  readonly resetsAtMs: number | null;
  readonly now: number;
  /** Comes with the result of a task that is done. */
  readonly facts: Readonly<Record<string, Json>>;
}

const mostTextChars = 100_000;
const mostReasonChars = 400;

/** [CX10] What the last event means for the task. Pure. */
export function outcomeOf(result: ResultEvent, around: Circumstances): Outcome {
  if (result.subtype === "error_max_budget_usd") return { kind: "over_budget", reason: reasonOf(result.text) };
  return result.isError ? failure(result, around) : told(result, around);
}

/** [CX11] The model's own word: its last line, where that is one of the two forms that it was told of. */
function told({ text, turns, refused }: ResultEvent, { session, facts }: Circumstances): Outcome {
  const last = lastWord(text);
  if (last?.["shim"] === "failed") {
    const isRetryable = last["isRetryable"] === true;
    return { kind: "failed", reason: reasonOf(textAt(last, "reason") ?? "it says that it has failed"), isRetryable };
  }
  // What JSON.parse has made is JSON.
  const value =
    last?.["shim"] === "done" && "result" in last ? { value: redactJson(last["result"]).value as Json } : {};
  return { kind: "done", result: { text: fitting(text), ...value, session, turns, refused, ...facts } };
}

/** As JSON a character may become six; a result has room for two and a half times as many. */
function fitting(text: string): string {
  const kept = redactAndClip(text, mostTextChars);
  return JSON.stringify(kept).length <= 2 * mostTextChars ? kept : redactAndClip(text, mostTextChars / 6);
}

/** A model likes to put JSON into a code block. */
function lastWord(text: string): ReturnType<typeof parseObject> {
  const lines = text.split("\n").map((line) => line.trim());
  const last = lines.findLast((line) => line !== "" && line !== "```") ?? "";
  return last.startsWith("{") ? parseObject(last) : null;
}

/** It is this machine's to be put right: another may do better, or this one a little later. */
const ofMachine: ReadonlySet<string> = new Set([
  "authentication_failed",
  "oauth_org_not_allowed",
  "account_on_hold",
  "verification_required",
  "billing_error",
  "cloud_credential_error",
  "model_not_found",
]);
const ofMachineMs = 60_000;
const longestDelayMs = 7 * 86_400_000;

function failure(result: ResultEvent, { problem, resetsAtMs, now }: Circumstances): Outcome {
  const reason = reasonOf(result.text || `Claude Code ended with ${result.subtype}`);
  // The session is full, and a new one may still do it.
  const isRetryable = isFull(result) || problem !== "invalid_request";
  return { kind: "failed", reason, isRetryable, ...delayOf(problem, resetsAtMs, now) };
}

function delayOf(problem: string | null, resetsAtMs: number | null, now: number): { delayMs?: number } {
  if (problem === "rate_limit" && resetsAtMs !== null) {
    return { delayMs: Math.min(longestDelayMs, Math.max(0, resetsAtMs - now)) };
  }
  return problem !== null && ofMachine.has(problem) ? { delayMs: ofMachineMs } : {};
}

export function isFull({ terminalReason }: ResultEvent): boolean {
  return terminalReason === "prompt_too_long";
}

/** [CX4] It was told to resume a session that it cannot find. */
export function isUnknownSession({ isError, subtype, turns }: ResultEvent): boolean {
  return isError && subtype === "error_during_execution" && turns === 0;
}

/** One line that can be stored. */
export function reasonOf(text: string): string {
  return redactAndClip(text, mostReasonChars).replaceAll(/\s+/g, " ").trim() || "no reason is given";
}
