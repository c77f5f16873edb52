import { stackOf } from "../../shared/error.ts";
import * as changes from "./changes.ts";
import * as devices from "./device.ts";
import type { Device } from "./device.ts";
import { prepareFiles, sealPart, sentOf, type PreparedFiles } from "./prepare-files.ts";
import * as sentFiles from "./sent-files.ts";
import type { FilesRecord, WantedFiles } from "./sent-files.ts";
import type { SyncTarget } from "./sender.ts";
import type { SyncTrouble } from "./sync-call.ts";
import type { SynchronizerOptions } from "./synchronizer.ts";
import type { WorkspaceKey } from "./workspace-key.ts";

/** none: a process that ends has no time for them. some: what is more urgent is not kept waiting. all: until nothing is left. */
export type FilesMode = "none" | "some" | "all";

/** The same files would be refused again; unknown_key: the session itself is not stored, or is over. */
const isFinal: ReadonlySet<string> = new Set(["device_forked", "too_large", "bad_input", "unknown_key"]);
/** Nobody answers, or the parts before are gone: tried again after so long, in ms. */
const isPassing: ReadonlySet<string> = new Set(["unreachable", "gap", "unknown_device"]);
const passingMs = 30_000;
/** After any other refusal, such as by a full workspace, in ms. */
const refusedMs = 300_000;

interface Upload {
  readonly files: PreparedFiles;
  /** The next part. */
  readonly part: number;
}

/** Sends the newest files of each session that goes on, one session after the other, part by part. Nothing waits for it. */
export class FilesSender {
  readonly #options: SynchronizerOptions;
  readonly #ending: AbortSignal;
  #upload: Upload | null = null;
  #preparing: Promise<void> | null = null;
  /** By the monotonic clock. */
  #notBefore = 0;

  constructor(options: SynchronizerOptions, ending: AbortSignal) {
    this.#options = options;
    this.#ending = ending;
  }

  /** Whether a part can be sent now. */
  get isDue(): boolean {
    return this.#upload !== null && this.#isTime();
  }

  /** Another process sends now. */
  drop(): void {
    this.#upload = null;
  }

  /** Git is at work no more. */
  async settled(): Promise<void> {
    await this.#preparing;
  }

  /** [SY80] @returns of how many sessions the files have arrived */
  async work(target: SyncTarget, mode: FilesMode): Promise<number> {
    let done = 0;
    while (this.#isOn(mode)) {
      if (this.#upload === null && !this.#prepareNext()) break;
      if (mode === "all") await this.#preparing;
      if (this.#upload !== null && (await this.#sendPart(target, this.#upload))) done += 1;
      if (mode === "some" && this.#isEnough()) break;
    }
    return done;
  }

  /** [SY81] What is prepared meanwhile has a round of its own, and checkpoints go before the next part. */
  #isEnough(): boolean {
    return this.#upload === null || this.#options.runtime.store.read(changes.count, 0) > 0;
  }

  #isOn(mode: FilesMode): boolean {
    return mode !== "none" && this.#options.runtime.config.sync.files && !this.#ending.aborted && this.#isTime();
  }

  #isTime(): boolean {
    return this.#options.outside.clock.monotonic() >= this.#notBefore;
  }

