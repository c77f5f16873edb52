import * as z from "zod";
import { crashCauses } from "../../contract/readings.ts";
import { parseJson } from "../../shared/json-fields.ts";
import type { Sql } from "../../shared/sql.ts";
import { JournalEntry } from "../../contract/journal.ts";
import { WorkState } from "../../contract/work-state.ts";
import { checkpoints as checkpointTable } from "../../store/session-tables.ts";
import * as checkpoints from "../checkpoints/checkpoints.ts";
import { readHead, type GitHead } from "../sessions/git-head.ts";
import * as journal from "../sessions/journal.ts";
import { tasksOf } from "../sessions/session-tasks.ts";
import * as sessions from "../sessions/sessions.ts";
import * as history from "../signals/history.ts";
import * as sentRecords from "./sent-records.ts";

/**
 * Contents of envelopes, as JSON. Stored at the coordinator and read by other versions of SHIM: add
 * fields as optional. Times, `sealedAt` too, are of the sealing machine's clock.
 */

const text = z.string();
const nullableText = z.nullable(text);
const at = z.number();
const nullableAt = z.nullable(at);
const count = z.int().min(0);

const Unsaved = z.object({
  count,
  entries: z.array(z.object({ at, entry: JournalEntry })),
});

const SentFiles = z.object({ bundle: text, checkpoint: text, at, sealedAt: at, digest: text, bytes: count });
export type SentFiles = z.infer<typeof SentFiles>;

const NotSentFiles = z.object({ checkpoint: text, at, reason: text });
export type NotSentFiles = z.infer<typeof NotSentFiles>;

const commitId = z.string().check(z.regex(/^[0-9a-f]{40,64}$/));

/** Header of a bundle of files, the parts of which are pieces of a git bundle. */
export const FilesContent = SentFiles.extend({
  session: text,
  commit: commitId,
  parts: count,
  needs: z.array(commitId),
  leftOut: z.array(z.object({ path: text, reason: text })),
});
export type FilesContent = z.infer<typeof FilesContent>;

/** Fields of a session's row that are shared. */
const SharedSession = z.object({
  client: text,
  clientVersion: nullableText,
  project: nullableText,
  cwd: nullableText,
  model: nullableText,
  origin: text,
  startedAt: at,
  lastSeenAt: at,
  savedAt: nullableAt,
  endedAt: nullableAt,
  endReason: nullableText,
  detachedAt: nullableAt,
  detachReason: nullableText,
  toolCalls: count,
  toolErrors: count,
  readings: z.record(text, z.unknown()),
});
type SharedSession = Pick<sessions.Session, keyof typeof SharedSession.shape>;

export const SessionContent = SharedSession.extend({
  /** Version that this one replaces, 0: none; with `sealedAt` it orders two versions. */
  replaces: count,
  sealedAt: at,
  title: nullableText,
  recovery: nullableText,
  /** Its death as its machine has recorded it; another version may know other causes. */
  death: z.optional(z.object({ cause: z.enum(crashCauses).catch("unknown"), detail: text })),
  git: z.nullable(z.object({ branch: nullableText, commit: nullableText })),
  /** Number of checkpoints that its machine keeps. */
  checkpoints: count,
  /** Newest checkpoint: an older one at the coordinator is not the last state. */
  newest: z.nullable(z.object({ checkpoint: text, at })),
  unsaved: Unsaved,
  /** Tasks of the workspace that it had last. */
  tasks: z.optional(z.array(z.object({ task: count, type: text }))),
  files: z.optional(
    z.object({
      sent: z.nullable(SentFiles),
      notSent: z.nullable(NotSentFiles),
    }),
  ),
});
export type SessionContent = z.infer<typeof SessionContent>;

export const CheckpointContent = z.object({
  sealedAt: at,
  id: text,
  session: text,
  at,
  trigger: text,
  hash: text,
  journalSeq: count,
  rawBytes: count,
  redactions: count,
  summary: text,
  /** Project root on that machine: maps paths below it to another machine. */
  project: nullableText,
  cwd: nullableText,
  state: WorkState,
});
export type CheckpointContent = z.infer<typeof CheckpointContent>;

export function encodeContent(content: SessionContent | CheckpointContent | FilesContent): Uint8Array {
  return Buffer.from(JSON.stringify(content), "utf8");
}

export function decodeContent<Content>(schema: z.ZodType<Content>, bytes: Uint8Array): Content | null {
  return schema.safeParse(parseJson(Buffer.from(bytes).toString("utf8"))).data ?? null;
}

/** Bounds of the newest unfolded journal entries: number, and characters of JSON. */
const maxUnsavedEntries = 30;
const maxUnsavedChars = 32_768;

export interface SealStamp {
  readonly now: number;
  /** Git state by project, of one request: each is read once. */
  readonly heads: Map<string, GitHead | null>;
}

export function buildSessionContent(sql: Sql, session: sessions.Session, { now, heads }: SealStamp): SessionContent {
  const { id, project } = session;
  const newest = checkpoints.latest(sql, id);
  const files = sentRecords.filesOf(sql, id);
  const death = history.findCause(sql, id);
  const tasks = tasksOf(sql, id);
  return {
    ...sharedFields(session),
    replaces: sentRecords.versionOf(sql, id),
    sealedAt: now,
    title: sessions.displayTitle(session),
    recovery: localRecovery(sql, session),
    git: project === null ? null : headOf(heads, project),
    checkpoints: checkpointTable.count(sql, { session: id }),
    newest: newest && { checkpoint: newest.id, at: newest.at },
    unsaved: findUnsaved(sql, id, newest?.journalSeq ?? 0),
    ...(death ? { death } : {}),
    ...(tasks.length > 0 ? { tasks } : {}),
    ...(files ? { files: sentRecords.toContent(files) } : {}),
  };
}

function sharedFields(session: sessions.Session): SharedSession {
  const names = Object.keys(SharedSession.shape) as (keyof SharedSession)[];
  return Object.fromEntries(names.map((name) => [name, session[name]])) as unknown as SharedSession;
}

function headOf(heads: Map<string, GitHead | null>, project: string): GitHead | null {
  const read = heads.get(project);
  if (read !== undefined) return read;
  const head = readHead(project);
  heads.set(project, head);
  return head;
}

/** Omits another machine's takeover: the mirror reports it, and its release at once. */
export function localRecovery(sql: Sql, { recovery, recoveryBy }: sessions.Session): sessions.Recovery | null {
  const isForeign = recovery === "recovered" && recoveryBy !== null && sessions.get(sql, recoveryBy) === null;
  return isForeign ? null : recovery;
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
  now: number,
): CheckpointContent | null {
  const state = checkpoints.findState(sql, checkpoint.seq);
  if (state === null) return null;
  const { id, at, trigger, hash, journalSeq, rawBytes, redactions, summary } = checkpoint;
  return {
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
