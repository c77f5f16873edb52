import * as clients from "../sessions/clients.ts";
import * as sessions from "../sessions/sessions.ts";
import type { HookClient } from "../../contract/clients.ts";
import type { HookEvent, HookInput } from "../../contract/hook-input.ts";
import type { Sql } from "../../shared/sql.ts";
import { identify, type ProcessIdentity } from "../../platform/processes.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { isTurnOpen, readTurnEnd } from "../observe/record-transcript.ts";
import { askService } from "../assignment/service.ts";
import type { ServiceArms } from "../recording/assignment.ts";
import { pathOf } from "../sessions/entries.ts";
import { projectRoot } from "../sessions/git-head.ts";
import { isPausedById, pauseReadLimits, setPausedFolder, type PauseReadLimits } from "../sessions/paused-session.ts";
import { markTranscript, transcriptMark } from "../sessions/transcript-mark.ts";
import type { TranscriptTurnEnd } from "../signals/transcript-draft.ts";
import { transcriptFormat } from "../signals/transcript-formats.ts";
import { readAppended, stepBytes, unreadBytes, type TranscriptPart } from "../signals/transcript.ts";
import { isPaused } from "../../store/pause.ts";
import { exceptStoreErrors } from "../../store/store-error.ts";
import { editedFile, type EditedFile } from "../team/file-guard.ts";

export interface HookCall {
  readonly clientName: HookClient;
  readonly event: HookEvent;
  readonly input: HookInput;
  readonly clientPid: number;
  /** Known to the sender, which may spool the event as well. */
  readonly id?: string | undefined;
  /** From the spool: no sign of life now, and the answer is not read. */
  readonly isLate?: boolean;
}

/** An event with all that is read before it is recorded. */
export interface HookContext {
  readonly event: HookEvent;
  readonly input: HookInput;
  readonly id: string | undefined;
  readonly isLate: boolean;
  readonly isDeferred: boolean;
  readonly clientName: HookClient;
  readonly client: ProcessIdentity | null;
  /** Redacted. */
  readonly cwd: string | null;
  readonly project: string | null;
  /** Session that has the client's id now; recording the event may fork it. */
  readonly knownId: string;
  readonly isPaused: boolean;
  readonly transcript: TranscriptRead | null;
  /** File that the tool call would edit. */
  readonly edited: EditedFile | null;
  /** Arms that a service has given the session that begins. */
  readonly answered: ServiceArms | null;
}

export interface TranscriptRead {
  /** Session's offset at the read: the part begins there, or after what is skipped. */
  readonly from: number;
  readonly part: TranscriptPart;
  /** Null for an event within a turn. */
  readonly turnEnd: TranscriptTurnEnd | null;
}

/** Reads the store once, and then the files: the store is not locked meanwhile. */
export function readContext(runtime: Runtime, call: HookCall, isDeferred: boolean): HookContext {
  const { event, input, clientName, id, isLate = false } = call;
  const source = sourceOf(runtime, call);
  const empty = { knownId: input.session_id, isPaused: false, position: { from: 0, limits: {}, isTurnOpen: false } };
  const { position, ...known } = runtime.store.read<StoredContext>(
    (sql) => readStored(sql, runtime, event, source, isLate),
    empty,
  );
  const path = input.transcript_path;
  const maxBytes = isDeferred ? stepBytes : Number.POSITIVE_INFINITY;
  const transcript = path && position ? readTranscript(path, call, position, maxBytes) : null;
  const isPresent = !isLate && !known.isPaused;
  const edited = isPresent ? guardedFile(runtime, call) : null;
  const answered = isPresent && event === "SessionStart" ? askService(runtime, known.knownId) : null;
  return { event, clientName, id, ...source, ...known, isLate, isDeferred, transcript, edited, answered };
}

export function guardedFile({ config }: Runtime, { event, input }: HookCall): EditedFile | null {
  return event === "PreToolUse" && config.team.isEnabled ? editedFile(input) : null;
}

interface StoredContext extends Pick<HookContext, "knownId" | "isPaused"> {
  /** Null if nothing of the transcript is read. */
  readonly position: TranscriptPosition | null;
}

