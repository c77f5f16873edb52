import { adapterOf } from "../../../clients/adapters.ts";
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { isAbsolute } from "node:path";
import type { HookEvent, HookInput } from "../../../contract/hooks.ts";
import { callsOfPatch, withClaudeTool } from "../../../clients/adapter/client-adapter.ts";
import { textAt, type JsonObject } from "../../../shared/json-fields.ts";
import { isKnownTime, maxAheadMs } from "../../../shared/known-time.ts";
import { err, ok, type Result } from "../../../shared/result.ts";
import type { Sql } from "../../../shared/sql.ts";
import { isWindowsPath } from "../../../platform/paths.ts";
import { isOfThisSystem } from "../../../platform/this-system.ts";
import type { Runtime } from "../../../runtime/runtime.ts";
import { usageFiles } from "../../../store/machine-tables.ts";
import { checkpoints, journal as journalRows } from "../../../store/session-tables.ts";
import { pauseLookup } from "../../../store/pause.ts";
import * as snapshotDrops from "../../../store/snapshot-drops.ts";
import { countResponses } from "../usage/ledger.ts";
import { recordSubagents } from "./record-subagents.ts";
import { recordDamages } from "./record-transcript.ts";
import { asShownBy } from "../call-notes.ts";
import { approvedPlan, assistant, idOf, pathOf, type KeyedEntry } from "../entries.ts";
import { projectRoot } from "../../../snapshots/git-head.ts";
import { entriesOf, noteEntries } from "../hook-entries.ts";
import * as journal from "../journal.ts";
import * as prompts from "../prompts.ts";
import { importOrigin } from "../sessions.ts";
import * as sessions from "../sessions.ts";
import type {
  LineFormat,
  TranscriptCompaction,
  TranscriptContent,
  TranscriptText,
  TranscriptToolCall,
  TranscriptToolEnd,
} from "../../../clients/transcript/transcript-draft.ts";
import type { TranscriptHead } from "../../../clients/transcript/transcript-file.ts";
import { details } from "../../../clients/details.ts";
import { readTranscript, type WholeTranscript } from "../../../clients/read-transcript.ts";

export interface ImportedTranscript extends TranscriptHead {
  /** `recorded`: SHIM has the session from its chat itself, and takes nothing from the file. */
  readonly how: "new" | "again" | "recorded";
  /** Parts of the file that could not be read, or are missing. */
  readonly damages: number;
  /** The other file of the session, of which nothing is stored; null: there is none. */
  readonly left: string | null;
}

interface ImportOptions {
  readonly path: string;
  /** Folder of the session, where the transcript has no name but the hash of it. */
  readonly folder: string;
  /** Session of a database; absent: its only one. */
  readonly session?: string | undefined;
  /** A session in two files is stored as the one with the later end has it. */
  readonly isLongest?: boolean;
}

/**
 * Stores a session as its transcript has it, in the place of an earlier import.
 * @returns why that is impossible
 */
export async function importTranscript(
  runtime: Runtime,
  { path, folder, session: asked, isLongest = false }: ImportOptions,
): Promise<Result<ImportedTranscript, string>> {
  const isInPause = runtime.store.read(pauseLookup, null);
  const formatOf = (head: TranscriptHead) => withoutPauses(details[head.client].readRow, head.cwd ?? folder, isInPause);
  const read = await readTranscript(path, runtime.store.context.driver, formatOf, asked);
  if (!read.ok) return read;
  const { content, bytes } = read.value;
  const { parent } = read.value.head;
  if (parent !== null)
    return err(`it is of a subagent, whose prompts the chat wrote: import that chat's, ${idOf(parent)}, instead`);
  const { session, cwd: written, folderHash } = read.value.head;
  const cwd = written !== null && isPath(written) ? written : null;
  const isHere = folderHash === createHash("sha256").update(folder).digest("hex");
  const known = cwd ?? (isHere ? folder : null);
  const head = { ...read.value.head, session: idOf(session), cwd: known && pathOf(known) };
  const isSaid = [content.texts, content.toolCalls, content.apiErrors].some(({ length }) => length > 0);
  const nothing = content.damages.length > 0 ? "nothing of what was said in it can be read" : "nothing was said in it";
  if (!isSaid) return err(`${nothing}${isInPause ? " outside of a pause" : ""}`);
  return ok(runtime.store.write((sql) => store(sql, runtime, { head, path, content, bytes, isLongest })));
}

