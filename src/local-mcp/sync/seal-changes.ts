import { hash as hashText } from "node:crypto";
import { maxPushOps, type SyncOp } from "../../contract/sync.ts";
import { Id } from "../../contract/values.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import type { Sql } from "../../shared/sql.ts";
import { syncLog } from "../../store/sync-tables.ts";
import * as checkpoints from "../checkpoints/checkpoints.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import * as sessions from "../sessions/sessions.ts";
import * as changes from "./pending-changes.ts";
import type { PendingChange } from "./pending-changes.ts";
import { buildCheckpointContent, localRecovery, buildSessionContent, type SealStamp } from "./build-content.ts";
import { encodeContent } from "./content-schema.ts";
import type { Device } from "./device.ts";
import { seal, type EnvelopeSubject } from "./envelope.ts";
import type { ProjectNameCache } from "./find-project.ts";
import type { WorkspaceKey } from "./workspace-key.ts";

export interface SealContext {
  readonly runtime: Pick<Runtime, "now" | "random">;
  readonly key: WorkspaceKey;
  readonly projectNames: ProjectNameCache;
  readonly isSessionDue: (session: string) => boolean;
  /** [SY68] Seals only deletions, while there are any. */
  readonly isFull: boolean;
  /** Number of the last op that is under way, which the next push need not hold; 0: none is. */
  readonly sentUpTo: number;
}

export interface SealBatch {
  readonly sealed: readonly { readonly kind: SyncOp["kind"]; readonly session: string }[];
  readonly keptLocal: readonly { readonly id: string; readonly reason: string }[];
}

/** Maximum of sealed, unacknowledged characters: they are sent before more is sealed. */
export const maxLogChars = 3_500_000;
const batchSize = 400;

type LogOp = Omit<SyncOp, "ageMs" | "hash">;

interface ChangeContext extends SealContext {
  readonly stamp: SealStamp;
}

interface SealedOp {
  readonly op: LogOp;
  readonly at: number;
}

/**
 * [SY60] Moves as many changes as one push holds, in order, into the log of sealed ops, each under
 * the device's next number. One transaction.
 */
export function sealChanges(sql: Sql, device: Device, context: SealContext): SealBatch {
  const deletions = context.isFull ? changes.deletions(sql, batchSize) : [];
  const batch = deletions.length > 0 ? deletions : changes.oldest(sql, batchSize);
  const withCheckpoint = sessionsWithCheckpoint(batch);
  const log = readLogSize(sql, context.sentUpTo);
  const stamp: SealStamp = { epoch: device.epoch, now: context.runtime.now(), heads: new Map() };
  const removed: number[] = [];
  const sealedOps: SealBatch["sealed"][number][] = [];
  const keptLocal: SealBatch["keptLocal"][number][] = [];
  let { chars } = log;
  let seq = device.sealed;
  for (const change of batch) {
    if (log.ops + sealedOps.length >= maxPushOps || chars >= maxLogChars) break;
    if (!context.isSessionDue(change.session) && isThrottled(sql, change, withCheckpoint)) continue;
    removed.push(change.seq);
    const result = sealChange(sql, change, { ...device, sealed: seq }, { ...context, stamp });
    if (!result.ok) {
      keptLocal.push({ id: change.id, reason: result.error });
      continue;
    }
    seq += 1;
    chars += appendToLog(sql, result.value);
    sealedOps.push({ kind: result.value.op.kind, session: change.session });
  }
  changes.remove(sql, removed);
  sql.run("UPDATE sync_device SET sealed = ?", seq);
  return { sealed: sealedOps, keptLocal };
}

/** Whether the next push has room for more ops. */
export function hasRoom(sql: Sql, sentUpTo: number): boolean {
  const { ops, chars } = readLogSize(sql, sentUpTo);
  return ops < maxPushOps && chars < maxLogChars;
}

/** When the first change may be sealed, in ms as by `sessionDueAt`; infinite: none waits. */
export function firstDueAt(sql: Sql, sessionDueAt: (session: string) => number): number {
  const batch = changes.oldest(sql, batchSize);
  const withCheckpoint = sessionsWithCheckpoint(batch);
  let dueAt = Number.POSITIVE_INFINITY;
  for (const change of batch) {
    if (!isThrottled(sql, change, withCheckpoint)) return Number.NEGATIVE_INFINITY;
    dueAt = Math.min(dueAt, sessionDueAt(change.session));
  }
  return dueAt;
}

