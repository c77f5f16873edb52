import { adapterOf } from "../../clients/adapters.ts";
import type { TranscriptPart } from "../../clients/transcript.ts";
import type { TranscriptText } from "../../clients/transcript/transcript-draft.ts";
import type { Trigger } from "../../contract/checkpoint.ts";
import type { HookEvent } from "../../contract/hooks.ts";
import type { EffectNote } from "../../contract/work-state.ts";
import { processKey } from "../../coordinator-client/local/process-key.ts";
import { afterCompaction } from "../../learning/policy/readings.ts";
import { isToolEnd } from "../../machine/sessions/checkpoints/triggers.ts";
import { acceptOffer, type Acceptance, giveBack } from "../../machine/recovery/given-context.ts";
import { tellOfReturn } from "../../machine/recovery/marks.ts";
import { isOwnerGone, withEarlierDeath } from "../../machine/recovery/incomplete/deaths.ts";
import { adoptBriefed, adoptSuccession } from "../../machine/recovery/incomplete/successor.ts";
import type { AskedPermission } from "../../machine/sessions/requests.ts";
import { digest, pathOf } from "../../machine/sessions/entries.ts";
import * as journal from "../../machine/sessions/journal.ts";
import {
  clearPausedFolder,
  transcriptMark,
  recordSettings,
  type ServiceArms,
} from "../../machine/sessions/session-settings.ts";
import { noteProject } from "../../machine/sessions/projects.ts";
import * as sessions from "../../machine/sessions/sessions.ts";
import { partChange } from "../../machine/sessions/signals/observe.ts";
import { conflictLine } from "../../machine/team/team-news.ts";
import {
  deliverAtPrompt,
  deliverAtStop,
  deliverAtTool,
  deliverUserWords,
  type Delivery,
} from "../../machine/team/deliver-news.ts";
import type { EditVerdict } from "../../machine/team/file-guard.ts";
import { conflictsOf, type NumberedConflict } from "../../machine/team/conflicts.ts";
import {
  recordPrompt,
  recordTranscript,
  recordUnreadPart,
  recordTurnEnd,
  rowOfPrompt,
} from "../../machine/sessions/transcripts/record-transcript.ts";
import { recordSubagents } from "../../machine/sessions/transcripts/record-subagents.ts";
import { limitLine } from "../../machine/sessions/usage/at-limit.ts";
import { isAlive, isSameProcess, type ProcessIdentity } from "../../platform/processes.ts";
import { shimCommand, withShimCommand } from "../../platform/shim-command.ts";
import { label } from "../../redaction/bounded-text.ts";
import * as notices from "../../store/notices.ts";
import { readHead } from "../../snapshots/git-head.ts";
import { decide, decideUnread, dueTrigger, effectsOf, guardReason } from "./hook-answer.ts";
import { isWithoutUser, recordEnd, type StartedSession } from "./session-bounds.ts";
import { betweenTurns, type EventTranscript, type IdentifiedEvent, enterSession } from "./known-session.ts";
import type { IncomingEvent } from "./read-event.ts";
import { recordEntries } from "./record-entries.ts";

const deadText = "SHIM: the MCP process has died. Reconnect it with /mcp: until then its tools are missing";

/** The plugin's tool events go through the process. */
function deadWarning({ CLAUDE_PLUGIN_ROOT: plugin }: NodeJS.ProcessEnv): string {
  if (plugin === undefined) return `${deadText}.`;
  return `${deadText}, reserved files and budgets are not guarded, and tool calls are saved with your next prompt.`;
}

/** Reads sub-agents' transcripts where no timer does. @returns number of calls without an event */
export function findMissed({ sql, runtime, incoming, known: { client, row } }: IdentifiedEvent): number {
  const { fronts, now, config } = runtime;
  const { event, isLate = false } = incoming;
  if (!betweenTurns.has(event) || isLate || !client || !row || fronts.serves(client)) return 0;
  return recordSubagents(sql, row, now(), { prices: config.usage.prices, isOver: false });
}

/** The client has lost its front, of which its user does not know yet. */
function isFrontDead({ runtime: { fronts, processes }, incoming, known: { client } }: IdentifiedEvent): boolean {
  const isShown = incoming.event === "UserPromptSubmit" && incoming.isLate !== true;
  return isShown && client !== null && isAlive(processes, client) && fronts.hasLost(client);
}

/** All tool events have arrived by the end of a turn. */
function missedWarning({ event }: IncomingEvent, missed: number): string | null {
  if (event !== "UserPromptSubmit" || missed === 0) return null;
  const calls = missed === 1 ? "One tool call" : `${missed} tool calls`;
  return `SHIM: ${calls} did not reach the MCP process; what the transcript has of ${missed === 1 ? "it" : "them"} is saved now. If this happens again: /mcp shows the process.`;
}

