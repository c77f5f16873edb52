import { createHash } from "node:crypto";
import { maxPushOps, type SyncOp } from "../../contract/sync.ts";
import { Id } from "../../contract/values.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import type { Sql } from "../../shared/sql.ts";
import * as checkpoints from "../checkpoints/checkpoints.ts";
import type { Runtime } from "../runtime.ts";
import * as sessions from "../sessions/sessions.ts";
import * as changes from "./changes.ts";
import type { Change } from "./changes.ts";
import { checkpointContent, recoveryHere, sessionContent } from "./content-of.ts";
import { bytesOf } from "./contents.ts";
import type { Device } from "./device.ts";
import { seal, type About } from "./envelope.ts";
import type { ProjectBook } from "./project-book.ts";
import type { WorkspaceKey } from "./workspace-key.ts";

export interface Sealer {
  readonly runtime: Pick<Runtime, "now" | "random">;
  readonly key: WorkspaceKey;
  readonly book: ProjectBook;
  /** Whether a session whose own row alone has changed is to be sent now. */
  readonly isSessionDue: (session: string) => boolean;
  /** [SY68] The workspace is full: only what makes room is sealed, as long as there is any. */
  readonly isFull: boolean;
}

export interface SealedSome {
  readonly sealed: readonly { readonly kind: SyncOp["kind"]; readonly session: string }[];
  /** What is kept here only, and why. */
  readonly keptHere: readonly { readonly id: string; readonly reason: string }[];
  /** Changes that wait: of sessions that were sent a moment ago. */
  readonly waiting: number;
}

/** What is sealed and not acknowledged, in characters: no more is sealed before that is sent. */
export const mostLogChars = 3_500_000;
const batchSize = 400;

type Op = Omit<SyncOp, "ageMs" | "hash">;

interface Sealed {
  readonly op: Op;
  /** Of its content; of a forget, now. */
  readonly at: number;
}

/**
 * [SY60] Moves changes, in their order, into the log of sealed ops, as many as one push holds: each under the next number of the device, with the
 * content of this moment. One transaction.
 */
export function sealChanges(sql: Sql, device: Device, sealer: Sealer): SealedSome {
  const gone = sealer.isFull ? changes.deletions(sql, batchSize) : [];
  const all = gone.length > 0 ? gone : changes.first(sql, batchSize);
  const withMore = new Set(all.filter(({ kind }) => kind === "checkpoint").map(({ session }) => session));
  const log = logSize(sql);
  const done: SealedSome["sealed"][number][] = [];
  const keptHere: SealedSome["keptHere"][number][] = [];
  let { chars } = log;
  let seq = device.sealed;
  let waiting = 0;
  for (const change of all) {
    if (log.ops + done.length >= maxPushOps || chars >= mostLogChars) break;
    if (isEarly(sql, change, withMore, sealer)) {
      waiting += 1;
      continue;
    }
    changes.remove(sql, change);
    const made = opOf(sql, change, { ...device, sealed: seq }, sealer);
    if (!made.ok) {
      keptHere.push({ id: change.id, reason: made.error });
      continue;
    }
    seq += 1;
    chars += append(sql, made.value);
    done.push({ kind: made.value.op.kind, session: change.session });
  }
  sql.run("UPDATE sync_device SET sealed = ?", seq);
  return { sealed: done, keptHere, waiting };
}

/** [SY64] A session that works changes its row all the time; one that has gone, or has a checkpoint to send, does not wait. */
function isEarly(sql: Sql, { kind, session }: Change, withMore: ReadonlySet<string>, sealer: Sealer): boolean {
  if (kind !== "session" || withMore.has(session) || sealer.isSessionDue(session)) return false;
  const row = sessions.get(sql, session);
  return row !== null && !isOver(sql, row);
}

function logSize(sql: Sql): { readonly ops: number; readonly chars: number } {
  const [row] = sql.all<{ ops: number; chars: number }>(
    "SELECT count(*) AS ops, coalesce(sum(length(op)), 0) AS chars FROM sync_log",
  );
  return row ?? { ops: 0, chars: 0 };
}

