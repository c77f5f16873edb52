import { setImmediate as nextTurn } from "node:timers/promises";
import { maxPushOps, type SyncOp } from "../../contract/sync.ts";
import { uuidv7 } from "../../shared/ids.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import type { Sql } from "../../shared/sql.ts";
import type { RowOf } from "../../shared/table.ts";
import { syncLog } from "../../store/sync-tables.ts";
import type { EdgeConfig } from "../../coordinator-client/edge-config.ts";
import * as changes from "./pending-changes.ts";
import * as devices from "./device.ts";
import type { Device } from "./device.ts";
import { ProjectNameCache, removeNames } from "./find-project.ts";
import type { KeyRing } from "./key-ring.ts";
import { firstDueAt, hasRoom, maxLogChars, sealChanges, type SealBatch } from "./seal-changes.ts";
import type { Call } from "../../coordinator-client/coordinator-client.ts";
import { endOf, type CallError } from "../../contract/errors.ts";
import { addKeptLocalNotice, addSkippedNotice, writeNotes } from "./sync-status.ts";
import type { SynchronizerOptions } from "./synchronizer.ts";
import type { WorkspaceKey } from "./workspace-key.ts";

export interface SyncTarget {
  readonly edge: EdgeConfig;
  readonly keyRing: KeyRing;
  readonly call: Call;
}

/** [SY65] Maximum of changes that are sent one by one. */
const maxChanges = 1_000;
/** A coordinator that asks for more restarts than this is not trusted. */
const maxRestarts = 3;
/** [SY64] Time between two versions of a working session, in ms. */
const minIntervalMs = 5_000;

interface SealOrigin {
  readonly edge: EdgeConfig;
  readonly device: Device;
  readonly key: WorkspaceKey;
}

/** `restart`: under another key, in another epoch or with deletions first. */
type SendStep = "sent" | "done" | "restart" | CallError;

/** Sends what has changed: key and epoch of the device, sealing into the log, pushing the log. */
export class ChangeSender {
  readonly #options: SynchronizerOptions;
  readonly #onAcked: (acked: readonly SyncOp["kind"][]) => void;
  readonly #sentAt = new Map<string, number>();
  #isThrottled = true;
  #requiredKeyId: string | null = null;
  #currentId = "";
  #hasLostPosition = false;
  #isFull = false;
  /**
   * [SY104] Whether the home was found to be the one of the epoch. Hosts of containers that share
   * a home know the machine by other names: they would begin epochs in turn.
   */
  #isOwnHome = false;
  /** Whether a push of this `send` was acknowledged. */
  #isAnswered = false;
  /** Newest change when the superseded ones were skipped last. */
  #skippedAt = 0;
  #projectNames: { readonly scope: string; readonly cache: ProjectNameCache } | null = null;

  constructor(options: SynchronizerOptions, onAcked: (acked: readonly SyncOp["kind"][]) => void) {
    this.#options = options;
    this.#onAcked = onAcked;
  }

