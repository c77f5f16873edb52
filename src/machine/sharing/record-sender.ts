import type { Failure } from "../../contract/errors.ts";
import type { InputOf, OutputOf } from "../../contract/operations.ts";
import { maxPutRecords, type SyncRecord } from "../../contract/sync.ts";
import { Id } from "../../contract/values.ts";
import type { Call } from "../../coordinator-client/edge/calls.ts";
import type { EdgeConfig } from "../../coordinator-client/edge-config.ts";
import type { Platform } from "../../coordinator-client/edge/platform.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { err, fail, ok, type Result } from "../../shared/result.ts";
import type { Sql } from "../../shared/sql.ts";
import * as sessions from "../sessions/sessions.ts";
import * as devices from "./device.ts";
import type { Device } from "./device.ts";
import { seal } from "./envelope.ts";
import { findName, findProject } from "./find-project.ts";
import type { KeyRing, WorkspaceKey } from "./key-ring.ts";
import * as changes from "./pending-changes.ts";
import type { PendingChange } from "./pending-changes.ts";
import { buildSessionContent, encodeContent, type SessionContent } from "./record-contents.ts";
import * as sentRecords from "./sent-records.ts";
import { isOver } from "./sessions-elsewhere.ts";
import { addKeptLocalNotice, writeNotes, type KeptHere } from "./sync-status.ts";

export interface SynchronizerOptions {
  readonly runtime: Runtime;
  readonly platform: Pick<Platform, "setTimer" | "random" | "clock">;
  readonly connect: (edge: EdgeConfig, signal: AbortSignal) => Call;
  /** Called after each pull, with the workspace and the id of this device. */
  readonly onPulled: (runtime: Runtime, workspace: string, device: string) => void;
}

export interface SyncTarget {
  readonly edge: EdgeConfig;
  readonly keyRing: KeyRing;
  readonly call: Call;
}

/** Ids of what the coordinator has taken, also several times, and the number of deletions. */
export interface Sent {
  readonly sessions: Set<string>;
  readonly checkpoints: Set<string>;
  forgotten: number;
}

/** A coordinator that makes the device start over more often than this is not trusted. */
const maxRestarts = 3;
/** Time between two rounds for sessions that only go on, in ms. */
const minIntervalMs = 5_000;

interface Origin {
  readonly edge: EdgeConfig;
  readonly device: Device;
  readonly key: WorkspaceKey;
}

type Put = OutputOf<"sync.put">;
type Forgotten = NonNullable<InputOf<"sync.put">["forgotten"]>[number];
/** `restart`: under another key, or as another device. */
type Step = "done" | "restart" | Failure;

type SessionRecord = Extract<SyncRecord, { readonly kind: "session" }>;

/** A change as it is sent: a record, or a deletion, or neither. */
interface SealedChange {
  readonly seq: number;
  readonly record?: SessionRecord;
  readonly forgotten?: Forgotten;
  /** Part of it that no coordinator takes. */
  readonly kept?: KeptHere;
}

/** Seals what has changed and stores it at the coordinator. */
export class RecordSender {
  readonly #options: SynchronizerOptions;
  #sentAt = Number.NEGATIVE_INFINITY;
  #requiredKeyId: string | null = null;
  #currentId = "";

  constructor(options: SynchronizerOptions) {
    this.#options = options;
  }

