import type { HookEvent, HookInput } from "../../contract/hook-input.ts";
import type { Sql } from "../../shared/sql.ts";
import { capture, type RecentStates } from "../checkpoints/capture.ts";
import type { Trigger } from "../checkpoints/checkpoints.ts";
import { dueTrigger, eventTrigger, isToolEnd, type ToolCall } from "../checkpoints/triggers.ts";
import { identify, isAlive, type ProcessIdentity } from "../../platform/processes.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { projectRoot, readHead } from "../sessions/git-head.ts";
import * as journal from "../sessions/journal.ts";
import { pathOf } from "../sessions/entries.ts";
import { timerTrigger, clearContextReadings, observe, takeReadings } from "../sessions/observe.ts";
import { recordEarlierDeath } from "../recovery/deaths.ts";
import { clearPausedFolder, isPausedById, isSessionPaused, setPausedFolder } from "../sessions/paused-session.ts";
import * as sessions from "../sessions/sessions.ts";
import { markTranscript, transcriptMark } from "../sessions/transcript-mark.ts";
import { updateWaiting } from "../sessions/waiting.ts";
import { unreadBytes, type TranscriptPart } from "../signals/transcript.ts";
import { isPaused } from "../../store/pause.ts";
import { StoreError } from "../../store/store-error.ts";
import type { EditedFile } from "../team/file-guard.ts";
import { connectionWarning } from "./connection-warning.ts";
import { endSession } from "./end-session.ts";
import { toAnswer, type HookAnswer } from "./hook-answer.ts";
import { recordEvent } from "./record-event.ts";
import { knownSessionId, resolveSession } from "./hook-session.ts";
import { startSession, type StartedSession } from "./session-start.ts";
import {
  deferredReadBytes,
  newPart,
  readTranscript,
  recordTranscript,
  type TranscriptRead,
} from "./transcript-part.ts";
import { askTeam, guardedFile, type TeamPart } from "./team-part.ts";

/** Events that only a living session sends; the others may arrive after its end. */
const signsOfLife: ReadonlySet<HookEvent> = new Set(["SessionStart", "UserPromptSubmit", "PreToolUse"]);
/** Events that show a client's session; a subagent of the session before may end later. */
const sessionSwitchEvents: ReadonlySet<HookEvent> = new Set(["SessionStart", "UserPromptSubmit"]);

export interface DeferredWork {
  readonly sessionId: string;
  readonly trigger: Trigger | null;
  readonly isTranscriptBehind: boolean;
}

/**
 * @param isLate from the spool: no sign of life now, and the answer is not read
 * @throws {StoreError} when nothing could be stored; the caller spools the event
 */
export function runHook(
  runtime: Runtime,
  event: HookEvent,
  input: HookInput,
  clientPid: number,
  isLate = false,
  defer?: (work: DeferredWork) => void,
): HookAnswer {
  const project = projectIn(input);
  const client = identify(runtime.processes, clientPid);
  if (isPausedFor(runtime, input, client, runtime.now())) {
    skipTranscript(runtime, input, client);
    return {};
  }
  const transcript = readTranscriptPart(runtime, input, client, isLate, defer ? deferredReadBytes : undefined);
  const edited = guardedFile(runtime, event, input, isLate);
  const context = { client, project, transcript, edited, isLate, isDeferred: defer !== undefined };
  const recorded = runtime.store.write((sql) => record(sql, runtime, event, input, context));
  if (!recorded) return {};
  const { sessionId, trigger } = recorded;
  const isTranscriptBehind = transcript === null && input.transcript_path !== undefined;
  const work = { sessionId, trigger, isTranscriptBehind };
  if (defer) defer(work);
  else checkpoint(runtime, work);
  const start = recorded.started ? startSession(runtime, recorded.started) : null;
  return toAnswer(runtime, event, input, { ...recorded, start });
}

/** [HO55] Throws StoreError when nothing could be stored; the next event or the timer does it. */
export function observeAfter(runtime: Runtime, event: HookEvent, sessionId: string): Trigger | null {
  return runtime.store.write((sql) => {
    const session = sessions.get(sql, sessionId);
    if (!session || isSessionPaused(sql, runtime.now(), session)) return null;
    const observation = observe(sql, runtime, session);
    return isToolEnd(event) ? timerTrigger(observation, runtime) : null;
  });
}