/** An event in the transaction that records it. */
export interface Recording extends IdentifiedEvent, EventTranscript {
  readonly session: sessions.Session;
  /** Row before the event; null for a new session. */
  readonly before: sessions.Session | null;
  /** Change of the row by the event itself, which is stored with the other changes. */
  readonly sighting: sessions.SessionChange;
}

/** Consequences of a recorded event. */
export interface RecordedEvent {
  readonly sessionId: string;
  /** Null where the event was not interpreted. */
  readonly client: ProcessIdentity | null;
  readonly isTranscriptBehind: boolean;
  readonly trigger: Trigger | null;
  readonly started: StartedSession | null;
  readonly warning: string | null;
  /** For the user. */
  readonly conflict: string | null;
  readonly verdict: EditVerdict;
  readonly news: Delivery | null;
  readonly accepted: Acceptance | null;
  /** A permission that the client asks its user for; null: it asks for none. */
  readonly asked: AskedPermission | null;
}

const nothing: Omit<RecordedEvent, "sessionId" | "isTranscriptBehind" | "verdict"> = {
  client: null,
  trigger: null,
  started: null,
  warning: null,
  conflict: null,
  news: null,
  accepted: null,
  asked: null,
};

/** Facts that are found before an event is recorded. */
interface EventFacts extends EventTranscript {
  readonly missedBySubagents: number;
  /** Arms that a service has given the session that begins. */
  readonly arms: ServiceArms | null;
}

/**
 * Records an event with all that it changes, and decides on it. The order is that of the journal:
 * what the transcript says of the time before, then the event itself.
 *
 * @returns null for the end of a session that the client never had
 */
export function recordEvent(
  given: IdentifiedEvent,
  { arms, missedBySubagents, ...transcript }: EventFacts,
): RecordedEvent | null {
  const identified = { ...given, incoming: withCallId(given) };
  const { sql, incoming } = identified;
  const { event, input } = incoming;
  if (event === "SessionEnd" && isForeign(identified)) return null;
  const recording: Recording = { ...identified, ...transcript, ...recordSighting(identified) };
  const { id: sessionId } = recording.session;
  adoptBriefed(sql, input.prompt, sessionId);
  const missedTools = recordPart(recording) + missedBySubagents;
  const missedStart = findMissedStart(recording);
  const effects = effectsOf(recording);
  const verdict = decide(recording, effects);
  const lastLimit = limitWarning(recording, "UserPromptSubmit");
  const accepted = findAcceptance(recording);
  const { isNew, change } = recordEntries(recording, verdict, effects);
  const row = ownRow(recording);
  if (row) recordPrompt(sql, sessionId, recording.runtime.now(), row);
  const limit = limitWarning(recording, "StopFailure") ?? lastLimit;
  const open = isNew ? conflictsFor(recording) : [];
  // A start's brief fills what the client takes of a hook; one after a compaction has none.
  const isBriefed = missedStart !== null && missedStart.source !== "compact";
  const news = isNew && !isBriefed ? findNews(recording, accepted, open) : null;
  const conflict = userConflict(recording, open);
  sessions.update(sql, sessionId, recording.sighting, change, readingsChange(recording));
  const trigger = dueTrigger(recording, recording.session.project);
  recordEnd(recording, isNew);
  const started = recordStart(recording) ?? missedStart;
  recordSessionSettings(recording, arms);
  const warning = isFrontDead(identified)
    ? deadWarning(identified.runtime.env)
    : (missedWarning(incoming, missedTools) ?? limit);
  const isTranscriptBehind = transcript.isBehind;
  const asked = askedPermission(recording, effects);
  const { client } = given.known;
  return { sessionId, client, isTranscriptBehind, trigger, started, warning, conflict, verdict, news, accepted, asked };
}

/**
 * Records that the event came, with its redacted text, and interprets nothing of it. Its
 * budget and its file are guarded all the same.
 */
export function recordUnreadEvent(
  identified: IdentifiedEvent,
  { part, isBehind }: EventTranscript,
  text: string,
): RecordedEvent {
  const { sql, runtime, incoming } = identified;
  const { session, sighting } = recordSighting(identified);
  const { id } = session;
  if (part && part.offset !== session.transcriptOffset) {
    recordUnreadPart(sql, session, part, runtime.now());
  }
  sessions.update(sql, id, sighting, { transcriptOffset: part?.offset });
  const key = `unread:${incoming.event}:${digest(text)}`;
  journal.append(sql, id, runtime.now(), key, { kind: "unread", of: incoming.event, text });
  const verdict = decideUnread(identified);
  return { ...nothing, sessionId: id, isTranscriptBehind: isBehind, verdict };
}