  /** See {@link SyncRound.dueAt}. Also where the device or its epoch is missing. */
  dueAt(): number {
    return this.#options.runtime.store.read((sql) => {
      const device = devices.get(sql);
      const isDue = !device || !devices.hasEpochOfStore(sql, device) || changes.hasSealed(sql);
      return isDue ? Number.NEGATIVE_INFINITY : firstDueAt(sql, (session) => this.#sessionDueAt(session));
    }, Number.POSITIVE_INFINITY);
  }

  #sessionDueAt(session: string): number {
    if (!this.#isThrottled) return Number.NEGATIVE_INFINITY;
    return (this.#sentAt.get(session) ?? Number.NEGATIVE_INFINITY) + minIntervalMs;
  }

  sendWithoutWait(): void {
    this.#isThrottled = false;
  }

  async send(target: SyncTarget): Promise<CallError | null> {
    if (target.keyRing.current.id !== this.#currentId) this.#requiredKeyId = null;
    this.#currentId = target.keyRing.current.id;
    this.#isAnswered = false;
    for (let restarts = 0; restarts <= maxRestarts;) {
      const step = await this.#step(target);
      if (step === "done") return null;
      if (step === "restart") restarts += 1;
      else if (step !== "sent") return step;
    }
    const message = "the answers of the coordinator contradict each other; nothing more is sent for now";
    return { code: "lost_place", message };
  }

  async #step(target: SyncTarget): Promise<SendStep> {
    const key = this.#selectKey(target);
    if (!key.ok) return key.error;
    const device = await this.#ensureEpoch(target.call, key.value);
    if (!device.ok) {
      const isOtherKey = device.error.code === "wrong_key" && this.#requiredKeyId !== key.value.id;
      return isOtherKey ? "restart" : device.error;
    }
    if (device.value === "new") return "restart";
    const from = { edge: target.edge, device: device.value, key: key.value };
    const batch = await this.#seal(from);
    if (batch === "new") return "restart";
    return this.#push(from, target.call, batch);
  }

  #selectKey({ keyRing }: SyncTarget): Result<WorkspaceKey, CallError> {
    const key = this.#requiredKeyId === null ? keyRing.current : keyRing.keys.get(this.#requiredKeyId);
    if (key) return ok(key);
    const message = `the workspace has a new key (${this.#requiredKeyId}): \`shim join rekey --code\` shows it on the machine that made it, \`shim join key\` stores it here; until then changes wait`;
    return err({ code: "wrong_key", message });
  }

  async #ensureEpoch(call: Call, key: WorkspaceKey): Promise<Result<Device | "new", CallError>> {
    const { runtime } = this.#options;
    const { store, now, random } = runtime;
    const identity = { fingerprint: this.#options.fingerprint(), keyId: key.id };
    const [device, reason] = store.read((sql) => this.#epochNeed(sql, identity), [null, null]);
    this.#isOwnHome ||= device !== null && reason === null;
    if (!device) return err({ code: "no_edge", message: "this machine has left the workspace" });
    if (reason === null) return ok(device);
    const requestId = `begin_${uuidv7(now(), random(16))}`;
    const answer = await call("sync.begin", { device: device.device, keyId: key.id, requestId });
    if (!answer.ok) return this.#onBeginRefused(device, answer.error);
    this.#hasLostPosition = false;
    this.#requiredKeyId = answer.value.keyId;
    const { epoch } = answer.value;
    store.write((sql) => {
      if (!isCurrent(sql, device)) return;
      devices.startEpoch(sql, { ...identity, epoch, isAll: reason === "all" });
      if (device.keyId !== key.id) removeNames(sql, device.workspace);
    });
    runtime.log("info", "sync starts again", { epoch, why: reason });
    return ok("new");
  }

  #epochNeed(
    sql: Sql,
    identity: Parameters<typeof devices.epochReason>[2],
  ): readonly [Device | null, "all" | "numbers" | null] {
    const device = devices.get(sql);
    if (!device) return [null, null];
    const compared = this.#isOwnHome ? { ...identity, fingerprint: null } : identity;
    return [device, this.#hasLostPosition ? "all" : devices.epochReason(sql, device, compared)];
  }

  /** [SY61] Makes a home copied to a machine with another token a device of its own. */
  #onBeginRefused(device: Device, error: CallError): Result<"new", CallError> {
    const { store, now, random } = this.#options.runtime;
    const requiredKeyId = error.details?.["keyId"];
    if (error.code === "wrong_key" && typeof requiredKeyId === "string") this.#requiredKeyId = requiredKeyId;
    if (error.code !== "forbidden" || device.epoch === 0) return err(error);
    store.write((sql) => {
      if (devices.get(sql)?.device !== device.device) return;
      devices.join(sql, device.workspace, devices.newId(now(), random), device.joinedAt);
    });
    return ok("new");
  }

  async #seal({ edge, device, key }: SealOrigin, sentUpTo = 0): Promise<SealBatch | "new"> {
    const { runtime, platform } = this.#options;
    const { store, now } = runtime;
    const monotonicNow = platform.clock.monotonic();
    const sessionDueAt = (session: string): number => this.#sessionDueAt(session);
    const isDue = store.read(
      (sql) => hasRoom(sql, sentUpTo) && (this.#isFull || firstDueAt(sql, sessionDueAt) <= monotonicNow),
      this.#isFull,
    );
    if (!isDue) return { sealed: [], keptLocal: [] };
    const projectNames = this.#projectNamesFor(edge, key);
    for (const root of store.read(changes.projectRoots, [])) await projectNames.refresh(root);
    const isSessionDue = (session: string): boolean => this.#sessionDueAt(session) <= monotonicNow;
    const context = { runtime, key, projectNames, isSessionDue, isFull: this.#isFull, sentUpTo };
    const batch = store.write((sql) => {
      const current = isCurrent(sql, device);
      // A new epoch was requested: the numbers under way are not this epoch's any more.
      if (current?.fingerprint !== device.fingerprint) return "new";
      this.#skipSuperseded(sql, now());
      const sealResult = sealChanges(sql, current, context);
      addKeptLocalNotice(sql, now(), sealResult.keptLocal);
      return sealResult;
    });
    if (batch !== "new") this.#recordSealed(batch);
    return batch;
  }

  /** [SY65] Again only after another change was recorded. */
  #skipSuperseded(sql: Sql, now: number): void {
    const newest = changes.newest(sql);
    if (newest === this.#skippedAt || changes.count(sql) <= maxChanges) return;
    addSkippedNotice(sql, now, changes.skipSuperseded(sql));
    this.#skippedAt = newest;
  }

  #recordSealed({ sealed }: SealBatch): void {
    const now = this.#options.platform.clock.monotonic();
    for (const [session, at] of this.#sentAt) if (now - at >= minIntervalMs) this.#sentAt.delete(session);
    for (const { kind, session } of sealed) if (kind === "session") this.#sentAt.set(session, now);
  }

  #projectNamesFor({ workspace, machine }: EdgeConfig, key: WorkspaceKey): ProjectNameCache {
    const scope = `${workspace} ${key.id}`;
    if (this.#projectNames?.scope !== scope)
      this.#projectNames = { scope, cache: new ProjectNameCache(this.#options.runtime, { workspace, key, machine }) };
    return this.#projectNames.cache;
  }

  /** [SY60] Sends the oldest sealed ops unchanged; a repeat is harmless. */
  async #push(from: SealOrigin, call: Call, { sealed }: SealBatch): Promise<SendStep> {
    const { device } = from;
    const { store, now } = this.#options.runtime;
    const rows = store.read((sql) => nextLogRows(sql, maxPushOps), []);
    const [firstRow] = rows;
    if (!firstRow) return this.#finish();
    const ops = rows.map(({ op, at }) =>
      Object.assign(JSON.parse(op) as Omit<SyncOp, "ageMs">, { ageMs: Math.max(0, now() - at) }),
    );
    const [answer] = await Promise.all([
      call("sync.push", { device: device.device, epoch: device.epoch, ops }),
      this.#sealNext(from, firstRow.seq + rows.length - 1),
    ]);
    this.#hasLostPosition = answer.ok ? answer.value.mark < firstRow.seq : endOf(answer.error) === "device_epoch";
    if (this.#hasLostPosition) return "restart";
    if (!answer.ok)
      return answer.error.code === "quota_exceeded" && this.#sealDeletionsFirst() ? "restart" : answer.error;
    const { mark, keyId } = answer.value;
    const acked = store.write((sql) => acknowledge(sql, device, mark, now()));
    this.#hasLostPosition = acked === null;
    if (acked === null) return "restart";
    this.#isFull = false;
    this.#isAnswered = true;
    this.#requiredKeyId = keyId;
    this.#onAcked(acked);
    return sealed.length + acked.length > 0 ? "sent" : this.#finish();
  }

  /** [SY67] Seals the next push while one is under way, only where the coordinator answers. */
  async #sealNext(from: SealOrigin, sentUpTo: number): Promise<void> {
    if (!this.#isAnswered) return;
    // The push leaves first.
    await nextTurn();
    await this.#seal(from, sentUpTo);
  }

  #finish(): "done" {
    this.#isFull = false;
    return "done";
  }

  /** [SY68] A push is atomic: a deletion behind changes would wait for the room it makes. */
  #sealDeletionsFirst(): boolean {
    this.#isFull = this.#options.runtime.store.write((sql) => {
      if (!changes.hasDeletions(sql)) return false;
      devices.requestNewEpoch(sql);
      return true;
    });
    return this.#isFull;
  }
}