/** Redacts first: resolving a path may remove what identifies a secret. */
function projectIn({ cwd }: HookInput): string | null {
  return cwd ? projectRoot(pathOf(cwd)) : null;
}

export function checkpoint(
  runtime: Runtime,
  { sessionId, trigger }: Pick<DeferredWork, "sessionId" | "trigger">,
  recent?: RecentStates,
): void {
  if (trigger === null) return;
  const saved = capture(runtime, { sessionId, trigger, isForRise: trigger === "risk" }, recent);
  if (!saved.ok && saved.error.code === "too_large") runtime.log("warn", "checkpoint too large", saved.error);
}

/** [HO10] */
export function isEventPaused(runtime: Runtime, input: HookInput, clientPid: number): boolean {
  return isPausedFor(runtime, input, identify(runtime.processes, clientPid), runtime.now());
}

/** Skips the transcript for an event from before a pause, since it may hold more. */
function readTranscriptPart(
  runtime: Runtime,
  input: HookInput,
  client: ProcessIdentity | null,
  isLate: boolean,
  maxBytes: number | undefined,
): TranscriptRead | null {
  const isPausedNow = isLate && isPausedFor(runtime, input, client, runtime.store.context.now());
  return isPausedNow ? null : readTranscript(runtime, input, client, maxBytes);
}

/** Uses the session's folder for an event without one. */
function isPausedFor(runtime: Runtime, input: HookInput, client: ProcessIdentity | null, at: number): boolean {
  const folder = projectIn(input);
  return runtime.store.read(
    (sql) => (folder === null ? isPausedById(sql, at, knownSessionId(sql, input, client)) : isPaused(sql, at, folder)),
    false,
  );
}

/** [HO10] Skips text from a pause for good, and drops the event even if the store is unwritable. */
function skipTranscript(runtime: Runtime, input: HookInput, client: ProcessIdentity | null): void {
  const { transcript_path: path, cwd } = input;
  try {
    runtime.store.write((sql) => {
      const id = knownSessionId(sql, input, client);
      if (cwd) setPausedFolder(sql, id, pathOf(cwd));
      if (path) markTranscript(sql, path, unreadBytes(path, 0));
    });
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    runtime.log("warn", "the transcript was not marked during a pause", { error: error.message });
  }
}

interface HookContext {
  readonly client: ProcessIdentity | null;
  readonly project: string | null;
  readonly transcript: TranscriptRead | null;
  readonly edited: EditedFile | null;
  readonly isLate: boolean;
  readonly isDeferred: boolean;
}

interface RecordedEvent {
  readonly sessionId: string;
  readonly trigger: Trigger | null;
  readonly started: StartedSession | null;
  readonly warning: string | null;
  readonly team: TeamPart;
}

function record(
  sql: Sql,
  runtime: Runtime,
  event: HookEvent,
  input: HookInput,
  context: HookContext,
): RecordedEvent | null {
  if (event === "SessionEnd" && isForeign(sql, runtime, input, context.client)) return null;
  const now = runtime.now();
  const { session, before } = recordSighting(sql, runtime, event, input, context);
  if (!context.isLate) clearPausedFolder(sql, session.id);
  const part = newPart(context.transcript, session);
  const missedTools = recordTranscript(sql, runtime, session, part, event, input);
  const missed = missedStart(sql, event, session, context.isLate);
  const { edited, isLate } = context;
  const hook = { event, input, session: session.id, edited, isLate, isFull: missed !== null };
  const team = askTeam(sql, runtime, hook, (refusal) => {
    // [FI7] A refused call never runs, and the client reports no end of it.
    if (refusal === null) return recordEvent(sql, now, event, input, session.id, isLate);
    return recordEvent(sql, now, "PostToolUseFailure", { ...input, error: refusal }, session.id, isLate);
  });
  const current = event === "PostCompact" ? clearContextReadings(sql, now, session) : session;
  const trigger = triggerOf(sql, runtime, event, input, { session: current, part, isDeferred: context.isDeferred });
  if (event === "SessionEnd") endSession(sql, runtime, session, input.reason ?? "other");
  const isFirst = isFirstStart(sql, now, event, input, session.id, context);
  return {
    sessionId: session.id,
    trigger,
    started: isFirst ? { session, before, source: sourceOf(input) } : missed,
    warning: connectionWarning(sql, runtime, event, context.client, missedTools),
    team,
  };
}

