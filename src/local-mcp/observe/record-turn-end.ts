import type { Sql } from "../../shared/sql.ts";
import { entriesOf } from "../sessions/hook-entries.ts";
import * as journal from "../sessions/journal.ts";
import type { TranscriptTurnEnd } from "../signals/transcript-draft.ts";
import { readAppended, unreadBytes, type ReadLimits } from "../signals/transcript.ts";

const turnKinds = ["prompt", "tool_start", "tool_end", "tool_error", "turn_end", "interrupted", "failure"] as const;

const ends: ReadonlySet<string> = new Set(["turn_end", "interrupted", "failure"]);

export function isTurnOpen(sql: Sql, sessionId: string): boolean {
  const [last] = journal.newest(sql, sessionId, turnKinds, 1);
  return last !== undefined && !ends.has(last.entry.kind);
}

/** Holds the last line of nearly every turn. */
const tailBytes = 65_536;

/** A timer may have read the line already, so the end of the file is read again. */
export function readTurnEnd(path: string, limits: ReadLimits): TranscriptTurnEnd | null {
  return readAppended(path, Math.max(0, unreadBytes(path, 0) - tailBytes), limits).turnEnd;
}

/**
 * [JO23] Stores the end of a turn whose event never came. Only for a moment in which that turn is
 * surely over: before the event itself, it would take that event's place.
 */
export function recordTurnEnd(sql: Sql, sessionId: string, now: number, turnEnd: TranscriptTurnEnd | null): void {
  const prompt = journal.newestPrompt(sql, sessionId);
  if (!turnEnd || !prompt || turnEnd.at < prompt.at || turnEnd.at > now || !isTurnOpen(sql, sessionId)) return;
  // Stop has the text without the blanks around it.
  const input = { session_id: sessionId, last_assistant_message: turnEnd.text.trim() };
  for (const { key, entry } of entriesOf("Stop", input, turnOf(prompt)))
    journal.append(sql, sessionId, turnEnd.at, key, entry);
}

/** The client's id of the turn stands in the key of its prompt. */
function turnOf({ seq, key }: { readonly seq: number; readonly key: string }): string {
  const turn = key.slice("prompt:".length, key.lastIndexOf(":"));
  return turn.startsWith("after:") ? `after:${seq}` : turn;
}
