import { uuidv7 } from "../../shared/ids.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import type { Sql } from "../../shared/sql.ts";
import type { SyncOp } from "../../contract/sync.ts";
import type { EdgeConfig } from "../../coordinator-client/edge-config.ts";
import * as changes from "./pending-changes.ts";
import * as devices from "./device.ts";
import type { Device } from "./device.ts";
import type { KeyRing } from "./key-ring.ts";
import { ProjectNameCache } from "./project-name-cache.ts";
import * as names from "./project-names.ts";
import { pushLog } from "./push-log.ts";
import { addKeptLocalNotice, addSkippedNotice } from "./sync-notices.ts";
import { sealChanges, type SealBatch } from "./seal-changes.ts";
import type { SessionThrottle } from "./session-throttle.ts";
import type { SyncCall, SyncError } from "./sync-call.ts";
import type { SynchronizerOptions } from "./synchronizer.ts";
import * as uploader from "./uploader.ts";
import type { WorkspaceKey } from "./workspace-key.ts";

export interface SyncTarget {
  readonly edge: EdgeConfig;
  readonly keyRing: KeyRing;
  readonly call: SyncCall;
}

/** [SY65] Maximum of changes that are sent one by one. */
const maxChanges = 1_000;
/** A coordinator that asks for more restarts than this is not trusted. */
const maxRestarts = 3;

type SendStep =
  | { readonly kind: "sent"; readonly acked: readonly SyncOp["kind"][]; readonly waiting: number }
  | { readonly kind: "done"; readonly waiting: number }
  | { readonly kind: "turned" }
  | { readonly kind: "stopped"; readonly error: SyncError };

interface ActiveDevice {
  readonly device: Device;
  readonly key: WorkspaceKey;
}

export class Sender {
  readonly #options: SynchronizerOptions;
  readonly #throttle: SessionThrottle;
  readonly #onAcked: (acked: readonly SyncOp["kind"][]) => void;
  #requiredKeyId: string | null = null;
  #currentId = "";
  #hasLostPosition = false;
  #isFull = false;
  #projectNames: { readonly scope: string; readonly cache: ProjectNameCache } | null = null;

  constructor(
    options: SynchronizerOptions,
    throttle: SessionThrottle,
    onAcked: (acked: readonly SyncOp["kind"][]) => void,
  ) {
    this.#options = options;
    this.#throttle = throttle;
    this.#onAcked = onAcked;
  }

  async send(target: SyncTarget): Promise<SyncError | null> {
    if (target.keyRing.current.id !== this.#currentId) this.#requiredKeyId = null;
    this.#currentId = target.keyRing.current.id;
    for (let restarts = 0; restarts <= maxRestarts;) {
      const step = await this.#step(target);
      if (step.kind === "stopped") return step.error;
      if (step.kind === "sent") this.#onAcked(step.acked);
      if (step.kind === "turned") restarts += 1;
      if (step.kind === "done") {
        this.#throttle.setWaiting(step.waiting > 0);
        return null;
      }
    }
    return {
      code: "lost_place",
      message: "the coordinator does not keep to what it says; nothing more is sent for now",
    };
  }

  async #step(target: SyncTarget): Promise<SendStep> {
    const key = this.#selectKey(target);
    if (!key.ok) return { kind: "stopped", error: key.error };
    const active = await this.#ensureEpoch(target.call, key.value);
    if (!active.ok) {
      const isOtherKey = active.error.code === "wrong_key" && this.#requiredKeyId !== key.value.id;
      return isOtherKey ? { kind: "turned" } : { kind: "stopped", error: active.error };
    }
    if (active.value === "new") return { kind: "turned" };
    return this.#sealAndPush(target, { device: active.value, key: key.value });
  }

