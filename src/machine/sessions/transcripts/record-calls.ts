import { adapterOf } from "../../../clients/adapters.ts";
import { isRefusal } from "../../../clients/adapter/harness-text.ts";
import type { TranscriptPart } from "../../../clients/transcript.ts";
import type { TranscriptToolCall, TranscriptToolEnd } from "../../../clients/transcript/transcript-draft.ts";
import type { HookInput } from "../../../contract/hooks.ts";
import { numberAt } from "../../../shared/json-fields.ts";
import type { Sql } from "../../../shared/sql.ts";
import { asShownBy } from "../call-notes.ts";
import { idOf } from "../entries.ts";
import { entriesOf } from "../hook-entries.ts";
import * as life from "../life/row.ts";
import * as journal from "../journal.ts";
import * as sessions from "../sessions.ts";

export interface MissedToolOptions {
  /** Tool call whose event is being recorded; null for other events. */
  readonly current?: string | null;
  /** The client has ended: nothing follows this part. */
  readonly isOver?: boolean;
  /** Sub-agent whose transcript this is. */
  readonly agentId?: string;
  /** Calls whose ends the part may have; absent: those that begin in it. */
  readonly calls?: CallsById;
}

export function callsOf({ toolCalls }: TranscriptPart): CallsById {
  return new Map(toolCalls.map((call) => [call.id, call]));
}

/** Stores tool calls whose events never came, since hooks fail open. */
export function recordMissedTools(
  sql: Sql,
  { id: sessionId, startedAt }: sessions.Session,
  now: number,
  part: TranscriptPart,
  { current = null, isOver = false, agentId, calls = callsOf(part) }: MissedToolOptions,
): number {
  const caller = { session_id: sessionId, ...(agentId === undefined ? {} : { agent_id: agentId }) };
  const isOfSession = ({ at, isUnhooked }: TranscriptToolCall): boolean => !isUnhooked && (at ?? now) >= startedAt;
  const callsSinceStart = part.toolCalls.filter(isOfSession);
  const newStarts = callsSinceStart.filter(({ id }) => id !== current && recordStart(sql, caller, now, id, calls));
  const [started, ...others] = newStarts;
  if (started && others.length === 0) nameAsking(sql, sessionId, started);
  const startedIds = new Set(newStarts.map(({ id }) => id));
  const hookedEnds = part.toolEnds.filter((end) => !end.isUnhooked);
  for (const call of unhookedCalls(part))
    if (call.id !== current && (call.at ?? now) >= startedAt) recordUnhooked(sql, caller, now, call);
  const ends = isOver ? hookedEnds.filter((end) => !isCutOff(part, end)) : hookedEnds;
  const known = new Map([...calls].filter(([, call]) => isOfSession(call)));
  const isCurrent = ({ toolUseId: id }: TranscriptToolEnd): boolean => `${current}.`.startsWith(`${id}.`);
  const missedEnds = ends.filter((end) => !isCurrent(end)).flatMap((end) => endsOfFiles(sql, sessionId, end));
  const newEnds = missedEnds.filter((end) => recordEnd(sql, caller, now, end, known));
  return newEnds.filter(({ toolUseId, error }) => error === null && startedIds.has(toolUseId)).length;
}

/** The end of a patch is one, and hooks report a call for each of its files. */
function endsOfFiles(sql: Sql, sessionId: string, end: TranscriptToolEnd): TranscriptToolEnd[] {
  const ends = [end];
  const next = (): string => `${end.toolUseId}.${ends.length}`;
  while (journal.has(sql, sessionId, `start:${idOf(next())}`)) ends.push({ ...end, toolUseId: next() });
  return ends;
}

/** A client asked to end kills its tools and writes their failure as its last words. */
function isCutOff({ texts, toolCalls }: TranscriptPart, { error, at }: TranscriptToolEnd): boolean {
  return (
    error !== null &&
    !isRefusal(error) &&
    at !== null &&
    [...texts, ...toolCalls].every((other) => (other.at ?? 0) <= at)
  );
}

/** A client may ask its user before it reports the call. */
function nameAsking(sql: Sql, sessionId: string, { id, at }: TranscriptToolCall): void {
  const asks = life.read(sql, sessionId)?.asks;
  if (asks?.for !== "permission" || asks.call !== undefined || at === null || at > asks.at) return;
  const entry = { kind: "asks", for: asks.for, call: idOf(id) } as const;
  journal.append(sql, sessionId, asks.at, `asks:call:${idOf(id)}`, entry);
}

