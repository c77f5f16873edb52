import { createHash } from "node:crypto";
import { maxFileParts } from "../../contract/sync.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import { FilesContent, readContent } from "./contents.ts";
import { open } from "./envelope.ts";
import { partName } from "./prepare-files.ts";
import * as notes from "./notes.ts";
import type { Around } from "./pull.ts";
import type { RemoteSession } from "./remote-sessions.ts";
import type { SyncOutput, SyncTrouble } from "./sync-call.ts";

/** The uncommitted files of another machine's session. */
export interface RemoteFiles {
  readonly header: FilesContent;
  /** A git bundle. */
  readonly bundle: Buffer;
}

/**
 * [SY84] What the files that are stored for a session say of themselves, without the files.
 *
 * @returns else `not_found` where there are none; `refused` where they cannot be believed; or why nobody answered
 */
export async function fetchHeader(around: Around, row: RemoteSession): Promise<Result<FilesContent, SyncTrouble>> {
  const found = await headerOf(around, row);
  return found.ok ? ok(found.value.header) : found;
}

/** [SY84] Whole and as they were sealed, or not at all. */
export async function fetchFiles(around: Around, row: RemoteSession): Promise<Result<RemoteFiles, SyncTrouble>> {
  const found = await headerOf(around, row);
  if (!found.ok) return found;
  const { header, parts } = found.value;
  const pieces: Uint8Array[] = [];
  for (let part = 0; part < parts - 1; part++) {
    const stored = await ask(around, row, { bundle: header.bundle, part });
    if (!stored.ok) return stored;
    const piece = opened(around, row, { ...stored.value, bundle: header.bundle, part, parts });
    if (!piece.ok) return piece;
    pieces.push(piece.value);
  }
  const bundle = Buffer.concat(pieces);
  const isWhole = bundle.length === header.bytes && createHash("sha256").update(bundle).digest("hex") === header.digest;
  return isWhole ? ok({ header, bundle }) : refused(around, row, "not_authentic");
}

type Stored = SyncOutput<"sync.files">;

async function headerOf(
  around: Around,
  row: RemoteSession,
): Promise<Result<{ readonly header: FilesContent; readonly parts: number }, SyncTrouble>> {
  const stored = await ask(around, row, {});
  if (!stored.ok) return stored;
  const { bundle, parts } = stored.value;
  if (parts > maxFileParts) return refused(around, row, "malformed");
  const content = opened(around, row, { ...stored.value, part: parts - 1 });
  if (!content.ok) return content;
  const header = readContent(FilesContent, content.value);
  if (header === null || header.bundle !== bundle) return refused(around, row, "malformed");
  return isOlder(row, header) ? refused(around, row, "replayed") : ok({ header, parts });
}

/** [SY85] The session names the files that were the newest when it was sealed. Others must have been sealed after that, by the same clock. */
function isOlder({ content }: RemoteSession, { bundle, digest, sealedAt }: FilesContent): boolean {
  const sent = content.files?.sent;
  if (sent?.bundle === bundle) return sent.digest !== digest;
  return sealedAt < content.sealedAt;
}

async function ask(
  { call }: Around,
  { device, session, machine }: RemoteSession,
  of: { readonly bundle?: string; readonly part?: number },
): Promise<Result<Stored, SyncTrouble>> {
  const answer = await call("sync.files", { session, device, ...of });
  if (answer.ok || (answer.error.code !== "unknown_key" && answer.error.code !== "unknown_operation")) return answer;
  const message =
    of.bundle === undefined
      ? `the workspace has no files of ${session}: ${machine} has sent none`
      : "newer files have replaced them meanwhile; run it again";
  return err({ code: "not_found", message });
}

function opened(
  around: Around,
  row: RemoteSession,
  { envelope, bundle, part, parts }: Pick<Stored, "envelope" | "bundle" | "parts"> & { readonly part: number },
): Result<Uint8Array, SyncTrouble> {
  const { device, session } = row;
  const about = { workspace: around.workspace, kind: "files", device, session } as const;
  const content = open(around.keys.keys, { ...about, of: partName(bundle, part, parts) }, envelope);
  return content.ok ? content : refused(around, row, content.error.code);
}

const whyNot = {
  unknown_key: "are sealed under a key that this machine does not have; ask for it there: `shim edge rekey --code`",
  not_authentic: "are not what its machine has sealed; they are not used",
  malformed: "are not what this version of SHIM reads; they are not used",
  replayed: "are older than those that its machine has sent; they are not used",
} as const;

/** [SY51] */
function refused(
  { runtime }: Around,
  { device, session }: RemoteSession,
  code: keyof typeof whyNot,
): { readonly ok: false; readonly error: SyncTrouble } {
  runtime.log("warn", "files of another machine are refused", { device, session, code });
  runtime.store.write((sql) => notes.write(sql, { refused: (notes.read(sql).refused ?? 0) + 1 }));
  return err({ code: "refused", message: `the files of ${session} ${whyNot[code]}` });
}
