import { adapterOf } from "../../clients/adapters.ts";
import { claudeCode } from "../../clients/claude-code/claude-code.ts";
import type { ClientAdapter } from "../../clients/adapter/client-adapter.ts";
import type { Trigger } from "../../contract/checkpoint.ts";
import type { HookAnswer } from "../../contract/hook-answer.ts";
import { HookInput, isHookEvent, type HookEvent } from "../../contract/hook-input.ts";
import { asProcessIdentity, isAlive } from "../../platform/processes.ts";
import { interpret, OverBudgetError, repeatWithinBudget, shortText } from "../../platform/time-budget.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { messageOf, stackOf } from "../../shared/error.ts";
import type { Sql } from "../../shared/sql.ts";
import * as meta from "../../store/meta.ts";
import { drain, isEmpty, type SpoolEntry } from "../../store/spool.ts";
import { StoreError } from "../../store/store-error.ts";
import { capture } from "../../machine/checkpoints/capture.ts";
import { countedTrigger } from "../../machine/checkpoints/triggers.ts";
import { observe, readInSteps } from "../../machine/signals/observe.ts";
import { readSubagents } from "../../machine/transcripts/record-transcript.ts";
import { limits } from "../../machine/sessions/entries.ts";
import { label, redactAndClip } from "../../redaction/bounded-text.ts";
import { isSessionPaused } from "../../machine/sessions/paused-session.ts";
import * as sessions from "../../machine/sessions/sessions.ts";
import { toAnswer, verdictAnswer } from "./hook-answer.ts";
import { isEdit, type EditVerdict } from "../../machine/team/file-guard.ts";
import { problemEvents, problemText } from "./hook-problem.ts";
import { betweenTurns, isEventPaused, readSession, skipTranscript, type KnownSession } from "./known-session.ts";
import { readEvent, type IncomingEvent, type UnreadInput } from "./read-event.ts";
import { readVerdict, recordEvent, recordUnreadEvent, type RecordedEvent } from "./record-event.ts";
import { startSession } from "./session-start.ts";
import { redactUnread, trySpool, unreadText } from "./spool-event.ts";
import { keepUnread, takeUnreadLine } from "./unread-input.ts";

/** Work that an event leaves for after its answer. */
export interface DeferredWork {
  readonly event: HookEvent;
  readonly sessionId: string;
  /** Why a checkpoint is due at once. */
  readonly trigger: Trigger | null;
  readonly isTranscriptBehind: boolean;
}

interface AnsweredEvent {
  readonly answer: HookAnswer;
  /** Null if nothing is left to do. */
  readonly work: DeferredWork | null;
}

/**
 * Never throws: an event that cannot be stored is spooled, and the user is informed.
 *
 * @param id of the event, whose sender may spool it as well
 * @param later does the rest, which the answer awaits where files are about to change
 */
export function answerHook(
  runtime: Runtime,
  event: string,
  readInput: () => string,
  clientPid: number,
  named: ClientAdapter = claudeCode,
  id?: string,
  later: (work: () => Promise<unknown>, isAwaited: boolean) => void = (work) => void work(),
): string {
  try {
    const given = { event, input: readInput(), client: named, env: runtime.env, clientPid, id };
    const { client, events, unread } = readEvent(given, (reason) => rejectInput(runtime, reason));
    if (unread !== null) keepUnread(runtime, redactUnread(unread));
    const answered = events.map((one) => answerEvent(runtime, one));
    const works = answered.flatMap(({ work }) => work ?? []);
    const isAwaited = works.some((work) => fileChangingEvents.has(work.event));
    if (works.length > 0) later(() => Promise.all(works.map((work) => finishEvent(runtime, work))), isAwaited);
    const isShowing = kindsOf(client, event, events, runtime.env).some((kind) => problemEvents.has(kind));
    const line = isShowing ? takeUnreadLine(runtime, clientPid) : null;
    const answer = client.answer(event, withLine(strictest(answered.map((one) => one.answer)), line));
    return Object.keys(answer).length === 0 ? "" : JSON.stringify(answer);
  } catch (error) {
    return rejectInput(runtime, `${event}: ${stackOf(error)}`);
  }
}