interface TranscriptPosition {
  readonly from: number;
  readonly limits: PauseReadLimits;
  /** Whether the turn before the event, now over, has no stored end. */
  readonly isTurnOpen: boolean;
}

type EventSource = Pick<HookContext, "input" | "client" | "cwd" | "project">;

function sourceOf({ processes }: Runtime, { input, clientPid }: HookCall): EventSource {
  // Redacts first: resolving a path may remove what identifies a secret.
  const cwd = input.cwd ? pathOf(input.cwd) : null;
  return { input, client: identify(processes, clientPid), cwd, project: cwd === null ? null : projectRoot(cwd) };
}

function readStored(
  sql: Sql,
  { now, store }: Pick<Runtime, "now" | "store">,
  event: HookEvent,
  source: EventSource,
  isLate: boolean,
): StoredContext {
  const { input, client } = source;
  const knownId = findKnownId(sql, input, client);
  const isPausedThen = isPausedAt(sql, now(), source, knownId);
  // An event from before a pause: its transcript may hold more.
  const isSkipped = isPausedThen || (isLate && isPausedAt(sql, store.context.now(), source, knownId));
  return { knownId, isPaused: isPausedThen, position: isSkipped ? null : findPosition(sql, event, input, knownId) };
}

/** Events that come when no turn runs. */
export const betweenTurns: ReadonlySet<HookEvent> = new Set(["UserPromptSubmit", "SessionEnd"]);

function findPosition(
  sql: Sql,
  event: HookEvent,
  { transcript_path: path, cwd }: HookInput,
  id: string,
): TranscriptPosition | null {
  if (!path) return null;
  const session = sessions.get(sql, id);
  const { project = null, cwd: lastCwd = null } = session ?? {};
  return {
    from: session?.transcriptOffset ?? transcriptMark(sql, id),
    limits: pauseReadLimits(sql, path, { id, project, cwd: cwd ?? lastCwd }),
    isTurnOpen: betweenTurns.has(event) && isTurnOpen(sql, id),
  };
}

/** @param maxBytes limit of unread bytes, above which the result is null */
function readTranscript(
  path: string,
  { event, clientName }: HookCall,
  { from, limits: pauseLimits, isTurnOpen: hasNoEnd }: TranscriptPosition,
  maxBytes: number,
): TranscriptRead | null {
  if (unreadBytes(path, Math.max(from, pauseLimits.minOffset ?? 0)) > maxBytes) return null;
  const limits = { ...pauseLimits, format: transcriptFormat(clientName) };
  const part = readAppended(path, from, limits);
  if (!betweenTurns.has(event)) return { from, part, turnEnd: null };
  return { from, part, turnEnd: part.turnEnd ?? (hasNoEnd ? readTurnEnd(path, limits) : null) };
}

export function isEventPaused(runtime: Runtime, call: HookCall): boolean {
  const source = sourceOf(runtime, call);
  return runtime.store.read(
    (sql) => isPausedAt(sql, runtime.now(), source, findKnownId(sql, call.input, source.client)),
    false,
  );
}

/** Uses the session's folder for an event without one. */
function isPausedAt(sql: Sql, at: number, { project }: EventSource, knownId: string): boolean {
  return project === null ? isPausedById(sql, at, knownId) : isPaused(sql, at, project);
}

/** [HO10] Skips text from a pause for good, and drops the event even if the store is unwritable. */
export function skipTranscript(runtime: Runtime, { input, cwd, knownId }: HookContext): void {
  const { transcript_path: path } = input;
  const mark = (sql: Sql): void => {
    if (cwd) setPausedFolder(sql, knownId, cwd);
    if (path) markTranscript(sql, path, unreadBytes(path, 0));
  };
  exceptStoreErrors(
    () => runtime.store.write(mark),
    ({ message: error }) => runtime.log("warn", "the transcript was not marked during a pause", { error }),
  );
}

/** Session that has the client's id now. */
export function sessionOfCall(sql: Sql, { processes }: Runtime, { input, clientPid }: HookCall): string {
  return findKnownId(sql, input, identify(processes, clientPid));
}

function findKnownId(sql: Sql, input: HookInput, client: ProcessIdentity | null): string {
  return (client && clients.sessionOf(sql, client, input.session_id)) ?? input.session_id;
}
