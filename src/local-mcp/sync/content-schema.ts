import * as z from "zod";
import { StoredEntry, StoredState } from "../../store/stored-shapes.ts";

/**
 * What is in envelopes, as JSON. Stored at the coordinator and read by other versions of SHIM: add fields as optional. Times are of the clock of
 * the machine that has sealed it; `sealedAt` is of the same clock, so ages can be told elsewhere.
 */

const text = z.string();
const nullableText = z.nullable(text);
const at = z.number();
const nullableAt = z.nullable(at);
const count = z.int().min(0);

const Unsaved = z.object({
  /** Journal entries since the newest checkpoint. */
  count,
  /** The newest of them, oldest first. */
  entries: z.array(z.object({ at, entry: StoredEntry })),
});

const SentFiles = z.object({ bundle: text, checkpoint: text, at, sealedAt: at, digest: text, bytes: count });
export type SentFiles = z.infer<typeof SentFiles>;

const NotSentFiles = z.object({ checkpoint: text, at, reason: text });
export type NotSentFiles = z.infer<typeof NotSentFiles>;

const commitId = z.string().check(z.regex(/^[0-9a-f]{40,64}$/));

/** The last part of a bundle of files; the parts before it are a git bundle, cut into pieces. */
export const FilesContent = SentFiles.extend({
  session: text,
  /** The snapshot's commit. */
  commit: commitId,
  /** Commits that the reader's repository must have. */
  needs: z.array(commitId),
  leftOut: z.array(z.object({ path: text, reason: text })),
});
export type FilesContent = z.infer<typeof FilesContent>;

export const SessionContent = z.object({
  /** Of the device when it was sealed: with the number of the op it tells which of two is newer. */
  epoch: count,
  sealedAt: at,
  client: text,
  /** Folders as they are called on that machine. */
  project: nullableText,
  cwd: nullableText,
  title: nullableText,
  model: nullableText,
  origin: text,
  startedAt: at,
  lastSeenAt: at,
  savedAt: nullableAt,
  endedAt: nullableAt,
  endReason: nullableText,
  detachedAt: nullableAt,
  detachReason: nullableText,
  recovery: nullableText,
  toolCalls: count,
  toolErrors: count,
  /** Newest readings of the signals. */
  readings: z.record(text, z.unknown()),
  git: z.nullable(z.object({ branch: nullableText, commit: nullableText })),
  /** Address of the repository, without user and password. */
  remote: nullableText,
  /** The newest checkpoint that there was: one that is older at the coordinator is not the last state. */
  newest: z.nullable(z.object({ checkpoint: text, at })),
  unsaved: Unsaved,
  /** Absent: its machine sends no files, or has none yet. */
  files: z.optional(
    z.object({
      /** The files that the coordinator has. */
      sent: z.nullable(SentFiles),
      /** Newer ones that it has not, and why. */
      notSent: z.nullable(NotSentFiles),
    }),
  ),
});
export type SessionContent = z.infer<typeof SessionContent>;

export const CheckpointContent = z.object({
  epoch: count,
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
  /** Root of the project on that machine: paths below it can be found on another. */
  project: nullableText,
  cwd: nullableText,
  state: StoredState,
});
export type CheckpointContent = z.infer<typeof CheckpointContent>;

export function encodeContent(content: SessionContent | CheckpointContent | FilesContent): Uint8Array {
  return Buffer.from(JSON.stringify(content), "utf8");
}

/** Null: it is not what this version knows under this name. */
export function decodeContent<Content>(schema: z.ZodType<Content>, bytes: Uint8Array): Content | null {
  try {
    return schema.safeParse(JSON.parse(Buffer.from(bytes).toString("utf8"))).data ?? null;
  } catch {
    return null;
  }
}