/** Tools may write another text as the folder. */
function isPath(written: string): boolean {
  return (isAbsolute(written) || isWindowsPath(written)) && !written.includes("\0");
}

/** A row without a time is of the row before it. */
function withoutPauses(readRow: LineFormat, folder: string, isInPause: ReturnType<typeof pauseLookup>): LineFormat {
  if (!isInPause) return readRow;
  let newest: number | null = null;
  return (draft, row, origin) => {
    newest = origin.at ?? newest;
    if (newest === null || !isInPause(newest, [textAt(row, "cwd", 4_096), folder])) readRow(draft, row, origin);
  };
}

interface Reading extends WholeTranscript {
  readonly path: string;
  readonly isLongest: boolean;
}

function store(sql: Sql, runtime: Runtime, reading: Reading): ImportedTranscript {
  const { head, path, content, bytes, isLongest } = reading;
  const before = sessions.get(sql, head.session);
  const left = before && otherFile(before, path);
  const imported = { ...head, damages: content.damages.length, left };
  if (before && !sessions.isOnlyImported(before)) return { ...imported, how: "recorded", left: null };
  const now = runtime.now();
  const events = eventsOf(content, head.cwd, now);
  const times = events.map(({ at }) => Math.min(at, now)).filter(isKnownTime);
  const [first = now, last = first] = [times[0], times.at(-1)];
  if (left !== null && isLongest && endsBehind(last, bytes, before)) return { ...imported, how: "again", left: path };
  if (before) clearImport(sql, head.session);
  put(sql, reading, { events, first, last }, before, now);
  return { ...imported, how: before ? "again" : "new" };
}

interface TimedEvents {
  readonly events: readonly Event[];
  readonly first: number;
  readonly last: number;
}

function put(
  sql: Sql,
  { head, path, content, bytes }: Reading,
  { events, first, last }: TimedEvents,
  before: sessions.Session | null,
  now: number,
): void {
  const { client, session: id, cwd } = head;
  sessions.recordSighting(sql, first, {
    id,
    client,
    clientVersion: content.clientVersion,
    origin: importOrigin,
    project: cwd !== null && isOfThisSystem(cwd) ? projectRoot(cwd) : null,
    cwd,
    model: content.usage.at(-1)?.model ?? content.model,
    transcriptPath: pathOf(path),
    isScripts: content.isScripts === true,
    owner: null,
    isAlive: false,
  });
  const writtenGit = content.git ? { writtenGit: content.git } : {};
  journal.append(sql, id, first, `start:${importOrigin}`, { kind: "start", source: importOrigin, ...writtenGit });
  const title = record(sql, head, events, events[0]?.at ?? first);
  recordDamages(sql, id, last, importOrigin, content);
  sessions.touch(sql, last, id);
  const counts = countsOf(content.toolEnds, before);
  sessions.update(sql, id, { ...counts, transcriptOffset: bytes, workedAt: last, title });
  if (content.name !== null) sessions.rename(sql, id, content.name);
  const session = sessions.get(sql, id);
  if (session === null) return;
  countResponses(sql, session, content, now);
  recordSubagents(sql, session, now, { prices: {}, isOver: true });
}