/** Returns null when another process has started a new epoch, or left, meanwhile. */
function isCurrent(sql: Sql, { device, epoch }: Device): Device | null {
  const current = devices.get(sql);
  return current?.device === device && current.epoch === epoch ? current : null;
}

const logRows = syncLog.pick("seq", "at", "op");

function nextLogRows(sql: Sql, maxOps: number): RowOf<typeof logRows>[] {
  const rows = logRows.select(sql, "ORDER BY seq LIMIT ?", maxOps);
  let chars = 0;
  return rows.filter(({ op }, index) => (chars += op.length) <= maxLogChars || index === 0);
}

/** Returns the removed kinds; null when the mark is of numbers that were never sealed here. */
function acknowledge(sql: Sql, device: Device, mark: number, now: number): SyncOp["kind"][] | null {
  const current = isCurrent(sql, device);
  if (!current) return [];
  if (mark > current.sealed) return null;
  sql.run("UPDATE sync_device SET acked = max(acked, ?)", mark);
  const acked = sql.all<{ kind: SyncOp["kind"] }>("SELECT kind FROM sync_log WHERE seq <= ?", mark);
  sql.run("DELETE FROM sync_log WHERE seq <= ?", mark);
  writeNotes(sql, { syncedAt: now });
  return acked.map(({ kind }) => kind);
}
