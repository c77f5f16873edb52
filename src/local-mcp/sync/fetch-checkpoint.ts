import type { CallError } from "../../contract/errors.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import type { Sql } from "../../shared/sql.ts";
import { remoteCheckpoints } from "../../store/sync-tables.ts";
import { decode, encode } from "../../store/checkpoint-body.ts";
import { CheckpointContent, decodeContent } from "./content-schema.ts";
import { countRefused } from "./sync-status.ts";
import { open } from "./envelope.ts";
import type { PullDeps } from "./pull.ts";
import type { RemoteSession } from "./remote-sessions.ts";

export interface RemoteCheckpoint {
  /** Time of the checkpoint in epoch ms of this machine. */
  readonly at: number;
  readonly content: CheckpointContent;
  /** [SY54] A newer checkpoint is missing or withheld: this is not the last state. */
  readonly isBehind: boolean;
}

/**
 * [SY54] Opens and caches the newest checkpoint; null when there is none. Errors: `not_found` when
 * it was deleted meanwhile, `refused` when it cannot be verified, or the coordinator's.
 */
export async function fetchCheckpoint(
  deps: PullDeps,
  row: RemoteSession,
): Promise<Result<RemoteCheckpoint | null, CallError>> {
  const { device, session } = row;
  const list = await deps.call("sync.checkpoints", { session, device, limit: 1 });
  if (!list.ok) return list;
  const [newest] = list.value.checkpoints;
  if (!newest) return ok(null);
  const cachedCheckpoint = deps.runtime.store.read((sql) => findCached(sql, row, newest.checkpoint), null);
  if (cachedCheckpoint) return ok(toRemoteCheckpoint(row, cachedCheckpoint));
  const answer = await deps.call("sync.checkpoint", { checkpoint: newest.checkpoint, device });
  if (!answer.ok) {
    const isGone = answer.error.code === "unknown_key";
    return isGone ? err({ code: "not_found", message: `the checkpoint of ${session} no longer exists` }) : answer;
  }
  const content = openContent(deps, row, newest.checkpoint, answer.value.envelope);
  if (!content.ok) return content;
  const fetched = { at: deps.runtime.now() - answer.value.ageMs, content: content.value };
  deps.runtime.store.keep((sql) => cache(sql, row, fetched));
  return ok(toRemoteCheckpoint(row, fetched));
}

type CachedCheckpoint = Pick<RemoteCheckpoint, "at" | "content">;

function openContent(
  { keys, runtime, workspace }: PullDeps,
  { device, session }: RemoteSession,
  checkpoint: string,
  envelope: string,
): Result<CheckpointContent, CallError> {
  const opened = open(keys.keys, { workspace, kind: "checkpoint", device, session, item: checkpoint }, envelope);
  const content = opened.ok ? decodeContent(CheckpointContent, opened.value) : null;
  if (content !== null) return ok(content);
  const code = opened.ok ? "malformed" : opened.error.code;
  runtime.log("warn", "a checkpoint of another machine is refused", { device, session, checkpoint, code });
  runtime.store.keep(countRefused);
  return err({ code: "refused", message: `checkpoint ${checkpoint} of ${session} ${refusalReasons[code]}` });
}

const refusalReasons = {
  unknown_key: "is sealed under a key that this machine does not have; ask for it there: `shim join rekey --code`",
  not_authentic: "is not what its machine has sealed; it is not used",
  malformed: "is not what this version of SHIM reads; it is not used",
} as const;

/** [SY54] Compares times of the clock of the machine that made both. */
function toRemoteCheckpoint({ content: session }: RemoteSession, { at, content }: CachedCheckpoint): RemoteCheckpoint {
  return { at, content, isBehind: session.newest !== null && content.at < session.newest.at };
}

function findCached(
  sql: Sql,
  { workspace, device, session }: RemoteSession,
  checkpoint: string,
): CachedCheckpoint | null {
  const row = remoteCheckpoints.find(sql, { checkpointId: checkpoint, workspace, device, session });
  if (!row) return null;
  const { hash, body } = splitHash(row.body);
  try {
    return { at: row.at, content: decode(body, hash) as CheckpointContent };
  } catch {
    // Damaged: the coordinator still has it.
    return null;
  }
}

function cache(sql: Sql, { workspace, device, session }: RemoteSession, { at, content }: CachedCheckpoint): void {
  const of = { workspace, device, session };
  remoteCheckpoints.delete(sql, of);
  const { body, hash } = encode(content);
  const packed = Buffer.concat([Buffer.from(hash, "hex"), body]);
  remoteCheckpoints.put(sql, { checkpointId: content.id, ...of, at, body: packed });
}

const hashBytes = 32;

function splitHash(cachedCheckpoint: Uint8Array): { readonly hash: string; readonly body: Uint8Array } {
  const bytes = Buffer.from(cachedCheckpoint);
  return { hash: bytes.subarray(0, hashBytes).toString("hex"), body: bytes.subarray(hashBytes) };
}
