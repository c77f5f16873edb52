import type { Trigger } from "../../contract/checkpoint.ts";
import type { HookEvent, HookInput } from "../../contract/hook-input.ts";
import type { JournalEntry, JournalKind } from "../../contract/journal.ts";
import { isAlive, isSameProcess } from "../../platform/processes.ts";
import { shimCommand, withShimCommand } from "../../platform/shim-command.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import type { Sql } from "../../shared/sql.ts";
import { stampOf } from "../../snapshots/file-state.ts";
import { isTooSlowForTurns } from "../../snapshots/stored-snapshots.ts";
import { adapterOf } from "../../clients/adapters.ts";
import { currentState } from "../../machine/checkpoints/capture.ts";
import { isCall } from "../../machine/sessions/effects.ts";
import { asShownBy, noteEffects, type CallFolder } from "../../machine/sessions/note-effects.ts";
import type { EffectNote } from "../../contract/work-state.ts";
import { processKey } from "../../coordinator-client/local/process-key.ts";
import { reasonToAsk } from "../../machine/effects/repeat-guard.ts";
import { mayBeProject } from "../../snapshots/work-tree.ts";
import * as checkpoints from "../../machine/checkpoints/checkpoints.ts";
import { eventTrigger, mayChangeFiles } from "../../machine/checkpoints/triggers.ts";
import { clearContextReadings, takeReadings } from "../../machine/signals/observe.ts";
import {
  recordAssistant,
  recordTranscript,
  recordUnreadPart,
  recordTurnEnd,
} from "../../machine/transcripts/record-transcript.ts";
import { recordSettings } from "../../machine/sessions/session-settings.ts";
import { limitLine } from "../../machine/recovery/at-limit.ts";
import { acceptOffer, type Acceptance } from "../../machine/recovery/accept-offer.ts";
import { isOwnerGone, sight } from "../../machine/recovery/deaths.ts";
import { giveBack, noteCompaction } from "../../machine/recovery/give-back.ts";
import { adoptBriefed, adoptSuccession } from "../../machine/recovery/successor.ts";
import { digest, pathOf } from "../../machine/sessions/entries.ts";
import { label } from "../../redaction/bounded-text.ts";
import { readHead } from "../../machine/sessions/git-head.ts";
import { entriesOf } from "../../machine/sessions/hook-entries.ts";
import * as journal from "../../machine/sessions/journal.ts";
import { clearPausedFolder, transcriptMark } from "../../machine/sessions/paused-session.ts";
import * as sessions from "../../machine/sessions/sessions.ts";
import { isSlashCommand } from "../../machine/sessions/slash-command.ts";
import { updateWaiting } from "../../machine/sessions/activity.ts";
import { conflictLine } from "../../machine/team/conflict-news.ts";
import { conflictsOf, type NumberedConflict } from "../../machine/team/open-conflicts.ts";
import { deliverAtPrompt, deliverAtStop, deliverAtTool, type Delivery } from "../../machine/team/deliver-news.ts";
import { checkEdit, recordWarning, type EditVerdict } from "../../machine/team/file-guard.ts";
import * as spending from "../../machine/usage/task-spending.ts";
import { connectionWarning, missedWarning } from "./connection.ts";
import { endAfterTurn, endSession, isWithoutUser } from "./end-session.ts";
import { enterSession, findSession, guardedFile, type KnownSession } from "./known-session.ts";
import type { IncomingEvent } from "./read-event.ts";
import type { StartedSession } from "./session-start.ts";

/** An event in the transaction that records it. */
export interface Recording {
  readonly sql: Sql;
  readonly runtime: Runtime;
  readonly incoming: IncomingEvent;
  readonly known: KnownSession;
  readonly session: sessions.Session;
  /** Row before the event; null for a new session. */
  readonly before: sessions.Session | null;
}

/** Consequences of a recorded event. */
export interface RecordedEvent {
  readonly sessionId: string;
  readonly trigger: Trigger | null;
  readonly started: StartedSession | null;
  readonly warning: string | null;
  /** For the user. */
  readonly conflict: string | null;
  readonly verdict: EditVerdict;
  readonly news: Delivery | null;
  readonly accepted: Acceptance | null;
}

