import type { HookEvent, HookInput } from "../../contract/hook-input.ts";
import type { JournalEntry, JournalKind } from "../../contract/journal.ts";
import type { Sql } from "../../shared/sql.ts";
import { capture } from "../checkpoints/capture.ts";
import { due } from "../checkpoints/triggers.ts";
import { identify, isAlive, type ProcessIdentity } from "../processes.ts";
import type { Runtime } from "../runtime.ts";
import { projectRoot } from "../sessions/git-head.ts";
import * as journal from "../sessions/journal.ts";
import { pathOf } from "../sessions/entries.ts";
import { forgetContext, keepAssistant, keepTexts, observe } from "../sessions/observe.ts";
import { interrupted } from "../recovery/detect.ts";
import { catchUp } from "../sessions/catch-up.ts";
import * as servers from "../sessions/servers.ts";
import * as sessions from "../sessions/sessions.ts";
import { markTranscript, transcriptMark } from "../sessions/transcript-mark.ts";
import { isSlashCommand } from "../sessions/work-state.ts";
import { readOn, type TranscriptPart } from "../signals/transcript.ts";
import { isPaused } from "../store/pause.ts";
import type { Place } from "../team/file-guard.ts";
import { entriesOf } from "./hook-entries.ts";
import { knownSessionId, sessionOf } from "./session-of.ts";
import { startSession, type Started } from "./session-start.ts";
import { askTeam, commandOf, guardedFile, warningOf, type TeamPart } from "./team-part.ts";

/** What the client reads on the hook's stdout. */
export interface HookAnswer {
  readonly systemMessage?: string;
  /** At Stop: the client goes on, with the reason as what it is told. */
  readonly decision?: "block";
  readonly reason?: string;
  readonly hookSpecificOutput?: {
    readonly hookEventName: HookEvent;
    readonly additionalContext?: string;
    readonly permissionDecision?: "deny";
    readonly permissionDecisionReason?: string;
  };
}

/** Events that can only come from a session that lives; the others may arrive after its end. */
const signsOfLife: ReadonlySet<HookEvent> = new Set(["SessionStart", "UserPromptSubmit", "PreToolUse"]);
/** Events that tell which session a client works in; a subagent of the session before may still end after them. */
const moving: ReadonlySet<HookEvent> = new Set(["SessionStart", "UserPromptSubmit"]);

/**
 * One hook event: journal, readings, checkpoint if one is due, and what the user or the model should be told.
 *
 * @param clientPid the process that started the hook
 * @param isLate told after the event (a spool): no sign of life now, and nobody reads the answer
 * @throws {StoreError} when nothing could be stored; the caller spools the event
 */
export function runHook(
  runtime: Runtime,
  event: HookEvent,
  input: HookInput,
  clientPid: number,
  isLate = false,
): HookAnswer {
  // First redacted: what makes a secret known may go when a path is made whole.
  const project = input.cwd ? projectRoot(pathOf(input.cwd)) : null;
  const client = identify(runtime.processes, clientPid);
  if (runtime.store.read((sql) => isPaused(sql, runtime.now(), project), false)) {
    passOver(runtime, input, client);
    return {};
  }
  const read = readTranscript(runtime, input, client);
  const edited = guardedFile(runtime, event, input, isLate);
  const around = { client, project, read, edited, isLate };
  const done = runtime.store.write((sql) => record(sql, runtime, event, input, around));
  if (!done) return {};
  if (done.trigger) {
    const saved = capture(runtime, { sessionId: done.sessionId, trigger: done.trigger });
    if (!saved.ok && saved.error.code === "too_large") runtime.log("warn", "checkpoint too large", saved.error);
  }
  const told = done.started ? startSession(runtime, done.started) : null;
  return answer(event, told, done);
}

/** [HO10] What is said during a pause stays unread when the pause is over. */
function passOver(runtime: Runtime, input: HookInput, client: ProcessIdentity | null): void {
  const path = input.transcript_path;
  if (!path) return;
  const id = runtime.store.read((sql) => knownSessionId(sql, input, client), input.session_id);
  runtime.store.write((sql) => {
    if (sessions.get(sql, id)) catchUp(sql, runtime.now(), id);
    else markTranscript(sql, id, readOn(path, 0).offset);
  });
}

interface Circumstances {
  readonly client: ProcessIdentity | null;
  readonly project: string | null;
  readonly read: TranscriptRead | null;
  readonly edited: Place | null;
  readonly isLate: boolean;
}

interface TranscriptRead {
  /** Where the reading began. */
  readonly from: number;
  readonly part: TranscriptPart;
}

interface Recorded {
  readonly sessionId: string;
  readonly trigger: ReturnType<typeof due>;
  readonly started: Started | null;
  readonly warning: string | null;
  readonly team: TeamPart;
}

