import type { HookEvent, HookInput } from "../../contract/hook-input.ts";
import type { JournalEntry, JournalKind } from "../../contract/journal.ts";
import type { Sql } from "../../shared/sql.ts";
import type { Trigger } from "../../contract/checkpoint.ts";
import { recordAssistant, recordTranscript, recordTurnEnd, recordUnreadPart } from "../observe/record-transcript.ts";
import { isAlive } from "../../platform/processes.ts";
import { recordSettings } from "../recording/session-settings.ts";
import type { Acceptance } from "../recovery/accept-offer.ts";
import { isOwnerGone, recordDeath } from "../recovery/deaths.ts";
import { adoptBriefed, adoptSuccession } from "../recovery/successor.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { digest, label, pathOf, type KeyedEntry } from "../sessions/entries.ts";
import { readHead } from "../sessions/git-head.ts";
import { entriesOf } from "../sessions/hook-entries.ts";
import * as journal from "../sessions/journal.ts";
import { clearPausedFolder } from "../sessions/paused-session.ts";
import { isSlashCommand } from "../sessions/slash-command.ts";
import * as sessions from "../sessions/sessions.ts";
import { transcriptMark } from "../sessions/transcript-mark.ts";
import { updateWaiting } from "../sessions/waiting.ts";
import type { TranscriptPart } from "../signals/transcript.ts";
import { stampOf } from "../../snapshots/file-state.ts";
import type { Delivery } from "../team/deliver-news.ts";
import { noteCompaction } from "../recovery/give-back.ts";
import type { EditVerdict } from "../team/file-guard.ts";
import { endSession } from "./end-session.ts";
import type { HookContext } from "./hook-context.ts";
import { checkConnection, promptWarning } from "./connection.ts";
import { checkpointTrigger, findAcceptance, findNews, toolVerdict } from "./hook-decision.ts";
import { resolveSession } from "./resolve-session.ts";
import type { StartedSession } from "./session-start.ts";

/** Events that only a living session sends; the others may arrive after its end. */
const signsOfLife: ReadonlySet<HookEvent> = new Set(["SessionStart", "UserPromptSubmit", "PreToolUse"]);

/** Consequences of a recorded event. */
export interface RecordedEvent {
  readonly sessionId: string;
  readonly trigger: Trigger | null;
  readonly started: StartedSession | null;
  readonly warning: string | null;
  /** [HO63] Why the prompt goes back to the user. */
  readonly refusal: string | null;
  readonly verdict: EditVerdict;
  readonly news: Delivery | null;
  readonly accepted: Acceptance | null;
}

interface EventContext extends HookContext {
  readonly missedBySubagents: number;
}

/** One transaction. Returns null for the end of a session that the client never had. */
export function recordEvent(sql: Sql, runtime: Runtime, given: EventContext): RecordedEvent | null {
  const context = { ...given, input: withCallId(sql, given) };
  const { event, input } = context;
  if (event === "SessionEnd" && isForeign(sql, runtime, context)) return null;
  const sighted = recordSighting(sql, runtime, context);
  const { session } = sighted;
  adoptBriefed(sql, input.prompt, session.id);
  const { part, missedTools } = recordUnread(sql, runtime, context, session);
  const connection = checkConnection(sql, runtime, context, session.id);
  if (connection.kind === "refused") return { ...nothing, sessionId: session.id, refusal: connection.reason };
  const missedStart = findMissedStart(sql, runtime, context, sighted);
  const verdict = toolVerdict(sql, runtime, context, session.id);
  const accepted = findAcceptance(sql, runtime, context, session.id);
  const isNew = recordEntries(sql, runtime.now(), withFailure(context, part), session.id, verdict);
  const news = isNew && !isBriefed(missedStart) ? findNews(sql, runtime, context, session.id, accepted) : null;
  const trigger = checkpointTrigger(sql, runtime, context, session, part);
  if (event === "SessionEnd") endSession(sql, runtime, session, input.reason ?? "other");
  const started = recordStart(sql, runtime, context, sighted) ?? missedStart;
  recordSessionSettings(sql, runtime, context, session);
  const warning = promptWarning(connection, context, missedTools + given.missedBySubagents);
  return { sessionId: session.id, trigger, started, warning, refusal: null, verdict, news, accepted };
}

/** A start's brief fills what the client takes of a hook; one after a compaction has none. */
function isBriefed(missedStart: StartedSession | null): boolean {
  return missedStart !== null && missedStart.source !== "compact";
}

/** [JO42] Records that the event came, with its redacted text, and interprets nothing of it. */
export function recordUnreadEvent(sql: Sql, runtime: Runtime, context: HookContext, text: string): RecordedEvent {
  const { session } = recordSighting(sql, runtime, context);
  const { event, transcript } = context;
  if (transcript?.from === session.transcriptOffset && transcript.part.offset !== transcript.from) {
    recordUnreadPart(sql, session, transcript.part, runtime.now());
    sessions.update(sql, session.id, { transcriptOffset: transcript.part.offset });
  }
  const key = `unread:${event}:${digest(text)}`;
  journal.append(sql, session.id, runtime.now(), key, { kind: "unread", of: event, text });
  return { ...nothing, sessionId: session.id };
}