type Caller = Pick<HookInput, "session_id" | "agent_id">;
type CallsById = ReadonlyMap<string, TranscriptToolCall>;

function recordStart(sql: Sql, caller: Caller, now: number, toolUseId: string, calls: CallsById): boolean {
  const { session_id: sessionId } = caller;
  const call = calls.get(toolUseId);
  const id = idOf(toolUseId);
  if (!call || journal.has(sql, sessionId, `start:${id}`) || journal.has(sql, sessionId, `end:${id}`)) return false;
  return recordAll(sql, sessionId, call.at ?? now, entriesOf("PreToolUse", inputOf(caller, call)));
}

function recordEnd(sql: Sql, caller: Caller, now: number, end: TranscriptToolEnd, calls: CallsById): boolean {
  const { session_id: sessionId } = caller;
  const { toolUseId, error, at, response } = end;
  const id = idOf(toolUseId);
  if (journal.has(sql, sessionId, `end:${id}`)) {
    recordExit(sql, caller, now, end);
    return false;
  }
  const call = calls.get(toolUseId) ?? startedCall(sql, sessionId, id);
  if (!call) return false;
  const event = error === null ? "PostToolUse" : "PostToolUseFailure";
  const outcome = error === null ? { tool_response: response } : { error };
  const input = { ...inputOf(caller, call), ...outcome };
  const isRecorded = recordAll(sql, sessionId, at ?? now, entriesOf(event, input));
  if (isRecorded) sessions.update(sql, sessionId, { toolCalls: 1, toolErrors: error === null ? 0 : 1 });
  return isRecorded;
}

/** A command that cannot be undone, and whose event did not say how it ended. */
function recordExit(sql: Sql, { session_id: sessionId }: Caller, now: number, end: TranscriptToolEnd): void {
  const id = idOf(end.toolUseId);
  const exitCode = numberAt(end.response ?? null, "exit_code");
  const started = exitCode === null ? undefined : journal.find(sql, sessionId, `start:${id}`)?.entry;
  if (exitCode === null || started?.kind !== "tool_start" || started.effects === undefined) return;
  journal.append(sql, sessionId, end.at ?? now, `exited:${id}`, { kind: "exited", id, exitCode });
}

/** Hooks may say nothing of answers, of the call that asked, or of one that wrote a to-do list. */
function unhookedCalls({ toolCalls, toolEnds }: TranscriptPart): UnhookedCall[] {
  const lists = toolCalls.filter(({ name, isUnhooked }) => isUnhooked && name === "TodoWrite");
  const answered = toolEnds.filter(({ error, response }) => error === null && response?.["answers"]);
  const dialogs = answered.map(({ toolUseId: id, at, response = {} }) => {
    return { id, name: "AskUserQuestion", input: {}, at, response };
  });
  return [...lists, ...dialogs];
}

type UnhookedCall = Pick<TranscriptToolCall, "id" | "name" | "input" | "at"> & Pick<TranscriptToolEnd, "response">;

function recordUnhooked(sql: Sql, caller: Caller, now: number, call: UnhookedCall): void {
  const input = { ...inputOf(caller, call), tool_response: call.response };
  const entries = entriesOf("PostToolUse", input).filter(({ entry }) => entry.kind !== "tool_end");
  recordAll(sql, caller.session_id, call.at ?? now, entries);
}

export function recordAll(sql: Sql, sessionId: string, at: number, entries: ReturnType<typeof entriesOf>): boolean {
  const client = sessions.get(sql, sessionId)?.client ?? "";
  return entries
    .map(({ key, entry }) => journal.append(sql, sessionId, at, key, asShownBy(entry, adapterOf(client))))
    .includes(true);
}

function startedCall(
  sql: Sql,
  sessionId: string,
  id: string,
): Pick<TranscriptToolCall, "id" | "name" | "input"> | null {
  const entry = journal.find(sql, sessionId, `start:${id}`)?.entry;
  if (entry?.kind !== "tool_start") return null;
  return { id, name: entry.name, input: { file_path: entry.input } };
}

function inputOf(caller: Caller, call: Pick<TranscriptToolCall, "id" | "name" | "input">): HookInput {
  return { ...caller, tool_name: call.name, tool_use_id: idOf(call.id), tool_input: call.input };
}
