import { err, ok, type Result } from "../../shared/result.ts";
import type { Sql } from "../../shared/sql.ts";
import { decode, encode } from "../store/checkpoint-body.ts";
import { CheckpointContent, readContent } from "./contents.ts";
import * as notes from "./notes.ts";
import { open } from "./envelope.ts";
import type { Around } from "./pull.ts";
import type { RemoteSession } from "./remote-sessions.ts";
import type { SyncTrouble } from "./sync-call.ts";

/** The newest checkpoint of another machine's session. */
export interface RemoteCheckpoint {
  /** When it was taken, in epoch ms of this machine. */
  readonly at: number;
  readonly content: CheckpointContent;
  /** [SY54] The session had a newer one that has not reached the coordinator, or is kept from us: this is not its last state. */
  readonly isBehind: boolean;
}

/**
 * [SY54] Opens the newest checkpoint that the coordinator has of a session and keeps it here. Null: it has none.
 *
 * @returns else `not_found` where it went in the meantime; `refused` where it cannot be believed; or why nobody answered
 */
export async function fetchCheckpoint(
  around: Around,
  row: RemoteSession,
): Promise<Result<RemoteCheckpoint | null, SyncTrouble>> {
  const { device, session } = row;
  const listed = await around.call("sync.checkpoints", { session, device, limit: 1 });
  if (!listed.ok) return listed;
  const [newest] = listed.value.checkpoints;
  if (!newest) return ok(null);
  const stored = around.runtime.store.read((sql) => cached(sql, row, newest.checkpoint), null);
  if (stored) return ok(withMark(row, stored));
  const answer = await around.call("sync.checkpoint", { checkpoint: newest.checkpoint, device });
  if (!answer.ok) {
    const isGone = answer.error.code === "unknown_key";
    return isGone ? err({ code: "not_found", message: `the checkpoint of ${session} is gone meanwhile` }) : answer;
  }
  const content = contentOf(around, row, newest.checkpoint, answer.value.envelope);
  if (!content.ok) return content;
  const kept = { at: around.runtime.now() - answer.value.ageMs, content: content.value };
  around.runtime.store.write((sql) => keep(sql, row, kept));
  return ok(withMark(row, kept));
}

type Kept = Pick<RemoteCheckpoint, "at" | "content">;

function contentOf(
  { keys, runtime, workspace }: Around,
  { device, session }: RemoteSession,
  checkpoint: string,
  envelope: string,
): Result<CheckpointContent, SyncTrouble> {
  const opened = open(keys.keys, { workspace, kind: "checkpoint", device, session, of: checkpoint }, envelope);
  const content = opened.ok ? readContent(CheckpointContent, opened.value) : null;
  if (content !== null) return ok(content);
  const code = opened.ok ? "malformed" : opened.error.code;
  runtime.log("warn", "a checkpoint of another machine is refused", { device, session, checkpoint, code });
  runtime.store.write((sql) => notes.write(sql, { refused: (notes.read(sql).refused ?? 0) + 1 }));
  return err({ code: "refused", message: `checkpoint ${checkpoint} of ${session} ${whyNot[code]}` });
}

const whyNot = {
  unknown_key: "is sealed under a key that this machine does not have; ask for it there: `shim edge rekey --code`",
  not_authentic: "is not what its machine has sealed; it is not used",
  malformed: "is not what this version of SHIM reads; it is not used",
} as const;

/** [SY54] By the clock of the machine that has made both. */
function withMark({ content: session }: RemoteSession, { at, content }: Kept): RemoteCheckpoint {
  return { at, content, isBehind: session.newest !== null && content.at < session.newest.at };
}

function cached(sql: Sql, { workspace, device, session }: RemoteSession, checkpoint: string): Kept | null {
  const [row] = sql.all<{ at: number; body: Uint8Array }>(
    "SELECT at, body FROM remote_checkpoints WHERE checkpoint_id = ? AND workspace = ? AND device = ? AND session_id = ?",
    checkpoint,
    workspace,
    device,
    session,
  );
  if (!row) return null;
  const { hash, body } = splitHash(row.body);
  try {
    // What keep() has written; the hash proves it.
    return { at: row.at, content: decode(body, hash) as CheckpointContent };
  } catch {
    // Damaged: the coordinator has it.
    return null;
  }
}

/** Of each session only the newest. */
function keep(sql: Sql, { workspace, device, session }: RemoteSession, { at, content }: Kept): void {
  sql.run(
    "DELETE FROM remote_checkpoints WHERE workspace = ? AND device = ? AND session_id = ?",
    workspace,
    device,
    session,
  );
  const { body, hash } = encode(content);
  sql.run(
    "INSERT OR REPLACE INTO remote_checkpoints (checkpoint_id, workspace, device, session_id, at, body) VALUES (?, ?, ?, ?, ?, ?)",
    content.id,
    workspace,
    device,
    session,
    at,
    Buffer.concat([Buffer.from(hash, "hex"), body]),
  );
}

const hashBytes = 32;

function splitHash(stored: Uint8Array): { readonly hash: string; readonly body: Uint8Array } {
  const all = Buffer.from(stored);
  return { hash: all.subarray(0, hashBytes).toString("hex"), body: all.subarray(hashBytes) };
}