  async #sealAndPush({ edge, call }: SyncTarget, active: ActiveDevice): Promise<SendStep> {
    const batch = await this.#seal(edge, active);
    if (batch === "turned") return { kind: "turned" };
    if (batch === "not_uploader") return { kind: "stopped", error: { code: batch, message: "another process sends" } };
    const { sealed, waiting } = batch;
    const pushed = await pushLog(this.#options.runtime, active.device, call);
    if (!pushed.ok) {
      this.#hasLostPosition = pushed.error.code === "lost_place";
      const isRestart = this.#hasLostPosition || (pushed.error.code === "quota_exceeded" && this.#sealDeletionsFirst());
      return isRestart ? { kind: "turned" } : { kind: "stopped", error: pushed.error };
    }
    this.#isFull = false;
    const { acked, keyId } = pushed.value;
    this.#requiredKeyId = keyId ?? this.#requiredKeyId;
    return sealed.length + acked.length === 0 ? { kind: "done", waiting } : { kind: "sent", acked, waiting };
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

  #selectKey({ keyRing }: SyncTarget): Result<WorkspaceKey, SyncError> {
    const key = this.#requiredKeyId === null ? keyRing.current : keyRing.keys.get(this.#requiredKeyId);
    if (key) return ok(key);
    const message = `the workspace has another key by now (${this.#requiredKeyId}): \`shim edge rekey --code\` shows it where it was made, \`shim edge key\` takes it here; until then what changes waits`;
    return err({ code: "wrong_key", message });
  }

  async #ensureEpoch(call: SyncCall, key: WorkspaceKey): Promise<Result<Device | "new", SyncError>> {
    const { runtime } = this.#options;
    const { store, now, random } = runtime;
    const fingerprint = this.#options.fingerprint();
    const need = store.read((sql) => epochNeed(sql, { fingerprint, keyId: key.id }, this.#hasLostPosition), null);
    if (!need) return err({ code: "no_edge", message: "this machine has left the workspace" });
    const { device, reason } = need;
    if (reason === null) return ok(device);
    const requestId = `begin_${uuidv7(now(), random(16))}`;
    const answer = await call("sync.begin", { device: device.device, keyId: key.id, requestId });
    if (!answer.ok) return this.#onBeginRefused(device, answer.error);
    this.#hasLostPosition = false;
    this.#requiredKeyId = answer.value.keyId;
    const { epoch } = answer.value;
    store.write((sql) => {
      const current = devices.get(sql);
      if (current?.device !== device.device || current.epoch !== device.epoch) return;
      devices.startEpoch(sql, { epoch, fingerprint, keyId: key.id, isAll: reason === "all" });
      if (device.keyId !== key.id) names.removeAll(sql, device.workspace);
    });
    runtime.log("info", "sync begins anew", { epoch, why: reason });
    return ok("new");
  }

  /** [SY89] Makes a home copied to a machine with another token a device of its own. */
  #onBeginRefused(device: Device, error: SyncError): Result<"new", SyncError> {
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

  async #seal(edge: EdgeConfig, { device, key }: ActiveDevice): Promise<SealBatch | "turned" | "not_uploader"> {
    const { runtime, process } = this.#options;
    const { store, now } = runtime;
    if (store.read(changes.count, 0) === 0) return { sealed: [], keptLocal: [], waiting: 0 };
    const projectNames = this.#projectNamesFor(edge, key);
    for (const root of store.read(changes.projectRoots, [])) await projectNames.refresh(root);
    const { isSessionDue } = this.#throttle;
    const batch = store.write((sql) => {
      const current = devices.get(sql);
      if (!uploader.isThisProcess(sql, process)) return "not_uploader";
      if (current?.epoch !== device.epoch || current.device !== device.device) return "turned";
      if (changes.count(sql) > maxChanges) addSkippedNotice(sql, now(), changes.skipSuperseded(sql));
      const sealResult = sealChanges(sql, current, { runtime, key, projectNames, isSessionDue, isFull: this.#isFull });
      addKeptLocalNotice(sql, now(), sealResult.keptLocal);
      return sealResult;
    });
    if (typeof batch === "object")
      this.#throttle.recordSent(batch.sealed.filter(({ kind }) => kind === "session").map(({ session }) => session));
    return batch;
  }

  #projectNamesFor({ workspace, machine }: EdgeConfig, key: WorkspaceKey): ProjectNameCache {
    const scope = `${workspace} ${key.id}`;
    const projectNames =
      this.#projectNames?.scope === scope
        ? this.#projectNames.cache
        : new ProjectNameCache(this.#options.runtime, { workspace, key, machine });
    this.#projectNames = { scope, cache: projectNames };
    return projectNames;
  }
}

function epochNeed(
  sql: Sql,
  identity: Parameters<typeof devices.epochReason>[2],
  hasLostPosition: boolean,
): { readonly device: Device; readonly reason: "all" | "numbers" | null } | null {
  const device = devices.get(sql);
  if (!device) return null;
  return { device, reason: hasLostPosition ? "all" : devices.epochReason(sql, device, identity) };
}
