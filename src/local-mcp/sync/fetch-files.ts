import { createHash } from "node:crypto";
import type { OutputOf } from "../../contract/operations.ts";
import type { CallError } from "../../contract/errors.ts";
import { maxFileParts } from "../../contract/sync.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import { FilesContent, decodeContent } from "./content-schema.ts";
import { open } from "./envelope.ts";
import { partName } from "./prepare-files.ts";
import { countRefused } from "./sync-status.ts";
import type { PullDeps } from "./pull.ts";
import type { RemoteSession } from "./remote-sessions.ts";

export interface RemoteFiles {
  readonly header: FilesContent;
  readonly bundle: Buffer;
}

/** [SY84] Opens the header only. Errors are those of `fetchCheckpoint`. */
export async function fetchHeader(deps: PullDeps, row: RemoteSession): Promise<Result<FilesContent, CallError>> {
  const result = await openHeader(deps, row);
  return result.ok ? ok(result.value.header) : result;
}

/** [SY84] Returns the files complete and as sealed, or refuses. */
export async function fetchFiles(deps: PullDeps, row: RemoteSession): Promise<Result<RemoteFiles, CallError>> {
  const result = await openHeader(deps, row);
  if (!result.ok) return result;
  const { header, parts } = result.value;
  const pieces: Uint8Array[] = [];
  for (let part = 0; part < parts - 1; part++) {
    const stored = await requestPart(deps, row, { bundle: header.bundle, part });
    if (!stored.ok) return stored;
    const piece = openPart(deps, row, { ...stored.value, bundle: header.bundle, part, parts });
    if (!piece.ok) return piece;
    pieces.push(piece.value);
  }
  const bundle = Buffer.concat(pieces);
  const isWhole = bundle.length === header.bytes && createHash("sha256").update(bundle).digest("hex") === header.digest;
  return isWhole ? ok({ header, bundle }) : refusedError(deps, row, "not_authentic");
}

type StoredPart = OutputOf<"sync.files">;

async function openHeader(
  deps: PullDeps,
  row: RemoteSession,
): Promise<Result<{ readonly header: FilesContent; readonly parts: number }, CallError>> {
  const stored = await requestPart(deps, row, {});
  if (!stored.ok) return stored;
  const { bundle, parts } = stored.value;
  if (parts > maxFileParts) return refusedError(deps, row, "malformed");
  const content = openPart(deps, row, { ...stored.value, part: parts - 1 });
  if (!content.ok) return content;
  const header = decodeContent(FilesContent, content.value);
  if (header === null || header.bundle !== bundle) return refusedError(deps, row, "malformed");
  return isReplay(row, header) ? refusedError(deps, row, "replayed") : ok({ header, parts });
}

/** [SY85] Files that the session does not name must be sealed after it, by the same clock. */
function isReplay({ content }: RemoteSession, { bundle, digest, sealedAt }: FilesContent): boolean {
  const sent = content.files?.sent;
  if (sent?.bundle === bundle) return sent.digest !== digest;
  return sealedAt < content.sealedAt;
}

async function requestPart(
  { call }: PullDeps,
  { device, session, machine }: RemoteSession,
  partSelector: { readonly bundle?: string; readonly part?: number },
): Promise<Result<StoredPart, CallError>> {
  const answer = await call("sync.files", { session, device, ...partSelector });
  if (answer.ok || (answer.error.code !== "unknown_key" && answer.error.code !== "unknown_operation")) return answer;
  const message =
    partSelector.bundle === undefined
      ? `the workspace has no files of ${session}: ${machine} has sent none`
      : "newer files have replaced them; run the command again";
  return err({ code: "not_found", message });
}

function openPart(
  deps: PullDeps,
  row: RemoteSession,
  { envelope, bundle, part, parts }: Pick<StoredPart, "envelope" | "bundle" | "parts"> & { readonly part: number },
): Result<Uint8Array, CallError> {
  const { device, session } = row;
  const subject = { workspace: deps.workspace, kind: "files", device, session } as const;
  const content = open(deps.keys.keys, { ...subject, item: partName(bundle, part, parts) }, envelope);
  return content.ok ? content : refusedError(deps, row, content.error.code);
}

const refusalReasons = {
  unknown_key: "are sealed under a key that this machine does not have; ask for it there: `shim join rekey --code`",
  not_authentic: "are not what its machine has sealed; they are not used",
  malformed: "are not what this version of SHIM reads; they are not used",
  replayed: "are older than those that its machine has sent; they are not used",
} as const;

function refusedError(
  { runtime }: PullDeps,
  { device, session }: RemoteSession,
  code: keyof typeof refusalReasons,
): { readonly ok: false; readonly error: CallError } {
  runtime.log("warn", "files of another machine are refused", { device, session, code });
  runtime.store.keep(countRefused);
  return err({ code: "refused", message: `the files of ${session} ${refusalReasons[code]}` });
}
