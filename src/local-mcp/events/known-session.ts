import { adapterOf } from "../../clients/adapters.ts";
import type { HookEvent } from "../../contract/hook-input.ts";
import { identify, type ProcessIdentity } from "../../platform/processes.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import type { Sql } from "../../shared/sql.ts";
import { isPaused } from "../../store/pause.ts";
import type { ClientSession } from "../../store/session-tables.ts";
import { exceptStoreErrors } from "../../store/store-error.ts";
import { askService } from "../../machine/learning/assignment-service.ts";
import { isTurnOpen, readTurnEnd } from "../../machine/transcripts/record-transcript.ts";
import type { ServiceArms } from "../../machine/sessions/session-settings.ts";
import * as clients from "../../machine/sessions/clients.ts";
import { pathOf } from "../../machine/sessions/entries.ts";
import { projectRoot } from "../../machine/sessions/git-head.ts";
import {
  isPausedById,
  markTranscript,
  pauseReadLimits,
  setPausedFolder,
  transcriptMark,
  type PauseReadLimits,
} from "../../machine/sessions/paused-session.ts";
import { isHeldByAnother, newSessionId } from "../../machine/sessions/session-identity.ts";
import * as sessions from "../../machine/sessions/sessions.ts";
import type { TranscriptTurnEnd } from "../../clients/transcript/transcript-draft.ts";
import { transcriptFormat } from "../../clients/details.ts";
import { readAppended, stepBytes, type TranscriptPart } from "../../clients/transcript.ts";
import { unreadBytes } from "../../clients/transcript/transcript-file.ts";
import { editedFile, type EditedFile } from "../../machine/team/file-guard.ts";
import type { IncomingEvent } from "./read-event.ts";

/** All that is read before an event is recorded. */
export interface KnownSession {
  /** SHIM's id of the session; another than the client's for a fork. */
  readonly id: string;
  /** Set when another live client uses the client's id: this session is a fork of it. */
  readonly parentId: string | null;
  /** Stored row; null: the event begins the session. */
  readonly row: sessions.Session | null;
  /** The client begins to work in the session. */
  readonly isEntered: boolean;
  /** Where the client has worked until now. */
  readonly left: ClientSession | null;
  readonly client: ProcessIdentity | null;
  /** Redacted. */
  readonly cwd: string | null;
  readonly project: string | null;
  readonly isPaused: boolean;
  /** New part of the transcript; null: nothing of it is read. */
  readonly part: TranscriptPart | null;
  /** Null also for an event within a turn. */
  readonly turnEnd: TranscriptTurnEnd | null;
  /** File that the tool call would edit. */
  readonly edited: EditedFile | null;
  /** Arms that a service has given the session that begins. */
  readonly arms: ServiceArms | null;
}

type Found = Omit<KnownSession, "part" | "turnEnd" | "edited" | "arms">;

interface TranscriptPosition {
  readonly from: number;
  readonly limits: PauseReadLimits;
  /** Whether the turn before the event, now over, has no stored end. */
  readonly isTurnOpen: boolean;
}

/** Events that come when no turn runs. */
export const betweenTurns: ReadonlySet<HookEvent> = new Set(["UserPromptSubmit", "SessionEnd"]);

export function readSession(runtime: Runtime, incoming: IncomingEvent): KnownSession {
  const { event, input, isLate = false } = incoming;
  const { found, position } = runtime.store.read<{ found: Found; position: TranscriptPosition | null }>(
    (sql) => {
      const known = findSession(sql, runtime, incoming);
      return { found: known, position: findPosition(sql, runtime, incoming, known) };
    },
    {
      found: { ...sourceOf(runtime, incoming), ...newcomer(input.session_id), isEntered: true, isPaused: false },
      position: { from: 0, limits: {}, isTurnOpen: false },
    },
  );
  const isPresent = !isLate && !found.isPaused;
  return {
    ...found,
    ...(position ? readTranscript(incoming, position) : { part: null, turnEnd: null }),
    edited: isPresent ? guardedFile(runtime, incoming) : null,
    arms: isPresent && event === "SessionStart" ? askService(runtime, found.id) : null,
  };
}

export function guardedFile({ config }: Runtime, { event, input }: IncomingEvent): EditedFile | null {
  return event === "PreToolUse" && config.team.isEnabled ? editedFile(input) : null;
}

type Source = Pick<KnownSession, "client" | "cwd" | "project">;

function sourceOf({ processes }: Runtime, { input, clientPid }: IncomingEvent): Source {
  // Redacts first: resolving a path may remove what identifies a secret.
  const cwd = input.cwd ? pathOf(input.cwd) : null;
  return { client: identify(processes, clientPid), cwd, project: cwd === null ? null : projectRoot(cwd) };
}

