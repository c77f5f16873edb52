import type { HookEvent, HookInput } from "../../contract/hook-input.ts";
import type { Sql } from "../../shared/sql.ts";
import type { ProcessIdentity } from "../../platform/processes.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { recordTranscript as recordPart } from "../observe/record-transcript.ts";
import { pauseReadLimits } from "../sessions/paused-session.ts";
import * as sessions from "../sessions/sessions.ts";
import { transcriptMark } from "../sessions/transcript-mark.ts";
import { readAppended, unreadBytes, type ReadLimits, type TranscriptPart } from "../signals/transcript.ts";
import { knownSessionId } from "./hook-session.ts";

export interface TranscriptRead {
  /** Session's offset at the read: the part begins there, or after what is skipped. */
  readonly from: number;
  readonly part: TranscriptPart;
}

/** About 1 ms of reading and parsing. */
export const deferredReadBytes = 262_144;

/** @param maxBytes limit of unread bytes, above which the result is null */
export function readTranscript(
  runtime: Runtime,
  input: HookInput,
  client: ProcessIdentity | null,
  maxBytes = Number.POSITIVE_INFINITY,
): TranscriptRead | null {
  const path = input.transcript_path;
  if (!path) return null;
  const { from, limits } = runtime.store.read<{ from: number; limits: ReadLimits }>(
    (sql) => {
      const id = knownSessionId(sql, input, client);
      const session = sessions.get(sql, id);
      const sessionOrInput = session ?? { id, project: null, cwd: input.cwd ?? null };
      return {
        from: session?.transcriptOffset ?? transcriptMark(sql, id),
        limits: pauseReadLimits(sql, path, { ...sessionOrInput, cwd: input.cwd ?? sessionOrInput.cwd }),
      };
    },
    { from: 0, limits: {} },
  );
  if (unreadBytes(path, Math.max(from, limits.minOffset ?? 0)) > maxBytes) return null;
  return { from, part: readAppended(path, from, limits) };
}

export function recordTranscript(
  sql: Sql,
  runtime: Runtime,
  session: sessions.Session,
  part: TranscriptPart | null,
  event: HookEvent,
  input: HookInput,
): number {
  if (!part) return 0;
  const { prices } = runtime.config.usage;
  const options = { prices, current: input.tool_use_id ?? null, isOver: event === "SessionEnd" };
  return recordPart(sql, session, part, runtime.now(), options);
}

/** @returns null when a concurrent hook has read the same part before */
export function newPart(read: TranscriptRead | null, session: sessions.Session): TranscriptPart | null {
  return read?.from === session.transcriptOffset ? read.part : null;
}