/** Kinds of a client's event, also where nothing of its input could be read. */
function kindsOf(
  client: ClientAdapter,
  event: string,
  events: readonly IncomingEvent[],
  env: NodeJS.ProcessEnv,
): readonly string[] {
  const read = events.length > 0 ? events : client.normalise(event, anyPayload, env);
  return (read ?? []).map((one) => one.event);
}

const anyPayload = { session_id: "any", sessionId: "any", prompt: "any" };

function withLine(answer: HookAnswer, line: string | null): HookAnswer {
  if (line === null) return answer;
  const { systemMessage: before } = answer;
  return { ...answer, systemMessage: before === undefined ? line : `${before}\n${line}` };
}

/** Events whose answer lets files change. */
export const fileChangingEvents: ReadonlySet<HookEvent> = new Set(["PreToolUse", "PreCompact"]);

/** One call may change several files: a refusal of one refuses the call. */
function strictest(answers: readonly HookAnswer[]): HookAnswer {
  const refusal = answers.find(({ hookSpecificOutput }) => hookSpecificOutput?.permissionDecision === "deny");
  return refusal ?? answers.find((answer) => Object.keys(answer).length > 0) ?? {};
}

export function rejectInput({ log }: Runtime, reason: string): string {
  log("error", unreadText, { reason });
  return "";
}

/** Stores only the event before the answer; the rest is left to the caller. */
export function answerEvent(runtime: Runtime, incoming: IncomingEvent): AnsweredEvent {
  return runtime.durations.time("shim_hook_duration_seconds", () => storeOrSpool(runtime, incoming), {
    labels: [incoming.event],
    session: ({ work: left }) => left?.sessionId,
  });
}

function storeOrSpool(runtime: Runtime, incoming: IncomingEvent): AnsweredEvent {
  const { event } = incoming;
  try {
    // Earlier events are still to be stored: this one queues behind them.
    const isInTurn = isEmpty(runtime.paths.spool) || hasDrained(runtime) || event === "SessionStart";
    if (!isInTurn && isLeftOver(runtime, incoming)) return guardOnly(runtime, incoming);
    // Its sender got no answer, or has spooled it meanwhile.
    if (isRecorded(runtime, incoming.id)) return guardOnly(runtime, incoming);
    return storeEvent(runtime, incoming);
  } catch (error) {
    runtime.log("error", `${event} was not stored`, { error: stackOf(error) });
    const isPassing = error instanceof StoreError && error.retryable;
    const isLater = isLeftOver(runtime, incoming);
    if ((isLater && isPassing) || !problemEvents.has(event)) return guardOnly(runtime, incoming);
    const systemMessage = problemText(runtime, messageOf(error), isLater);
    return { answer: { systemMessage }, work: null };
  }
}

/** The client waits for its hook, so each hook handles only a part of a long queue. */
const hookDrainMs = 300;

/** @returns whether nothing waits any more */
function hasDrained(runtime: Runtime): boolean {
  drainInto(runtime, hookDrainMs);
  return isEmpty(runtime.paths.spool);
}

/** @returns false: the event is lost, since the spool cannot be written either */
function isLeftOver(runtime: Runtime, incoming: IncomingEvent): boolean {
  return isSurelyPaused(runtime, incoming) || trySpool(runtime, incoming);
}

/** While no pause can be read, the event waits in the spool and is judged by its time. */
function isSurelyPaused(runtime: Runtime, incoming: IncomingEvent): boolean {
  try {
    return isEventPaused(runtime, incoming);
  } catch {
    return false;
  }
}

/** Budgets and reservations can still be read while the store takes no write. */
function guardOnly(runtime: Runtime, incoming: IncomingEvent): AnsweredEvent {
  const { event } = incoming;
  if (event !== "PreToolUse" || isSurelyPaused(runtime, incoming)) return { answer: {}, work: null };
  try {
    return { answer: verdictAnswer(event, readVerdict(runtime, incoming)), work: null };
  } catch (error) {
    runtime.log("error", `${event}: budgets and reservations cannot be read`, { error: stackOf(error) });
    return { answer: verdictAnswer(event, uncheckedVerdict(runtime, incoming)), work: null };
  }
}