function readTranscript(runtime: Runtime, input: HookInput, client: ProcessIdentity | null): TranscriptRead | null {
  const path = input.transcript_path;
  if (!path) return null;
  const from = runtime.store.read((sql) => {
    const id = knownSessionId(sql, input, client);
    return sessions.get(sql, id)?.transcriptOffset ?? transcriptMark(sql, id);
  }, 0);
  return { from, part: readOn(path, from) };
}

function record(
  sql: Sql,
  runtime: Runtime,
  event: HookEvent,
  input: HookInput,
  around: Circumstances,
): Recorded | null {
  if (event === "SessionEnd" && isForeign(sql, runtime, input, around.client)) return null;
  const now = runtime.now();
  const { session, before } = see(sql, runtime, event, input, around);
  const part = newPart(around, session);
  if (part) keepTexts(sql, session.id, now, part);
  const missed = missedStart(sql, event, session, around.isLate);
  const { edited, isLate } = around;
  const hook = { event, input, session: session.id, edited, isLate, isFull: missed !== null };
  const team = askTeam(sql, runtime, hook, () => keep(sql, now, event, input, session.id));
  if (event === "PostCompact") forgetContext(sql, now, session);
  const observed = observe(sql, runtime, session, part);
  if (event === "SessionEnd") finish(sql, now, session, input.reason ?? "other");
  const isFirst = isFirstStart(sql, now, event, input, session.id, around);
  return {
    sessionId: session.id,
    trigger: due(event, { ...observed.facts, toolName: input.tool_name ?? null }, runtime.config.checkpoint),
    started: isFirst ? { session, before, source: sourceOf(input) } : missed,
    warning: deadServer(sql, runtime, event, around.client),
    team,
  };
}

/** Null when another hook that ran beside this one has read the same part before. */
function newPart({ read }: Circumstances, session: sessions.Session): TranscriptPart | null {
  return read?.from === session.transcriptOffset ? read.part : null;
}

/** The session as it was before, and as this event shows it. */
function see(
  sql: Sql,
  runtime: Runtime,
  event: HookEvent,
  input: HookInput,
  around: Circumstances,
): Pick<Started, "session" | "before"> {
  const { id, parentId } = sessionOf(sql, runtime, input, around.client, moving.has(event));
  const before = sessions.get(sql, id);
  const session = sessions.seen(sql, runtime.now(), {
    id,
    ...placeOf(input, around),
    client: "claude-code",
    origin: parentId ? "fork" : sourceOf(input),
    parentId,
    owner: around.client,
    isAlive: !around.isLate && signsOfLife.has(event),
  });
  return { session: before ? session : fromMark(sql, session), before };
}

/** A new session begins to read where there is a mark. */
function fromMark(sql: Sql, session: sessions.Session): sessions.Session {
  const transcriptOffset = transcriptMark(sql, session.id);
  if (transcriptOffset > 0) sessions.update(sql, session.id, { transcriptOffset });
  return { ...session, transcriptOffset };
}

function sourceOf(input: HookInput): string {
  return input.source ?? "startup";
}

function placeOf(
  input: HookInput,
  around: Circumstances,
): Pick<sessions.Sighting, "project" | "cwd" | "model" | "transcriptPath"> {
  return {
    project: around.project,
    cwd: input.cwd === undefined ? null : pathOf(input.cwd),
    model: input.model ?? null,
    transcriptPath: input.transcript_path === undefined ? null : pathOf(input.transcript_path),
  };
}

/** @returns whether it is told for the first time, as far as that can be known: of some events nothing is kept */
function keep(sql: Sql, now: number, event: HookEvent, input: HookInput, id: string): boolean {
  const entries = entriesOf(event, input, turnOf(sql, event, input, id));
  let isNew = entries.length === 0;
  for (const { key, entry } of entries) {
    // Before the end of its turn, and not again when that is told again: a later turn may have begun.
    if (event === "Stop" && !journal.has(sql, id, key)) keepAssistant(sql, id, now, input.last_assistant_message ?? "");
    // Told late, after its end: it runs no more.
    if (entry.kind === "tool_start" && journal.has(sql, id, `end:${entry.id}`)) continue;
    if (!journal.append(sql, id, now, key, entry)) continue;
    isNew = true;
    const change = changeBy(entry);
    if (change) sessions.update(sql, id, change);
  }
  return isNew;
}

/** What an entry that is new changes in its session's row. */
function changeBy(entry: JournalEntry): sessions.SessionChange | null {
  if (entry.kind === "tool_end") return { toolCalls: 1 };
  if (entry.kind === "tool_error") return { toolCalls: 1, toolErrors: 1 };
  if (entry.kind !== "prompt" || isSlashCommand(entry.text)) return null;
  return { title: entry.text.split("\n")[0]?.slice(0, 100) ?? null };
}