const nothing: Omit<RecordedEvent, "sessionId"> = {
  trigger: null,
  started: null,
  warning: null,
  conflict: null,
  verdict: { kind: "free" },
  news: null,
  accepted: null,
};

/**
 * The steps of an event, in one transaction; the readings and a due checkpoint follow its answer.
 *
 * @param missedBySubagents tool calls of sub-agents that no event has reported
 * @returns null for the end of a session that the client never had
 */
export function recordEvent(
  sql: Sql,
  runtime: Runtime,
  given: IncomingEvent,
  known: KnownSession,
  missedBySubagents: number,
): RecordedEvent | null {
  const incoming = { ...given, input: withCallId(sql, given, known.id) };
  if (incoming.event === "SessionEnd" && isForeign(sql, runtime, known)) return null;
  const recording: Recording = { sql, runtime, incoming, known, ...recordSighting(sql, runtime, incoming, known) };
  const { id: sessionId } = recording.session;
  adoptBriefed(sql, incoming.input.prompt, sessionId);
  const missedTools = recordPart(recording);
  const deadConnection = connectionWarning(recording);
  const missedStart = findMissedStart(recording);
  const verdict = toolVerdict(recording);
  const { event } = incoming;
  const lastLimit = event === "UserPromptSubmit" ? limitWarning(recording) : null;
  const accepted = findAcceptance(recording);
  const isNew = recordEntries(recording, verdict);
  const limit = event === "StopFailure" ? limitWarning(recording) : lastLimit;
  // A start's brief fills what the client takes of a hook; one after a compaction has none.
  const isBriefed = missedStart !== null && missedStart.source !== "compact";
  const open = isNew ? conflictsFor(recording) : [];
  const news = isNew && !isBriefed ? findNews(recording, accepted, open) : null;
  const conflict = userConflict(recording, open);
  const trigger = recordReadings(recording);
  if (event === "SessionEnd") endSession(recording);
  if (event === "Stop" && isNew) endAfterTurn(recording);
  const started = recordStart(recording) ?? missedStart;
  recordSessionSettings(recording);
  const warning = deadConnection ?? missedWarning(incoming, missedTools + missedBySubagents) ?? limit;
  return { sessionId, trigger, started, warning, conflict, verdict, news, accepted };
}

/** Events with which clients show the user a line; most of them bring the chat its news, too. */
const conflictEvents: ReadonlySet<HookEvent> = new Set([
  "UserPromptSubmit",
  "PostToolUse",
  "PostToolUseFailure",
  "Stop",
]);

function conflictsFor({ sql, runtime, incoming, session }: Recording): readonly NumberedConflict[] {
  return conflictEvents.has(incoming.event) ? conflictsOf(sql, runtime, session.id) : [];
}

function userConflict(
  { sql, runtime, incoming, session }: Recording,
  open: readonly NumberedConflict[],
): string | null {
  const { input, isLate = false } = incoming;
  const isShown = !isLate && input.agent_id === undefined && !isWithoutUser(runtime.env);
  return isShown ? conflictLine(sql, runtime, session.id, open) : null;
}

/** Shown at a failure by few clients, and so with the prompt after it too. */
function limitWarning({ sql, runtime, session }: Recording): string | null {
  if (isWithoutUser(runtime.env)) return null;
  const line = limitLine(sql, runtime, session);
  return line && withShimCommand(`SHIM: ${line}`, () => shimCommand(runtime));
}

/**
 * Records that the event came, with its redacted text, and interprets nothing of it. Its
 * budget and its file are guarded all the same.
 */
export function recordUnreadEvent(
  sql: Sql,
  runtime: Runtime,
  incoming: IncomingEvent,
  known: KnownSession,
  text: string,
): RecordedEvent {
  const { session } = recordSighting(sql, runtime, incoming, known);
  const { part } = known;
  if (part && part.offset !== session.transcriptOffset) {
    recordUnreadPart(sql, session, part, runtime.now());
    sessions.update(sql, session.id, { transcriptOffset: part.offset });
  }
  const key = `unread:${incoming.event}:${digest(text)}`;
  journal.append(sql, session.id, runtime.now(), key, { kind: "unread", of: incoming.event, text });
  const verdict = noteVerdict(sql, runtime.now(), session.id, boundVerdict(sql, runtime, incoming, known));
  return { ...nothing, sessionId: session.id, verdict };
}