/** A session's counts are added to. */
function countsOf(
  ends: readonly TranscriptToolEnd[],
  before: sessions.Session | null,
): Pick<sessions.Session, "toolCalls" | "toolErrors"> {
  const known = before ?? { toolCalls: 0, toolErrors: 0 };
  const failed = ends.filter(({ error }) => error !== null).length;
  return { toolCalls: ends.length - known.toolCalls, toolErrors: failed - known.toolErrors };
}

/** Where both end at one time, or at none that is known, the longer one has more. */
function endsBehind(last: number, bytes: number, before: sessions.Session | null): boolean {
  return before !== null && ((before.workedAt ?? 0) - last || before.transcriptOffset - bytes) > 0;
}

/** A client, or its user, may have a session in two files. */
function otherFile({ transcriptPath }: sessions.Session, path: string): string | null {
  const isOther = transcriptPath !== null && transcriptPath !== pathOf(path) && existsSync(transcriptPath);
  return isOther ? transcriptPath : null;
}

/** Deletes what an earlier import or hand-over has stored: there may be more since. */
export function clearImport(sql: Sql, session: string): void {
  const saved = checkpoints.select(sql, "WHERE session = ?", session).map(({ id }) => id);
  snapshotDrops.enqueue(sql, "checkpointId IN (SELECT value FROM json_each(?))", JSON.stringify(saved));
  checkpoints.delete(sql, { session });
  journalRows.delete(sql, { session });
  usageFiles.delete(sql, { session });
}

/** Entries depend on the number of the turn. */
type Entries = (turn: string) => readonly KeyedEntry[];

interface Event {
  readonly at: number;
  readonly entries: Entries;
  /** `joins`: a prompt in the middle of a turn, or one that needs none. */
  readonly turn?: "starts" | "joins" | "ends" | "fails" | "interrupts";
}

/** Its time is the one of its row. */
type WrittenEvent = Omit<Event, "at"> & { readonly at: number | null };

/**
 * A turn is over when the model, an error or the user ended it, or the next one begins.
 * @returns the session's title; null: no prompt asks for work
 */
function record(
  sql: Sql,
  { session: id, client }: Pick<TranscriptHead, "session" | "client">,
  events: readonly Event[],
  startedAt: number,
): string | null {
  let [turn, at, isOpen] = [0, startedAt, false];
  let title: string | null = null;
  const end = (how: Event["turn"]): void => {
    const kind = how === "interrupts" ? "interrupted" : "turn_end";
    journal.append(sql, id, at, `turn:${turn}:${importOrigin}`, { kind });
  };
  for (const event of events) {
    // At the time of the turn's last event: the prompt that follows has no answer yet.
    if (event.turn === "starts" && isOpen) end("ends");
    at = event.at;
    if (event.turn === "starts" || event.turn === "joins") turn += 1;
    for (const { key, entry } of event.entries(String(turn))) {
      journal.append(sql, id, at, key, asShownBy(entry, adapterOf(client)));
      if (entry.kind === "prompt") title ??= prompts.titleOf(entry.text);
    }
    const isEnd = event.turn === "joins" ? !isOpen : isOpen && (event.turn === "ends" || event.turn === "interrupts");
    if (isEnd) end(event.turn);
    if (event.turn !== undefined && event.turn !== "joins") isOpen = event.turn === "starts";
  }
  return title;
}

