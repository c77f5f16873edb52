import * as z from "zod";
import { crashCauses } from "../../contract/readings.ts";
import { StoredEntry, StoredState } from "../../store/stored-shapes.ts";
import { parseJson } from "../../shared/json-fields.ts";

/**
 * Envelope contents as JSON. Stored at the coordinator and read by other versions of SHIM: add
 * fields as optional. Times, `sealedAt` too, are of the sealing machine's clock.
 */

const text = z.string();
const nullableText = z.nullable(text);
const at = z.number();
const nullableAt = z.nullable(at);
const count = z.int().min(0);

const Unsaved = z.object({
  count,
  entries: z.array(z.object({ at, entry: StoredEntry })),
});

const SentFiles = z.object({ bundle: text, checkpoint: text, at, sealedAt: at, digest: text, bytes: count });
export type SentFiles = z.infer<typeof SentFiles>;

const NotSentFiles = z.object({ checkpoint: text, at, reason: text });
export type NotSentFiles = z.infer<typeof NotSentFiles>;

const commitId = z.string().check(z.regex(/^[0-9a-f]{40,64}$/));

/** Last part of a bundle of files; the parts before it are pieces of a git bundle. */
export const FilesContent = SentFiles.extend({
  session: text,
  commit: commitId,
  needs: z.array(commitId),
  leftOut: z.array(z.object({ path: text, reason: text })),
});
export type FilesContent = z.infer<typeof FilesContent>;

export const SessionContent = z.object({
  /** Device epoch at sealing; with the op's number it orders two versions. */
  epoch: count,
  sealedAt: at,
  client: text,
  clientVersion: z.optional(nullableText),
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
  /** Its death as its machine has recorded it; another version may know other causes. */
  death: z.optional(z.object({ cause: z.enum(crashCauses).catch("unknown"), detail: text })),
  toolCalls: count,
  toolErrors: count,
  readings: z.record(text, z.unknown()),
  git: z.nullable(z.object({ branch: nullableText, commit: nullableText })),
  /** Repository address without user and password. */
  remote: nullableText,
  /** Newest checkpoint: an older one at the coordinator is not the last state. */
  newest: z.nullable(z.object({ checkpoint: text, at })),
  unsaved: Unsaved,
  files: z.optional(
    z.object({
      sent: z.nullable(SentFiles),
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
  /** Project root on that machine: maps paths below it to another machine. */
  project: nullableText,
  cwd: nullableText,
  state: StoredState,
});
export type CheckpointContent = z.infer<typeof CheckpointContent>;

export function encodeContent(content: SessionContent | CheckpointContent | FilesContent): Uint8Array {
  return Buffer.from(JSON.stringify(content), "utf8");
}

export function decodeContent<Content>(schema: z.ZodType<Content>, bytes: Uint8Array): Content | null {
  return schema.safeParse(parseJson(Buffer.from(bytes).toString("utf8"))).data ?? null;
}
