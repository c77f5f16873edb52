import { setImmediate as nextTurn } from "node:timers/promises";
import type { CallError } from "../../contract/errors.ts";
import type { OutputOf } from "../../contract/operations.ts";
import type { Call } from "../../coordinator-client/coordinator-client.ts";
import type { EdgeConfig } from "../../coordinator-client/edge-config.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import type { Sql } from "../../shared/sql.ts";
import * as devices from "./device.ts";
import type { Device } from "./device.ts";
import { ProjectNameCache } from "./find-project.ts";
import type { KeyRing } from "./key-ring.ts";
import * as changes from "./pending-changes.ts";
import { emptyBatch, firstDueAt, sealBatch, type Batch } from "./seal-batch.ts";
import * as sentFiles from "./sent-files.ts";
import { addKeptLocalNotice, addSkippedNotice, writeNotes } from "./sync-status.ts";
import type { SynchronizerOptions } from "./synchronizer.ts";
import type { WorkspaceKey } from "./workspace-key.ts";

export interface SyncTarget {
  readonly edge: EdgeConfig;
  readonly keyRing: KeyRing;
  readonly call: Call;
}

/** Records that the coordinator has taken, by kind. */
export interface SentCounts {
  sessions: number;
  checkpoints: number;
  forgotten: number;
}

/** [SY65] Maximum of changes that are sent one by one. */
const maxChanges = 1_000;
/** A coordinator that makes the device start over more often than this is not trusted. */
const maxRestarts = 3;
/** [SY64] Time between two versions of a working session, in ms. */
const minIntervalMs = 5_000;

interface Origin {
  readonly edge: EdgeConfig;
  readonly device: Device;
  readonly key: WorkspaceKey;
}

type Put = OutputOf<"sync.put">;
/** `restart`: under another key, or as another device. */
type Step = "done" | "restart" | CallError;

/** Seals what has changed and stores it at the coordinator. */
export class RecordSender {
  readonly #options: SynchronizerOptions;
  readonly #sentAt = new Map<string, number>();
  #isThrottled = true;
  #requiredKeyId: string | null = null;
  #currentId = "";
  /** False: an earlier host, or a send that threw, may have left changes marked as under way. */
  #isSettled = false;
  #batch: number;
  /** Newest change when the superseded ones were skipped last. */
  #skippedAt = 0;
  #projectNames: { readonly scope: string; readonly cache: ProjectNameCache } | null = null;

  constructor(options: SynchronizerOptions) {
    this.#options = options;
    // Hosts of containers may share a home: each has numbers of its own.
    this.#batch = Buffer.from(options.runtime.random(5)).readUIntBE(0, 5) * 256;
  }

