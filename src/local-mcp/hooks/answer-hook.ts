import { claudeCode } from "../../clients/claude-compatible.ts";
import type { ClientAdapter } from "../../clients/client-adapter.ts";
import type { HookAnswer } from "../../contract/hook-answer.ts";
import type { HookEvent } from "../../contract/hook-input.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { isEmpty } from "../../store/spool.ts";
import { StoreError } from "../../store/store-error.ts";
import { refusalOf } from "./hook-answer.ts";
import { isEventPaused, type HookCall } from "./hook-context.ts";
import { readVerdict } from "./hook-decision.ts";
import { isRecorded } from "./recorded-events.ts";
import { runHook, type HookResult } from "./run-hook.ts";
import { spoolEvent } from "./spool-event.ts";
import { drainInto } from "./spool-hook.ts";
import { messageOf, stackOf } from "../../shared/error.ts";
import { problemEvents, problemText } from "./hook-problem.ts";
import { parseInput, readEvent } from "./read-event.ts";

/**
 * [HO1] Never throws: an event that cannot be stored is spooled, and the user is informed.
 * @param id of the event, whose sender may spool it as well
 */
export function answerHook(
  runtime: Runtime,
  event: string,
  readInput: () => string,
  clientPid: number,
  named: ClientAdapter = claudeCode,
  id?: string,
): string {
  try {
    const given = { event, input: readInput(), client: named, env: runtime.env, clientPid, id };
    const { client, calls } = readEvent(given, (reason) => rejectInput(runtime, reason));
    const answers = calls.map((call) => runGuarded(runtime, call, false).answer);
    const answer = client.answer(event, strictest(answers));
    return Object.keys(answer).length === 0 ? "" : JSON.stringify(answer);
  } catch (error) {
    return rejectInput(runtime, `${event}: ${stackOf(error)}`);
  }
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
  return runtime.durations.time("shim_hook_duration_seconds", () => storeOrSpool(runtime, call, isDeferred), {
    labels: [call.event],
    session: ({ work: left }) => left?.sessionId,
  });
}

function storeOrSpool(runtime: Runtime, call: HookCall, isDeferred: boolean): HookResult {
  const { event } = call;
  try {
    const isTurn = isDeferred ? isEmpty(runtime.paths.spool) : drainFirst(runtime, event);
    // Earlier events are still to be stored: this one queues behind them.
    if (!isTurn && trySpool(runtime, call)) return guardOnly(runtime, call);
    // Its sender got no answer, or has spooled it meanwhile.
    if (isRecorded(runtime.store, call.id)) return guardOnly(runtime, call);
    return runHook(runtime, call, isDeferred);
  } catch (error) {
    runtime.log("error", `${event} was not stored`, { error: stackOf(error) });
    const isPassing = error instanceof StoreError && error.retryable;
    const isLater = trySpool(runtime, call);
    if ((isLater && isPassing) || !problemEvents.has(event)) return guardOnly(runtime, call);
    const systemMessage = problemText(runtime, messageOf(error), isLater);
    return { answer: { systemMessage }, work: null };
  }
}

/** [HO32] [HO76] Budgets and reservations can still be read while the store takes no write. */
function guardOnly(runtime: Runtime, call: HookCall): HookResult {
  if (call.event !== "PreToolUse" || isSurelyPaused(runtime, call)) return { answer: {}, work: null };
  try {
    return { answer: refusalOf(call.event, readVerdict(runtime, call)), work: null };
  } catch (error) {
    runtime.log("error", `${call.event}: budgets and reservations cannot be read`, { error: stackOf(error) });
    return { answer: runtime.config.team.blockUnchecked ? refusalOf(call.event, unchecked) : {}, work: null };
  }
}

const unchecked = {
  kind: "refused",
  reason: "SHIM could not check this call: its store cannot be read. Run `shim doctor`, then try again.",
} as const;

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

function rejectInput(runtime: Runtime, reason: string): string {
  runtime.log("error", "hook did nothing", { reason });
  return "";
}
