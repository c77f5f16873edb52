import { attendanceVariables } from "../../clients/adapter/attendance.ts";
import { asObject, textAt } from "../../shared/json-fields.ts";
import { drainMs } from "../../contract/hook-limits.ts";
import { adapterOf } from "../../clients/adapters.ts";
import { claudeCode } from "../../clients/claude-code/claude-code.ts";
import type { ClientAdapter } from "../../clients/adapter/client-adapter.ts";
import { type HookAnswer, HookInput, isHookEvent } from "../../contract/hooks.ts";
import { asProcessIdentity, identify as identifyProcess, isAlive } from "../../platform/processes.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { messageOf, stackOf } from "../../shared/error.ts";
import { drain, isEmpty, type SpoolEntry } from "../../store/spool.ts";
import { noteEvent, type AskedPermission } from "../../machine/sessions/requests.ts";
import { StoreError } from "../../store/store-error.ts";
import { label } from "../../redaction/redact.ts";
import { finishEvent, type DeferredWork } from "./after-answer.ts";
import { readVerdict, uncheckedVerdict } from "./guard.ts";
import { toAnswer, verdictAnswer } from "./hook-answer.ts";
import { problemEvents, problemText, undecided } from "./post-event.ts";
import { identify } from "./known-session.ts";
import { readEvent, type IncomingEvent, type ReadEvent, type UnreadInput } from "./read-event.ts";
import { recordEvent } from "./record-event.ts";
import { startSession } from "./session-bounds.ts";
import { redactUnread, trySpool, unreadText } from "./spool-event.ts";
import { withStop } from "./stopped-turn.ts";
import { keepUnread, takeUnreadLine } from "./unread-input.ts";

/** Events of one hook of a client, however they came. */
export interface GivenEvents extends ReadEvent {
  /** The client's name of the event. */
  readonly event: string;
  readonly clientPid: number;
}

export interface Taken {
  readonly answer: HookAnswer;
  /** Work for after the answer. */
  readonly works: readonly DeferredWork[];
  /** Permissions that the client asks for, and which may be answered from elsewhere. */
  readonly asked: readonly AskedPermission[];
}

export const nothingTaken: Taken = { answer: {}, works: [], asked: [] };

/** Never throws: an event that cannot be stored is spooled, and the user is informed. */
export function take(runtime: Runtime, { client, event, events, unread, clientPid }: GivenEvents): Taken {
  if (unread !== null) keepUnread(runtime, redactUnread(unread));
  let answer: HookAnswer = {};
  const works: DeferredWork[] = [];
  const asked: AskedPermission[] = [];
  for (const incoming of events) {
    const taken = runtime.durations.time("shim_hook_duration_seconds", () => storeOrSpool(runtime, incoming), {
      labels: [incoming.event],
      session: (one) => one.works[0]?.sessionId,
    });
    answer = stricter(answer, taken.answer);
    works.push(...taken.works);
    asked.push(...taken.asked);
  }
  // The kind of an event shows also where nothing of its input could be read.
  const kinds = events.length > 0 ? events : (client.normalise(event, anyPayload, runtime.env) ?? []);
  const line = kinds.some((one) => problemEvents.has(one.event)) ? takeUnreadLine(runtime, clientPid) : null;
  return { answer: line === null ? answer : withLine(answer, line), works, asked };
}

const anyPayload = { session_id: "any", sessionId: "any", prompt: "any" };

/**
 * Never throws. @returns the text that the hook prints
 *
 * @param id of the event, whose sender may spool it as well
 */
export function answerHook(
  runtime: Runtime,
  event: string,
  readInput: () => string,
  clientPid: number,
  named: ClientAdapter = claudeCode,
  id?: string,
  conclude: (taken: Taken) => void = ({ works }) => works.forEach((work) => void finishEvent(work)),
): string {
  try {
    const given = { event, input: readInput(), client: named, env: runtime.env, clientPid, id };
    const read = readEvent(given, (reason) => rejectInput(runtime, reason));
    const taken = take(runtime, { ...read, event, clientPid });
    conclude(taken);
    const answer = read.client.answer(event, taken.answer);
    if (Object.keys(answer).length > 0) return JSON.stringify(answer);
    // A client may take silence beside its dialog for a refusal.
    return event === "PermissionRequest" && read.client.answers?.dialog === "beside-hook" ? undecided : "";
  } catch (error) {
    return rejectInput(runtime, `${event}: ${stackOf(error)}`);
  }
}

function withLine(answer: HookAnswer, line: string): HookAnswer {
  const { systemMessage: before } = answer;
  return { ...answer, systemMessage: before === undefined ? line : `${before}\n${line}` };
}

/** One call may change several files: a refusal of one refuses the call. Else the first counts. */
function stricter(first: HookAnswer, second: HookAnswer): HookAnswer {
  if (first.hookSpecificOutput?.permissionDecision === "deny" || Object.keys(second).length === 0) return first;
  const isRefusal = second.hookSpecificOutput?.permissionDecision === "deny";
  return isRefusal || Object.keys(first).length === 0 ? second : first;
}

