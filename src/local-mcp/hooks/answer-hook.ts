import type * as z from "zod/mini";
import { senderOf } from "../../clients/adapters.ts";
import { claudeCode } from "../../clients/claude-code.ts";
import type { ClientAdapter, ClientEvent } from "../../clients/client-adapter.ts";
import type { HookAnswer } from "../../contract/hook-answer.ts";
import { HookInput, type HookEvent } from "../../contract/hook-input.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { shimCommand, withShimCommand } from "../../platform/shim-command.ts";
import { isEmpty } from "../../store/spool.ts";
import { idOf, label } from "../sessions/entries.ts";
import { StoreError } from "../../store/store-error.ts";
import { refusalOf } from "./hook-answer.ts";
import { isEventPaused, type HookCall } from "./hook-context.ts";
import { readVerdict } from "./hook-decision.ts";
import { endsWithEvent, runHook, type HookResult } from "./run-hook.ts";
import { JsonObjectReader } from "./json-object-reader.ts";
import { drainInto, spoolEvent } from "./spool-hook.ts";
import { messageOf, stackOf } from "../../shared/error.ts";
import { asObject, type JsonObject } from "../../shared/json-fields.ts";

/** [HO41] Larger input loses the fields that are too large. */
const maxInputChars = 32_000_000;

/** Events that show a problem to the user: once a turn, not at every tool. */
export const problemEvents: ReadonlySet<string> = new Set(["SessionStart", "UserPromptSubmit"]);

/** [HO1] Never throws: an event that cannot be stored is spooled, and the user is informed. */
export function answerHook(
  runtime: Runtime,
  event: string,
  readInput: () => string,
  clientPid: number,
  named: ClientAdapter = claudeCode,
): string {
  if (!named.events.includes(event)) return rejectInput(runtime, `unknown hook event "${label(event)}"`);
  try {
    const payload = parse(readInput(), named);
    if (typeof payload === "string") return rejectInput(runtime, `${event}: ${payload}`);
    const client = senderOf(named, payload);
    const events = client.normalise(event, payload, runtime.env);
    if (events === null) return rejectInput(runtime, `${event}: input is not what ${client.title} sends`);
    const answers = events.map((one) => answerOne(runtime, client, one, clientPid));
    const answer = client.answer(event, strictest(answers));
    return Object.keys(answer).length === 0 ? "" : JSON.stringify(answer);
  } catch (error) {
    return rejectInput(runtime, `${event}: ${stackOf(error)}`);
  }
}

function answerOne(
  runtime: Runtime,
  { name, title }: ClientAdapter,
  { event, input: given }: ClientEvent,
  clientPid: number,
): HookAnswer {
  const input = parseInput(given, title);
  if (typeof input !== "string")
    return runGuarded(runtime, { event, input, clientName: name, clientPid }, false).answer;
  rejectInput(runtime, `${event}: ${input}`);
  return {};
}

/** One call may change several files: a refusal of one refuses the call. */
function strictest(answers: readonly HookAnswer[]): HookAnswer {
  const refusal = answers.find(({ hookSpecificOutput }) => hookSpecificOutput?.permissionDecision === "deny");
  return refusal ?? answers.find((answer) => Object.keys(answer).length > 0) ?? {};
}

/** [HO30] [HO31] Stores only the event before the answer; the rest is left to the caller. */
export function answerEvent(runtime: Runtime, event: HookEvent, value: unknown, clientPid: number): HookResult {
  try {
    const input = parseInput(value, claudeCode.title);
    const clientName = claudeCode.name;
    if (typeof input !== "string") return runGuarded(runtime, { event, input, clientName, clientPid }, true);
    rejectInput(runtime, `${event}: ${input}`);
  } catch (error) {
    rejectInput(runtime, `${event}: ${stackOf(error)}`);
  }
  return { answer: {}, work: null };
}

function runGuarded(runtime: Runtime, call: HookCall, isDeferred: boolean): HookResult {
  const work = (): HookResult => storeOrSpool(runtime, call, isDeferred);
  if (endsWithEvent(call, isDeferred)) return work();
  return runtime.durations.time("shim_hook_duration_seconds", work, {
    labels: [call.event],
    session: ({ work: left }) => left?.sessionId,
  });
}