  #wait(ms: number): void {
    this.#notBefore = this.#options.outside.clock.monotonic() + ms;
  }

  /** Begins with the next files, while the rounds go on. @returns whether there are any */
  #prepareNext(): boolean {
    if (this.#preparing) return true;
    const next = this.#next();
    if (!next) return false;
    this.#preparing = this.#prepare(next.device, next.wanted)
      .catch((error: unknown) => {
        // The store says what is wrong with it when it is used next; anything else is a bug, and the sync goes on without the files.
        this.#options.runtime.log("error", "files are not sent", { error: stackOf(error) });
        this.#wait(refusedMs);
      })
      .finally(() => (this.#preparing = null));
    return true;
  }

  #next(): { readonly device: Device; readonly wanted: WantedFiles } | null {
    const { store, now, config } = this.#options.runtime;
    return store.read((sql) => {
      const device = devices.get(sql);
      const since = Math.max(device?.joinedAt ?? 0, now() - config.offerMaxAgeMs);
      const wanted = device && sentFiles.wanted(sql, since);
      return device && wanted && { device, wanted };
    }, null);
  }

  async #prepare(device: Device, wanted: WantedFiles): Promise<void> {
    const prepared = await prepareFiles(this.#options.runtime, device, wanted, this.#ending);
    if (prepared.state === "ready") this.#upload = { files: prepared.files, part: 0 };
    if (prepared.state === "unchanged") this.#keep(wanted, { notSent: null });
    if (prepared.state === "not") this.#keep(wanted, { notSent: prepared.reason });
  }

  /** @param isRetried the same files are tried again */
  #keep(
    { session, checkpoint, at }: WantedFiles,
    done: { readonly sent?: FilesRecord["sent"]; readonly notSent: string | null },
    isRetried = false,
  ): void {
    const { store, now } = this.#options.runtime;
    store.write((sql) => {
      const before = sentFiles.get(sql, session);
      const sent = done.sent ?? before?.sent ?? null;
      const notSent = done.notSent === null ? null : { checkpoint, at, reason: done.notSent };
      const record = { checkpoint: isRetried ? null : checkpoint, sent, notSent };
      if (JSON.stringify(record) !== JSON.stringify(before)) sentFiles.put(sql, session, record, now());
    });
  }

  /** @returns whether the bundle is complete */
  async #sendPart(target: SyncTarget, { files, part }: Upload): Promise<boolean> {
    const { wanted, device, tree, parts } = files;
    const key = this.#keyOf(target, files);
    if (!key) {
      this.#upload = null;
      this.#wait(passingMs);
      return false;
    }
    const { runtime } = this.#options;
    const sealedAt = runtime.now();
    const envelope = sealPart(files, part, key, runtime);
    if (!envelope.ok) return this.#failed(wanted, { ...envelope.error, message: "too many files are left out" });
    const answer = await target.call("sync.put-files", {
      device: device.device,
      epoch: device.epoch,
      session: wanted.session,
      bundle: files.bundle,
      checkpoint: wanted.checkpoint,
      part,
      parts,
      ageMs: Math.max(0, sealedAt - wanted.at),
      envelope: envelope.value,
    });
    if (!answer.ok) return this.#failed(wanted, answer.error);
    this.#upload = part < parts - 1 ? { files, part: part + 1 } : null;
    if (this.#upload) return false;
    this.#keep(wanted, { sent: { ...sentOf(files, sealedAt), tree, head: wanted.head }, notSent: null });
    return true;
  }

  /** Null: the device has begun anew, or the checkpoint was forgotten meanwhile. */
  #keyOf({ ring }: SyncTarget, { device, wanted }: PreparedFiles): WorkspaceKey | null {
    const isCurrent = this.#options.runtime.store.read((sql) => {
      const present = devices.get(sql);
      const isSame = present?.device === device.device && present.epoch === device.epoch;
      return isSame && sentFiles.isThere(sql, wanted);
    }, false);
    return (isCurrent && ring.keys.get(device.keyId)) || null;
  }

  /** [SY83] What was complete before is still there. */
  #failed(wanted: WantedFiles, { code, message, retryAfterMs = 0 }: SyncTrouble): false {
    if (this.#ending.aborted) return false;
    // The coordinator knows how far it is: the same part is sent again.
    if (code !== "unreachable" && retryAfterMs === 0) this.#upload = null;
    if (isFinal.has(code)) this.#keep(wanted, { notSent: message });
    else if (retryAfterMs > 0) this.#wait(retryAfterMs);
    else if (isPassing.has(code)) this.#wait(passingMs);
    else {
      this.#wait(refusedMs);
      this.#keep(wanted, { notSent: message }, true);
    }
    return false;
  }
}