  /** See {@link SyncRound.dueAt}. Also where the device is missing. */
  dueAt(): number {
    return this.#options.runtime.store.read((sql) => {
      const isWaiting = !this.#isSettled && changes.count(sql) > 0;
      if (isWaiting || !devices.get(sql)) return Number.NEGATIVE_INFINITY;
      return firstDueAt(sql, (session) => this.#sessionDueAt(session));
    }, Number.POSITIVE_INFINITY);
  }

  #sessionDueAt(session: string): number {
    if (!this.#isThrottled) return Number.NEGATIVE_INFINITY;
    return (this.#sentAt.get(session) ?? Number.NEGATIVE_INFINITY) + minIntervalMs;
  }

  sendWithoutWait(): void {
    this.#isThrottled = false;
  }

  /** @param counts grow by what is sent */
  async send(target: SyncTarget, counts: SentCounts): Promise<CallError | null> {
    if (target.keyRing.current.id !== this.#currentId) this.#requiredKeyId = null;
    this.#currentId = target.keyRing.current.id;
    if (!this.#isSettled) this.#options.runtime.store.write((sql) => changes.release(sql, null));
    this.#isSettled = false;
    let step: Step = "restart";
    for (let restarts = 0; step === "restart" && restarts <= maxRestarts; restarts += 1)
      step = await this.#sendAll(target, counts);
    this.#isSettled = true;
    if (step !== "restart") return step === "done" ? null : step;
    const message = "the answers of the coordinator contradict each other; nothing more is sent for now";
    return { code: "lost_place", message };
  }

  async #sendAll({ edge, keyRing, call }: SyncTarget, counts: SentCounts): Promise<Step> {
    const key = this.#selectKey(keyRing);
    if (!key.ok) return key.error;
    const device = this.#prepareDevice(key.value);
    if (!device) return { code: "no_edge", message: "this machine has left the workspace" };
    const from = { edge, device, key: key.value };
    // [SY68] Deletions make room: then they come before everything else.
    let isFull = false;
    let hasMadeRoom = false;
    let batch = await this.#seal(from, isFull);
    for (;;) {
      if (batch.seqs.length === 0) {
        if (!isFull) return "done";
        if (!hasMadeRoom) return fullError;
        [isFull, hasMadeRoom] = [false, false];
        batch = await this.#seal(from, isFull);
        continue;
      }
      const sent = await this.#put(from, call, batch, isFull);
      if (sent === "restart" || "code" in sent) return sent;
      count(counts, batch, sent.put);
      hasMadeRoom ||= isFull && batch.forgotten.length > 0;
      isFull ||= !sent.hasRoom;
      batch = sent.next ?? (await this.#seal(from, isFull));
    }
  }

  /** @returns `next`: what was sealed meanwhile; null: there is no room for it */
  async #put(
    from: Origin,
    call: Call,
    batch: Batch,
    isFull: boolean,
  ): Promise<
    { readonly hasRoom: boolean; readonly next: Batch | null; readonly put: Put | null } | "restart" | CallError
  > {
    const { records, forgotten } = batch;
    const input = { device: from.device.device, keyId: from.key.id, records, forgotten };
    const isEmpty = records.length + forgotten.length === 0;
    const [answer, next] = await Promise.all([isEmpty ? null : call("sync.put", input), this.#sealNext(from, isFull)]);
    if (answer && !answer.ok) {
      this.#release(batch, next);
      return this.#onRefused(from.device, answer.error);
    }
    const put = answer?.value ?? null;
    const { hasRoom, hasLost } = this.#onAnswer(from, batch, put);
    if (hasRoom && !hasLost) return { hasRoom, next, put };
    this.#release(next);
    return hasLost ? "restart" : { hasRoom, next: null, put };
  }

  #selectKey({ current, keys }: KeyRing): Result<WorkspaceKey, CallError> {
    const key = this.#requiredKeyId === null ? current : keys.get(this.#requiredKeyId);
    if (key) return ok(key);
    const message = `the workspace has a new key (${this.#requiredKeyId}): \`shim join rekey --code\` shows it on the machine that made it, \`shim join key\` stores it here; until then changes wait`;
    return err({ code: "wrong_key", message });
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

  async #seal({ edge, device, key }: Origin, isFull: boolean): Promise<Batch> {
    const { runtime, platform } = this.#options;
    const { store, now } = runtime;
    const monotonicNow = platform.clock.monotonic();
    const isSessionDue = (session: string): boolean => this.#sessionDueAt(session) <= monotonicNow;
    const isDue = store.read((sql) => firstDueAt(sql, (session) => this.#sessionDueAt(session)) <= monotonicNow, false);
    if (!isDue) return emptyBatch;
    const projectNames = this.#projectNamesFor(edge, key);
    for (const root of store.read(changes.projectRoots, [])) await projectNames.refresh(root);
    this.#batch += 1;
    const number = this.#batch;
    const batch = store.write((sql) => {
      if (devices.get(sql)?.device !== device.device) return emptyBatch;
      this.#skipSuperseded(sql, now());
      const sealed = sealBatch(sql, device, { runtime, key, projectNames, isSessionDue, isFull, number });
      addKeptLocalNotice(sql, now(), sealed.keptLocal);
      return sealed;
    });
    this.#recordSealed(batch);
    return batch;
  }

  /** [SY67] Seals the next request while one is under way, which leaves first. */
  async #sealNext(from: Origin, isFull: boolean): Promise<Batch> {
    await nextTurn();
    return this.#seal(from, isFull);
  }

  /** [SY65] Again only after another change was recorded. */
  #skipSuperseded(sql: Sql, now: number): void {
    const newest = changes.newest(sql);
    if (newest === this.#skippedAt || changes.count(sql) <= maxChanges) return;
    addSkippedNotice(sql, now, changes.skipSuperseded(sql));
    this.#skippedAt = newest;
  }

  #recordSealed({ records }: Batch): void {
    const now = this.#options.platform.clock.monotonic();
    for (const [session, at] of this.#sentAt) if (now - at >= minIntervalMs) this.#sentAt.delete(session);
    for (const { kind, session } of records) if (kind === "session") this.#sentAt.set(session, now);
  }

  #projectNamesFor({ workspace, machine }: EdgeConfig, key: WorkspaceKey): ProjectNameCache {
    const scope = `${workspace} ${key.id}`;
    if (this.#projectNames?.scope !== scope)
      this.#projectNames = { scope, cache: new ProjectNameCache(this.#options.runtime, { workspace, key, machine }) };
    return this.#projectNames.cache;
  }

  #release(...batches: readonly Batch[]): void {
    const { store } = this.#options.runtime;
    store.write((sql) => {
      for (const { number } of batches) if (number !== 0) changes.release(sql, number);
    });
  }

  /** [SY61] A home copied to a machine with another token becomes a device of its own. */
  #onRefused({ device, workspace, since, joinedAt }: Device, error: CallError): "restart" | CallError {
    const { store, now, random } = this.#options.runtime;
    const requiredKeyId = error.details?.["keyId"];
    if (error.code === "wrong_key" && typeof requiredKeyId === "string" && requiredKeyId !== this.#requiredKeyId) {
      this.#requiredKeyId = requiredKeyId;
      return "restart";
    }
    if (error.code !== "forbidden" || since === 0) return error;
    store.write((sql) => {
      if (devices.get(sql)?.device === device) devices.join(sql, workspace, devices.newId(now(), random), joinedAt);
    });
    return "restart";
  }

  /** @param put null: nothing of the batch could be sent */
  #onAnswer(
    { device, key }: Origin,
    batch: Batch,
    put: Put | null,
  ): { readonly hasRoom: boolean; readonly hasLost: boolean } {
    const { store, now } = this.#options.runtime;
    const outcomes = put?.results.map(({ outcome }) => outcome) ?? [];
    const isFull = (at: number): boolean => outcomes[at] === "full";
    const isTaken = (at: number): boolean => outcomes[at] === "stored" || outcomes[at] === "older";
    const refused = new Set(batch.recordSeqs.filter((_, at) => isFull(at)));
    const hasLost = store.write((sql) => {
      const current = devices.get(sql);
      if (current?.device !== device.device) return false;
      const done = batch.seqs.filter((seq) => !refused.has(seq));
      changes.remove(sql, done, batch.number);
      changes.release(sql, batch.number);
      if (put === null) return false;
      for (const [at, { kind, session }] of batch.records.entries()) {
        const { outcome, version } = put.results[at] ?? { outcome: "full", version: 0 };
        if (kind === "session" && isTaken(at)) sentFiles.saveVersion(sql, session, version);
        const reason = "its session is not in the workspace";
        if (outcome === "closed") addKeptLocalNotice(sql, now(), [{ id: session, reason }]);
      }
      const hasBeenLost = current.since !== 0 && (put.since !== current.since || put.revision < current.revision);
      sql.run("UPDATE sync_device SET since = ?, revision = ?", put.since, put.revision);
      writeNotes(sql, { syncedAt: now() });
      if (hasBeenLost) devices.sendAgain(sql, current, key.id);
      return hasBeenLost;
    });
    return { hasRoom: refused.size === 0, hasLost };
  }
}

function count(counts: SentCounts, { records, forgotten }: Batch, put: Put | null): void {
  counts.forgotten += forgotten.length;
  for (const [at, { kind }] of records.entries()) {
    const outcome = put?.results[at]?.outcome;
    if (outcome === "stored" || outcome === "older") counts[kind === "session" ? "sessions" : "checkpoints"] += 1;
  }
}

const fullError: CallError = {
  code: "quota_exceeded",
  message:
    "the workspace has no room (maxSyncChars), and nothing in it is old enough to be deleted; forget some sessions, or raise the limit",
};