export function rejectInput({ log }: Runtime, reason: string): string {
  log("error", unreadText, { reason });
  return "";
}

/** @returns null for an event that was recorded before @throws {StoreError} */
function store(runtime: Runtime, incoming: IncomingEvent): Taken | null {
  const recorded = recordEvent(runtime, incoming);
  if (recorded === "repeated") return null;
  if (recorded === "nothing") return nothingTaken;
  const { event, input, isLate = false, clientPid } = incoming;
  const { draft, sessionId, isTranscriptBehind } = recorded;
  const { trigger, start, asked } = draft;
  if (!isLate && runtime.permissions.hasAny(sessionId)) noteEvent(runtime, { session: sessionId, event, input });
  const client = event === "UserPromptSubmit" && !isLate ? identifyProcess(runtime.processes, clientPid) : null;
  if (client) runtime.fronts.reported(client);
  const answer = toAnswer(runtime, incoming, draft, start && startSession(runtime, start));
  const given = { answer, asked: asked === null ? [] : [asked] };
  // A call that waits is not held up by readings.
  const isDone = event === "PreToolUse" && trigger === null && !isTranscriptBehind;
  const works = isDone ? [] : [{ runtime, event, sessionId, trigger, isTranscriptBehind }];
  return { ...(runtime.windows.stops.size > 0 ? withStop(runtime, incoming, sessionId, given) : given), works };
}

function storeOrSpool(runtime: Runtime, incoming: IncomingEvent): Taken {
  const { event } = incoming;
  try {
    // Earlier events are still to be stored: this one queues behind them.
    const isInTurn = isEmpty(runtime.paths.spool) || hasDrained(runtime) || event === "SessionStart";
    if (!isInTurn && isLeftOver(runtime, incoming)) return guardOnly(runtime, incoming);
    return store(runtime, incoming) ?? guardOnly(runtime, incoming);
  } catch (error) {
    runtime.log("error", `${event} was not stored`, { error: stackOf(error) });
    // In a pause nothing is said, either.
    if (isSurelyPaused(runtime, incoming)) return nothingTaken;
    const isPassing = error instanceof StoreError && error.retryable;
    const isLater = trySpool(runtime, incoming) === null;
    if ((isLater && isPassing) || !problemEvents.has(event)) return guardOnly(runtime, incoming);
    const systemMessage = problemText(runtime, messageOf(error), isLater);
    return { ...nothingTaken, answer: { systemMessage } };
  }
}

/** @returns whether nothing waits any more */
function hasDrained(runtime: Runtime): boolean {
  drainInto(runtime, drainMs);
  return isEmpty(runtime.paths.spool);
}

/** @returns false: the event is lost, since the spool cannot be written either */
function isLeftOver(runtime: Runtime, incoming: IncomingEvent): boolean {
  return isSurelyPaused(runtime, incoming) || trySpool(runtime, incoming) === null;
}

/** While no pause can be read, the event waits in the spool and is judged by its time. */
function isSurelyPaused(runtime: Runtime, incoming: IncomingEvent): boolean {
  try {
    return runtime.store.read((sql) => identify(sql, runtime, incoming).isPaused, false);
  } catch {
    return false;
  }
}

/** Budgets and reservations can still be read while the store takes no write. */
function guardOnly(runtime: Runtime, incoming: IncomingEvent): Taken {
  const { event } = incoming;
  if (event !== "PreToolUse") return nothingTaken;
  try {
    const verdict = readVerdict(runtime, incoming);
    return { ...nothingTaken, answer: verdictAnswer(event, verdict) };
  } catch (error) {
    runtime.log("error", `${event}: budgets and reservations cannot be read`, { error: stackOf(error) });
    return { ...nothingTaken, answer: verdictAnswer(event, uncheckedVerdict(runtime, incoming)) };
  }
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
  // An entry without a known client is Claude Code's.
  const named = adapterOf(String(entry["clientName"])) ?? claudeCode;
  // The event's client decides whether a user attended the session.
  const given = asObject(entry["attendance"]);
  const attendance = attendanceVariables.map((name) => [name, textAt(given, name) ?? undefined]);
  const past = { ...runtime, env: { ...runtime.env, ...Object.fromEntries(attendance) }, now: () => entry.at };
  const client = asProcessIdentity(entry["client"]);
  const clientPid = client && isAlive(runtime.processes, client) ? client.pid : noProcessId;
  try {
    const incoming = { event, input: input.data, client: named, clientPid, id, isLate: true };
    store(past, incoming)?.works.forEach((work) => void finishEvent(work));
  } catch (error) {
    if (error instanceof StoreError) throw error;
    runtime.log("error", `spooled ${event} was dropped`, { error: String(error) });
  }
}
