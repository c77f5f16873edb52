import type { Json } from "../../contract/json.ts";
import { redactAndClip } from "../../local-mcp/sessions/entries.ts";
import { isUsageLimit } from "../../local-mcp/signals/crash-cause.ts";
import { redactJson } from "../../redaction/redact.ts";
import { parseObject, textAt } from "../../shared/json-fields.ts";
import type { RunOutcome } from "../executor.ts";
import type { ClientEnd, RunState } from "./client-run.ts";
import type { EndEvent } from "./run-events.ts";
import type { UsageLimit } from "./usage.ts";

/** Pure: what the end of a client's run means for its task. */

const maxTextChars = 100_000;
const maxReasonChars = 400;

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
const serviceProblems: ReadonlySet<string> = new Set(["rate_limit", "server_error", "overloaded", "unknown"]);

/** Outcome of a run that SHIM has stopped; null: it ended by itself. */
export function outcomeOfStop({ stop }: ClientEnd): RunOutcome | null {
  if (stop?.kind === "stalled") return failure(`stalled: ${stop.reason}`);
  return stop && (stop.kind === "stopped" ? { kind: "stopped" } : { kind: "over_budget", reason: stop.reason });
}

/** [CX10] Claude Code reached no usage limit. */
export function outcomeOfClaude({ exit, state, stderr, usage, ...run }: ClientEnd, program: string): RunOutcome {
  const { end, problem, session } = state;
  if (exit.kind === "not_started") return failure(`${program}: ${exit.message}`);
  if (!end) return failure(`Claude Code ended with ${exit.code} and no result. ${stderr}`);
  if (end.subtype === "error_max_budget_usd") return { kind: "over_budget", reason: toReason(end.text) };
  if (end.isError) {
    const isRetryable = isFull(end) || problem !== "invalid_request";
    const delay = problem !== null && machineProblems.has(problem) ? { delayMs: machineRetryMs } : {};
    return { ...failure(end.text || `Claude Code ended with ${end.subtype}`), isRetryable, ...delay };
  }
  const { text, turns, refused } = end;
  const cost = run.isCostMeasured ? "measured" : "estimated";
  const { tokens, costMicros } = usage;
  return outcomeOfAnswer(text, { session, turns, refused, tokens, costMicros, cost });
}

/** [CX31] [CX32] A text says why another client failed, which is not the task's fault. */
export function outcomeOfOther({ exit, state, stderr, usage }: ClientEnd, title: string): RunOutcome | string {
  const { end, session, lastText } = state;
  if (exit.kind === "not_started") return toReason(`${title}: ${exit.message}`);
  if (end?.isError) return toReason(`${title}: ${end.text}`);
  if (!end || exit.code !== 0) return toReason(`${title}: it ended with ${exit.code} and no result. ${stderr}`);
  const { tokens, costMicros } = usage;
  const facts = { session, turns: end.turns, refused: 0, client: title, tokens, costMicros, cost: "unknown" };
  return outcomeOfAnswer(lastText, facts);
}

function failure(text: string): Extract<RunOutcome, { kind: "failed" }> {
  return { kind: "failed", reason: toReason(text), isRetryable: true };
}

/** [CX25] The usage limit that has ended a run; a short throttling of the service is none. */
export function limitAtEnd({ end, problem, limit }: RunState): UsageLimit | null {
  const isLimit = end?.isError === true && !isFull(end) && isUsageLimit(`${problem ?? ""} ${end.text}`);
  return isLimit ? (limit ?? { resetsAtMs: null }) : null;
}

/** [RT12] The account, the service, the network or the program failed, not the model. */
export function isMachineTrouble({ exit, state: { end, problem } }: ClientEnd): boolean {
  if (exit.kind === "not_started" || !end) return true;
  if (!end.isError || isFull(end) || problem === null || problem === "model_not_found") return false;
  return machineProblems.has(problem) || serviceProblems.has(problem);
}

export function isFull({ terminalReason }: EndEvent): boolean {
  return terminalReason === "prompt_too_long";
}

/** [CX22] Whether the session to resume does not exist. */
export function isUnknownSession({ isError, subtype, turns }: EndEvent): boolean {
  return isError && subtype === "error_during_execution" && turns === 0;
}

/** [CX11] Reads the last line if it has one of the two forms that the prompt names. */
function outcomeOfAnswer(text: string, facts: Readonly<Record<string, Json>>): RunOutcome {
  const lines = text.split("\n").map((line) => line.trim());
  // Models like to put JSON into a code block.
  const lastLine = lines.findLast((line) => line !== "" && line !== "```") ?? "";
  const statement = lastLine.startsWith("{") ? parseObject(lastLine) : null;
  if (statement?.["shim"] === "failed") {
    const reason = textAt(statement, "reason") ?? "it reported a failure without a reason";
    return { ...failure(reason), isRetryable: statement["isRetryable"] === true };
  }
  const hasValue = statement?.["shim"] === "done" && "result" in statement;
  const value = hasValue ? { value: redactJson(statement["result"]).value as Json } : {};
  return { kind: "done", result: { text: fitText(text), ...value, ...facts } };
}

/** A character may take six in JSON; a result has room for two and a half times as many. */
function fitText(text: string): string {
  const bounded = redactAndClip(text, maxTextChars);
  return JSON.stringify(bounded).length <= 2 * maxTextChars ? bounded : redactAndClip(text, maxTextChars / 6);
}

export function toReason(text: string): string {
  return redactAndClip(text, maxReasonChars).replaceAll(/\s+/g, " ").trim() || "no reason is given";
}
