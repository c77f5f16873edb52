import { uuidv7 } from "../../shared/ids.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import type { Sql } from "../../shared/sql.ts";
import type { SyncOp } from "../../contract/sync.ts";
import type { EdgeConfig } from "../authority.ts";
import * as changes from "./changes.ts";
import * as devices from "./device.ts";
import type { Device } from "./device.ts";
import type { KeyRing } from "./key-ring.ts";
import { ProjectBook } from "./project-book.ts";
import * as names from "./project-names.ts";
import { pushLog } from "./push-log.ts";
import { sayKeptHere, sayPassedOver } from "./said.ts";
import { sealChanges, type SealedSome } from "./seal-changes.ts";
import type { SessionPace } from "./session-pace.ts";
import type { SyncCall, SyncTrouble } from "./sync-call.ts";
import type { SynchronizerOptions } from "./synchronizer.ts";
import * as uploader from "./uploader.ts";
import type { WorkspaceKey } from "./workspace-key.ts";

/** What one round needs, as the files say at its beginning. */
export interface SyncTarget {
  readonly edge: EdgeConfig;
  readonly ring: KeyRing;
  readonly call: SyncCall;
}

/** [SY65] More changes than these are not sent one by one. */
const mostChanges = 1_000;
/** A coordinator that says more often that it knows nothing of the last epoch, or wants another key, is not to be believed. */
const mostTurns = 3;

type Step =
  | { readonly kind: "sent"; readonly acked: readonly SyncOp["kind"][]; readonly waiting: number }
  | { readonly kind: "done"; readonly waiting: number }
  /** Begun anew, or under another key: from the beginning. */
  | { readonly kind: "turned" }
  | { readonly kind: "stopped"; readonly trouble: SyncTrouble };

interface Begun {
  readonly device: Device;
  readonly key: WorkspaceKey;
}

/** Seals and sends what has changed, until nothing is left. */
export class Sender {
  readonly #options: SynchronizerOptions;
  readonly #pace: SessionPace;
  readonly #tell: (acked: readonly SyncOp["kind"][]) => void;
  /** Under which key the workspace seals, where that is known. */
  #wanted: string | null = null;
  #currentId = "";
  /** The coordinator has not what was acknowledged. */
  #isLost = false;
  /** It has no room for what was sent last. */
  #isFull = false;
  #book: { readonly of: string; readonly book: ProjectBook } | null = null;

  constructor(options: SynchronizerOptions, pace: SessionPace, tell: (acked: readonly SyncOp["kind"][]) => void) {
    this.#options = options;
    this.#pace = pace;
    this.#tell = tell;
  }

  /** @returns why not all of it was sent */
  async send(target: SyncTarget): Promise<SyncTrouble | null> {
    // A new key of this machine is tried first.
    if (target.ring.current.id !== this.#currentId) this.#wanted = null;
    this.#currentId = target.ring.current.id;
    for (let turns = 0; turns <= mostTurns;) {
      const step = await this.#step(target);
      if (step.kind === "stopped") return step.trouble;
      if (step.kind === "sent") this.#tell(step.acked);
      if (step.kind === "turned") turns += 1;
      if (step.kind === "done") {
        this.#pace.wait(step.waiting > 0);
        return null;
      }
    }
    return {
      code: "lost_place",
      message: "the coordinator does not keep to what it says; nothing more is sent for now",
    };
  }

  async #step(target: SyncTarget): Promise<Step> {
    const key = this.#keyOf(target);
    if (!key.ok) return { kind: "stopped", trouble: key.error };
    const begun = await this.#begin(target.call, key.value);
    if (!begun.ok) {
      const isOther = begun.error.code === "wrong_key" && this.#wanted !== key.value.id;
      return isOther ? { kind: "turned" } : { kind: "stopped", trouble: begun.error };
    }
    if (begun.value === "new") return { kind: "turned" };
    return this.#sealAndPush(target, { device: begun.value, key: key.value });
  }

  async #sealAndPush({ edge, call }: SyncTarget, begun: Begun): Promise<Step> {
    const some = await this.#seal(edge, begun);
    if (some === "turned") return { kind: "turned" };
    if (some === "not_uploader") return { kind: "stopped", trouble: { code: some, message: "another process sends" } };
    const { sealed, waiting } = some;
    const pushed = await pushLog(this.#options.runtime, begun.device, call);
    if (!pushed.ok) {
      this.#isLost = pushed.error.code === "lost_place";
      const isOn = this.#isLost || (pushed.error.code === "quota_exceeded" && this.#deletesFirst());
      return isOn ? { kind: "turned" } : { kind: "stopped", trouble: pushed.error };
    }
    this.#isFull = false;
    const { acked, keyId } = pushed.value;
    this.#wanted = keyId ?? this.#wanted;
    return sealed.length + acked.length === 0 ? { kind: "done", waiting } : { kind: "sent", acked, waiting };
  }

