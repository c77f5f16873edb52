import type { HookAnswer } from "../../contract/hooks.ts";
import { askService } from "../../machine/learning/assignment-service.ts";
import { noteEvent, type AskedPermission } from "../../machine/sessions/requests.ts";
import { limits } from "../../machine/sessions/entries.ts";
import type { ServiceArms } from "../../machine/sessions/session-settings.ts";
import { interpret, OverBudgetError, repeatWithinBudget, shortText } from "../../platform/time-budget.ts";
import { redactAndClip } from "../../redaction/bounded-text.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import type { Sql } from "../../shared/sql.ts";
import { seenEvents } from "../../store/machine-tables.ts";
import type { DeferredWork } from "./after-answer.ts";
import { findMissed, recordEvent, recordUnreadEvent, type RecordedEvent } from "./record-event.ts";
import {
  readTranscript,
  skipTranscript,
  type EventTranscript,
  identify,
  type IdentifiedEvent,
} from "./known-session.ts";
import { toAnswer } from "./hook-answer.ts";
import type { IncomingEvent } from "./read-event.ts";
import { startSession } from "./session-bounds.ts";

/** @returns false for an event that was recorded before, as it came or from the spool */
function noteOnce(sql: Sql, at: number, id: string | undefined): boolean {
  return id === undefined || seenEvents.insert(sql, { id, at }, "ON CONFLICT (id) DO NOTHING") > 0;
}

export interface AnsweredEvent {
  readonly answer: HookAnswer;
  /** Work for after the answer; null: nothing is left to do. */
  readonly work: DeferredWork | null;
  /** A permission that the client asks for, and may be answered from elsewhere. */
  readonly asked: AskedPermission | null;
}

export const unanswered: AnsweredEvent = { answer: {}, work: null, asked: null };

/** `repeated`: recorded before, and sent again; `nothing`: not to be recorded. */
type Recorded = RecordedEvent | "repeated" | "nothing";

/**
 * The steps of an event that its adapter has parsed: its session is identified, the event recorded
 * and decided on, all in one transaction; then it is answered. What it leaves follows the answer.
 *
 * @returns null for an event that was recorded before
 * @throws {StoreError} when nothing could be stored
 */
export function takeSteps(runtime: Runtime, incoming: IncomingEvent): AnsweredEvent | null {
  const recorded = recordOnce(runtime, incoming);
  if (recorded === "repeated") return null;
  if (recorded === "nothing") return unanswered;
  const { event, input, isLate = false } = incoming;
  const { sessionId, trigger, started, isTranscriptBehind, asked, client } = recorded;
  if (event === "UserPromptSubmit" && !isLate && client) runtime.fronts.reported(client);
  if (!isLate) noteEvent(runtime, { session: sessionId, event, input });
  const answer = toAnswer(runtime, incoming, recorded, started && startSession(runtime, started));
  // A call that waits is not held up by readings.
  const isDone = event === "PreToolUse" && trigger === null && !isTranscriptBehind;
  return { answer, work: isDone ? null : { event, sessionId, trigger, isTranscriptBehind }, asked };
}

/** An event that takes too long is stored as it came, and the session continues. */
function recordOnce(runtime: Runtime, incoming: IncomingEvent): Recorded {
  const { store, log } = runtime;
  const arms = askArms(runtime, incoming);
  const write = (record: (identified: IdentifiedEvent) => Recorded): Recorded =>
    store.write((sql) => {
      if (!noteOnce(sql, runtime.now(), incoming.id)) return "repeated";
      const known = identify(sql, runtime, incoming, arms?.session);
      const identified = { sql, runtime, incoming, known };
      if (known.isPaused) skipTranscript(identified);
      return known.isPaused ? "nothing" : record(identified);
    });
  try {
    return repeatWithinBudget((bound) =>
      write((identified) => {
        const missedBySubagents = findMissed(identified);
        const facts = { arms, missedBySubagents, ...readTranscript(identified) };
        const record = (): Recorded => recordEvent(identified, facts) ?? "nothing";
        return isShortCall(identified, facts) ? record() : bound(record);
      }),
    );
  } catch (error) {
    if (!(error instanceof OverBudgetError)) throw error;
    log("warn", `${incoming.event} was stored without being interpreted`, { reason: error.message });
    const text =
      interpret(() => redactAndClip(JSON.stringify(incoming.input), limits.unread)) ?? "[its redaction took too long]";
    return write((identified) => recordUnreadEvent(identified, readTranscript(identified), text));
  }
}

/** Asked before the transaction: the answer may take a second. */
function askArms(runtime: Runtime, incoming: IncomingEvent): ServiceArms | null {
  const { store, config } = runtime;
  const { event, isLate = false } = incoming;
  if (event !== "SessionStart" || isLate || config.experiments.provider === "local") return null;
  const known = store.read((sql) => identify(sql, runtime, incoming), null);
  return known?.isPaused === true ? null : askService(runtime, known?.id ?? incoming.input.session_id);
}

/** Most events are tool calls with a short input, and nothing is read of the output. */
function isShortCall({ incoming, known: { row } }: IdentifiedEvent, { part }: EventTranscript): boolean {
  const { input, isLate = false } = incoming;
  const { tool_name: tool, tool_input: fields, error, last_assistant_message: words } = input;
  const unread = part ? part.offset - (row?.transcriptOffset ?? 0) : 0;
  if (tool === undefined || isLate || unread > shortText) return false;
  const texts = [...Object.values(Object(fields) as object), error, words];
  return texts.every((one) => typeof one !== "object" && String(one).length < shortText / texts.length);
}
