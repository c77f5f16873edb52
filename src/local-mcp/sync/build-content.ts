import type { Sql } from "../../shared/sql.ts";
import * as checkpoints from "../checkpoints/checkpoints.ts";
import { readHead, type GitHead } from "../sessions/git-head.ts";
import * as journal from "../sessions/journal.ts";
import * as recoveries from "../sessions/recoveries.ts";
import * as sessions from "../sessions/sessions.ts";
import type { CheckpointContent, SessionContent } from "./content-schema.ts";
import * as history from "../signals/history.ts";
import * as sentFiles from "./sent-files.ts";

/** Bounds of the newest unfolded journal entries: number, and characters of JSON. */
const maxUnsavedEntries = 30;
const maxUnsavedChars = 32_768;

export interface SealStamp {
  readonly epoch: number;
  readonly now: number;
  /** Git state by project, of this batch: each is read once. */
  readonly heads?: Map<string, GitHead | null>;
}

export function buildSessionContent(
  sql: Sql,
  session: sessions.Session,
  { epoch, now, heads = new Map() }: SealStamp,
  remote: string | null,
): SessionContent {
  const { client, clientVersion, project, cwd, model, origin, startedAt, lastSeenAt, savedAt } = session;
  const { endedAt, endReason, detachedAt, detachReason, toolCalls, toolErrors, readings } = session;
  const newest = checkpoints.latest(sql, session.id);
  const files = sentFiles.get(sql, session.id);
  const death = history.findCause(sql, session.id);
  return {
    epoch,
    sealedAt: now,
    client,
    clientVersion,
    project,
    cwd,
    title: sessions.displayTitle(session),
    model,
    origin,
    startedAt,
    lastSeenAt,
    savedAt,
    recovery: localRecovery(sql, session),
    endedAt,
    endReason,
    detachedAt,
    detachReason,
    toolCalls,
    toolErrors,
    readings,
    git: project === null ? null : headOf(heads, project),
    remote,
    newest: newest && { checkpoint: newest.id, at: newest.at },
    unsaved: findUnsaved(sql, session.id, newest?.journalSeq ?? 0),
    ...(death ? { death } : {}),
    ...(files ? { files: sentFiles.toContent(files) } : {}),
  };
}

function headOf(heads: Map<string, GitHead | null>, project: string): GitHead | null {
  const read = heads.get(project);
  if (read !== undefined) return read;
  const head = readHead(project);
  heads.set(project, head);
  return head;
}

/**
 * [RE25] Omits another machine's takeover: the mirror reports it, and its release at once.
 * [RE70] Keeps it with finished tasks, which only this machine reports.
 */
export function localRecovery(sql: Sql, { id, recovery, recoveryBy }: sessions.Session): sessions.Recovery | null {
  const isForeign = recovery === "recovered" && recoveryBy !== null && sessions.get(sql, recoveryBy) === null;
  return isForeign && recoveries.finishedTasks(sql, id).length === 0 ? null : recovery;
}

function findUnsaved(sql: Sql, session: string, after: number): SessionContent["unsaved"] {
  const rows = journal.list(sql, session, after);
  const entries: SessionContent["unsaved"]["entries"] = [];
  let chars = 0;
  for (const { at, entry } of rows.slice(-maxUnsavedEntries).toReversed()) {
    chars += JSON.stringify(entry).length;
    if (chars > maxUnsavedChars) break;
    entries.unshift({ at, entry });
  }
  return { count: rows.length, entries };
}

export function buildCheckpointContent(
  sql: Sql,
  checkpoint: checkpoints.Checkpoint,
  session: sessions.Session | null,
  { epoch, now }: SealStamp,
): CheckpointContent | null {
  const state = checkpoints.findState(sql, checkpoint.seq);
  if (state === null) return null;
  const { id, at, trigger, hash, journalSeq, rawBytes, redactions, summary } = checkpoint;
  return {
    epoch,
    sealedAt: now,
    id,
    session: checkpoint.session,
    at,
    trigger,
    hash,
    journalSeq,
    rawBytes,
    redactions,
    summary,
    project: session?.project ?? null,
    cwd: session?.cwd ?? null,
    state,
  };
}