  /** [SY68] A push is taken whole or not at all: a deletion in it, or after it, would wait for room that only it can make. */
  #deletesFirst(): boolean {
    this.#isFull = this.#options.runtime.store.write((sql) => {
      if (!changes.hasDeletions(sql)) return false;
      devices.renew(sql);
      return true;
    });
    return this.#isFull;
  }

  /** [SY66] The one that the workspace seals under, as far as that is known. */
  #keyOf({ ring }: SyncTarget): Result<WorkspaceKey, SyncTrouble> {
    const key = this.#wanted === null ? ring.current : ring.keys.get(this.#wanted);
    if (key) return ok(key);
    const message = `the workspace has another key by now (${this.#wanted}): \`shim edge rekey --code\` shows it where it was made, \`shim edge key\` takes it here; until then what changes waits`;
    return err({ code: "wrong_key", message });
  }

  /** [SY61] A new epoch where one is needed. */
  async #begin(call: SyncCall, key: WorkspaceKey): Promise<Result<Device | "new", SyncTrouble>> {
    const { runtime } = this.#options;
    const { store, now, random } = runtime;
    const fingerprint = this.#options.fingerprint();
    const found = store.read((sql) => needOf(sql, { fingerprint, keyId: key.id }, this.#isLost), null);
    if (!found) return err({ code: "no_edge", message: "this machine has left the workspace" });
    const { device, why } = found;
    if (why === null) return ok(device);
    const requestId = `begin_${uuidv7(now(), random(16))}`;
    const answer = await call("sync.begin", { device: device.device, keyId: key.id, requestId });
    if (!answer.ok) return this.#notBegun(device, answer.error);
    this.#isLost = false;
    this.#wanted = answer.value.keyId;
    const { epoch } = answer.value;
    store.write((sql) => {
      const present = devices.get(sql);
      if (present?.device !== device.device || present.epoch !== device.epoch) return;
      devices.begin(sql, { epoch, fingerprint, keyId: key.id, isAll: why === "all" });
      if (device.keyId !== key.id) names.forgetAll(sql, device.workspace);
    });
    runtime.log("info", "sync begins anew", { epoch, why });
    return ok("new");
  }

  /** [SY61] Of a home that was copied to a machine with another token, the copy is a device of its own. */
  #notBegun(device: Device, trouble: SyncTrouble): Result<"new", SyncTrouble> {
    const { store, now, random } = this.#options.runtime;
    const wanted = trouble.details?.["keyId"];
    if (trouble.code === "wrong_key" && typeof wanted === "string") this.#wanted = wanted;
    if (trouble.code !== "forbidden" || device.epoch === 0) return err(trouble);
    store.write((sql) => {
      if (devices.get(sql)?.device !== device.device) return;
      devices.join(sql, device.workspace, devices.newId(now(), random), device.joinedAt);
    });
    return ok("new");
  }

  /** Else what another process has done meanwhile: it has begun anew, or sends now. */
  async #seal(edge: EdgeConfig, { device, key }: Begun): Promise<SealedSome | "turned" | "not_uploader"> {
    const { runtime, process } = this.#options;
    const { store, now } = runtime;
    if (store.read(changes.count, 0) === 0) return { sealed: [], keptHere: [], waiting: 0 };
    const book = this.#bookOf(edge, key);
    for (const root of store.read(changes.projects, [])) await book.learn(root);
    const { isSessionDue } = this.#pace;
    const some = store.write((sql) => {
      const present = devices.get(sql);
      if (!uploader.isOwn(sql, process)) return "not_uploader";
      if (present?.epoch !== device.epoch || present.device !== device.device) return "turned";
      if (changes.count(sql) > mostChanges) sayPassedOver(sql, now(), changes.passOver(sql));
      const made = sealChanges(sql, present, { runtime, key, book, isSessionDue, isFull: this.#isFull });
      sayKeptHere(sql, now(), made.keptHere);
      return made;
    });
    if (typeof some === "object")
      this.#pace.sent(some.sealed.filter(({ kind }) => kind === "session").map(({ session }) => session));
    return some;
  }

  #bookOf({ workspace, machine }: EdgeConfig, key: WorkspaceKey): ProjectBook {
    const of = `${workspace} ${key.id}`;
    const book =
      this.#book?.of === of ? this.#book.book : new ProjectBook(this.#options.runtime, { workspace, key, machine });
    this.#book = { of, book };
    return book;
  }
}

function needOf(
  sql: Sql,
  identity: Parameters<typeof devices.needsEpoch>[2],
  isLost: boolean,
): { readonly device: Device; readonly why: "all" | "numbers" | null } | null {
  const device = devices.get(sql);
  if (!device) return null;
  return { device, why: isLost ? "all" : devices.needsEpoch(sql, device, identity) };
}
