import { maxPutRecords, type SyncRecord } from "../../contract/sync.ts";
import type { InputOf } from "../../contract/operations.ts";
import { Id } from "../../contract/values.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import type { Sql } from "../../shared/sql.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import * as checkpoints from "../checkpoints/checkpoints.ts";
import * as sessions from "../sessions/sessions.ts";
import type { Device } from "./device.ts";
import { seal, type EnvelopeSubject } from "./envelope.ts";
import type { ProjectNameCache } from "./find-project.ts";
import * as changes from "./pending-changes.ts";
import type { PendingChange } from "./pending-changes.ts";
import {
  buildCheckpointContent,
  buildSessionContent,
  encodeContent,
  localRecovery,
  type SealStamp,
} from "./record-contents.ts";
import type { WorkspaceKey } from "./workspace-key.ts";

export interface SealContext {
  readonly runtime: Pick<Runtime, "now" | "random">;
  readonly key: WorkspaceKey;
  readonly projectNames: ProjectNameCache;
  readonly isSessionDue: (session: string) => boolean;
  /** [SY68] Only deletions. */
  readonly isFull: boolean;
  readonly number: number;
}

type Forgotten = NonNullable<InputOf<"sync.put">["forgotten"]>[number];

/** One request, and the changes that it carries. */
export interface Batch {
  /** 0: it carries none. */
  readonly number: number;
  readonly seqs: readonly number[];
  readonly records: SyncRecord[];
  /** Change of each record. */
  readonly recordSeqs: readonly number[];
  readonly forgotten: Forgotten[];
  /** Changes that no coordinator takes. */
  readonly keptLocal: readonly { readonly id: string; readonly reason: string }[];
}

export const emptyBatch: Batch = { number: 0, seqs: [], records: [], recordSeqs: [], forgotten: [], keptLocal: [] };

/** Maximum of characters of envelopes in one request. */
const maxChars = 3_500_000;
/** Oldest changes that are examined: some of them may wait for their time. */
const maxExamined = 2 * maxPutRecords;

/** [SY60] Seals the oldest changes as they are now, as many as one request holds. */
export function sealBatch(sql: Sql, device: Device, context: SealContext): Batch {
  const batch = {
    number: context.number,
    seqs: [] as number[],
    records: [] as SyncRecord[],
    recordSeqs: [] as number[],
    forgotten: [] as Forgotten[],
    keptLocal: [] as Batch["keptLocal"][number][],
  };
  const stamp: SealStamp = { now: context.runtime.now(), heads: new Map() };
  let chars = 0;
  for (const change of dueChanges(sql, context)) {
    if (batch.records.length >= maxPutRecords || batch.forgotten.length >= maxPutRecords) break;
    const sealed = sealChange(sql, change, device, { ...context, stamp });
    if (!sealed.ok) batch.keptLocal.push({ id: change.id, reason: sealed.error });
    else if ("kind" in sealed.value) {
      chars += sealed.value.envelope.length;
      if (chars > maxChars && batch.records.length > 0) break;
      batch.records.push(sealed.value);
      batch.recordSeqs.push(change.seq);
    } else batch.forgotten.push(sealed.value);
    batch.seqs.push(change.seq);
  }
  changes.take(sql, batch.seqs, context.number);
  return batch;
}

/** A session comes before its checkpoints: the coordinator stores them only beside it. */
function dueChanges(sql: Sql, { isFull, isSessionDue }: SealContext): PendingChange[] {
  if (isFull) return changes.deletions(sql, maxPutRecords);
  const oldest = changes.oldest(sql, maxExamined);
  const withCheckpoint = sessionsWithCheckpoint(oldest);
  const chosen = new Map(
    [...oldest, ...changes.ofSessions(sql, [...withCheckpoint])].map((change) => [change.seq, change]),
  );
  return [...chosen.values()]
    .filter((change) => isSessionDue(change.session) || !isThrottled(sql, change, withCheckpoint))
    .sort((one, other) => Number(one.kind === "checkpoint") - Number(other.kind === "checkpoint"));
}

/** When the first change may be sealed, in ms as by `sessionDueAt`; infinite: none waits. */
export function firstDueAt(sql: Sql, sessionDueAt: (session: string) => number): number {
  const batch = changes.oldest(sql, maxExamined);
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

type StampedContext = SealContext & { readonly stamp: SealStamp };

function sealChange(
  sql: Sql,
  change: PendingChange,
  device: Device,
  context: StampedContext,
): Result<SyncRecord | Forgotten, string> {
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
  context: StampedContext,
  session: sessions.Session | null,
): Result<SyncRecord | Forgotten, string> {
  if (!session) return ok({ session: id });
  const project = session.project === null ? null : context.projectNames.find(session.project);
  const content = buildSessionContent(sql, session, context.stamp, project?.remote ?? null);
  const envelope = sealContent(context, device, { kind: "session", session: id, item: "" }, content);
  if (!envelope.ok) return envelope;
  return ok({
    kind: "session",
    session: id,
    project: project?.name ?? null,
    isEnded: isFinished(sql, session),
    replaces: content.replaces,
    ageMs: ageOf(context, session.lastSeenAt),
    envelope: envelope.value,
  });
}

function ageOf({ stamp }: StampedContext, at: number): number {
  return Math.max(0, stamp.now - at);
}

function isFinished(sql: Sql, session: sessions.Session): boolean {
  const recovery = localRecovery(sql, session);
  return session.endedAt !== null || recovery === "recovered" || recovery === "dismissed";
}

function sealCheckpoint(
  sql: Sql,
  { session: sessionId, id }: PendingChange,
  device: Device,
  context: StampedContext,
  session: sessions.Session | null,
): Result<SyncRecord | Forgotten, string> {
  const checkpoint = checkpoints.get(sql, id);
  if (!checkpoint) return ok({ session: sessionId, checkpoint: id });
  const content = buildCheckpointContent(sql, checkpoint, session, context.stamp.now);
  if (!content) return err("its content is damaged");
  const envelope = sealContent(context, device, { kind: "checkpoint", session: sessionId, item: id }, content);
  if (!envelope.ok) return envelope;
  const ageMs = ageOf(context, checkpoint.at);
  return ok({ kind: "checkpoint", session: sessionId, checkpoint: id, ageMs, envelope: envelope.value });
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
