import type * as z from "zod/mini";
import { HookInput, isHookEvent, type HookEvent } from "../../contract/hook-input.ts";
import type { Runtime } from "../runtime.ts";
import { isEmpty } from "../store/spool.ts";
import { StoreError } from "../store/store-error.ts";
import { cleanInput } from "./clean-input.ts";
import { runHook, type HookAnswer } from "./run-hook.ts";
import { drainInto, spool } from "./spool-hook.ts";
import { messageOf, stackOf } from "../../shared/error.ts";

/** Larger input is not looked at: it could only be a tool's output. */
const maxInputChars = 32_000_000;

/** Events at which the user looks at the screen: trouble is told there, once a turn and not at every tool. */
const telling: ReadonlySet<HookEvent> = new Set(["SessionStart", "UserPromptSubmit"]);

/**
 * What a hook process prints: JSON for the client, or nothing. [HO1] Never throws: bad input and broken storage end in the log, the
 * event in the spool, and the user is told.
 *
 * @param clientPid the process that started the hook
 */
export function answerHook(runtime: Runtime, event: string, readInput: () => string, clientPid: number): string {
  if (!isHookEvent(event)) return refused(runtime, `unknown hook event "${event}"`);
  try {
    const input = parse(readInput());
    if (typeof input === "string") return refused(runtime, `${event}: ${input}`);
    return print(guarded(runtime, event, input, clientPid));
  } catch (error) {
    return refused(runtime, `${event}: ${stackOf(error)}`);
  }
}

function guarded(runtime: Runtime, event: HookEvent, input: HookInput, clientPid: number): HookAnswer {
  try {
    const isTurn = drainFirst(runtime, event);
    // What waits before it is being stored by another process just now: it waits behind it.
    if (!isTurn && isKept(runtime, event, input, clientPid)) return {};
    return runHook(runtime, event, input, clientPid);
  } catch (error) {
    runtime.log("error", `${event} was not stored`, { error: stackOf(error) });
    const isPassing = error instanceof StoreError && error.retryable;
    const isLater = isKept(runtime, event, input, clientPid);
    if ((isLater && isPassing) || !telling.has(event)) return {};
    return { systemMessage: trouble(error, isLater) };
  }
}

function trouble(error: unknown, isLater: boolean): string {
  const what = messageOf(error);
  const fate = isLater ? "Events are kept aside until it can." : "Events are lost until it can.";
  return `SHIM cannot save: ${what} ${fate} Run \`shim doctor\`.`;
}

/** A client waits for its hook: of a long queue each hook takes a part, and waits behind the rest. */
const patienceMs = 300;

/**
 * [HO8] Events keep their order: what waits in the spool comes first. It may be an earlier prompt, or the end of the session that a start is
 * to be told of; a start cannot wait itself, since the client reads its answer.
 *
 * @returns whether nothing waits any more
 * @throws {StoreError} when the store takes nothing
 */
function drainFirst(runtime: Runtime, event: HookEvent): boolean {
  const { spool: folder } = runtime.paths;
  if (isEmpty(folder)) return true;
  try {
    drainInto(runtime, patienceMs);
    return event === "SessionStart" || isEmpty(folder);
  } catch (error) {
    if (event !== "SessionStart") throw error;
    runtime.log("error", "the spool was not taken over", { error: stackOf(error) });
    return true;
  }
}

/** False when not even the spool takes the event: then it is lost. */
function isKept(runtime: Runtime, event: HookEvent, input: HookInput, clientPid: number): boolean {
  try {
    spool(runtime, event, input, clientPid);
    return true;
  } catch (error) {
    runtime.log("error", `${event} is lost, the spool does not take it`, { error: stackOf(error) });
    return false;
  }
}

/** The parsed input, or what is wrong with it. */
function parse(text: string): HookInput | string {
  if (text.length > maxInputChars) return `input of ${text.length} characters is not looked at`;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return "input is not JSON";
  }
  const parsed = HookInput.safeParse(value);
  return parsed.success ? cleanInput(parsed.data) : `input is not what Claude Code sends: ${wrongIn(parsed.error)}`;
}

/** Whatever else may stand in it is taken as it is, or passed over. */
function wrongIn({ issues: [issue] }: z.core.$ZodError): string {
  const field = issue?.path.join(".") ?? "";
  if (!issue || field === "") return "a JSON object is needed";
  if (issue.code === "too_small") return `${field} is empty`;
  if (issue.code === "too_big") return `${field} has more than ${issue.maximum} characters`;
  return `${field} is missing, or is no text`;
}

function refused(runtime: Runtime, reason: string): string {
  runtime.log("error", "hook did nothing", { reason });
  return "";
}

function print(answer: HookAnswer): string {
  return Object.keys(answer).length === 0 ? "" : JSON.stringify(answer);
}