/**
 * The client's id of the prompt; where an older one gives none, the place in the journal. One prompt may see several compactions, so
 * theirs is told by the one before.
 */
function turnOf(sql: Sql, event: HookEvent, input: HookInput, id: string): string {
  const place = (kinds: readonly JournalKind[]): number => journal.newest(sql, id, kinds, 1)[0]?.seq ?? 0;
  if (event === "PreCompact") return `${input.prompt_id ?? "none"}:${place(["compacted"])}`;
  if (input.prompt_id !== undefined) return input.prompt_id;
  return `after:${place(event === "UserPromptSubmit" ? ["turn_end", "failure"] : ["prompt"])}`;
}

/** [HO5] With hooks registered twice (settings and plugin) each start runs two hooks; only the first speaks. */
function isFirstStart(
  sql: Sql,
  now: number,
  event: HookEvent,
  input: HookInput,
  id: string,
  { client, isLate }: Circumstances,
): boolean {
  if (event !== "SessionStart") return false;
  const source = sourceOf(input);
  const [before] = journal.newest(sql, id, ["compacting", "end", "detached"], 1);
  const key = `start:${source}:${client?.pid ?? 0}:${client?.start ?? ""}:${before?.seq ?? 0}`;
  const start = { kind: "start", source } as const;
  if (!isLate) return journal.append(sql, id, now, key, start);
  journal.append(sql, id, now, key, { ...start, isUntold: true });
  return false;
}

/** [HO14] A start that had to wait in the spool found nobody who read its answer: the user's next prompt brings it. */
function missedStart(sql: Sql, event: HookEvent, session: sessions.Session, isLate: boolean): Started | null {
  if (event !== "UserPromptSubmit" || isLate) return null;
  const [last] = journal.newest(sql, session.id, ["start", "prompt"], 1);
  const isMissed = last?.entry.kind === "start" && last.entry.isUntold === true;
  return isMissed ? { session, before: null, source: last.entry.source } : null;
}

/** [HO7] A client that was told to resume a session it cannot find ends with that session's id, without ever having had it. */
function isForeign(sql: Sql, runtime: Runtime, input: HookInput, client: ProcessIdentity | null): boolean {
  const session = sessions.get(sql, knownSessionId(sql, input, client));
  const owner = session?.owner;
  if (!owner) return false;
  if (!client) return isAlive(runtime.processes, owner);
  return owner.pid !== client.pid || owner.start !== client.start || owner.boot !== runtime.processes.boot();
}

/**
 * [RE2] SessionEnd is the end mark, but for one case: a client that is asked to stop in the middle of a turn (terminal closed, SIGTERM), or
 * whose turn failed (a usage limit), ends with the reason "other" and no Stop before. That work was cut off, not finished.
 */
function finish(sql: Sql, now: number, session: sessions.Session, reason: string): void {
  const [last] = journal.newest(
    sql,
    session.id,
    ["prompt", "tool_start", "tool_end", "tool_error", "turn_end", "failure"],
    1,
  );
  const isInTurn = last !== undefined && last.entry.kind !== "turn_end";
  // [HO5] Two hooks tell one end: it is known by the start before it.
  const [start] = journal.newest(sql, session.id, ["start"], 1);
  const key = `over:${start?.seq ?? 0}:${reason}:${last?.seq ?? 0}`;
  if (reason === "other" && isInTurn) {
    journal.append(sql, session.id, now, key, { kind: "detached", reason: interrupted });
    sessions.detach(sql, now, session.id, interrupted);
    return;
  }
  journal.append(sql, session.id, now, key, { kind: "end", reason });
  sessions.end(sql, now, session.id, reason);
}

/** [HO4] Said once, with the user's next prompt: the row of the dead process goes with it. */
function deadServer(sql: Sql, runtime: Runtime, event: HookEvent, client: ProcessIdentity | null): string | null {
  if (event !== "UserPromptSubmit" || !client || !isAlive(runtime.processes, client)) return null;
  const { dead, isServed } = servers.look(sql, runtime.processes, client);
  for (const server of dead) servers.unregister(sql, server);
  if (dead.length === 0 || isServed) return null;
  return "SHIM: its MCP process has died, so its tools are gone; hooks go on saving this session. Reconnect with /mcp.";
}

/** At a stop any other word of ours would make Claude Code go on, or is read by nobody. */
function answer(event: HookEvent, told: string | null, { warning, team }: Recorded): HookAnswer {
  const command = commandOf(event, team);
  if (command || event === "Stop") return command ?? {};
  const context = told ?? team.news ?? warningOf(team);
  const message = warning ?? warningOf(team);
  return {
    ...(message ? { systemMessage: message } : {}),
    ...(context ? { hookSpecificOutput: { hookEventName: event, additionalContext: context } } : {}),
  };
}
