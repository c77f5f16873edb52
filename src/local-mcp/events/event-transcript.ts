import { transcriptFormat } from "../../clients/details.ts";
import { readAppended, stepBytes, type ReadLimits, type TranscriptPart } from "../../clients/transcript.ts";
import type { TranscriptText } from "../../clients/transcript/transcript-draft.ts";
import { unreadBytes } from "../../clients/transcript/transcript-file.ts";
import type { HookEvent } from "../../contract/hooks.ts";
import { afterCompaction } from "../../machine/sessions/signals/readings.ts";
import { adoptBriefed } from "../../machine/recovery/incomplete/successor.ts";
import {
  markTranscript,
  pauseReadLimits,
  setPausedFolder,
  transcriptMark,
} from "../../machine/sessions/session-settings.ts";
import { idOf } from "../../machine/sessions/entries.ts";
import * as prompts from "../../machine/sessions/prompts.ts";
import { partChange } from "../../machine/sessions/signals/observe.ts";
import { recordSubagent, recordSubagents } from "../../machine/sessions/transcripts/record-subagents.ts";
import {
  catchUp,
  firstReadLimit,
  foreignRows,
  isTurnOpen,
  readTurnEnd,
  recordTranscript,
  recordTurnEnd,
  recordUnreadPart,
  rowOfPrompt,
} from "../../machine/sessions/transcripts/record-transcript.ts";
import * as sessions from "../../machine/sessions/sessions.ts";
import type { Concern, EventTranscript, Recording } from "./concern.ts";
import { isPausedAt, type IdentifiedEvent } from "./known-session.ts";

/** Events that come when no turn runs. */
const betweenTurns: ReadonlySet<HookEvent> = new Set(["UserPromptSubmit", "SessionEnd"]);

const nothingRead: EventTranscript = { part: null, turnEnd: null, isBehind: false };

/** Reads no more than a step within a turn; the rest follows the answer. */
export function readTranscript(identified: IdentifiedEvent): EventTranscript {
  const { sql, incoming, known, readAt } = identified;
  const { event, isLate } = incoming;
  const { transcript_path: path } = incoming.input;
  const { id, row } = known;
  if (!path) return { ...nothingRead, isBehind: path !== undefined };
  const from = row ? sessions.offsetIn(row, path) : transcriptMark(sql, id);
  const isBetween = betweenTurns.has(event);
  if (!isBetween && row && from === unreadBytes(path, 0)) return nothingRead;
  const limits = limitsOf(identified, path);
  const isTooLong = unreadBytes(path, Math.max(from, limits.minOffset ?? 0)) > stepBytes;
  // An event from before a pause: its transcript may hold more.
  const isSkipped = isLate ? isPausedAt(sql, readAt, known) : isTooLong && !isBetween;
  if (isSkipped) return { ...nothingRead, isBehind: true };
  const read = readAppended(path, from, limits);
  const tail = (): EventTranscript["turnEnd"] => (isTurnOpen(sql, id) ? readTurnEnd(path, limits) : null);
  const turnEnd = isBetween ? (read.turnEnd ?? tail()) : null;
  return { part: read.offset === from ? null : read, turnEnd, isBehind: false };
}

function limitsOf({ sql, incoming: { input, client }, known }: IdentifiedEvent, path: string): ReadLimits {
  const { id, row, has } = known;
  const session = { id, project: row?.project ?? null, cwd: input.cwd ?? row?.cwd ?? null };
  const limits = has.pauses > 0 ? pauseReadLimits(sql, path, session) : {};
  const foreign = row ? foreignRows(sql, row) : {};
  return { ...limits, ...firstReadLimit(row), ...foreign, format: transcriptFormat(client.name) };
}

/** Text from a pause is skipped for good, and what the client wrote before is read. */
export function skipTranscript({ sql, machine, incoming, known: { id, cwd } }: IdentifiedEvent): void {
  const path = incoming.input.transcript_path;
  if (cwd) setPausedFolder(sql, id, cwd);
  catchUp(sql, machine.now(), id);
  if (path) markTranscript(sql, path, unreadBytes(path, 0));
}

/** Entries of the time before the event stand before it in the journal. */
export const transcript: Concern = {
  name: "transcript",
  on: ["UserPromptSubmit", "SessionEnd", "SubagentStop", "part", "turnEnd"],
  isForLate: true,
  inTransaction(event, draft) {
    const { sql, incoming, session, part, turnEnd } = event;
    if (incoming.input.prompt !== undefined) adoptBriefed(sql, incoming.input.prompt, session.id);
    for (const id of incoming.input.taken_back ?? [])
      prompts.takeBackNamed(sql, session.id, event.machine.now(), idOf(id));
    if (part) draft.missed += recordPart(event, part);
    const { prices } = event.machine.config.usage;
    if (incoming.event === "SubagentStop") recordSubagent(sql, session, incoming.input, event.machine.now(), prices);
    if (betweenTurns.has(incoming.event)) draft.missed += recordMissed(event);
    if (turnEnd) recordTurnEnd(sql, session.id, event.machine.now(), turnEnd);
  },
};

function recordPart(recording: Recording, part: TranscriptPart): number {
  const { sql, machine, incoming, session } = recording;
  return recordTranscript(sql, session, part, machine.now(), {
    current: incoming.input.tool_use_id ?? null,
    prompt: ownRow(recording),
    isOver: incoming.event === "SessionEnd",
    prices: machine.config.usage.prices,
  });
}

/** Reads sub-agents' transcripts where no timer does. @returns number of calls without an event */
function recordMissed({ sql, machine, incoming, known: { client, row } }: Recording): number {
  if (incoming.isLate || !client || !row || machine.fronts.serves(client)) return 0;
  return recordSubagents(sql, row, machine.now(), { prices: machine.config.usage.prices, isOver: false });
}

/** The row of the prompt that the event reports, if the client has written it by now. */
export function ownRow({ machine, incoming: { event, input }, part }: Recording): TranscriptText | undefined {
  const isPrompt = event === "UserPromptSubmit" && part !== null;
  return isPrompt ? rowOfPrompt(part, input.prompt ?? "", machine.now()) : undefined;
}

/** The readings that the event itself brings. */
export const readings: Concern = {
  name: "readings",
  on: ["PostCompact", "part"],
  isForLate: true,
  inTransaction({ machine, incoming: { event }, session, part }, { changes }) {
    const isCompacted = event === "PostCompact";
    const known = isCompacted ? afterCompaction(session.readings, machine.now()) : session.readings;
    if (part) changes.push(partChange(machine, { ...session, readings: known }, part));
    else changes.push({ readings: known });
  },
};

/** The same of an event of which no text is interpreted. */
export const unreadPart: Concern = {
  name: "unread part",
  on: ["part"],
  isForLate: true,
  inTransaction({ sql, machine, session, part }, { changes }) {
    if (!part) return;
    recordUnreadPart(sql, session, part, machine.now());
    changes.push({ transcriptOffset: part.offset });
  },
};