const callKinds: Partial<Record<HookEvent, "start" | "end">> = {
  PreToolUse: "start",
  PostToolUse: "end",
  PostToolUseFailure: "end",
};

/** Without a client's id, the nth start of the same call and its nth end belong together. */
function withCallId(sql: Sql, { event, input }: IncomingEvent, id: string): HookInput {
  const kind = callKinds[event];
  if (kind === undefined || input.tool_use_id !== undefined || input.tool_name === undefined) return input;
  const call = digest(JSON.stringify([input.agent_id, input.tool_name, input.tool_input]));
  return { ...input, tool_use_id: `call_${call}.${journal.countKeys(sql, id, `${kind}:call_${call}.`)}` };
}

/** A client asked to resume an unknown session ends with that id, without having had it. */
function isForeign(sql: Sql, { processes }: Runtime, { row, parentId, client }: KnownSession): boolean {
  const owner = (row ?? (parentId === null ? null : sessions.get(sql, parentId)))?.owner;
  if (!owner) return false;
  if (!client) return isAlive(processes, owner);
  return !isSameProcess(owner, client);
}

/** Events that only a living session sends; the others may arrive after its end. */
const signsOfLife: ReadonlySet<HookEvent> = new Set(["SessionStart", "UserPromptSubmit", "PreToolUse"]);

function recordSighting(
  sql: Sql,
  runtime: Runtime,
  incoming: IncomingEvent,
  known: KnownSession,
): Pick<Recording, "session" | "before"> {
  const { event, input, clientName, isLate = false } = incoming;
  const { id, parentId, client, project, cwd, row } = known;
  const now = runtime.now();
  enterSession(sql, now, incoming, known);
  const isSignOfLife = !isLate && signsOfLife.has(event);
  const { model = null, client_version: clientVersion = null, transcript_path: path } = input;
  const { session, before } = sight(sql, runtime, row, {
    id,
    project,
    cwd,
    model,
    clientVersion,
    transcriptPath: path === undefined ? null : pathOf(path),
    client: clientName,
    origin: parentId ? "fork" : startSource(incoming),
    parentId,
    owner: client,
    isAlive: isSignOfLife,
    isWork: event !== "Notification",
  });
  if (!isLate) {
    updateWaiting(sql, now, event, input, session);
    clearPausedFolder(sql, id);
  }
  const transcriptOffset = before ? 0 : transcriptMark(sql, id);
  if (transcriptOffset === 0) return { session, before };
  sessions.update(sql, id, { transcriptOffset });
  return { session: { ...session, transcriptOffset }, before };
}

function startSource({ input }: IncomingEvent): string {
  return input.source ?? "startup";
}

/** @returns the number of tool calls that no event has reported */
function recordPart({ sql, runtime, incoming, known, session }: Recording): number {
  const { event, input } = incoming;
  const now = runtime.now();
  if (known.part === null) return 0;
  const { tool_use_id: current = null, prompt } = input;
  const options = { current, prompt, isOver: event === "SessionEnd", prices: runtime.config.usage.prices };
  const missed = recordTranscript(sql, session, known.part, now, options);
  recordTurnEnd(sql, session.id, now, known.turnEnd);
  return missed;
}

/**
 * Finds a start that was spooled: the user's next prompt brings its answer.
 * So it does where it comes before the start, which then finds the session alive.
 */
function findMissedStart({ sql, runtime, incoming, known, session, before }: Recording): StartedSession | null {
  if (incoming.event !== "UserPromptSubmit" || incoming.isLate) return null;
  if (before && known.client && isOwnerGone(before, runtime)) return { session, before, source: "resume" };
  const [last] = journal.newest(sql, session.id, ["start", "prompt"], 1);
  const isMissed = last?.entry.kind === "start" && last.entry.isUndelivered === true;
  return isMissed ? { session, before: null, source: last.entry.source } : null;
}