function askedPermission(recording: Recording, effects: readonly EffectNote[]): AskedPermission | null {
  const { incoming, session } = recording;
  const { event, input, isLate = false } = incoming;
  if (event !== "PermissionRequest" || isLate) return null;
  return { session: session.id, input, guard: guardReason(recording, effects) };
}

/** With the events at which clients show the user a line; most bring the chat its news, too. */
function conflictsFor({ sql, runtime, incoming, known, session }: Recording): readonly NumberedConflict[] {
  const { event } = incoming;
  const isShown = event === "UserPromptSubmit" || event === "Stop" || isToolEnd(event);
  return isShown && known.has.conflicts > 0 ? conflictsOf(sql, runtime, session.id) : [];
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
function limitWarning({ sql, runtime, incoming, session }: Recording, at: HookEvent): string | null {
  if (incoming.event !== at || isWithoutUser(runtime.env)) return null;
  const line = limitLine(sql, runtime, session);
  return line && withShimCommand(`SHIM: ${line}`, () => shimCommand(runtime));
}

const callKinds: Partial<Record<HookEvent, "start" | "end">> = {
  PreToolUse: "start",
  PostToolUse: "end",
  PostToolUseFailure: "end",
};

/** Without a client's id, the nth start of the same call and its nth end belong together. */
function withCallId({ sql, incoming, known: { id } }: IdentifiedEvent): IncomingEvent {
  const { event, input } = incoming;
  const kind = callKinds[event];
  if (kind === undefined || input.tool_use_id !== undefined || input.tool_name === undefined) return incoming;
  const call = digest(JSON.stringify([input.agent_id, input.tool_name, input.tool_input]));
  const callId = `call_${call}.${journal.countKeys(sql, id, `${kind}:call_${call}.`)}`;
  return { ...incoming, input: { ...input, tool_use_id: callId } };
}

/** A client asked to resume an unknown session ends with that id, without having had it. */
function isForeign({ sql, runtime: { processes }, known: { row, parentId, client } }: IdentifiedEvent): boolean {
  const owner = (row ?? (parentId === null ? null : sessions.get(sql, parentId)))?.owner;
  if (!owner) return false;
  if (!client) return isAlive(processes, owner);
  return !isSameProcess(owner, client);
}

/** Events that only a living session sends; the others may arrive after its end. */
const signsOfLife: ReadonlySet<HookEvent> = new Set(["SessionStart", "UserPromptSubmit", "PreToolUse"]);

function recordSighting(identified: IdentifiedEvent): Pick<Recording, "session" | "before" | "sighting"> {
  const { sql, runtime, incoming, known } = identified;
  const { event, input, clientName, isLate = false } = incoming;
  const { id, parentId, client, project, cwd, row } = known;
  const now = runtime.now();
  enterSession(identified);
  noteFolder(identified);
  const before = !isLate && signsOfLife.has(event) ? withEarlierDeath(sql, runtime, row) : row;
  const returns = before !== null && returnsWith(incoming, before);
  if (returns) tellOfReturn(sql, now, before);
  if (!isLate && known.has.pauses > 0) clearPausedFolder(sql, id);
  const { model, client_version: clientVersion, transcript_path: path } = input;
  const seen = { project, cwd, model, clientVersion, transcriptPath: path && pathOf(path) };
  const isWork = event !== "Notification" && event !== "PermissionRequest";
  if (before !== null && !returns) {
    const owner = client && sessions.identityOf(client);
    const sighting = { ...seen, owner, lastSeenAt: now, workedAt: isWork ? now : null };
    return { session: sessions.withChange(before, sighting), before, sighting };
  }
  const session = sessions.recordSighting(sql, now, {
    ...seen,
    id,
    transcriptOffset: before ? 0 : transcriptMark(sql, id),
    client: clientName,
    origin: originOf(identified),
    parentId,
    owner: client,
    isAlive: returns,
    isWork,
  });
  return { session, before, sighting: {} };
}

function returnsWith({ event, isLate = false }: IncomingEvent, before: sessions.Session): boolean {
  return !isLate && signsOfLife.has(event) && sessions.isOver(before);
}

function noteFolder({ sql, incoming, known: { row, project } }: IdentifiedEvent): void {
  if (row === null && project !== null && incoming.isLate !== true) noteProject(sql, project);
}

/** A chat without a row that works already was there before a damaged store was replaced. */
function originOf({ sql, incoming, known: { row, parentId } }: IdentifiedEvent): string {
  if (parentId !== null) return "fork";
  const mayBeLost = row === null && incoming.event !== "SessionStart";
  return mayBeLost && notices.storeDamagedAt(sql) !== null ? "resume" : startSource(incoming);
}

function startSource({ input }: IncomingEvent): string {
  return input.source ?? "startup";
}

/** @returns the number of tool calls that no event has reported */
function recordPart(recording: Recording): number {
  const { sql, runtime, incoming, session, part, turnEnd } = recording;
  const { event, input } = incoming;
  const now = runtime.now();
  const { tool_use_id: current = null } = input;
  const options = {
    current,
    prompt: ownRow(recording),
    isOver: event === "SessionEnd",
    prices: runtime.config.usage.prices,
  };
  const missed = isGrown(part, session) ? recordTranscript(sql, session, part, now, options) : 0;
  recordTurnEnd(sql, session.id, now, turnEnd);
  return missed;
}

/** The row of the prompt that the event reports, if the client has written it by now. */
function ownRow({ runtime, incoming: { event, input }, session, part }: Recording): TranscriptText | undefined {
  const isPrompt = event === "UserPromptSubmit" && isGrown(part, session);
  return isPrompt ? rowOfPrompt(part, input.prompt ?? "", runtime.now()) : undefined;
}

function isGrown(part: TranscriptPart | null, { transcriptOffset }: sessions.Session): part is TranscriptPart {
  return part !== null && part.offset !== transcriptOffset;
}

/** Change of the readings that the event itself brings. */
function readingsChange({ runtime, incoming, session, part }: Recording): sessions.SessionChange {
  const isCompacted = incoming.event === "PostCompact";
  const readings = isCompacted ? afterCompaction(session.readings, runtime.now()) : session.readings;
  if (isGrown(part, session)) return partChange(runtime, { ...session, readings }, part);
  return isCompacted ? { readings } : {};
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

/** For the user's own prompt in a chat that no worker runs. */
function findAcceptance({ sql, runtime, incoming, session }: Recording): Acceptance | null {
  const { event, input, isLate = false } = incoming;
  const isUsers = event === "UserPromptSubmit" && !isLate && input.agent_id === undefined && !runtime.env["SHIM_TASK"];
  return isUsers ? acceptOffer(sql, runtime, session.id, input.prompt ?? "") : null;
}

/** Skips a sub-agent's stop, and a worker's run. */
function findNews(
  recording: Recording,
  accepted: Acceptance | null,
  open: readonly NumberedConflict[],
): Delivery | null {
  const { sql, runtime, incoming, known, session } = recording;
  const { event, input, isLate = false } = incoming;
  const isSubagents = input.agent_id !== undefined && event !== "UserPromptSubmit";
  if (isLate || isSubagents || (known.has.news === 0 && open.length === 0)) return null;
  const words = takesWords(recording) ? deliverUserWords(sql, runtime.now(), session.id) : null;
  if (words === null) return findOthersNews(recording, accepted, open);
  const others = event === "Stop" ? null : findOthersNews(recording, accepted, open);
  return others === null ? { context: words, line: null } : { ...others, context: `${words}\n\n${others.context}` };
}

/** Whether the event can bring the chat what its user wrote elsewhere. */
function takesWords({ runtime: { env }, incoming: { event, clientName } }: Recording): boolean {
  if (event === "UserPromptSubmit") return true;
  return event === "Stop" && adapterOf(clientName)?.continuesAtStop === true && !env["SHIM_TASK"];
}

/** Skips a chat that a hook already continued. */
function findOthersNews(
  { sql, runtime, incoming: { event, input }, session: { id } }: Recording,
  accepted: Acceptance | null,
  open: readonly NumberedConflict[],
): Delivery | null {
  const { now, env, config } = runtime;
  const missing = event === "UserPromptSubmit" || event === "PostToolUse" ? giveBack(sql, now(), id) : null;
  if (missing !== null) return { context: missing, line: null };
  if (event === "UserPromptSubmit") return deliverAtPrompt(sql, runtime, id, accepted, open);
  if (isToolEnd(event)) return toDelivery(deliverAtTool(sql, runtime, id, open));
  if (event !== "Stop" || input.stop_hook_active === true || env["SHIM_TASK"]) return null;
  return toDelivery(deliverAtStop(sql, now(), id, config.team.maxContinuationsPerHour));
}

function toDelivery(context: string | null): Delivery | null {
  return context === null ? null : { context, line: null };
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

function recordSessionSettings({ sql, runtime, incoming, session }: Recording, arms: ServiceArms | null): void {
  const level = incoming.input.effort?.level;
  if (incoming.event !== "SessionStart" && level === undefined) return;
  const effort = level === undefined ? null : label(level);
  recordSettings(sql, runtime.now(), session.id, runtime.config, { model: session.model, effort }, arms);
}