/** Not refused by default: SHIM's own trouble must not end the client's work. */
function uncheckedVerdict({ config: { team } }: Runtime, { input }: IncomingEvent): EditVerdict {
  const cause = "its store cannot be read. Run `shim doctor`";
  if (team.blockUnchecked)
    return { kind: "refused", reason: `SHIM could not check this call: ${cause}, then try again.` };
  if (!team.isEnabled || !isEdit(input)) return { kind: "free" };
  const subject = "SHIM could not check whether another chat has reserved this file";
  return { kind: "warned", text: `${subject}: ${cause}. The edit is allowed.` };
}

/**
 * Reads what the event needs, records it with what it leads to, and answers.
 *
 * @throws {StoreError} when nothing could be stored; the caller spools the event
 */
function storeEvent(runtime: Runtime, incoming: IncomingEvent): AnsweredEvent {
  const known = readSession(runtime, incoming);
  if (known.isPaused) {
    skipTranscript(runtime, incoming, known);
    return { answer: {}, work: null };
  }
  const recorded = recordWithinBudget(runtime, incoming, known, readUnserved(runtime, incoming, known));
  if (!recorded) return { answer: {}, work: null };
  const { sessionId, trigger, started } = recorded;
  const answer = toAnswer(runtime, incoming, recorded, started && startSession(runtime, started));
  const { event, input } = incoming;
  const isTranscriptBehind = known.part === null && input.transcript_path !== undefined;
  return { answer, work: { event, sessionId, trigger, isTranscriptBehind } };
}

/** An event that takes too long is stored as it came, and the session continues. */
function recordWithinBudget(
  runtime: Runtime,
  incoming: IncomingEvent,
  known: KnownSession,
  missedBySubagents: number,
): RecordedEvent | null {
  const { store, durations, log } = runtime;
  const record = (bound: (work: () => RecordedEvent | null) => RecordedEvent | null): RecordedEvent | null =>
    store.write((sql) => {
      if (incoming.id !== undefined)
        meta.write(sql, recordedKey, [...recordedIds(sql).slice(1 - maxIds), incoming.id].join(" "));
      if (durations.isDue) durations.store(sql);
      return bound(() => recordEvent(sql, runtime, incoming, known, missedBySubagents));
    });
  if (isShortCall(incoming, known)) return record((work) => work());
  try {
    return repeatWithinBudget(record);
  } catch (error) {
    if (!(error instanceof OverBudgetError)) throw error;
    log("warn", `${incoming.event} was stored without being interpreted`, { reason: error.message });
    const text = interpret(() => redactAndClip(JSON.stringify(incoming.input), limits.unread));
    return store.write((sql) =>
      recordUnreadEvent(sql, runtime, incoming, known, text ?? "[its redaction took too long]"),
    );
  }
}

/** Most events are tool calls with a short input, and nothing is read of the output. */
function isShortCall({ input, isLate = false }: IncomingEvent, { part, row }: KnownSession): boolean {
  const { tool_name: tool, tool_input: fields, error, last_assistant_message: words } = input;
  const unread = part ? part.offset - (row?.transcriptOffset ?? 0) : 0;
  if (tool === undefined || isLate || unread > shortText) return false;
  const texts = [...Object.values(Object(fields) as object), error, words];
  return texts.every((one) => typeof one !== "object" && String(one).length < shortText / texts.length);
}

/** Reads the transcripts of sub-agents where no timer does. Returns the missed calls. */
function readUnserved(runtime: Runtime, { event, isLate = false }: IncomingEvent, known: KnownSession): number {
  const { client, row } = known;
  if (!betweenTurns.has(event) || isLate || !client || !row) return 0;
  return runtime.fronts.serves(client) ? 0 : readSubagents(runtime, row);
}