function storeOrSpool(runtime: Runtime, call: HookCall, isDeferred: boolean): HookResult {
  const { event } = call;
  try {
    const isTurn = isDeferred ? isEmpty(runtime.paths.spool) : drainFirst(runtime, event);
    // Another process is storing earlier events: this one queues behind them.
    if (!isTurn && trySpool(runtime, call)) return guardOnly(runtime, call);
    return runHook(runtime, call, isDeferred);
  } catch (error) {
    runtime.log("error", `${event} was not stored`, { error: stackOf(error) });
    const isPassing = error instanceof StoreError && error.retryable;
    const isLater = trySpool(runtime, call);
    if ((isLater && isPassing) || !problemEvents.has(event)) return guardOnly(runtime, call);
    const systemMessage = withShimCommand(problemText(error, isLater), () => shimCommand(runtime));
    return { answer: { systemMessage }, work: null };
  }
}

/** [HO32] Budgets and reservations can still be read while the store takes no write. */
function guardOnly(runtime: Runtime, call: HookCall): HookResult {
  if (call.event !== "PreToolUse" || isSurelyPaused(runtime, call)) return { answer: {}, work: null };
  try {
    return { answer: refusalOf(call.event, readVerdict(runtime, call)), work: null };
  } catch (error) {
    runtime.log("error", `${call.event}: budgets and reservations cannot be read`, { error: stackOf(error) });
    return { answer: {}, work: null };
  }
}

function problemText(error: unknown, isLater: boolean): string {
  const reason = messageOf(error);
  const consequence = isLater ? "Events wait in the spool until it can." : "Events are lost until it can.";
  return `SHIM cannot save: ${reason} ${consequence} Run \`shim doctor\`.`;
}

/** The client waits for its hook, so each hook handles only a part of a long queue. */
const maxDrainMs = 300;

/** [HO8] [HO14] Returns whether the event may be stored now; throws StoreError if unwritable. */
function drainFirst(runtime: Runtime, event: HookEvent): boolean {
  const { spool: folder } = runtime.paths;
  if (isEmpty(folder)) return true;
  drainInto(runtime, maxDrainMs);
  return event === "SessionStart" || isEmpty(folder);
}

/** @returns false when the spool cannot be written either: the event is lost */
function trySpool(runtime: Runtime, call: HookCall): boolean {
  try {
    if (!isSurelyPaused(runtime, call)) spoolEvent(runtime, call);
    return true;
  } catch (error) {
    runtime.log("error", `${call.event} is lost: it could not be spooled`, { error: stackOf(error) });
    return false;
  }
}

/** [HO10] While no pause can be read, the event waits in the spool and is judged by its time. */
function isSurelyPaused(runtime: Runtime, call: HookCall): boolean {
  try {
    return isEventPaused(runtime, call);
  } catch {
    return false;
  }
}

/** @returns what is wrong, for input that is no JSON object */
function parse(text: string, { title }: ClientAdapter): JsonObject | string {
  try {
    const value: unknown = JSON.parse(text.length > maxInputChars ? withoutLargeFields(text) : text);
    return asObject(value) ?? `input is not what ${title} sends: a JSON object is required`;
  } catch {
    return "input is not JSON";
  }
}

function withoutLargeFields(text: string): string {
  const reader = new JsonObjectReader();
  reader.push(Buffer.from(text));
  return reader.isWhole ? reader.text() : "";
}

function parseInput(value: unknown, client: string): HookInput | string {
  const parsed = HookInput.safeParse(value);
  return parsed.success ? cleanInput(parsed.data) : `input is not what ${client} sends: ${describeIssue(parsed.error)}`;
}

const idFields = ["prompt_id", "tool_use_id", "agent_id"] as const;
const labelFields = ["client_version", "agent_type", "source", "model", "tool_name", "trigger", "reason"] as const;

/** Pure. [HO6] Texts and paths stay: they are bounded and redacted where they are stored. */
export function cleanInput(input: HookInput): HookInput {
  return {
    ...input,
    session_id: idOf(input.session_id),
    ...mapFields(input, idFields, idOf),
    ...mapFields(input, labelFields, label),
  };
}

function mapFields(
  input: HookInput,
  names: readonly ((typeof idFields)[number] | (typeof labelFields)[number])[],
  clean: (text: string) => string,
): Record<string, string> {
  return Object.fromEntries(
    names.flatMap((name) => {
      const value = input[name];
      return value === undefined ? [] : [[name, clean(value)]];
    }),
  );
}

function describeIssue({ issues: [issue] }: z.core.$ZodError): string {
  const field = issue?.path.join(".") ?? "";
  if (!issue) return "an object is required";
  if (issue.code === "too_small") return `${field} is empty`;
  if (issue.code === "too_big") return `${field} has more than ${issue.maximum} characters`;
  return `${field} is missing or is not text`;
}

function rejectInput(runtime: Runtime, reason: string): string {
  runtime.log("error", "hook did nothing", { reason });
  return "";
}
