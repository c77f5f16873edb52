import { stackOf } from "../../shared/error.ts";
import * as changes from "./pending-changes.ts";
import * as devices from "./device.ts";
import type { Device } from "./device.ts";
import { prepareFiles, sealPart, toSentFiles, type PreparedFiles } from "./prepare-files.ts";
import * as sentFiles from "./sent-files.ts";
import type { FilesRecord, PendingFiles } from "./sent-files.ts";
import type { SyncTarget } from "./change-sender.ts";
import type { SyncError } from "./sync-call.ts";
import type { SynchronizerOptions } from "./synchronizer.ts";
import type { WorkspaceKey } from "./workspace-key.ts";

/** none: a process that ends has no time for them. some: what is more urgent is not kept waiting. all: until nothing is left. */
export type FilesMode = "none" | "some" | "all";

/** The same files would be refused again; unknown_key: the session itself is not stored, or is over. */
const finalCodes: ReadonlySet<string> = new Set(["device_forked", "too_large", "bad_input", "unknown_key"]);
/** Nobody answers, or the parts before are gone: tried again after so long, in ms. */
const transientCodes: ReadonlySet<string> = new Set(["unreachable", "gap", "unknown_device"]);
const transientRetryMs = 30_000;
/** After any other refusal, such as by a full workspace, in ms. */
const refusedRetryMs = 300_000;

interface Upload {
  readonly files: PreparedFiles;
  /** The next part. */
  readonly part: number;
}

/** Sends the newest files of each session that goes on, one session after the other, part by part. Nothing waits for it. */
export class FilesSender {
  readonly #options: SynchronizerOptions;
  readonly #endSignal: AbortSignal;
  #upload: Upload | null = null;
  #preparing: Promise<void> | null = null;
  /** By the monotonic clock. */
  #notBefore = 0;

  constructor(options: SynchronizerOptions, endSignal: AbortSignal) {
    this.#options = options;
    this.#endSignal = endSignal;
  }

  /** Whether a part can be sent now. */
  get isDue(): boolean {
    return this.#upload !== null && this.#isPastWait();
  }

  /** Another process sends now. */
  cancelUpload(): void {
    this.#upload = null;
  }

  /** Git is at work no more. */
  async waitForPreparation(): Promise<void> {
    await this.#preparing;
  }

  /** [SY80] @returns of how many sessions the files have arrived */
  async sendDue(target: SyncTarget, mode: FilesMode): Promise<number> {
    let sentCount = 0;
    while (this.#mayContinue(mode)) {
      if (this.#upload === null && !this.#prepareNext()) break;
      if (mode === "all") await this.#preparing;
      if (this.#upload !== null && (await this.#sendPart(target, this.#upload))) sentCount += 1;
      if (mode === "some" && this.#mustYield()) break;
    }
    return sentCount;
  }

  /** [SY81] What is prepared meanwhile has a round of its own, and checkpoints go before the next part. */
  #mustYield(): boolean {
    return this.#upload === null || this.#options.runtime.store.read(changes.count, 0) > 0;
  }

  #mayContinue(mode: FilesMode): boolean {
    return mode !== "none" && this.#options.runtime.config.sync.files && !this.#endSignal.aborted && this.#isPastWait();
  }

  #isPastWait(): boolean {
    return this.#options.platform.clock.monotonic() >= this.#notBefore;
  }