/**
 * Reads the rest of the transcript, takes the readings, and a due checkpoint. Never rejects:
 * what fails is done by the next event or the timer.
 *
 * @returns why a checkpoint was due
 */
export async function finishEvent(runtime: Runtime, work: DeferredWork): Promise<Trigger | null> {
  const { event, sessionId } = work;
  try {
    if (work.isTranscriptBehind) await readInSteps(runtime, sessionId);
    // A call that waits is not held up by readings.
    const counted = event === "PreToolUse" ? null : takeReadings(runtime, event, sessionId);
    const trigger = work.trigger ?? counted;
    const saved = trigger && capture(runtime, { sessionId, trigger });
    if (saved?.ok === false && saved.error.code === "too_large")
      runtime.log("warn", "checkpoint too large", saved.error);
    return trigger;
  } catch (error) {
    runtime.log("error", "the work after a hook event failed", { error: stackOf(error) });
    return null;
  }
}

function takeReadings(runtime: Runtime, event: HookEvent, sessionId: string): Trigger | null {
  return runtime.store.write((sql) => {
    const session = sessions.get(sql, sessionId);
    if (!session || isSessionPaused(sql, runtime.now(), session)) return null;
    const { facts, config } = observe(sql, runtime, session);
    return countedTrigger(event, facts, config.checkpoint);
  });
}

/** Ids of the events that were recorded last: a sender without an answer has spooled its event. */
const recordedKey = "recorded_events";
const maxIds = 128;

function recordedIds(sql: Sql): string[] {
  return meta.read(sql, recordedKey)?.split(" ") ?? [];
}

/** Whether the event was recorded before, as it came or from the spool. */
function isRecorded({ store }: Runtime, id: string | undefined): boolean {
  return id !== undefined && store.read((sql) => recordedIds(sql).includes(id), false);
}

/** The host calls again two seconds later. */
const maxDrainMs = 1_000;
const maxFiles = 500;
const noProcessId = -1;

/**
 * Drops an entry that fails for a reason other than the store: it would block the rest.
 *
 * @throws {StoreError} while the store is unwritable; all entries stay
 */
export function drainInto(runtime: Runtime, maxMs = maxDrainMs): number {
  if (isEmpty(runtime.paths.spool)) return 0;
  // A host that is killed while it opens the store did not die of an entry.
  runtime.store.connection();
  const end = runtime.now() + maxMs;
  const isTimeUp = (): boolean => runtime.now() >= end;
  return drain(runtime.paths.spool, (entry) => applyEntry(runtime, entry), { maxFiles, isTimeUp });
}

function applyEntry(runtime: Runtime, entry: SpoolEntry): void {
  const { event, unread } = entry;
  // Its hook has checked the shape.
  if (unread !== undefined) return keepUnread({ ...runtime, now: () => entry.at }, unread as UnreadInput);
  const id = typeof entry["id"] === "string" ? entry["id"] : undefined;
  const input = HookInput.safeParse(entry["input"]);
  if (typeof event !== "string" || !isHookEvent(event) || !input.success) {
    runtime.log("warn", "spooled entry is not a hook event", { event: label(String(event)) });
    return;
  }
  if (isRecorded(runtime, id)) return;
  // An entry without a known client is Claude Code's.
  const clientName = adapterOf(String(entry["clientName"]))?.name ?? claudeCode.name;
  // The event's client decides whether a user attended the session.
  const entryPoint = typeof entry["entryPoint"] === "string" ? entry["entryPoint"] : undefined;
  const past = { ...runtime, env: { ...runtime.env, CLAUDE_CODE_ENTRYPOINT: entryPoint }, now: () => entry.at };
  const client = asProcessIdentity(entry["client"]);
  const clientPid = client && isAlive(runtime.processes, client) ? client.pid : noProcessId;
  try {
    const incoming = { event, input: input.data, clientName, clientPid, id, isLate: true };
    const { work } = storeEvent(past, incoming);
    if (work) void finishEvent(past, work);
  } catch (error) {
    if (error instanceof StoreError) throw error;
    runtime.log("error", `spooled ${event} was dropped`, { error: String(error) });
  }
}