const nothing: Omit<RecordedEvent, "sessionId"> = {
  trigger: null,
  started: null,
  warning: null,
  refusal: null,
  verdict: { kind: "free" },
  news: null,
  accepted: null,
};

const callKinds: Partial<Record<HookEvent, "start" | "end">> = {
  PreToolUse: "start",
  PostToolUse: "end",
  PostToolUseFailure: "end",
};

/** [CA3] Without a client's id, the nth start of the same call and its nth end belong together. */
function withCallId(sql: Sql, { event, input, knownId }: HookContext): HookInput {
  const kind = callKinds[event];
  if (kind === undefined || input.tool_use_id !== undefined || input.tool_name === undefined) return input;
  const call = digest(JSON.stringify([input.agent_id, input.tool_name, input.tool_input]));
  return { ...input, tool_use_id: `call_${call}.${journal.countKeys(sql, knownId, `${kind}:call_${call}.`)}` };
}

function recordSessionSettings(
  sql: Sql,
  runtime: Runtime,
  { event, input, answered }: HookContext,
  session: sessions.Session,
): void {
  const level = input.effort?.level;
  if (event !== "SessionStart" && level === undefined) return;
  const effort = level === undefined ? null : label(level);
  recordSettings(sql, runtime.now(), session.id, runtime.config, { model: session.model, effort }, answered);
}

interface RecordedTranscript {
  readonly part: TranscriptPart | null;
  readonly missedTools: number;
}

function recordUnread(
  sql: Sql,
  { now, config }: Runtime,
  { event, input, transcript }: HookContext,
  session: sessions.Session,
): RecordedTranscript {
  // A concurrent hook has read the same part before.
  if (transcript?.from !== session.transcriptOffset) return { part: null, missedTools: 0 };
  const { part, turnEnd } = transcript;
  const { tool_use_id: current = null, prompt } = input;
  const options = { current, prompt, isOver: event === "SessionEnd", prices: config.usage.prices };
  const missedTools = recordTranscript(sql, session, part, now(), options);
  recordTurnEnd(sql, session.id, now(), turnEnd);
  return { part, missedTools };
}

/** [HO7] A client asked to resume an unknown session ends with that id, without having had it. */
function isForeign(sql: Sql, { processes }: Runtime, { knownId, client }: HookContext): boolean {
  const owner = sessions.get(sql, knownId)?.owner;
  if (!owner) return false;
  if (!client) return isAlive(processes, owner);
  return owner.pid !== client.pid || owner.start !== client.start || owner.boot !== processes.boot();
}

function recordSighting(sql: Sql, runtime: Runtime, context: HookContext): Pick<StartedSession, "session" | "before"> {
  const { event, input, clientName, client, project, cwd, isLate } = context;
  const { id, parentId } = resolveSession(sql, runtime, context);
  const known = sessions.get(sql, id);
  const isSignOfLife = !isLate && signsOfLife.has(event);
  const isBack = known !== null && isSignOfLife && isOwnerGone(known, runtime);
  if (isBack) recordDeath(sql, runtime, id);
  const before = isBack ? sessions.get(sql, id) : known;
  const session = sessions.recordSighting(sql, runtime.now(), {
    id,
    project,
    cwd,
    ...clientFacts(input),
    client: clientName,
    origin: parentId ? "fork" : sourceOf(context),
    parentId,
    owner: client,
    isAlive: isSignOfLife,
    isWork: event !== "Notification",
  });
  if (!isLate) {
    updateWaiting(sql, runtime.now(), event, input, session);
    clearPausedFolder(sql, id);
  }
  return { session: before ? session : withTranscriptMark(sql, session), before };
}

function clientFacts(input: HookInput): Pick<sessions.Sighting, "model" | "clientVersion" | "transcriptPath"> {
  const { model = null, client_version: clientVersion = null, transcript_path: path } = input;
  return { model, clientVersion, transcriptPath: path === undefined ? null : pathOf(path) };
}

function sourceOf({ input }: HookContext): string {
  return input.source ?? "startup";
}

function withTranscriptMark(sql: Sql, session: sessions.Session): sessions.Session {
  const transcriptOffset = transcriptMark(sql, session.id);
  if (transcriptOffset > 0) sessions.update(sql, session.id, { transcriptOffset });
  return { ...session, transcriptOffset };
}

/**
 * [HO14] Finds a start that was spooled: the user's next prompt brings its answer.
 * [CA46] So it does where it comes before the start, which then finds the session alive.
 */
function findMissedStart(
  sql: Sql,
  runtime: Runtime,
  { event, isLate, client }: HookContext,
  { session, before }: Pick<StartedSession, "session" | "before">,
): StartedSession | null {
  if (event !== "UserPromptSubmit" || isLate) return null;
  if (before && client && isOwnerGone(before, runtime)) return { session, before, source: "resume" };
  const [last] = journal.newest(sql, session.id, ["start", "prompt"], 1);
  const isMissed = last?.entry.kind === "start" && last.entry.isUntold === true;
  return isMissed ? { session, before: null, source: last.entry.source } : null;
}

