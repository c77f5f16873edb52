import { askService } from "../../machine/learning/assignment-service.ts";
import type { SessionChange } from "../../machine/sessions/sessions.ts";
import type { ServiceArms } from "../../machine/sessions/session-settings.ts";
import { OverBudgetError, repeatWithinBudget, shortText } from "../../platform/time-budget.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { seenEvents } from "../../store/machine-tables.ts";
import type { Concern, Draft, EventTranscript, Recording } from "./concern.ts";
import { readTranscript, skipTranscript } from "./event-transcript.ts";
import { identify, type IdentifiedEvent } from "./known-session.ts";
import type { IncomingEvent } from "./read-event.ts";
import { isForeign, see, withCallId } from "./sighting.ts";
import { concerns, unreadConcerns } from "./steps.ts";

export interface RecordedEvent {
  readonly draft: Draft;
  readonly sessionId: string;
  readonly isTranscriptBehind: boolean;
}

/**
 * Records an event with all that its concerns do in one transaction. One that takes too long is
 * stored as it came, and the session continues.
 *
 * @returns `repeated`: recorded before, and sent again; `nothing`: not to be recorded
 * @throws {StoreError} when nothing could be stored
 */
export function recordEvent(runtime: Runtime, incoming: IncomingEvent): RecordedEvent | "repeated" | "nothing" {
  const arms = incoming.event === "SessionStart" ? askArms(runtime, incoming) : null;
  try {
    return repeatWithinBudget((bound) => record(runtime, incoming, arms, bound));
  } catch (error) {
    if (!(error instanceof OverBudgetError)) throw error;
    runtime.log("warn", `${incoming.event} was stored without being interpreted`, { reason: error.message });
    return record(runtime, incoming, arms, null);
  }
}

/** @param bound of the interpretation; null: nothing is interpreted */
function record(
  machine: Runtime,
  given: IncomingEvent,
  arms: ServiceArms | null,
  bound: (<R>(work: () => R) => R) | null,
): RecordedEvent | "repeated" | "nothing" {
  return machine.store.write((sql) => {
    const { id } = given;
    const isNew = id === undefined || seenEvents.insert(sql, { id, at: machine.now() }, "ON CONFLICT DO NOTHING") > 0;
    if (!isNew) return "repeated";
    const known = identify(sql, machine, given, arms?.session);
    const identified = { sql, machine, incoming: given, known, readAt: machine.store.context.now() };
    if (known.isPaused) {
      skipTranscript(identified);
      return "nothing";
    }
    const found = readTranscript(identified);
    const run = (): RecordedEvent | "nothing" => {
      if (given.event === "SessionEnd" && isForeign(identified)) return "nothing";
      const incoming = given.input.tool_use_id === undefined ? withCallId(identified) : given;
      const { sighting, ...seen } = see(identified);
      const recording = { ...identified, ...found, incoming, ...seen, arms };
      const draft = runConcerns(bound === null ? unreadConcerns : concerns, recording, sighting);
      return { draft, sessionId: seen.session.id, isTranscriptBehind: found.isBehind };
    };
    return bound === null || isShortCall(identified, found) ? run() : bound(run);
  });
}

function runConcerns(all: readonly Concern[], recording: Recording, sighting: SessionChange): Draft {
  const draft: Draft = {
    changes: [sighting],
    verdict: { kind: "free" },
    missed: 0,
    isNew: true,
    start: null,
    accepted: null,
    news: null,
    conflict: null,
    warning: null,
    trigger: null,
    asked: null,
  };
  const { incoming, known, session, part, turnEnd } = recording;
  const { event, input, isLate = false } = incoming;
  const parts = {
    part: part !== null,
    turnEnd: turnEnd !== null,
    effort: input.effort?.level !== undefined,
    ending: session.ending !== null,
    ...known.has,
    // The event itself may bring the first word of a compaction.
    compactions: part !== null && part.compactions.length > 0,
  };
  const present = new Set<string>([event]);
  for (const [name, has] of Object.entries(parts)) if (has) present.add(name);
  const isAny = (names?: readonly string[]): boolean => names === undefined || names.some((one) => present.has(one));
  for (const { on, has, isForLate, inTransaction } of all)
    if ((isForLate || !isLate) && isAny(on) && isAny(has)) inTransaction(recording, draft);
  return draft;
}

/** Asked before the transaction: the answer may take a second. */
function askArms(runtime: Runtime, incoming: IncomingEvent): ServiceArms | null {
  const { store, config } = runtime;
  if (incoming.isLate || config.experiments.provider === "local") return null;
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