interface ObservedEvent {
  readonly session: sessions.Session;
  readonly part: TranscriptPart | null;
  readonly isDeferred: boolean;
}

function triggerOf(
  sql: Sql,
  runtime: Runtime,
  event: HookEvent,
  { tool_name: toolName, tool_input: toolInput }: HookInput,
  { session, part, isDeferred }: ObservedEvent,
): Trigger | null {
  const call: ToolCall = { toolName: toolName ?? null, toolInput };
  const { checkpoint: config } = runtime.config;
  if (!isDeferred) return dueTrigger(event, { ...observe(sql, runtime, session, part).facts, ...call }, config);
  if (part) takeReadings(sql, runtime, session, part);
  return eventTrigger(event, call, config);
}

function recordSighting(
  sql: Sql,
  runtime: Runtime,
  event: HookEvent,
  input: HookInput,
  context: HookContext,
): Pick<StartedSession, "session" | "before"> {
  const { id, parentId } = resolveSession(sql, runtime, input, context.client, sessionSwitchEvents.has(event));
  const before = sessions.get(sql, id);
  const isSignOfLife = !context.isLate && signsOfLife.has(event);
  if (before && isSignOfLife) recordEarlierDeath(sql, runtime, before);
  const session = sessions.recordSighting(sql, runtime.now(), {
    id,
    ...sightingFields(input, context),
    client: "claude-code",
    origin: parentId ? "fork" : sourceOf(input),
    parentId,
    owner: context.client,
    isAlive: isSignOfLife,
    isWork: event !== "Notification",
  });
  if (!context.isLate) updateWaiting(sql, runtime.now(), event, input, session);
  return { session: before ? session : withTranscriptMark(sql, session), before };
}

function withTranscriptMark(sql: Sql, session: sessions.Session): sessions.Session {
  const transcriptOffset = transcriptMark(sql, session.id);
  if (transcriptOffset > 0) sessions.update(sql, session.id, { transcriptOffset });
  return { ...session, transcriptOffset };
}

function sourceOf(input: HookInput): string {
  return input.source ?? "startup";
}

function sightingFields(
  input: HookInput,
  context: HookContext,
): Pick<sessions.Sighting, "project" | "cwd" | "model" | "transcriptPath"> {
  return {
    project: context.project,
    cwd: input.cwd === undefined ? null : pathOf(input.cwd),
    model: input.model ?? null,
    transcriptPath: input.transcript_path === undefined ? null : pathOf(input.transcript_path),
  };
}

/** [HO5] Hooks registered twice (settings and plugin) run at each start; only the first answers. */
function isFirstStart(
  sql: Sql,
  now: number,
  event: HookEvent,
  input: HookInput,
  id: string,
  { client, project, isLate }: HookContext,
): boolean {
  if (event !== "SessionStart") return false;
  const source = sourceOf(input);
  const [before] = journal.newest(sql, id, ["compacting", "end", "detached"], 1);
  const key = `start:${source}:${client?.pid ?? 0}:${client?.start ?? ""}:${before?.seq ?? 0}`;
  const start = { kind: "start", source, ...headOf(project) } as const;
  if (!isLate) return journal.append(sql, id, now, key, start);
  journal.append(sql, id, now, key, { ...start, isUntold: true });
  return false;
}

function headOf(project: string | null): { git?: NonNullable<ReturnType<typeof readHead>> } {
  const git = project === null ? null : readHead(project);
  return git ? { git } : {};
}

/** [HO14] Finds a start that was spooled: the user's next prompt brings its answer. */
function missedStart(sql: Sql, event: HookEvent, session: sessions.Session, isLate: boolean): StartedSession | null {
  if (event !== "UserPromptSubmit" || isLate) return null;
  const [last] = journal.newest(sql, session.id, ["start", "prompt"], 1);
  const isMissed = last?.entry.kind === "start" && last.entry.isUntold === true;
  return isMissed ? { session, before: null, source: last.entry.source } : null;
}

/** [HO7] A client asked to resume an unknown session ends with that id, without having had it. */
function isForeign(sql: Sql, runtime: Runtime, input: HookInput, client: ProcessIdentity | null): boolean {
  const session = sessions.get(sql, knownSessionId(sql, input, client));
  const owner = session?.owner;
  if (!owner) return false;
  if (!client) return isAlive(runtime.processes, owner);
  return owner.pid !== client.pid || owner.start !== client.start || owner.boot !== runtime.processes.boot();
}
