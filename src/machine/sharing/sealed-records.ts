import type { Failure } from "../../contract/errors.ts";
import type { OutputOf } from "../../contract/operations.ts";
import { type SyncRecord, maxFileParts } from "../../contract/sync.ts";
import { runApart, type Runtime } from "../../runtime/runtime.ts";
import { parseObject } from "../../shared/json-fields.ts";
import { uuidv7 } from "../../shared/ids.ts";
import { err, fail, ok, type Result } from "../../shared/result.ts";
import { repositoryGit, text, failureReason } from "../../snapshots/git.ts";
import { makeBundle, type BundleResult, type SavedCommit } from "../../snapshots/make-bundle.ts";
import { checkpoints } from "../../store/session-tables.ts";
import { leftOutIn } from "../sessions/session-content.ts";
import type { Device } from "./device.ts";
import { digestOf, seal, open, type EnvelopeSubject } from "./envelope.ts";
import type { WorkspaceKey } from "./key-ring.ts";
import type { PullDeps } from "./pull.ts";
import { encodeContent, decodeContent } from "./record-contents.ts";
import { FilesContent, type SentFiles } from "./files-content.ts";
import * as sentRecords from "./sent-records.ts";
import type { PendingFiles } from "./sent-records.ts";
import type { SessionElsewhere } from "./sessions-elsewhere.ts";
import { countRefused } from "./sync-status.ts";

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
  const { env, now, random } = runtime;
  const tree = await readTree(env, pending, signal);
  if (tree === null) return { state: "not", reason: "git cannot read the snapshot" };
  if (isSent(runtime, pending, tree)) return { state: "unchanged" };
  const made = await bundleFiles(runtime, pending, signal);
  if (signal.aborted) return { state: "stopped" };
  if (!made.ok) return { state: "not", reason: made.error };
  const { bytes, needs } = made.value;
  const digest = digestOf(bytes);
  const bundle = `files_${uuidv7(now(), random(16))}`;
  const parts = Math.ceil(bytes.length / partBytes);
  return { state: "ready", files: { pending, device, bundle, bytes, needs, tree, digest, parts } };
}

/** Packs a snapshot for another machine. @returns why not */
export async function bundleFiles(
  runtime: Runtime,
  { repository, commit, head, project }: SavedCommit,
  signal?: AbortSignal,
): Promise<Result<Extract<BundleResult, { state: "made" }>, string>> {
  const { env, paths, config, now } = runtime;
  const maxBytes = config.sync.maxFilesBytes;
  const limits = { maxBytes, timeoutMs: config.snapshots.timeoutMs, now: now() };
  const input = { env: { ...env }, snapshots: paths.snapshots, repository, commit, head, project, ...limits };
  const made = await runApart(runtime, "makeBundle", makeBundle, input, signal);
  if (made.state === "made") return ok(made);
  return err(
    made.state === "failed" ? made.reason : `packed they have more than ${maxBytes} bytes (sync.maxFilesBytes)`,
  );
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
  const { needs, parts } = files;
  const leftOut = [...leftOutIn(parseObject(detail))];
  return encodeContent({ ...toSentFiles(files, now), session, commit, parts, needs: [...needs], leftOut });
}

/** A part opens only under its own number, in its own bundle. */
function partName(bundle: string, part: number): string {
  return `${bundle} ${part}`;
}

export interface RemoteFiles {
  readonly header: FilesContent;
  readonly bundle: Buffer;
}

/** Opens the header only. Errors: `not_found`, `refused`, or the coordinator's. */
export async function fetchHeader(deps: PullDeps, row: SessionElsewhere): Promise<Result<FilesContent>> {
  const answer = await request(deps, row, { kind: "files" });
  if (!answer.ok) return answer;
  const opened = openContent(deps, row, { kind: "files", item: "" }, answer.value.envelope);
  if (!opened.ok) return refusedError(deps, row, opened.error);
  const header = decodeContent(FilesContent, opened.value);
  if (header === null || header.parts > maxFileParts) return refusedError(deps, row, "malformed");
  return isReplay(row, header) ? refusedError(deps, row, "replayed") : ok(header);
}

/** Returns the files complete and as sealed, or refuses. */
export async function fetchFiles(deps: PullDeps, row: SessionElsewhere): Promise<Result<RemoteFiles>> {
  const header = await fetchHeader(deps, row);
  if (!header.ok) return header;
  const { bundle, parts, bytes, digest } = header.value;
  const pieces: Uint8Array[] = [];
  for (let part = 0; part < parts; part++) {
    const stored = await request(deps, row, { kind: "part", bundle, part });
    if (!stored.ok) return stored;
    const piece = openContent(deps, row, { kind: "files", item: partName(bundle, part) }, stored.value.envelope);
    if (!piece.ok) return refusedError(deps, row, piece.error);
    pieces.push(piece.value);
  }
  const whole = Buffer.concat(pieces);
  const isWhole = whole.length === bytes && digestOf(whole) === digest;
  return isWhole ? ok({ header: header.value, bundle: whole }) : refusedError(deps, row, "not_authentic");
}

/** Files that the session does not name must be sealed after it, by the same clock. */
function isReplay({ sealed }: SessionElsewhere, { bundle, digest, sealedAt }: FilesContent): boolean {
  const sent = sealed.files?.sent;
  if (sent?.bundle === bundle) return sent.digest !== digest;
  return sealedAt < sealed.sealedAt;
}

async function request(
  { call }: PullDeps,
  { device, id: session, machine }: SessionElsewhere,
  what: { readonly kind: "files" } | { readonly kind: "part"; readonly bundle: string; readonly part: number },
): Promise<Result<OutputOf<"sync.read">>> {
  const answer = await call("sync.read", { session, device, ...what });
  if (answer.ok || answer.error.code !== "unknown_key") return answer;
  const message =
    what.kind === "files"
      ? `the workspace has no files of ${session}: ${machine} has sent none`
      : "newer files have replaced them; run the command again";
  return fail("not_found", message);
}

function openContent(
  { keys, workspace }: PullDeps,
  { device, id: session }: SessionElsewhere,
  subject: Pick<EnvelopeSubject, "kind" | "item">,
  envelope: string,
): Result<Uint8Array, keyof typeof refusalReasons> {
  const opened = open(keys.keys, { workspace, device, session, ...subject }, envelope);
  return opened.ok ? opened : err(opened.error.code);
}

const refusalReasons = {
  unknown_key: "sealed under a key that this machine does not have; ask for it there: `shim workspace key show`",
  not_authentic: "not what its machine has sealed, and not used",
  malformed: "not what this version of SHIM reads, and not used",
  replayed: "older than what its machine has sent, and not used",
} as const;

function refusedError(
  { runtime }: PullDeps,
  { device, id: session }: SessionElsewhere,
  code: keyof typeof refusalReasons,
): { readonly ok: false; readonly error: Failure } {
  runtime.log("warn", "files of another machine are refused", { device, session, code });
  runtime.store.keep(countRefused);
  return fail("refused", `refused of ${session}: the files, ${refusalReasons[code]}`);
}