  #wait(ms: number): void {
    this.#notBefore = this.#options.platform.clock.monotonic() + ms;
  }

  /** Begins with the next files, while the rounds go on. @returns whether there are any */
  #prepareNext(): boolean {
    if (this.#preparing) return true;
    const nextFiles = this.#nextFiles();
    if (!nextFiles) return false;
    this.#preparing = this.#prepare(nextFiles.device, nextFiles.pending)
      .catch((error: unknown) => {
        // The store says what is wrong with it when it is used next; anything else is a bug, and the sync goes on without the files.
        this.#options.runtime.log("error", "files are not sent", { error: stackOf(error) });
        this.#wait(refusedRetryMs);
      })
      .finally(() => (this.#preparing = null));
    return true;
  }

  #nextFiles(): { readonly device: Device; readonly pending: PendingFiles } | null {
    const { store, now, config } = this.#options.runtime;
    return store.read((sql) => {
      const device = devices.get(sql);
      const since = Math.max(device?.joinedAt ?? 0, now() - config.offerMaxAgeMs);
      const pending = device && sentFiles.findPending(sql, since);
      return device && pending && { device, pending };
    }, null);
  }

  async #prepare(device: Device, pending: PendingFiles): Promise<void> {
    const prepared = await prepareFiles(this.#options.runtime, device, pending, this.#endSignal);
    if (prepared.state === "ready") this.#upload = { files: prepared.files, part: 0 };
    if (prepared.state === "unchanged") this.#record(pending, { notSent: null });
    if (prepared.state === "not") this.#record(pending, { notSent: prepared.reason });
  }

  /** @param isRetried the same files are tried again */
  #record(
    { session, checkpoint, at }: PendingFiles,
    outcome: { readonly sent?: FilesRecord["sent"]; readonly notSent: string | null },
    isRetried = false,
  ): void {
    const { store, now } = this.#options.runtime;
    store.write((sql) => {
      const previous = sentFiles.get(sql, session);
      const sent = outcome.sent ?? previous?.sent ?? null;
      const notSent = outcome.notSent === null ? null : { checkpoint, at, reason: outcome.notSent };
      const record = { checkpoint: isRetried ? null : checkpoint, sent, notSent };
      if (JSON.stringify(record) !== JSON.stringify(previous)) sentFiles.save(sql, session, record, now());
    });
  }

  /** @returns whether the bundle is complete */
  async #sendPart(target: SyncTarget, { files, part }: Upload): Promise<boolean> {
    const { pending, device, tree, parts } = files;
    const key = this.#selectKey(target, files);
    if (!key) {
      this.#upload = null;
      this.#wait(transientRetryMs);
      return false;
    }
    const { runtime } = this.#options;
    const sealedAt = runtime.now();
    const envelope = sealPart(files, part, key, runtime);
    if (!envelope.ok) return this.#onError(pending, { ...envelope.error, message: "too many files are left out" });
    const answer = await target.call("sync.put-files", {
      device: device.device,
      epoch: device.epoch,
      session: pending.session,
      bundle: files.bundle,
      checkpoint: pending.checkpoint,
      part,
      parts,
      ageMs: Math.max(0, sealedAt - pending.at),
      envelope: envelope.value,
    });
    if (!answer.ok) return this.#onError(pending, answer.error);
    this.#upload = part < parts - 1 ? { files, part: part + 1 } : null;
    if (this.#upload) return false;
    this.#record(pending, { sent: { ...toSentFiles(files, sealedAt), tree, head: pending.head }, notSent: null });
    return true;
  }

  /** Null: the device has begun anew, or the checkpoint was forgotten meanwhile. */
  #selectKey({ keyRing }: SyncTarget, { device, pending }: PreparedFiles): WorkspaceKey | null {
    const isCurrent = this.#options.runtime.store.read((sql) => {
      const current = devices.get(sql);
      const isSame = current?.device === device.device && current.epoch === device.epoch;
      return isSame && sentFiles.isStillThere(sql, pending);
    }, false);
    return (isCurrent && keyRing.keys.get(device.keyId)) || null;
  }

  /** [SY83] What was complete before is still there. */
  #onError(pending: PendingFiles, { code, message, retryAfterMs = 0 }: SyncError): false {
    if (this.#endSignal.aborted) return false;
    // The coordinator knows how far it is: the same part is sent again.
    if (code !== "unreachable" && retryAfterMs === 0) this.#upload = null;
    if (finalCodes.has(code)) this.#record(pending, { notSent: message });
    else if (retryAfterMs > 0) this.#wait(retryAfterMs);
    else if (transientCodes.has(code)) this.#wait(transientRetryMs);
    else {
      this.#wait(refusedRetryMs);
      this.#record(pending, { notSent: message }, true);
    }
    return false;
  }
}