/** A task's budget first, then the reserved files. */
function toolVerdict({ sql, runtime, incoming, known, session: { id } }: Recording): EditVerdict {
  const { event, isLate = false } = incoming;
  const now = runtime.now();
  if (event === "UserPromptSubmit" && !isLate) spending.release(sql, id);
  if (event === "PostToolUse" && !isLate) {
    const text = spending.warning(sql, id, now);
    if (text !== null) return { kind: "warned", text };
  }
  const { edited, project, cwd } = known;
  return noteVerdict(sql, now, id, callVerdict(sql, runtime, incoming, { id, edited, project, cwd }));
}

function noteVerdict(sql: Sql, now: number, id: string, verdict: EditVerdict): EditVerdict {
  if (verdict.kind === "warned" && verdict.about !== undefined) recordWarning(sql, now, id, verdict.about);
  return verdict;
}

function callVerdict(
  sql: Sql,
  runtime: Runtime,
  incoming: IncomingEvent,
  known: Pick<KnownSession, "id" | "edited" | "project" | "cwd">,
): EditVerdict {
  const bound = boundVerdict(sql, runtime, incoming, known);
  const isGuarded = isAwaited(incoming) && runtime.config.effects.guard !== "off" && bound.kind !== "refused";
  return (isGuarded ? repeatVerdict(sql, runtime, incoming, known) : null) ?? bound;
}

function isAwaited({ event, isLate = false }: IncomingEvent): boolean {
  return event === "PreToolUse" && !isLate;
}

/** Interprets no text of the call. */
function boundVerdict(
  sql: Sql,
  { now, processes, config }: Runtime,
  incoming: IncomingEvent,
  { id, edited }: Pick<KnownSession, "id" | "edited">,
): EditVerdict {
  const reason = isAwaited(incoming) ? spending.refusal(sql, id, incoming.input.tool_name, now()) : null;
  if (reason !== null) return { kind: "refused", reason };
  if (!edited) return { kind: "free" };
  return checkEdit(sql, { now: now(), processes, session: id, isStrict: config.team.strictFiles }, edited);
}

/** A client that cannot ask refuses. */
function repeatVerdict(
  sql: Sql,
  { config, now }: Runtime,
  { input, clientName }: IncomingEvent,
  { id, project, cwd }: Pick<KnownSession, "id" | "project" | "cwd">,
): EditVerdict | null {
  const folder = callFolder(input, project, cwd);
  const notes = noteEffects(input, config.effects.commands, folder);
  const state = notes.length === 0 ? null : currentState(sql, id);
  if (state === null) return null;
  const isAsking = adapterOf(clientName)?.asksUser ?? false;
  const reason = reasonToAsk(state, notes, config.effects, isAsking, now());
  return reason === null ? null : { kind: isAsking ? "asked" : "refused", reason };
}

function callFolder({ cwd }: HookInput, project: string | null, known: string | null): CallFolder | null {
  const folder = cwd ?? known;
  return folder === null ? null : { cwd: folder, project };
}

/** For a tool call that waits: reads the budget and the reservations, and writes nothing. */
export function readVerdict(runtime: Runtime, incoming: IncomingEvent): EditVerdict {
  const edited = guardedFile(runtime, incoming);
  return runtime.store.read<EditVerdict>(
    (sql) => callVerdict(sql, runtime, incoming, { ...findSession(sql, runtime, incoming), edited }),
    { kind: "free" },
  );
}

/** For the user's own prompt in a chat that no worker runs. */
function findAcceptance({ sql, runtime, incoming, session }: Recording): Acceptance | null {
  const { event, input, isLate = false } = incoming;
  const isUsers = event === "UserPromptSubmit" && !isLate && input.agent_id === undefined && !runtime.env["SHIM_TASK"];
  return isUsers ? acceptOffer(sql, runtime, session.id, input.prompt ?? "") : null;
}

/** A client without a transcript sends the model's words with the event that follows them. */
const carriesWords: ReadonlySet<HookEvent> = new Set(["PreToolUse", "Stop"]);

