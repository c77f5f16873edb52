import { createHash } from "node:crypto";
import type { OutputOf } from "../../contract/operations.ts";
import type { CallError } from "../../contract/errors.ts";
import { maxFileParts } from "../../contract/sync.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import { open, type EnvelopeSubject } from "./envelope.ts";
import { partName } from "./prepare-files.ts";
import type { PullDeps } from "./pull.ts";
import { decodeContent, FilesContent } from "./record-contents.ts";
import type { SessionElsewhere } from "./sessions-elsewhere.ts";
import { countRefused } from "./sync-status.ts";

export interface RemoteFiles {
  readonly header: FilesContent;
  readonly bundle: Buffer;
}

/** Opens the header only. Errors: `not_found`, `refused`, or the coordinator's. */
export async function fetchHeader(deps: PullDeps, row: SessionElsewhere): Promise<Result<FilesContent, CallError>> {
  const answer = await request(deps, row, { kind: "files" });
  if (!answer.ok) return answer;
  const opened = openContent(deps, row, { kind: "files", item: "" }, answer.value.envelope);
  if (!opened.ok) return refusedError(deps, row, "the files", opened.error);
  const header = decodeContent(FilesContent, opened.value);
  if (header === null || header.parts > maxFileParts) return refusedError(deps, row, "the files", "malformed");
  return isReplay(row, header) ? refusedError(deps, row, "the files", "replayed") : ok(header);
}

/** Returns the files complete and as sealed, or refuses. */
export async function fetchFiles(deps: PullDeps, row: SessionElsewhere): Promise<Result<RemoteFiles, CallError>> {
  const header = await fetchHeader(deps, row);
  if (!header.ok) return header;
  const { bundle, parts, bytes, digest } = header.value;
  const pieces: Uint8Array[] = [];
  for (let part = 0; part < parts; part++) {
    const stored = await request(deps, row, { kind: "part", bundle, part });
    if (!stored.ok) return stored;
    const piece = openContent(deps, row, { kind: "files", item: partName(bundle, part) }, stored.value.envelope);
    if (!piece.ok) return refusedError(deps, row, "the files", piece.error);
    pieces.push(piece.value);
  }
  const whole = Buffer.concat(pieces);
  const isWhole = whole.length === bytes && createHash("sha256").update(whole).digest("hex") === digest;
  return isWhole ? ok({ header: header.value, bundle: whole }) : refusedError(deps, row, "the files", "not_authentic");
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
): Promise<Result<OutputOf<"sync.read">, CallError>> {
  const answer = await call("sync.read", { session, device, ...what });
  if (answer.ok || answer.error.code !== "unknown_key") return answer;
  const message =
    what.kind === "files"
      ? `the workspace has no files of ${session}: ${machine} has sent none`
      : "newer files have replaced them; run the command again";
  return err({ code: "not_found", message });
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
  what: string,
  code: keyof typeof refusalReasons,
): { readonly ok: false; readonly error: CallError } {
  runtime.log("warn", "a record of another machine is refused", { device, session, what, code });
  runtime.store.keep(countRefused);
  return err({ code: "refused", message: `refused of ${session}: ${what}, ${refusalReasons[code]}` });
}
