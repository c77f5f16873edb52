import { isBadInput, isTransient, type Failure } from "../../contract/errors.ts";
import type { PutResult } from "../../contract/sync.ts";
import { stackOf } from "../../shared/error.ts";
import * as changes from "./pending-changes.ts";
import * as devices from "./device.ts";
import type { Device } from "./device.ts";
import { prepareFiles, sealRecord, toSentFiles, type PreparedFiles } from "./sealed-records.ts";
import type { SynchronizerOptions, SyncTarget } from "./record-sender.ts";
import * as sentRecords from "./sent-records.ts";
import type { FilesRecord, PendingFiles } from "./sent-records.ts";
import type { WorkspaceKey } from "./key-ring.ts";

/** none: the process is ending. some: yields to more urgent changes. all: until nothing is left. */
export type FilesMode = "none" | "some" | "all";

/** Retry delay in ms without an answer. */
const transientRetryMs = 30_000;
/** Retry delay in ms after any other refusal, such as by a full workspace. */
const refusedRetryMs = 300_000;
const pollPreparedEveryMs = 250;

interface Upload {
  readonly files: PreparedFiles;
  /** Next one to send; the number of all parts stands for the header. */
  readonly part: number;
}

/** Sends the newest files of each open session, part by part, in the background. */
export class FilesSender {
  readonly #options: SynchronizerOptions;
  readonly #endSignal: AbortSignal;
  #upload: Upload | null = null;
  #preparing: Promise<void> | null = null;
  #notBefore = 0;

  constructor(options: SynchronizerOptions, endSignal: AbortSignal) {
    this.#options = options;
    this.#endSignal = endSignal;
  }

  /** See {@link SyncRound.dueAt}. */
  dueAt(): number {
    if (!this.#options.runtime.config.sync.files) return Number.POSITIVE_INFINITY;
    if (this.#preparing) return this.#options.platform.clock.monotonic() + pollPreparedEveryMs;
    return this.#upload !== null || this.#nextFiles() !== null ? this.#notBefore : Number.POSITIVE_INFINITY;
  }

  async waitForPreparation(): Promise<void> {
    await this.#preparing;
  }

  /** Returns the number of sessions whose files have arrived. */
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

  /** Checkpoints are sent before the next part. */
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

  #prepareNext(): boolean {
    if (this.#preparing) return true;
    const nextFiles = this.#nextFiles();
    if (!nextFiles) return false;
    this.#preparing = this.#prepare(nextFiles.device, nextFiles.pending)
      .catch((error: unknown) => {
        // StoreErrors surface at the store's next use; others are bugs. The sync continues.
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
      const pending = device && sentRecords.findPending(sql, since);
      return device && pending && { device, pending };
    }, null);
  }

  async #prepare(device: Device, pending: PendingFiles): Promise<void> {
    const prepared = await prepareFiles(this.#options.runtime, device, pending, this.#endSignal);
    if (prepared.state === "ready") this.#upload = { files: prepared.files, part: 0 };
    if (prepared.state === "unchanged") this.#record(pending, { notSent: null });
    if (prepared.state === "not") this.#record(pending, { notSent: prepared.reason });
  }

  #record(
    { session, checkpoint, at }: PendingFiles,
    outcome: { readonly sent?: FilesRecord["sent"]; readonly notSent: string | null },
    isRetried = false,
  ): void {
    const { store, now } = this.#options.runtime;
    store.write((sql) => {
      const previous = sentRecords.filesOf(sql, session);
      const sent = outcome.sent ?? previous?.sent ?? null;
      const notSent = outcome.notSent === null ? null : { checkpoint, at, reason: outcome.notSent };
      const record = { checkpoint: isRetried ? null : checkpoint, sent, notSent };
      if (JSON.stringify(record) !== JSON.stringify(previous)) sentRecords.saveFiles(sql, session, record, now());
    });
  }

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
    const record = sealRecord(files, part, key, runtime);
    if (!record.ok) return this.#onRefused(pending, "too many files are left out");
    const answer = await target.call("sync.put", { device: device.device, keyId: key.id, records: [record.value] });
    if (!answer.ok) return this.#onError(pending, answer.error);
    const outcome = answer.value.results[0]?.outcome ?? "closed";
    if (outcome !== "stored") return this.#onRefused(pending, refusalReasons[outcome], outcome === "full");
    this.#upload = part < parts ? { files, part: part + 1 } : null;
    if (this.#upload) return false;
    this.#record(pending, { sent: { ...toSentFiles(files, sealedAt), tree, head: pending.head }, notSent: null });
    return true;
  }

  /** Returns null when the device or its key is another one, or the checkpoint was forgotten. */
  #selectKey({ keyRing }: SyncTarget, { device, pending }: PreparedFiles): WorkspaceKey | null {
    const isCurrent = this.#options.runtime.store.read((sql) => {
      const current = devices.get(sql);
      const isSame = current?.device === device.device && current.keyId === device.keyId;
      return isSame && sentRecords.isStillThere(sql, pending);
    }, false);
    return (isCurrent && keyRing.keys.get(device.keyId)) || null;
  }

  /** Earlier complete files stay. Without an answer the same part is sent again. */
  #onError(pending: PendingFiles, error: Failure): false {
    if (this.#endSignal.aborted) return false;
    const { message, retryAfterMs = 0 } = error;
    const isPassing = isTransient(error) || retryAfterMs > 0;
    if (!isPassing) return this.#onRefused(pending, message, !isBadInput(error));
    this.#wait(retryAfterMs || transientRetryMs);
    return false;
  }

  #onRefused(pending: PendingFiles, reason: string, isRetried = false): false {
    this.#upload = null;
    if (isRetried) this.#wait(refusedRetryMs);
    this.#record(pending, { notSent: reason }, isRetried);
    return false;
  }
}

const refusalReasons: Readonly<Record<Exclude<PutResult["outcome"], "stored">, string>> = {
  older: "a copy of this home has sent newer ones",
  closed: "their session is over, or is not in the workspace",
  full: "files have half of the room of the workspace (maxSyncChars, maxSyncRecords), and that is used",
};