/** The session of an event, and whether nothing is stored for it now. */
export function findSession(sql: Sql, runtime: Runtime, incoming: IncomingEvent): Found {
  const source = sourceOf(runtime, incoming);
  const named = nameSession(sql, runtime, incoming, source.client);
  const row = sessions.get(sql, named.id);
  const known = row ? named.id : (named.parentId ?? named.id);
  return { ...source, ...named, row, isPaused: isPausedAt(sql, runtime.now(), source, known) };
}

type Named = Pick<KnownSession, "id" | "parentId" | "row" | "isEntered" | "left">;

function newcomer(id: string): Named {
  return { id, parentId: null, row: null, isEntered: false, left: null };
}

/** Events that show a client's session; a subagent of the session before may end later. */
const sessionSwitchEvents: ReadonlySet<HookEvent> = new Set(["SessionStart", "UserPromptSubmit"]);

/** An event that may come late, from a session already left, moves no client. */
function nameSession(
  sql: Sql,
  runtime: Runtime,
  { event, input: { session_id: givenId } }: IncomingEvent,
  client: ProcessIdentity | null,
): Named {
  if (!client) return newcomer(givenId);
  const left = clients.current(sql, client);
  const fork = clients.sessionOf(sql, client, givenId);
  const isEntered = left?.givenId !== givenId && (!left || sessionSwitchEvents.has(event));
  if (!isEntered) return newcomer(fork ?? givenId);
  const known = sessions.get(sql, givenId);
  const isTaken = fork === null && known?.endedAt === null && isHeldByAnother(runtime, known, [client]);
  const id = isTaken ? newSessionId(runtime) : (fork ?? givenId);
  return { ...newcomer(id), parentId: isTaken || fork !== null ? givenId : null, isEntered, left };
}

/** A client with threads reports the end of each. */
export function enterSession(
  sql: Sql,
  now: number,
  { clientName, input }: IncomingEvent,
  { id, client, isEntered, left }: KnownSession,
): void {
  if (!client || !isEntered) return;
  clients.moveTo(sql, now, client, { givenId: input.session_id, session: id });
  // Windows gives no start time: this process may have reused the id of the session's client.
  if (!left || adapterOf(clientName)?.hasThreads || client.start === "unknown") return;
  if (sessions.get(sql, left.session)?.endedAt === null) sessions.end(sql, now, left.session, "moved_on");
}

/** @returns null if nothing of the transcript is read */
function findPosition(
  sql: Sql,
  { store }: Runtime,
  { event, input: { transcript_path: path, cwd }, isLate = false }: IncomingEvent,
  { id, row, isPaused: isPausedThen, ...source }: Found,
): TranscriptPosition | null {
  // An event from before a pause: its transcript may hold more.
  if (!path || isPausedThen || (isLate && isPausedAt(sql, store.context.now(), source, id))) return null;
  const { project = null, cwd: lastCwd = null } = row ?? {};
  return {
    from: row?.transcriptOffset ?? transcriptMark(sql, id),
    limits: pauseReadLimits(sql, path, { id, project, cwd: cwd ?? lastCwd }),
    isTurnOpen: betweenTurns.has(event) && isTurnOpen(sql, id),
  };
}

/** Reads no more than a step within a turn; the rest follows the answer. */
function readTranscript(
  { event, clientName, isLate = false, input: { transcript_path: path } }: IncomingEvent,
  { from, limits: pauseLimits, isTurnOpen: hasNoEnd }: TranscriptPosition,
): Pick<KnownSession, "part" | "turnEnd"> {
  const isBetween = betweenTurns.has(event);
  const maxBytes = isBetween || isLate ? Number.POSITIVE_INFINITY : stepBytes;
  if (!path || unreadBytes(path, Math.max(from, pauseLimits.minOffset ?? 0)) > maxBytes)
    return { part: null, turnEnd: null };
  const limits = { ...pauseLimits, format: transcriptFormat(clientName) };
  const part = readAppended(path, from, limits);
  if (!isBetween) return { part, turnEnd: null };
  return { part, turnEnd: part.turnEnd ?? (hasNoEnd ? readTurnEnd(path, limits) : null) };
}

export function isEventPaused(runtime: Runtime, incoming: IncomingEvent): boolean {
  return runtime.store.read((sql) => findSession(sql, runtime, incoming).isPaused, false);
}

/** Uses the session's folder for an event without one. */
function isPausedAt(sql: Sql, at: number, { project }: Pick<Source, "project">, id: string): boolean {
  return project === null ? isPausedById(sql, at, id) : isPaused(sql, at, project);
}

/** Skips text from a pause for good, and drops the event even if the store is unwritable. */
export function skipTranscript(
  { store, log }: Runtime,
  { input: { transcript_path: path } }: IncomingEvent,
  { id, cwd }: KnownSession,
): void {
  const mark = (sql: Sql): void => {
    if (cwd) setPausedFolder(sql, id, cwd);
    if (path) markTranscript(sql, path, unreadBytes(path, 0));
  };
  exceptStoreErrors(
    () => store.write(mark),
    ({ message: error }) => log("warn", "the transcript was not marked during a pause", { error }),
  );
}
