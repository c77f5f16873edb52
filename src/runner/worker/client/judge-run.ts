import { oneLine } from "../../../shared/format.ts";
import type { EndEvent, Problem } from "../../../clients/adapter/run-output.ts";
import type { UsageLimit } from "../../../contract/config.ts";
import type { Json } from "../../../contract/values.ts";
import { redactJson } from "../../../redaction/redact-json.ts";
import { redactAndClip } from "../../../redaction/redact.ts";
import { isUserSignal, type ProgramExit } from "../../../platform/run-program.ts";
import { parseObject, textAt } from "../../../shared/json-fields.ts";
import { failed, type Failed, type RunOutcome } from "../executor.ts";
import type { ClientEnd } from "./client-run.ts";

/** Pure: what the end of a client's run means for its task. */

const maxTextChars = 100_000;
const maxReasonChars = 400;

/** Another machine may do better, or this one a little later. */
const machineRetryMs = 60_000;

/** Meaning of the end of a run. */
export type Judged =
  | RunOutcome
  /** The session to resume does not exist. */
  | { readonly kind: "unknown_session"; readonly reason: string }
  /** `words`: the client's own. */
  | { readonly kind: "limited"; readonly limit: UsageLimit; readonly words: string }
  /** The rule for usage limits has ended it. */
  | { readonly kind: "rule"; readonly reason: string }
  /** The client has failed, by no fault of its work. */
  | (Omit<Failed, "kind"> & { readonly kind: "broken" });

/** Limits that the settings name: another run would end the same way. */
const userLimits: ReadonlySet<string> = new Set(["error_max_turns", "error_max_budget_usd"]);

/** @param client title of one that continues at a usage limit; null: the usual client */
export function judge(run: ClientEnd, client: string | null): Judged {
  const { exit, stop, state, stderr } = run;
  if (stop) return outcomeOfStop(stop);
  const { end } = state;
  if (exit.kind === "not_started") return broken(`the client cannot be started: ${exit.message}`);
  const isBroken = client !== null && exit.code !== 0 && !end?.isError;
  if (!end || isBroken) {
    const why = stderr && `. ${stderr}`;
    return { ...broken(`the client ended with ${exit.code} and no result${why}`), ...byUser(exit, end) };
  }
  if (end.isError || userLimits.has(end.subtype)) return judgeError(run, end);
  const { tokens, costMicros } = run.usage;
  const cost = run.isCostMeasured ? "measured" : "unknown";
  const facts = { session: state.session, turns: end.turns, refused: end.refused, tokens, costMicros, cost };
  return outcomeOfAnswer(end.text || state.lastText, client === null ? facts : { ...facts, client });
}

function judgeError({ exit, state: { problem, limit } }: ClientEnd, end: EndEvent): Judged {
  if (userLimits.has(end.subtype)) return { kind: "over_budget", reason: toReason(end.text || end.subtype) };
  if (limit && !isFull(end)) return { kind: "limited", limit, words: toReason(end.text) };
  const failed = { ...broken(end.text || `the client ended with ${end.subtype}`), ...byUser(exit, end) };
  const isUnknown = end.subtype === "error_during_execution" && end.turns === 0 && !failed.isByUser;
  if (isUnknown) return { kind: "unknown_session", reason: failed.reason };
  return { ...failed, ...retryOf(problem, end) };
}

function broken(text: string): Extract<Judged, { kind: "broken" }> {
  return { kind: "broken", reason: toReason(text), isRetryable: true };
}

function retryOf(problem: Problem | null, end: EndEvent): { readonly isRetryable: boolean; readonly delayMs?: number } {
  const isRetryable = isFull(end) || problem !== "request";
  const isOfMachine = problem === "machine" || problem === "model";
  return { isRetryable, ...(isOfMachine ? { delayMs: machineRetryMs } : {}) };
}

function outcomeOfStop({ kind, reason }: NonNullable<ClientEnd["stop"]>): Judged {
  return kind === "stopped" ? { kind } : { kind, reason };
}

/** At SIGINT a client may end with exit code 0, and this reason. */
function byUser(exit: ProgramExit, end: EndEvent | null): { readonly isByUser?: true } {
  return isUserSignal(exit) || end?.terminalReason?.startsWith("aborted_") === true ? { isByUser: true } : {};
}

/** The account, the service, the network or the program failed, not the model. */
export function isMachineTrouble({ exit, state: { end, problem } }: ClientEnd): boolean {
  if (exit.kind === "not_started" || !end) return true;
  return end.isError && !isFull(end) && (problem === "machine" || problem === "service" || problem === "unknown");
}

export function isFull({ terminalReason }: EndEvent): boolean {
  return terminalReason === "prompt_too_long";
}

/** Reads the last line if it has one of the two forms that the prompt names. */
function outcomeOfAnswer(text: string, facts: Readonly<Record<string, Json>>): RunOutcome {
  const lines = text.split("\n").map((line) => line.trim());
  // Models like to put JSON into a code block.
  const lastLine = lines.findLast((line) => line !== "" && line !== "```") ?? "";
  const statement = lastLine.startsWith("{") ? parseObject(lastLine) : null;
  if (statement?.["shim"] === "failed") {
    const reason = textAt(statement, "reason") ?? "it reported a failure without a reason";
    return failed(toReason(reason), statement["isRetryable"] === true);
  }
  const hasValue = statement?.["shim"] === "done" && "result" in statement;
  const value = hasValue ? { value: redactJson(statement["result"]).value as Json } : {};
  const bounded = redactAndClip(text, maxTextChars);
  // A character may take six in JSON; a result has room for two and a half times as many.
  const isFitting = JSON.stringify(bounded).length <= 2 * maxTextChars;
  const fitting = isFitting ? bounded : redactAndClip(text, maxTextChars / 6);
  return { kind: "done", result: { text: fitting, ...value, ...facts } };
}

function toReason(text: string): string {
  return oneLine(redactAndClip(text, maxReasonChars)) || "no reason is given";
}
