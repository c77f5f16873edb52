import type { HookEvent, HookInput } from "../../contract/hook-input.ts";
import type { Sql } from "../../shared/sql.ts";
import type { ProcessIdentity } from "../processes.ts";
import type { Runtime } from "../runtime.ts";
import { keepMissedTools } from "../sessions/missed-tools.ts";
import { keepTexts } from "../sessions/observe.ts";
import * as sessions from "../sessions/sessions.ts";
import { transcriptMark } from "../sessions/transcript-mark.ts";
import { readOn, unreadBytes, type TranscriptPart } from "../signals/transcript.ts";
import { countResponses } from "../usage/ledger.ts";
import { knownSessionId } from "./session-of.ts";

export interface TranscriptRead {
  /** Offset at which the part begins. */
  readonly from: number;
  readonly part: TranscriptPart;
}

/** About 1 ms of reading and parsing. */
export const deferredReadBytes = 262_144;

/** @param maxBytes of unread transcript; null is the answer where there is more */
export function readTranscript(
  runtime: Runtime,
  input: HookInput,
  client: ProcessIdentity | null,
  maxBytes = Number.POSITIVE_INFINITY,
): TranscriptRead | null {
  const path = input.transcript_path;
  if (!path) return null;
  const from = runtime.store.read((sql) => {
    const id = knownSessionId(sql, input, client);
    return sessions.get(sql, id)?.transcriptOffset ?? transcriptMark(sql, id);
  }, 0);
  if (unreadBytes(path, from) > maxBytes) return null;
  return { from, part: readOn(path, from) };
}

/** @returns the number of tool calls in the part whose events never arrived */
export function takeIn(
  sql: Sql,
  runtime: Runtime,
  session: sessions.Session,
  part: TranscriptPart | null,
  event: HookEvent,
  input: HookInput,
): number {
  if (!part) return 0;
  keepTexts(sql, session.id, runtime.now(), part);
  countResponses(sql, session, part, runtime.now(), runtime.config.usage.prices);
  const options = { current: input.tool_use_id ?? null, isOver: event === "SessionEnd" };
  return keepMissedTools(sql, session.id, runtime.now(), part, options);
}

/** @returns null when a concurrent hook has read the same part before */
export function newPart(read: TranscriptRead | null, session: sessions.Session): TranscriptPart | null {
  return read?.from === session.transcriptOffset ? read.part : null;
}