/** A client without a transcript sends the model's words with the event that follows them. */
const carriesWords: ReadonlySet<HookEvent> = new Set(["PreToolUse", "Stop"]);

/** [HO5] Returns whether the event is new, as far as known: some events are not stored. */
function recordEntries(sql: Sql, now: number, context: HookContext, id: string, verdict: EditVerdict): boolean {
  const { event, input, isLate } = withRefusal(context, verdict);
  const entries = entriesOf(event, input, turnId(sql, context, id));
  let isNew = entries.length === 0;
  for (const { key, entry } of entries) {
    // Runs before the end of its turn is stored, and not for a repeat: a later turn may have begun.
    if (carriesWords.has(event) && !journal.has(sql, id, key))
      recordAssistant(sql, id, now, input.last_assistant_message ?? "");
    // Reported after its end: it no longer runs.
    if (entry.kind === "tool_start" && journal.has(sql, id, `end:${entry.id}`)) continue;
    if (!journal.append(sql, id, now, key, withStamp(entry, isLate))) continue;
    isNew = true;
    recordEffects(sql, now, id, { key, entry });
  }
  return isNew;
}

function recordEffects(sql: Sql, now: number, id: string, { key, entry }: KeyedEntry): void {
  if (entry.kind === "compacted" && entry.summary !== "") noteCompaction(sql, now, id, key);
  const change = sessionChange(entry);
  if (change) sessions.update(sql, id, change);
}

/** [FI7] A refused call never runs, and the client reports no end of it. */
function withRefusal(context: HookContext, verdict: EditVerdict): HookContext {
  if (verdict.kind !== "refused") return context;
  return { ...context, event: "PostToolUseFailure", input: { ...context.input, error: verdict.reason } };
}

/** [CA31] The exit code of a command may stand in the transcript alone. */
function withFailure(context: HookContext, part: TranscriptPart | null): HookContext {
  const { event, input } = context;
  const end = event === "PostToolUse" && part?.toolEnds.find(({ toolUseId }) => toolUseId === input.tool_use_id);
  if (!end || end.error === null) return context;
  return { ...context, event: "PostToolUseFailure", input: { ...input, error: end.error } };
}

/** Older clients give no prompt id, so the journal position identifies the turn. */
function turnId(sql: Sql, { event, input }: HookContext, id: string): string {
  const seqOfNewest = (...kinds: JournalKind[]): number => journal.newest(sql, id, kinds, 1)[0]?.seq ?? 0;
  if (event === "PreCompact") return `${input.prompt_id ?? "none"}:${seqOfNewest("compacted")}`;
  if (event === "PostCompact") return `${input.prompt_id ?? "none"}:${seqOfNewest("compacting")}`;
  if (input.prompt_id !== undefined) return input.prompt_id;
  return `after:${event === "UserPromptSubmit" ? seqOfNewest("turn_end", "failure") : journal.newestPromptSeq(sql, id)}`;
}

/** [JO15] Adds size and time, so that another's later edit shows before any hash. */
function withStamp(entry: JournalEntry, isLate: boolean): JournalEntry {
  if (isLate || entry.kind !== "tool_end" || !entry.path || entry.action === "read") return entry;
  const stamp = stampOf(entry.path);
  return stamp ? { ...entry, stamp } : entry;
}

function sessionChange(entry: JournalEntry): sessions.SessionChange | null {
  if (entry.kind === "tool_end") return { toolCalls: 1 };
  if (entry.kind === "tool_error") return { toolCalls: 1, toolErrors: 1 };
  if (entry.kind !== "prompt" || isSlashCommand(entry.text)) return null;
  return { title: entry.text.split("\n")[0]?.slice(0, 100) ?? null };
}

/** [HO5] Hooks registered twice (settings and plugin) run at each start; only the first answers. */
function recordStart(
  sql: Sql,
  runtime: Runtime,
  context: HookContext,
  sighted: Pick<StartedSession, "session" | "before">,
): StartedSession | null {
  if (context.event !== "SessionStart") return null;
  const { project, isLate } = context;
  const { id } = sighted.session;
  const source = sourceOf(context);
  const git = project === null ? null : readHead(project);
  const details = { ...(git ? { git } : {}), ...(isLate ? ({ isUntold: true } as const) : {}) };
  const isFirst = journal.append(sql, id, runtime.now(), startKey(sql, id, context), {
    kind: "start",
    source,
    ...details,
  });
  // A spooled start is applied by a process with another environment.
  if (isFirst && !isLate) adoptSuccession(sql, runtime.env, id);
  return isFirst && !isLate ? { ...sighted, source } : null;
}

function startKey(sql: Sql, id: string, context: HookContext): string {
  const { pid, start } = context.client ?? { pid: 0, start: "" };
  const [before] = journal.newest(sql, id, ["compacting", "end", "detached"], 1);
  return `start:${sourceOf(context)}:${pid}:${start}:${before?.seq ?? 0}`;
}