/** Returns whether the event is new, as far as known: some events are not stored. */
function recordEntries(recording: Recording, verdict: EditVerdict): boolean {
  const { sql, runtime, session } = recording;
  const { id } = session;
  const now = runtime.now();
  const { event, input, isLate = false } = withLimit(withFailure(recording, verdict));
  const entries = entriesOf(event, input, turnId(sql, { event, input }, id));
  let isNew = entries.length === 0;
  for (const { key, entry } of entries) {
    // Runs before the end of its turn is stored, and not for a repeat: a later turn may have begun.
    if (carriesWords.has(event) && !journal.has(sql, id, key))
      recordAssistant(sql, id, now, input.last_assistant_message ?? "");
    // Reported after its end: it no longer runs.
    if (entry.kind === "tool_start" && journal.has(sql, id, `end:${entry.id}`)) continue;
    const noted = withEffects(recording, withStamp(entry, isLate), verdict);
    if (!journal.append(sql, id, now, key, noted)) continue;
    isNew = true;
    if (entry.kind === "compacted" && entry.summary !== "") noteCompaction(sql, now, id, key);
    const change = sessionChange(entry);
    if (change) sessions.update(sql, id, change);
  }
  return isNew;
}

/**
 * A refused call never runs, and the client reports no end of it. The exit code of a
 * command may stand in the transcript alone.
 */
function withFailure({ incoming, known: { part } }: Recording, verdict: EditVerdict): IncomingEvent {
  const { event, input } = incoming;
  const end = event === "PostToolUse" && part?.toolEnds.find(({ toolUseId }) => toolUseId === input.tool_use_id);
  const error = verdict.kind === "refused" ? verdict.reason : end ? end.error : null;
  return error === null ? incoming : { ...incoming, event: "PostToolUseFailure", input: { ...input, error } };
}

function withLimit(incoming: IncomingEvent): IncomingEvent {
  const { event, input, clientName } = incoming;
  if (event !== "StopFailure") return incoming;
  return { ...incoming, input: { ...input, limit: adapterOf(clientName)?.limitIn?.(input) ?? undefined } };
}

/** Older clients give no prompt id, so the journal position identifies the turn. */
function turnId(sql: Sql, { event, input }: Pick<IncomingEvent, "event" | "input">, id: string): string {
  const seqOfNewest = (...kinds: JournalKind[]): number => journal.newest(sql, id, kinds, 1)[0]?.seq ?? 0;
  if (event === "PreCompact") return `${input.prompt_id ?? "none"}:${seqOfNewest("compacted")}`;
  if (event === "PostCompact") return `${input.prompt_id ?? "none"}:${seqOfNewest("compacting")}`;
  if (input.prompt_id !== undefined) return input.prompt_id;
  return `after:${event === "UserPromptSubmit" ? seqOfNewest("turn_end", "failure") : journal.newestPromptSeq(sql, id)}`;
}

/** Adds size and time, so that another's later edit shows before any hash. */
function withStamp(entry: JournalEntry, isLate: boolean): JournalEntry {
  if (isLate || entry.kind !== "tool_end" || !entry.path || entry.action === "read") return entry;
  const stamp = stampOf(entry.path);
  return stamp ? { ...entry, stamp } : entry;
}

/** Adds where its commands that cannot be undone run, and the commit that they push. */
function withEffects(recording: Recording, entry: JournalEntry, verdict: EditVerdict): JournalEntry {
  if (!isCall(entry)) return entry;
  const { runtime, incoming, known } = recording;
  const { input, isLate = false, clientName } = incoming;
  const folder = isLate ? null : callFolder(input, known.project, known.cwd);
  const effects = noteEffects(input, runtime.config.effects.commands, folder);
  if (effects.length === 0) return entry;
  const noted = asShownBy({ ...entry, effects }, clientName);
  if (noted.kind === "tool_start") return verdict.kind === "asked" ? { ...noted, asked: true } : noted;
  if (noted.kind === "tool_error" && verdict.kind === "refused") return { ...noted, isRefused: true };
  return isKnownAtStart(recording, entry.id, noted.effects) ? entry : noted;
}

/** Whether the entry of the start says as much: a call may commit before it pushes. */
function isKnownAtStart({ sql, session, incoming }: Recording, call: string, effects: readonly EffectNote[] = []) {
  const start = journal.find(sql, session.id, `start:${call}`)?.entry;
  const begun = start?.kind === "tool_start" ? start.effects : undefined;
  if (begun === undefined) return false;
  // One that leaves the branch says nothing of it any more.
  const isElsewhere = effects.some(({ branch }, index) => branch !== begun[index]?.branch);
  return incoming.isLate === true || isElsewhere || JSON.stringify(begun) === JSON.stringify(effects);
}

