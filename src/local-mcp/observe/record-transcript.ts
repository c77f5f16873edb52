import type { HookInput } from "../../contract/hook-input.ts";
import type { Sql } from "../../shared/sql.ts";
import { assistant, redactAndClip, idOf, limits } from "../sessions/entries.ts";
import { entriesOf } from "../sessions/hook-entries.ts";
import * as journal from "../sessions/journal.ts";
import { isSessionPaused, pauseReadLimits } from "../sessions/paused-session.ts";
import * as sessions from "../sessions/sessions.ts";
import { markTranscript } from "../sessions/transcript-mark.ts";
import type { TranscriptToolCall, TranscriptToolEnd } from "../signals/transcript-lines.ts";
import { transcriptFormat } from "../signals/transcript-formats.ts";
import { readAppended, type TranscriptPart } from "../signals/transcript.ts";
import { countResponses, type Prices } from "../usage/ledger.ts";
import { isTurnOpen, readTurnEnd, recordTurnEnd } from "./record-turn-end.ts";

/** [RE13] Stores what a client wrote into its transcript after the last hook; the readings stay. */
export function catchUp(sql: Sql, now: number, sessionId: string): void {
  const session = sessions.get(sql, sessionId);
  if (!session?.transcriptPath) return;
  const { transcriptPath: path } = session;
  const limits = { ...pauseReadLimits(sql, path, session), format: transcriptFormat(session.client) };
  const part = readAppended(path, session.transcriptOffset, limits);
  // [HO10] Text from a pause is skipped even after the pause has ended.
  const isPaused = isSessionPaused(sql, now, session);
  if (part.offset !== session.transcriptOffset) {
    if (isPaused) markTranscript(sql, path, part.size);
    else recordTranscript(sql, session, part, now, { isOver: true });
    sessions.update(sql, sessionId, { transcriptOffset: part.offset });
  }
  if (!isPaused && isTurnOpen(sql, sessionId))
    recordTurnEnd(sql, sessionId, now, part.turnEnd ?? readTurnEnd(path, limits));
}

export interface RecordOptions {
  readonly prices?: Prices;
  /** Tool call whose event is being recorded; null for other events. */
  readonly current?: string | null;
  /** The client has ended: nothing follows this part. */
  readonly isOver?: boolean;
}

/** Records texts, usage and missed tool calls. Returns the number of unreported calls. */
export function recordTranscript(
  sql: Sql,
  session: sessions.Session,
  part: TranscriptPart,
  now: number,
  options: RecordOptions = {},
): number {
  recordTexts(sql, session.id, now, part);
  countResponses(sql, session, part, now, options.prices);
  return recordMissedTools(sql, session, now, part, options);
}

/** [JO4] Runs before the hook's event is stored: the transcript describes what came before. */
function recordTexts(sql: Sql, sessionId: string, now: number, part: TranscriptPart): void {
  for (const text of part.texts) {
    if (text.role === "assistant") recordAssistant(sql, sessionId, text.at ?? now, text.text);
  }
  for (const { uuid, text, at } of part.apiErrors) {
    journal.append(sql, sessionId, at ?? now, `failure:${idOf(uuid)}`, {
      kind: "failure",
      text: redactAndClip(text, limits.error),
    });
  }
}

/** [JO2] Stores a text from hook and transcript once per turn. */
export function recordAssistant(sql: Sql, sessionId: string, at: number, text: string): void {
  const keyedEntry = assistant(text);
  if (!keyedEntry) return;
  journal.append(sql, sessionId, at, `${keyedEntry.key}:${journal.newestPromptSeq(sql, sessionId)}`, keyedEntry.entry);
}

/** Stores tool calls whose events never came, since hooks fail open. [JO20] [JO22] */
function recordMissedTools(
  sql: Sql,
  { id: sessionId, startedAt }: sessions.Session,
  now: number,
  part: TranscriptPart,
  { current = null, isOver = false }: RecordOptions,
): number {
  const callsSinceStart = part.toolCalls.filter(({ at }) => (at ?? now) >= startedAt);
  const calls = new Map(callsSinceStart.map((call) => [call.id, call]));
  const newStarts = callsSinceStart.filter(({ id }) => id !== current && recordStart(sql, sessionId, now, id, calls));
  const startedIds = new Set(newStarts.map(({ id }) => id));
  const ends = isOver ? part.toolEnds.filter((end) => !isCutOff(part, end)) : part.toolEnds;
  const newEnds = ends.filter((end) => end.toolUseId !== current && recordEnd(sql, sessionId, now, end, calls));
  return newEnds.filter(({ toolUseId, error }) => error === null && startedIds.has(toolUseId)).length;
}

/** [JO21] A client asked to end kills its tools and writes their failure as its last words. */
function isCutOff({ texts, toolCalls }: TranscriptPart, { error, at }: TranscriptToolEnd): boolean {
  return error !== null && at !== null && [...texts, ...toolCalls].every((other) => (other.at ?? 0) <= at);
}

type CallsById = ReadonlyMap<string, TranscriptToolCall>;

function recordStart(sql: Sql, sessionId: string, now: number, toolUseId: string, calls: CallsById): boolean {
  const call = calls.get(toolUseId);
  const id = idOf(toolUseId);
  if (!call || journal.has(sql, sessionId, `start:${id}`) || journal.has(sql, sessionId, `end:${id}`)) return false;
  return recordAll(sql, sessionId, call.at ?? now, entriesOf("PreToolUse", inputOf(sessionId, call), ""));
}

function recordEnd(sql: Sql, sessionId: string, now: number, end: TranscriptToolEnd, calls: CallsById): boolean {
  const { toolUseId, error, at } = end;
  const id = idOf(toolUseId);
  if (journal.has(sql, sessionId, `end:${id}`)) return false;
  const call = calls.get(toolUseId) ?? startedCall(sql, sessionId, id);
  if (!call) return false;
  const event = error === null ? "PostToolUse" : "PostToolUseFailure";
  const input = { ...inputOf(sessionId, call), ...(error === null ? {} : { error }) };
  const isRecorded = recordAll(sql, sessionId, at ?? now, entriesOf(event, input, ""));
  if (isRecorded) sessions.update(sql, sessionId, { toolCalls: 1, toolErrors: error === null ? 0 : 1 });
  return isRecorded;
}

function recordAll(sql: Sql, sessionId: string, at: number, entries: ReturnType<typeof entriesOf>): boolean {
  return entries.map(({ key, entry }) => journal.append(sql, sessionId, at, key, entry)).includes(true);
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

function inputOf(sessionId: string, call: Pick<TranscriptToolCall, "id" | "name" | "input">): HookInput {
  return { session_id: sessionId, tool_name: call.name, tool_use_id: idOf(call.id), tool_input: call.input };
}