/** In the order of their times; what one line says stays in the order of texts, calls, ends. */
function eventsOf(content: TranscriptContent, cwd: string | null, now: number): Event[] {
  const { texts, toolCalls, toolEnds, plans, apiErrors, compactions, notes, interruptions, turnEnd } = content;
  const calls = new Map(toolCalls.map((call) => [call.id, call]));
  const all: WrittenEvent[] = [
    ...texts.map((text) => said(text)),
    ...plans.map(({ text, at, uuid }) => ({
      at,
      entries: () => (text === null ? [] : [approvedPlan(text, idOf(uuid))]),
    })),
    ...toolCalls.map((call) => ({ at: call.at, entries: hooks("PreToolUse", inputsOf(call, cwd)) })),
    ...toolEnds.flatMap((end) => ended(end, calls.get(end.toolUseId), cwd)),
    ...compactions.map(compacted),
    ...notes.map((note) => ({ at: note.at, entries: () => noteEntries(note) })),
    ...apiErrors.map(({ text, at, limit }) => {
      const entries = hook("StopFailure", { error: text, ...(limit ? { limit } : {}) });
      return { at, turn: "fails" as const, entries };
    }),
    ...interruptions.map(({ at }) => ({ at, turn: "interrupts" as const, entries: none })),
    ...(turnEnd ? [{ at: turnEnd.at, turn: "ends" as const, entries: none }] : []),
  ];
  return timed(all, now);
}

/**
 * In the order of their times. An event without one, or with one to come beside others that
 * are over, follows its predecessor; where none has a time each has its ordinal instead.
 */
function timed(all: readonly WrittenEvent[], now: number): Event[] {
  const isOver = (at: number | null): boolean => at !== null && at <= now + maxAheadMs;
  const isAnyOver = all.some(({ at }) => isOver(at));
  const known = all.map(({ at }) => (isOver(at) || !isAnyOver ? at : null));
  const first = known.find((at) => at !== null);
  if (first === undefined || first === null)
    return all.map((event, index) => Object.assign({}, event, { at: index + 1 }));
  let newest = first;
  const events = all.map((event, index) => Object.assign({}, event, { at: (newest = known[index] ?? newest) }));
  // Stable: events of one time keep their order.
  return events.toSorted((a, b) => a.at - b.at);
}

const none: Entries = () => [];

function said({ role, text, at, startsNoTurn, from }: TranscriptText): WrittenEvent {
  if (role === "user") return { at, turn: startsNoTurn ? "joins" : "starts", entries: prompt(text, from) };
  const entry = assistant(text);
  return { at, entries: (turn) => (entry ? [{ ...entry, key: `${entry.key}:${turn}` }] : []) };
}

function prompt(text: string, from: TranscriptText["from"]): Entries {
  const entries = hook("UserPromptSubmit", { prompt: text });
  if (from === undefined) return entries;
  return (turn) =>
    entries(turn).map(({ key, entry }) => ({
      key,
      entry: entry.kind === "prompt" ? Object.assign({}, entry, { from }) : entry,
    }));
}

/** A patch is a call for each of its files. */
function inputsOf({ id, name, input }: TranscriptToolCall, cwd: string | null): JsonObject[] {
  const call = { tool_use_id: idOf(id), tool_name: name, tool_input: input, ...(cwd === null ? {} : { cwd }) };
  return callsOfPatch(withClaudeTool(call, new Map()));
}

function ended(
  { error, at, response }: TranscriptToolEnd,
  call: TranscriptToolCall | undefined,
  cwd: string | null,
): WrittenEvent[] {
  if (!call) return [];
  const inputs = inputsOf(call, cwd);
  if (error !== null) return [{ at, entries: hooks("PostToolUseFailure", inputs, { error }) }];
  return [{ at, entries: hooks("PostToolUse", inputs, response ? { tool_response: response } : {}) }];
}

function compacted({ summary, trigger, at }: TranscriptCompaction): WrittenEvent {
  const begun = hook("PreCompact", { trigger });
  const done = hook("PostCompact", summary === null ? {} : { compact_summary: summary });
  return { at, entries: (turn) => [...begun(turn), ...done(`${turn}:${at}`)] };
}

function hook(event: HookEvent, fields: Omit<HookInput, "session_id">): Entries {
  return (turn) => entriesOf(event, { session_id: importOrigin, ...fields }, () => turn);
}

function hooks(event: HookEvent, inputs: readonly JsonObject[], outcome: JsonObject = {}): Entries {
  return (turn) => inputs.flatMap((fields) => hook(event, { ...fields, ...outcome })(turn));
}