function sessionChange(entry: JournalEntry): sessions.SessionChange | null {
  if (entry.kind === "tool_end") return { toolCalls: 1 };
  if (entry.kind === "tool_error") return { toolCalls: 1, toolErrors: 1 };
  if (entry.kind !== "prompt" || isSlashCommand(entry.text)) return null;
  return { title: entry.text.split("\n")[0]?.slice(0, 100) ?? null };
}

/** Skips a sub-agent's stop, a chat that a hook already continued, and a worker's run. */
function findNews(
  { sql, runtime, incoming, session: { id } }: Recording,
  accepted: Acceptance | null,
  open: readonly NumberedConflict[],
): Delivery | null {
  const { event, input, isLate = false } = incoming;
  const { now, env, config } = runtime;
  const isChats = input.agent_id === undefined;
  if (isLate) return null;
  const isToolEnd = (event === "PostToolUse" || event === "PostToolUseFailure") && isChats;
  const isRead = event === "UserPromptSubmit" || (event === "PostToolUse" && isChats);
  const missing = isRead ? giveBack(sql, now(), id) : null;
  if (missing !== null) return { context: missing, line: null };
  if (event === "UserPromptSubmit") return deliverAtPrompt(sql, runtime, id, accepted, open);
  if (isToolEnd) return toDelivery(deliverAtTool(sql, runtime, id, open));
  if (event !== "Stop" || input.stop_hook_active === true || !isChats || env["SHIM_TASK"]) return null;
  return toDelivery(deliverAtStop(sql, now(), id, config.team.maxContinuationsPerHour));
}

function toDelivery(context: string | null): Delivery | null {
  return context === null ? null : { context, line: null };
}

/** Those that the event itself brings. @returns why a checkpoint is due at once */
function recordReadings({ sql, runtime, incoming, known: { part }, session }: Recording): Trigger | null {
  const { event, input } = incoming;
  const before = event === "PostCompact" ? clearContextReadings(sql, runtime.now(), session) : session;
  if (part) takeReadings(sql, runtime, before, part);
  return eventTrigger(event, input, runtime.config.checkpoint) ?? turnTrigger(sql, runtime, incoming, session);
}

/** Before the first tool of a turn that may change files. */
function turnTrigger(
  sql: Sql,
  { config, env, now }: Runtime,
  { event, input: { tool_name: tool = "" }, isLate = false }: IncomingEvent,
  { id, project }: sessions.Session,
): Trigger | null {
  if (event !== "PreToolUse" || isLate || project === null || !config.snapshots.isEnabled) return null;
  if (!mayChangeFiles(tool) || checkpoints.hasTurnStart(sql, id, journal.turnSeq(sql, id))) return null;
  return mayBeProject(env, project) && !isTooSlowForTurns(sql, project, now()) ? "turn" : null;
}

/** Hooks registered twice (settings and plugin) run at each start; only the first answers. */
function recordStart({ sql, runtime, incoming, known, session, before }: Recording): StartedSession | null {
  const { event, isLate = false } = incoming;
  if (event !== "SessionStart") return null;
  const { id } = session;
  const source = startSource(incoming);
  const git = known.project === null ? null : readHead(known.project);
  const details = { ...(git ? { git } : {}), ...(isLate ? ({ isUndelivered: true } as const) : {}) };
  const [last] = journal.newest(sql, id, ["compacting", "end", "detached"], 1);
  const key = `start:${source}:${known.client ? processKey(known.client) : ""}:${last?.seq ?? 0}`;
  const isFirst = journal.append(sql, id, runtime.now(), key, { kind: "start", source, ...details });
  if (!isFirst || isLate) return null;
  // A spooled start is applied by a process with another environment.
  adoptSuccession(sql, runtime.env, id);
  return { session, before, source };
}

function recordSessionSettings({ sql, runtime, incoming, known, session }: Recording): void {
  const level = incoming.input.effort?.level;
  if (incoming.event !== "SessionStart" && level === undefined) return;
  const effort = level === undefined ? null : label(level);
  recordSettings(sql, runtime.now(), session.id, runtime.config, { model: session.model, effort }, known.arms);
}
