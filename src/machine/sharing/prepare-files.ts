import { createHash } from "node:crypto";
import type { SyncRecord } from "../../contract/sync.ts";
import { ok, type Result } from "../../shared/result.ts";
import { uuidv7 } from "../../shared/ids.ts";
import { runApart, type Runtime } from "../../runtime/runtime.ts";
import { repositoryGit, text, failureReason } from "../../snapshots/git.ts";
import { makeBundle } from "../../snapshots/make-bundle.ts";
import { encodeContent, type FilesContent, type SentFiles } from "./record-contents.ts";
import type { Device } from "./device.ts";
import { seal } from "./envelope.ts";
import { checkpoints } from "../../store/session-tables.ts";
import * as sentRecords from "./sent-records.ts";
import type { PendingFiles } from "./sent-records.ts";
import type { WorkspaceKey } from "./key-ring.ts";

export interface PreparedFiles {
  readonly pending: PendingFiles;
  readonly device: Device;
  readonly bundle: string;
  readonly bytes: Buffer;
  readonly needs: readonly string[];
  readonly tree: string;
  readonly digest: string;
  /** Pieces of the bundle, without the header. */
  readonly parts: number;
}

export type Prepared =
  | { readonly state: "ready"; readonly files: PreparedFiles }
  | { readonly state: "unchanged" }
  | { readonly state: "not"; readonly reason: string }
  | { readonly state: "stopped" };

/** Bytes of the bundle per envelope: few, so that a checkpoint does not wait long for a part. */
const partBytes = 262_144;

export async function prepareFiles(
  runtime: Runtime,
  device: Device,
  pending: PendingFiles,
  signal: AbortSignal,
): Promise<Prepared> {
  const { env, paths, config, now, random } = runtime;
  const { repository, commit, head, project } = pending;
  const tree = await readTree(env, pending, signal);
  if (tree === null) return { state: "not", reason: "git cannot read the snapshot" };
  if (isSent(runtime, pending, tree)) return { state: "unchanged" };
  const maxBytes = config.sync.maxFilesBytes;
  const limits = { maxBytes, timeoutMs: config.snapshots.timeoutMs, now: now() };
  const snapshot = { env: { ...env }, snapshots: paths.snapshots, repository, commit, head, project };
  const result = await runApart(runtime, "makeBundle", makeBundle, { ...snapshot, ...limits }, signal);
  if (signal.aborted) return { state: "stopped" };
  if (result.state === "failed") return { state: "not", reason: result.reason };
  if (result.state === "too_large")
    return { state: "not", reason: `packed they have more than ${maxBytes} bytes (sync.maxFilesBytes)` };
  const { bytes, needs } = result;
  const digest = createHash("sha256").update(bytes).digest("hex");
  const bundle = `files_${uuidv7(now(), random(16))}`;
  const parts = Math.ceil(bytes.length / partBytes);
  return { state: "ready", files: { pending, device, bundle, bytes, needs, tree, digest, parts } };
}

async function readTree(
  env: NodeJS.ProcessEnv,
  { repository, commit }: PendingFiles,
  signal: AbortSignal,
): Promise<string | null> {
  try {
    return await text(repositoryGit(env, { gitDir: repository }, signal), ["rev-parse", `${commit}^{tree}`]);
  } catch (error) {
    failureReason(error, null);
    return null;
  }
}

function isSent({ store }: Runtime, { session, head }: PendingFiles, tree: string): boolean {
  return store.read((sql) => {
    const sent = sentRecords.filesOf(sql, session)?.sent;
    if (!sent || sent.tree !== tree || sent.head !== head) return false;
    return checkpoints.has(sql, { id: sent.checkpoint });
  }, false);
}

export function toSentFiles({ pending, bundle, digest, bytes }: PreparedFiles, sealedAt: number): SentFiles {
  return { bundle, checkpoint: pending.checkpoint, at: pending.at, sealedAt, digest, bytes: bytes.length };
}

/** @param part number of a piece; the number of all parts: the header */
export function sealRecord(
  files: PreparedFiles,
  part: number,
  key: WorkspaceKey,
  { now, random }: Pick<Runtime, "now" | "random">,
): Result<SyncRecord, { readonly code: "too_large"; readonly bytes: number }> {
  const { pending, device, bundle, bytes, parts } = files;
  const { session, checkpoint } = pending;
  const isHeader = part === parts;
  const content = isHeader ? buildHeader(files, now()) : bytes.subarray(part * partBytes, (part + 1) * partBytes);
  const item = isHeader ? "" : partName(bundle, part);
  const subject = { workspace: device.workspace, kind: "files", device: device.device, session, item } as const;
  const envelope = seal(key, subject, content, random);
  if (!envelope.ok) return envelope;
  const ageMs = Math.max(0, now() - pending.at);
  const record = { session, checkpoint, bundle, ageMs, envelope: envelope.value };
  return ok(isHeader ? { ...record, kind: "files" } : { ...record, kind: "part", part });
}

function buildHeader(files: PreparedFiles, now: number): Uint8Array {
  const { session, commit, detail } = files.pending;
  const { leftOut = [] } = JSON.parse(detail) as { leftOut?: FilesContent["leftOut"] };
  const { needs, parts } = files;
  return encodeContent({ ...toSentFiles(files, now), session, commit, parts, needs: [...needs], leftOut });
}

/** A part opens only under its own number, in its own bundle. */
export function partName(bundle: string, part: number): string {
  return `${bundle} ${part}`;
}
