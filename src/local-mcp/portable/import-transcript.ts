import type { HookEvent, HookInput } from "../../contract/hook-input.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import type { Sql } from "../../shared/sql.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { assistant, idOf, pathOf, type KeyedEntry } from "../sessions/entries.ts";
import { projectRoot } from "../sessions/git-head.ts";
import { entriesOf } from "../sessions/hook-entries.ts";
import * as journal from "../sessions/journal.ts";
import { importOrigin } from "../sessions/session-row.ts";
import * as sessions from "../sessions/sessions.ts";
import { transcriptFormat } from "../signals/transcript-formats.ts";
import { readAppended, type TranscriptPart } from "../signals/transcript.ts";
import { identifyTranscript, type TranscriptHead } from "./transcript-client.ts";

export interface ImportedTranscript extends TranscriptHead {
  /** False: SHIM has recorded this session before, and nothing was added. */
  readonly isNew: boolean;
}

/**
 * [PO4] [PO5] Stores a session as its transcript has it.
 * @param folder that of the session, where the transcript names none
 * @returns why that is impossible
 */
export function importTranscript(
  runtime: Runtime,
  { path, lines, folder }: { readonly path: string; readonly lines: Iterable<string>; readonly folder: string },
): Result<ImportedTranscript, string> {
  const found = identifyTranscript(lines);
  if (!found) return err("it is not a transcript of a client that SHIM knows");
  const head = { ...found, session: idOf(found.session), cwd: found.cwd ?? folder };
  const format = transcriptFormat(head.client);
  const part = readAppended(path, 0, { maxBytes: Number.POSITIVE_INFINITY, format });
  if (part.isOverBudget) return err("it takes too long to read");
  if (part.unreadable !== null) return err(`it cannot be read (${part.unreadable})`);
  const events = eventsOf(part);
  if (events.length === 0) return err("nothing was said in it");
  return ok(runtime.store.write((sql) => store(sql, runtime, { head, path, part, events })));
}

interface Event {
  readonly at: number | null;
  /** Entries depend on the number of the turn. */
  readonly entries: (turn: string) => readonly KeyedEntry[];
  readonly isPrompt: boolean;
  readonly count?: "call" | "error";
}

interface Reading {
  readonly head: TranscriptHead;
  readonly path: string;
  readonly part: TranscriptPart;
  readonly events: readonly Event[];
}

function store(sql: Sql, { now }: Runtime, { head, path, part, events }: Reading): ImportedTranscript {
  const { client, session: id, cwd } = head;
  if (sessions.get(sql, id)) return { ...head, isNew: false };
  const times = events.flatMap(({ at }) => at ?? []);
  const [first = now(), last = first] = [times[0], times.at(-1)];
  sessions.recordSighting(sql, first, {
    id,
    client,
    origin: importOrigin,
    project: cwd === null ? null : projectRoot(cwd),
    cwd: cwd === null ? null : pathOf(cwd),
    model: part.usage.at(-1)?.model ?? null,
    transcriptPath: pathOf(path),
    owner: null,
    isAlive: false,
  });
  record(sql, id, events, first);
  sessions.detach(sql, last, id, importOrigin);
  sessions.update(sql, id, { transcriptOffset: part.offset, workedAt: last, title: titleOf(events) });
  return { ...head, isNew: true };
}

function record(sql: Sql, id: string, events: readonly Event[], startedAt: number): void {
  journal.append(sql, id, startedAt, `start:${importOrigin}`, { kind: "start", source: importOrigin });
  let turn = 0;
  let at = startedAt;
  for (const event of events) {
    at = event.at ?? at;
    if (event.isPrompt && turn > 0) endTurn(sql, id, at, turn);
    if (event.isPrompt) turn += 1;
    for (const { key, entry } of event.entries(String(turn))) journal.append(sql, id, at, key, entry);
    if (event.count) sessions.update(sql, id, { toolCalls: 1, toolErrors: event.count === "error" ? 1 : 0 });
  }
}

function endTurn(sql: Sql, id: string, at: number, turn: number): void {
  journal.append(sql, id, at, `turn:${turn}:${importOrigin}`, { kind: "turn_end" });
}

function titleOf(events: readonly Event[]): string | null {
  const first = events.find(({ isPrompt }) => isPrompt)?.entries("1")[0]?.entry;
  return first?.kind === "prompt" ? (first.text.split("\n")[0]?.slice(0, 100) ?? null) : null;
}

/** In the order of their times; what one line says stays in the order of texts, calls, ends. */
function eventsOf({ texts, toolCalls, toolEnds, apiErrors }: TranscriptPart): Event[] {
  const calls = new Map(toolCalls.map((call) => [call.id, call]));
  const all: Event[] = [
    ...texts.map(({ role, text, at }) =>
      role === "user"
        ? { at, isPrompt: true, entries: hook("UserPromptSubmit", { prompt: text }) }
        : { at, isPrompt: false, entries: (turn: string) => saidIn(turn, text) },
    ),
    ...toolCalls.map(({ id, name, input, at }) => {
      const fields = { tool_name: name, tool_use_id: idOf(id), tool_input: input };
      return { at, isPrompt: false, entries: hook("PreToolUse", fields) };
    }),
    ...toolEnds.flatMap(({ toolUseId, error, at }): Event[] => {
      const call = calls.get(toolUseId);
      if (!call) return [];
      const fields = { tool_name: call.name, tool_use_id: idOf(toolUseId), tool_input: call.input };
      if (error === null) return [{ at, isPrompt: false, entries: hook("PostToolUse", fields), count: "call" }];
      return [{ at, isPrompt: false, entries: hook("PostToolUseFailure", { ...fields, error }), count: "error" }];
    }),
    ...apiErrors.map(({ text, at }) => ({ at, isPrompt: false, entries: hook("StopFailure", { error: text }) })),
  ];
  return sortedByTime(all);
}

function hook(event: HookEvent, fields: Omit<HookInput, "session_id">): Event["entries"] {
  return (turn) => entriesOf(event, { session_id: importOrigin, ...fields }, turn);
}

function saidIn(turn: string, text: string): KeyedEntry[] {
  const said = assistant(text);
  return said ? [{ ...said, key: `${said.key}:${turn}` }] : [];
}

/** Stable, so events of one time, or of none, keep the order in which they are given. */
function sortedByTime(events: readonly Event[]): Event[] {
  return events.toSorted((a, b) => (a.at ?? 0) - (b.at ?? 0));
}
