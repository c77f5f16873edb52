import type { HookAnswer } from "../../contract/hook-answer.ts";
import type { HookEvent } from "../../contract/hook-input.ts";
import { capture, type RecentStates } from "../checkpoints/capture.ts";
import type { Trigger } from "../../contract/checkpoint.ts";
import { isToolEnd } from "../checkpoints/triggers.ts";
import { timerTrigger } from "../../policy/save-triggers.ts";
import { observe } from "../observe/observe.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { isSessionPaused } from "../sessions/paused-session.ts";
import * as servers from "../sessions/servers.ts";
import * as sessions from "../sessions/sessions.ts";
import { readSubagents } from "../observe/record-transcript.ts";
import { toAnswer } from "./hook-answer.ts";
import { betweenTurns, readContext, skipTranscript, type HookCall, type HookContext } from "./hook-context.ts";
import { interpret, OverBudgetError, repeatWithinBudget, shortText } from "../../platform/time-budget.ts";
import { limits, redactAndClip } from "../sessions/entries.ts";
import { recordEvent, recordUnreadEvent, type RecordedEvent } from "./record-event.ts";
import { noteRecorded } from "./recorded-events.ts";
import { startSession } from "./session-start.ts";

export interface DeferredWork {
  readonly sessionId: string;
  readonly trigger: Trigger | null;
  readonly isTranscriptBehind: boolean;
}

export interface HookResult {
  readonly answer: HookAnswer;
  /** Null if nothing is left to do. */
  readonly work: DeferredWork | null;
}

/**
 * Reads what the event needs, records it with what it leads to, and answers. The checkpoint and the
 * readings of a deferred event follow its answer.
 *
 * @throws {StoreError} when nothing could be stored; the caller spools the event
 */
export function runHook(runtime: Runtime, call: HookCall, isDeferred = false): HookResult {
  const context = readContext(runtime, call, isDeferred);
  if (context.isPaused) {
    skipTranscript(runtime, context);
    return { answer: {}, work: null };
  }
  const missedBySubagents = readUnserved(runtime, context);
  const recorded = recordWithinBudget(runtime, { ...context, missedBySubagents });
  if (!recorded) return { answer: {}, work: null };
  const { sessionId, trigger, started } = recorded;
  if (!isDeferred) checkpoint(runtime, { sessionId, trigger });
  const answer = toAnswer(runtime, context, recorded, started && startSession(runtime, started));
  const isTranscriptBehind = context.transcript === null && call.input.transcript_path !== undefined;
  return { answer, work: isDeferred ? { sessionId, trigger, isTranscriptBehind } : null };
}

/** [JO42] An event that takes too long is stored as it came, and the session continues. */
function recordWithinBudget(runtime: Runtime, context: Parameters<typeof recordEvent>[2]): RecordedEvent | null {
  const { store, durations, log } = runtime;
  const record = (bound: (work: () => RecordedEvent | null) => RecordedEvent | null): RecordedEvent | null =>
    store.write((sql) => {
      if (context.id !== undefined) noteRecorded(sql, context.id);
      if (durations.isDue) durations.store(sql);
      return bound(() => recordEvent(sql, runtime, context));
    });
  if (isShortCall(context)) return record((work) => work());
  try {
    return repeatWithinBudget(record);
  } catch (error) {
    if (!(error instanceof OverBudgetError)) throw error;
    log("warn", `${context.event} was stored without being interpreted`, { reason: error.message });
    const text = interpret(() => redactAndClip(JSON.stringify(context.input), limits.unread));
    return store.write((sql) => recordUnreadEvent(sql, runtime, context, text ?? "[its redaction took too long]"));
  }
}

/** [JO43] Most events are tool calls with a short input, and nothing is read of the output. */
function isShortCall({ input, transcript, isLate }: HookContext): boolean {
  const { tool_name: tool, tool_input: fields, error, last_assistant_message: words } = input;
  const unread = transcript ? transcript.part.offset - transcript.from : 0;
  if (tool === undefined || isLate || unread > shortText) return false;
  const texts = [...Object.values(Object(fields) as object), error, words];
  return texts.every((one) => typeof one !== "object" && String(one).length < shortText / texts.length);
}

/** [JO24] Reads the transcripts of sub-agents where no timer does. Returns the missed calls. */
function readUnserved(runtime: Runtime, { event, isLate, client, knownId }: HookContext): number {
  if (!betweenTurns.has(event) || isLate || !client) return 0;
  const session = runtime.store.read((sql) => {
    return servers.check(sql, runtime.processes, client).isServed ? null : sessions.get(sql, knownId);
  }, null);
  return session ? readSubagents(runtime, session) : 0;
}

/** [HO55] Throws StoreError when nothing could be stored; the next event or the timer does it. */
export function observeAfter(runtime: Runtime, event: HookEvent, sessionId: string): Trigger | null {
  return runtime.store.write((sql) => {
    const session = sessions.get(sql, sessionId);
    if (!session || isSessionPaused(sql, runtime.now(), session)) return null;
    const { facts, config } = observe(sql, runtime, session);
    return isToolEnd(event) ? timerTrigger(facts, config.checkpoint) : null;
  });
}

export function checkpoint(
  runtime: Runtime,
  { sessionId, trigger }: Pick<DeferredWork, "sessionId" | "trigger">,
  recent?: RecentStates,
): void {
  if (trigger === null) return;
  const saved = capture(runtime, { sessionId, trigger }, recent);
  if (!saved.ok && saved.error.code === "too_large") runtime.log("warn", "checkpoint too large", saved.error);
}