/** @returns else why it is kept here only */
function opOf(sql: Sql, change: Change, device: Device, sealer: Sealer): Result<Sealed, string> {
  if (!Id.safeParse(change.session).success || !Id.safeParse(change.id).success)
    return err("its id is none that a coordinator takes");
  const session = sessions.get(sql, change.session);
  return change.kind === "session"
    ? sessionOp(sql, change, device, sealer, session)
    : checkpointOp(sql, change, device, sealer, session);
}

function sessionOp(
  sql: Sql,
  { session: id }: Change,
  device: Device,
  sealer: Sealer,
  session: sessions.Session | null,
): Result<Sealed, string> {
  const seq = device.sealed + 1;
  if (!session)
    return ok({ op: { seq, kind: "forget", session: id, project: null, isEnded: true }, at: sealer.runtime.now() });
  const project = session.project === null ? null : sealer.book.of(session.project);
  const content = sessionContent(sql, session, sealing(device, sealer), project?.remote ?? null);
  const about = { workspace: device.workspace, kind: "session", device: device.device, session: id, of: seq } as const;
  const envelope = sealed(sealer, about, bytesOf(content));
  if (!envelope.ok) return envelope;
  const op = {
    seq,
    kind: "session",
    session: id,
    project: project?.name ?? null,
    isEnded: isOver(sql, session),
    envelope: envelope.value,
  } as const;
  return ok({ op, at: session.lastSeenAt });
}

/** Nobody elsewhere is to go on with it. */
function isOver(sql: Sql, session: sessions.Session): boolean {
  const recovery = recoveryHere(sql, session);
  return session.endedAt !== null || recovery === "recovered" || recovery === "dismissed";
}

function checkpointOp(
  sql: Sql,
  { session: sessionId, id }: Change,
  device: Device,
  sealer: Sealer,
  session: sessions.Session | null,
): Result<Sealed, string> {
  const of = { seq: device.sealed + 1, session: sessionId, checkpoint: id, isEnded: false };
  const found = checkpoints.byPrefix(sql, id).find((one) => one.id === id);
  if (!found) return ok({ op: { ...of, kind: "forget", project: null }, at: sealer.runtime.now() });
  const content = checkpointContent(sql, found, session, sealing(device, sealer));
  if (!content) return err("its content is damaged");
  const about = {
    workspace: device.workspace,
    kind: "checkpoint",
    device: device.device,
    session: sessionId,
    of: id,
  } as const;
  const envelope = sealed(sealer, about, bytesOf(content));
  if (!envelope.ok) return envelope;
  const project = content.project === null ? null : (sealer.book.of(content.project)?.name ?? null);
  return ok({ op: { ...of, kind: "checkpoint", project, envelope: envelope.value }, at: found.at });
}

function sealing({ epoch }: Device, { runtime }: Sealer): { readonly epoch: number; readonly now: number } {
  return { epoch, now: runtime.now() };
}

function sealed({ key, runtime }: Sealer, about: About, bytes: Uint8Array): Result<string, string> {
  const envelope = seal(key, about, bytes, runtime.random);
  return envelope.ok ? envelope : err(`it has ${envelope.error.bytes} bytes compressed, too many to be sent`);
}

/** @returns its size, in characters */
function append(sql: Sql, { op, at }: Sealed): number {
  const hash = hashOf(op);
  const text = JSON.stringify({ ...op, hash });
  sql.run(
    "INSERT INTO sync_log (seq, kind, session_id, at, hash, op) VALUES (?, ?, ?, ?, ?, ?)",
    op.seq,
    op.kind,
    op.session,
    at,
    hash,
    text,
  );
  return text.length;
}

function hashOf({ seq, kind, session, checkpoint, project, isEnded, envelope }: Op): string {
  const parts = [seq, kind, session, checkpoint ?? null, project, isEnded, envelope ?? null];
  return createHash("sha256").update(JSON.stringify(parts)).digest("hex");
}
