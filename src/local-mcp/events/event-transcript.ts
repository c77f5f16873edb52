import type { HookEvent } from "../../contract/hooks.ts";
import { isTurnOpen, readTurnEnd } from "../../machine/transcripts/record-transcript.ts";
import {
  markTranscript,
  pauseReadLimits,
  setPausedFolder,
  type PauseReadLimits,
  transcriptMark,
} from "../../machine/sessions/paused-session.ts";
import type { TranscriptTurnEnd } from "../../clients/transcript/transcript-draft.ts";
import { transcriptFormat } from "../../clients/details.ts";
import { readAppended, stepBytes, type TranscriptPart } from "../../clients/transcript.ts";
import { unreadBytes } from "../../clients/transcript/transcript-file.ts";
import { isPausedAt, type IdentifiedEvent } from "./known-session.ts";

/** Text of the transcript that is read with an event. */
export interface EventTranscript {
  /** The part before the event; null: nothing is read with it. */
  readonly part: TranscriptPart | null;
  /** End of the turn before; null also within a turn. */
  readonly turnEnd: TranscriptTurnEnd | null;
  /** The part is too long, and is read after the answer. */
  readonly isBehind: boolean;
}

/** Events that come when no turn runs. */
export const betweenTurns: ReadonlySet<HookEvent> = new Set(["UserPromptSubmit", "SessionEnd"]);

/** Reads no more than a step within a turn; the rest follows the answer. */
export function readTranscript(identified: IdentifiedEvent): EventTranscript {
  const { sql, runtime, incoming, known } = identified;
  const { event, input, isLate = false } = incoming;
  const path = input.transcript_path;
  if (!path) return { part: null, turnEnd: null, isBehind: path !== undefined };
  const from = known.row?.transcriptOffset ?? transcriptMark(sql, known.id);
  const limits = known.has.pauses > 0 ? limitsOf(identified, path) : {};
  const isBetween = betweenTurns.has(event);
  const isTooLong = unreadBytes(path, Math.max(from, limits.minOffset ?? 0)) > stepBytes;
  // An event from before a pause: its transcript may hold more.
  const isSkipped = isLate && known.has.pauses > 0 && isPausedAt(sql, runtime.store.context.now(), known);
  if (isSkipped || (isTooLong && !isBetween && !isLate)) return { part: null, turnEnd: null, isBehind: true };
  const options = { ...limits, format: transcriptFormat(incoming.clientName) };
  const part = readAppended(path, from, options);
  const tail = (): TranscriptTurnEnd | null => (isTurnOpen(sql, known.id) ? readTurnEnd(path, options) : null);
  return { part, turnEnd: isBetween ? (part.turnEnd ?? tail()) : null, isBehind: false };
}

function limitsOf({ sql, incoming: { input }, known: { id, row } }: IdentifiedEvent, path: string): PauseReadLimits {
  return pauseReadLimits(sql, path, { id, project: row?.project ?? null, cwd: input.cwd ?? row?.cwd ?? null });
}

/** Text from a pause is skipped for good. */
export function skipTranscript({ sql, incoming, known: { id, cwd } }: IdentifiedEvent): void {
  const path = incoming.input.transcript_path;
  if (cwd) setPausedFolder(sql, id, cwd);
  if (path) markTranscript(sql, path, unreadBytes(path, 0));
}