function sessionsWithCheckpoint(batch: readonly PendingChange[]): ReadonlySet<string> {
  return new Set(batch.filter(({ kind }) => kind === "checkpoint").map(({ session }) => session));
}

/** [SY64] A session that ended or died, or one with a checkpoint, does not wait. */
function isThrottled(sql: Sql, { kind, session }: PendingChange, withCheckpoint: ReadonlySet<string>): boolean {
  if (kind !== "session" || withCheckpoint.has(session)) return false;
  const row = sessions.get(sql, session);
  return row !== null && row.deathAt === null && !isFinished(sql, row);
}

function readLogSize(sql: Sql, sentUpTo: number): { readonly ops: number; readonly chars: number } {
  const [row] = sql.all<{ ops: number; chars: number }>(
    "SELECT count(*) AS ops, coalesce(sum(length(op)), 0) AS chars FROM sync_log WHERE seq > ?",
    sentUpTo,
  );
  return row ?? { ops: 0, chars: 0 };
}

function sealChange(sql: Sql, change: PendingChange, device: Device, context: ChangeContext): Result<SealedOp, string> {
  if (!Id.safeParse(change.session).success || !Id.safeParse(change.id).success)
    return err("its id is not one that a coordinator accepts");
  const session = sessions.get(sql, change.session);
  return change.kind === "session"
    ? sealSession(sql, change, device, context, session)
    : sealCheckpoint(sql, change, device, context, session);
}

function sealSession(
  sql: Sql,
  { session: id }: PendingChange,
  device: Device,
  context: ChangeContext,
  session: sessions.Session | null,
): Result<SealedOp, string> {
  const fields = { seq: device.sealed + 1, session: id };
  if (!session)
    return ok({ op: { ...fields, kind: "forget", project: null, isEnded: true }, at: context.runtime.now() });
  const project = session.project === null ? null : context.projectNames.find(session.project);
  const content = buildSessionContent(sql, session, context.stamp, project?.remote ?? null);
  const envelope = sealContent(context, device, { kind: "session", session: id, item: fields.seq }, content);
  if (!envelope.ok) return envelope;
  const isEnded = isFinished(sql, session);
  const op = { ...fields, kind: "session", project: project?.name ?? null, isEnded, envelope: envelope.value } as const;
  return ok({ op, at: session.lastSeenAt });
}

function isFinished(sql: Sql, session: sessions.Session): boolean {
  const recovery = localRecovery(sql, session);
  return session.endedAt !== null || recovery === "recovered" || recovery === "dismissed";
}

function sealCheckpoint(
  sql: Sql,
  { session: sessionId, id }: PendingChange,
  device: Device,
  context: ChangeContext,
  session: sessions.Session | null,
): Result<SealedOp, string> {
  const fields = { seq: device.sealed + 1, session: sessionId, checkpoint: id, isEnded: false };
  const checkpoint = checkpoints.get(sql, id);
  if (!checkpoint) return ok({ op: { ...fields, kind: "forget", project: null }, at: context.runtime.now() });
  const content = buildCheckpointContent(sql, checkpoint, session, context.stamp);
  if (!content) return err("its content is damaged");
  const envelope = sealContent(context, device, { kind: "checkpoint", session: sessionId, item: id }, content);
  if (!envelope.ok) return envelope;
  const project = content.project === null ? null : (context.projectNames.find(content.project)?.name ?? null);
  return ok({ op: { ...fields, kind: "checkpoint", project, envelope: envelope.value }, at: checkpoint.at });
}

function sealContent(
  { key, runtime }: SealContext,
  { workspace, device }: Device,
  subject: Omit<EnvelopeSubject, "workspace" | "device">,
  content: Parameters<typeof encodeContent>[0],
): Result<string, string> {
  const envelope = seal(key, { workspace, device, ...subject }, encodeContent(content), runtime.random);
  return envelope.ok ? envelope : err(`it has ${envelope.error.bytes} bytes compressed, too many to send`);
}

function appendToLog(sql: Sql, { op, at }: SealedOp): number {
  const hash = opHash(op);
  const text = JSON.stringify({ ...op, hash });
  const { seq, kind, session } = op;
  syncLog.insert(sql, { seq, kind, session, at, hash, op: text });
  return text.length;
}

function opHash({ seq, kind, session, checkpoint, project, isEnded, envelope }: LogOp): string {
  const parts = [seq, kind, session, checkpoint ?? null, project, isEnded, envelope ?? null];
  return hashText("sha256", JSON.stringify(parts));
}