  /** See {@link SyncRound.dueAt}. Also where the device is missing. */
  dueAt(): number {
    return this.#options.runtime.store.read((sql) => {
      if (!devices.get(sql) || changes.hasUrgent(sql)) return Number.NEGATIVE_INFINITY;
      return changes.count(sql) > 0 ? this.#sentAt + minIntervalMs : Number.POSITIVE_INFINITY;
    }, Number.POSITIVE_INFINITY);
  }

  /** @param sent grows by what is sent */
  async send(target: SyncTarget, sent: Sent): Promise<Failure | null> {
    if (target.keyRing.current.id !== this.#currentId) this.#requiredKeyId = null;
    this.#currentId = target.keyRing.current.id;
    let step: Step = "restart";
    for (let restarts = 0; step === "restart" && restarts <= maxRestarts; restarts += 1)
      step = await this.#sendAll(target, sent);
    if (step !== "restart") return step === "done" ? null : step;
    const message = "the answers of the coordinator contradict each other; nothing more is sent for now";
    return { code: "lost_place", message };
  }

  /** Deletions come before everything else, and make room for it. */
  async #sendAll({ edge, keyRing, call }: SyncTarget, sent: Sent): Promise<Step> {
    const key = this.#selectKey(keyRing);
    if (!key.ok) return key.error;
    const device = this.#prepareDevice(key.value);
    if (!device) return { code: "no_edge", message: "this machine has left the workspace" };
    const from = { edge, device, key: key.value };
    this.#sentAt = this.#options.platform.clock.monotonic();
    const { store } = this.#options.runtime;
    const to = store.read(changes.newest, 0);
    let isFull = false;
    for (let after = 0; ;) {
      const gone = store.read((sql) => changes.deletions(sql, maxPutRecords), []);
      const isGone = gone.length > 0;
      const due = isGone ? gone : store.read((sql) => changes.ofSessions(sql, [after, to], maxPutRecords), []);
      if (due.length === 0) return isFull ? fullError : "done";
      if (!isGone) await this.#nameProjects(from, due);
      const batch = this.#seal(from, due);
      const answer = await putBatch(from, call, batch);
      if (!answer.ok) return this.#onRefused(from, answer.error);
      const { taken, hasRoom } = answer.value;
      if (this.#onAnswer(from, batch, answer.value)) return "restart";
      count(sent, batch, taken);
      isFull ||= !hasRoom;
      if (!isGone) after = batch.at(-1)?.seq ?? to;
    }
  }

  #selectKey({ current, keys }: KeyRing): Result<WorkspaceKey> {
    const key = this.#requiredKeyId === null ? current : keys.get(this.#requiredKeyId);
    if (key) return ok(key);
    const message = `the workspace has a new key (${this.#requiredKeyId}): \`shim workspace key show\` shows it on the machine that made it, \`shim workspace key set\` stores it here; until then changes wait`;
    return fail("wrong_key", message);
  }

  #prepareDevice({ id }: WorkspaceKey): Device | null {
    const { store } = this.#options.runtime;
    const device = store.read(devices.get, null);
    if (!device || !store.read((sql) => devices.mustSendAgain(sql, device, id), false)) return device;
    return store.write((sql) => {
      devices.sendAgain(sql, device, id);
      return devices.get(sql);
    });
  }

  async #nameProjects({ edge, key }: Origin, due: readonly PendingChange[]): Promise<void> {
    const { runtime } = this.#options;
    const roots = new Set(
      due.map(({ session }) => runtime.store.read((sql) => sessions.get(sql, session)?.project ?? null, null)),
    );
    for (const root of roots) if (root !== null) await findProject(runtime, { ...edge, key }, root);
  }

  /** Seals the changes as they are now, as many as one request holds. */
  #seal(from: Origin, due: readonly PendingChange[]): SealedChange[] {
    const { store, random, now } = this.#options.runtime;
    const sealer = { ...from, random, now: now() };
    return store.read((sql) => {
      const batch: SealedChange[] = [];
      let chars = 0;
      for (const change of due) {
        const sealed = sealChange(sql, change, sealer);
        chars += sealed.record?.envelope.length ?? 0;
        if (chars > maxChars && batch.length > 0) break;
        batch.push(sealed);
      }
      return batch;
    }, []);
  }

  /** A home copied to a machine with another token becomes a device of its own. */
  #onRefused({ edge, device: { device, since, joinedAt } }: Origin, error: Failure): "restart" | Failure {
    const { store, now, random } = this.#options.runtime;
    const requiredKeyId = error.details?.["keyId"];
    if (error.code === "wrong_key" && typeof requiredKeyId === "string" && requiredKeyId !== this.#requiredKeyId) {
      this.#requiredKeyId = requiredKeyId;
      return "restart";
    }
    if (error.code !== "forbidden" || since === 0) return error;
    store.write((sql) => {
      if (devices.get(sql)?.device === device) devices.joinAs(sql, edge, devices.newId(now(), random), joinedAt);
    });
    return "restart";
  }

  /** @returns whether the coordinator has lost what it had */
  #onAnswer({ device, key }: Origin, batch: readonly SealedChange[], { put, taken }: Answer): boolean {
    const { store, now } = this.#options.runtime;
    const sent = new Set(taken.map(({ record }) => record));
    const done = batch.filter(({ record }) => record === undefined || sent.has(record)).map(({ seq }) => seq);
    return store.write((sql) => {
      const current = devices.get(sql);
      if (current?.device !== device.device) return false;
      changes.remove(sql, done);
      addKeptLocalNotice(
        sql,
        now(),
        batch.flatMap(({ kept }) => kept ?? []),
      );
      if (put === null) return false;
      for (const { record, version } of taken) sentRecords.saveVersion(sql, record.session, version);
      const hasBeenLost = current.since !== 0 && (put.since !== current.since || put.revision < current.revision);
      sql.run("UPDATE sync_device SET since = ?, revision = ?", put.since, put.revision);
      writeNotes(sql, { syncedAt: now() });
      if (hasBeenLost) devices.sendAgain(sql, current, key.id);
      return hasBeenLost;
    });
  }
}

