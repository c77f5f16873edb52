import { isBySubagent } from "../../clients/adapter/tools.ts";
import type { HookAnswer, HookEvent } from "../../contract/hooks.ts";
import { isToolEnd } from "../../machine/sessions/hook-entries.ts";
import * as journal from "../../machine/sessions/journal.ts";
import * as life from "../../machine/sessions/life/row.ts";
import { batchMs, type AskedPermission } from "../../machine/sessions/requests.ts";
import type { EventMachine, Runtime } from "../../runtime/runtime.ts";
import { stackOf } from "../../shared/error.ts";
import type { IncomingEvent } from "./read-event.ts";

/** Turns that their user has stopped from elsewhere, in a client that ends one for a hook alone. */

/**
 * Why the call of an event does not begin: no call of the turn does, also none of the answer of
 * the model that the stop met. Null: nothing was stopped, or another turn has begun.
 */
export function stopRefusal(
  { windows, now }: Pick<EventMachine, "windows" | "now">,
  { input: { prompt_id: prompt } }: Pick<IncomingEvent, "input">,
  session: string,
): string | null {
  const by = windows.stops.get(session);
  if (by === undefined || (by !== null && (by.prompt !== prompt || now() - by.at >= batchMs))) return null;
  return "the user has stopped this turn from elsewhere.";
}

interface Answered {
  readonly answer: HookAnswer;
  readonly asked: readonly AskedPermission[];
}

/** The turn ends with the begin or the end of a call. A sub-agent begins none, and so ends soon. */
export function withStop(
  runtime: StopMachine,
  incoming: IncomingEvent,
  session: string,
  { answer, asked }: Answered,
): Answered {
  const { windows } = runtime;
  if (incoming.isLate === true) return { answer, asked };
  if (beginsOrEndsTurn(runtime, incoming, session)) windows.stops.delete(session);
  const end = stopRefusal(runtime, incoming, session) === null ? null : endingAnswer(incoming);
  if (end === null) return { answer, asked };
  noteEnd(runtime, incoming, session);
  return { answer: { ...answer, ...end }, asked: [] };
}

const turnBounds: ReadonlySet<HookEvent> = new Set(["UserPromptSubmit", "Stop", "StopFailure", "SessionStart"]);

/** The user may type while a call of the chat runs: that prompt joins the turn. */
function beginsOrEndsTurn({ store }: StopMachine, { event, input }: IncomingEvent, session: string): boolean {
  if (!turnBounds.has(event) || input.agent_id !== undefined) return false;
  if (event !== "UserPromptSubmit") return true;
  const calls = store.read((sql) => life.read(sql, session)?.calls, null) ?? [];
  return calls.every(({ name, isLost }) => isLost === true || isBySubagent(name));
}

/** @returns null: with this event no turn ends */
function endingAnswer({ event, input }: IncomingEvent): HookAnswer | null {
  const stopReason = "SHIM: you have stopped this turn from elsewhere.";
  const end = { continue: false, stopReason } as const;
  if (event === "PreToolUse" || (isToolEnd(event) && input.agent_id === undefined)) return end;
  if (event !== "PermissionRequest") return null;
  const decision = { behavior: "deny", interrupt: true, message: stopReason } as const;
  return { ...end, hookSpecificOutput: { hookEventName: event, decision } };
}

type StopMachine = Pick<Runtime, "windows" | "now" | "store" | "log">;

function noteEnd(
  { windows, store, now, log }: StopMachine,
  { input: { agent_id: agent, prompt_id: prompt } }: IncomingEvent,
  session: string,
): void {
  if (agent !== undefined) return;
  const at = now();
  const isFirst = windows.stops.get(session) === null;
  windows.stops.set(session, { at, prompt });
  if (!isFirst) return;
  try {
    store.write((sql) => journal.append(sql, session, at, `interrupted:${at}`, { kind: "interrupted" }));
  } catch (error) {
    log("error", "the stop was not stored", { error: stackOf(error) });
  }
}