function count(sent: Sent, batch: readonly SealedChange[], taken: readonly Taken[]): void {
  for (const { record } of taken) {
    sent.sessions.add(record.session);
    if (record.checkpoint !== null) sent.checkpoints.add(record.checkpoint);
  }
  sent.forgotten += batch.filter(({ forgotten }) => forgotten).length;
}

interface Taken {
  readonly record: SessionRecord;
  readonly version: number;
}

interface Answer {
  /** The answer as it came; null: nothing of the batch could be sent. */
  readonly put: Put | null;
  readonly taken: readonly Taken[];
  readonly hasRoom: boolean;
}

async function putBatch(
  { device: { device }, key }: Origin,
  call: Call,
  batch: readonly SealedChange[],
): Promise<Result<Answer>> {
  const records = batch.flatMap(({ record }) => record ?? []);
  const forgotten = batch.flatMap((change) => change.forgotten ?? []);
  if (records.length + forgotten.length === 0) return ok({ put: null, taken: [], hasRoom: true });
  const put = await call("sync.put", { device, keyId: key.id, records, forgotten });
  if (!put.ok) return put;
  const taken = records.flatMap((record, at) => takenOf(record, put.value.results[at]));
  return ok({ put: put.value, taken, hasRoom: taken.length === records.length });
}

/** An older one is at the coordinator in a newer version. */
function takenOf(record: SessionRecord, result: Put["results"][number] | undefined): Taken[] {
  return result?.outcome === "stored" || result?.outcome === "older" ? [{ record, version: result.version }] : [];
}

const fullError: Failure = {
  code: "quota_exceeded",
  message:
    "the workspace has no room (maxSyncChars, maxSyncRecords, maxSyncSessionsPerMachine), and nothing in it is old enough to be deleted; forget some sessions, or raise the limit",
};

/** Maximum of characters of envelopes in one request. */
const maxChars = 3_500_000;

interface Sealer extends Origin {
  readonly random: (bytes: number) => Uint8Array;
  readonly now: number;
}

function sealChange(sql: Sql, { session: id, deleted, seq }: PendingChange, sealer: Sealer): SealedChange {
  const session = sessions.get(sql, id);
  if (![id, deleted ?? id].every((one) => Id.safeParse(one).success))
    return { seq, kept: { id, reason: "its id is not one that a coordinator accepts" } };
  if (deleted !== null) return { seq, forgotten: { session: id, checkpoint: deleted } };
  if (!session) return { seq, forgotten: { session: id } };
  let content = buildSessionContent(sql, session, sealer.now);
  let envelope = sealContent(sealer, id, content);
  if (!envelope.ok && content.checkpoint) {
    content = buildSessionContent(sql, session, sealer.now, envelope.error);
    envelope = sealContent(sealer, id, content);
  }
  if (!envelope.ok) return { seq, kept: { id, reason: envelope.error } };
  const record = toRecord(sql, session, content, envelope.value, sealer);
  const { missingCheckpoint: reason } = content;
  return { seq, record, ...(reason === undefined ? {} : { kept: { id: `the newest checkpoint of ${id}`, reason } }) };
}

function toRecord(
  sql: Sql,
  { id, project, lastSeenAt, ending }: sessions.Session,
  { checkpoint, recovery, replaces }: SessionContent,
  envelope: string,
  { edge: { workspace }, now }: Sealer,
): SessionRecord {
  return {
    kind: "session",
    session: id,
    checkpoint: checkpoint?.id ?? null,
    project: project === null ? null : findName(sql, workspace, project, now),
    isEnded: isOver({ ending, recovery }),
    replaces,
    ageMs: Math.max(0, now - lastSeenAt),
    envelope,
  };
}

function sealContent(
  { key, device: { workspace, device }, random }: Sealer,
  session: string,
  content: SessionContent,
): Result<string, string> {
  const subject = { workspace, kind: "session", device, session, item: "" } as const;
  const envelope = seal(key, subject, encodeContent(content), random);
  return envelope.ok ? envelope : err(`it has ${envelope.error.bytes} bytes compressed, too many to send`);
}
