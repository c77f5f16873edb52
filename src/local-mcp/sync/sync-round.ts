import { err, ok, type Result } from "../../shared/result.ts";
import { readEdgeConfig, type EdgeConfig } from "../../coordinator-client/edge-config.ts";
import { recordTakeovers } from "./takeover-notices.ts";
import * as joinPreferences from "./join-preferences.ts";
import * as changes from "./pending-changes.ts";
import * as devices from "./device.ts";
import { FilesSender, type FilesMode } from "./files-sender.ts";
import { readKeys } from "./key-ring.ts";
import * as notes from "./sync-notes.ts";
import type { SyncNotes } from "./sync-notes.ts";
import { pull, type PullResult } from "./pull.ts";
import { addWrongKeyNotice, clearWrongKeyNotice } from "./sync-notices.ts";
import { Sender, type SyncTarget } from "./change-sender.ts";
import type { SessionThrottle } from "./session-throttle.ts";
import type { SyncCall, SyncError } from "./sync-call.ts";
import type { SynchronizerOptions } from "./synchronizer.ts";
import * as uploader from "./uploader.ts";
import { isWithin } from "../../shared/elapsed.ts";

export type Connect = (edge: EdgeConfig, signal: AbortSignal) => SyncCall;

export interface SyncReport {
  readonly sessions: number;
  readonly checkpoints: number;
  readonly forgotten: number;
  readonly files: number;
  readonly received: number;
  readonly refused: number;
  readonly left: number;
  readonly trouble: SyncError | null;
}

/** Interval of full pulls in ms: they reveal what was forgotten elsewhere. */
const fullPullEveryMs = 900_000;
const emptyCounts = { sessions: 0, checkpoints: 0, forgotten: 0, files: 0, received: 0, refused: 0 };

export interface RoundOptions {
  readonly isPulling: boolean;
  readonly files: FilesMode;
}

export class SyncRound {
  readonly #options: SynchronizerOptions;
  readonly #sender: Sender;
  readonly #files: FilesSender;
  readonly #pace: SessionThrottle;
  readonly #abortController = new AbortController();
  #isSending = false;
  #counts = emptyCounts;
  #wasFull: boolean | null = null;
  #pullState = { revision: 0, scope: "", fullAt: Number.NEGATIVE_INFINITY };

  constructor(options: SynchronizerOptions, throttle: SessionThrottle) {
    this.#options = options;
    this.#pace = throttle;
    this.#sender = new Sender(options, throttle, (acked) => this.#countAcked(acked));
    this.#files = new FilesSender(options, this.#abortController.signal);
  }

  get isDue(): boolean {
    return this.#files.isDue;
  }

  get isSending(): boolean {
    return this.#isSending;
  }

  async abort(): Promise<void> {
    this.#abortController.abort();
    await this.#files.waitForPreparation();
  }

  async run({ isPulling, files }: RoundOptions): Promise<SyncReport> {
    this.#counts = emptyCounts;
    this.#wasFull = null;
    this.#isSending = false;
    const target = this.#target();
    if (!target.ok) return this.#reportWithoutTarget(target.error);
    if (!this.#claimUploader(target.value)) {
      this.#files.cancelUpload();
      return this.report({ code: "not_uploader", message: "another process sends" });
    }
    this.#isSending = true;
    const sendError = await this.#sender.send(target.value);
    const error = sendError ?? (isPulling ? await this.#pull(target.value) : null);
    this.#saveNotes(error);
    const filesError = sendError === null ? await this.#sendFiles(target.value, files) : null;
    return this.report(error ?? filesError);
  }

  /** Sends files last; their errors are recorded with the session and block nothing. */
  async #sendFiles(target: SyncTarget, mode: FilesMode): Promise<SyncError | null> {
    const { store } = this.#options.runtime;
    const previous = store.read(changes.count, 0);
    const files = await this.#files.sendDue(target, mode);
    this.#counts = { ...this.#counts, files };
    if (mode !== "all" || store.read(changes.count, 0) <= previous) return null;
    this.#pace.disable();
    return this.#sender.send(target);
  }

  /** A machine that leaves a workspace deletes the mirror. */
  #reportWithoutTarget(error: SyncError): SyncReport {
    this.#pullState = { ...this.#pullState, scope: "" };
    return this.report(error);
  }

  report(error: SyncError | null): SyncReport {
    const left = this.#options.runtime.store.read((sql) => changes.count(sql) + changes.sealedCount(sql), 0);
    return { ...this.#counts, left, trouble: error };
  }

  #target(): Result<SyncTarget, SyncError> {
    const { runtime, connect } = this.#options;
    const edge = readEdgeConfig(runtime.paths.home, runtime.env);
    if (!edge.ok) return err({ code: "edge_unusable", message: edge.error });
    if (edge.value === null) return err({ code: "no_edge", message: "this machine has joined no workspace" });
    const { workspace } = edge.value;
    if (runtime.store.read((sql) => joinPreferences.read(sql, workspace), null)?.isSynced === false)
      return err({
        code: "no_sync",
        message: "this machine has joined with --no-sync; `shim edge key` begins to sync",
      });
    const keyRing = readKeys(runtime.paths.home, edge.value, runtime.env);
    if (!keyRing.ok) return err({ code: "no_key", message: keyRing.error });
    if (keyRing.value === null) return err({ code: "no_key", message: "this machine has no key of the workspace" });
    return ok({ edge: edge.value, keyRing: keyRing.value, call: connect(edge.value, this.#abortController.signal) });
  }

  /** [SY63] [SY61] Inserts a missing device row: the store was lost, or older than the sync. */
  #claimUploader({ edge: { workspace } }: SyncTarget): boolean {
    const { runtime, process } = this.#options;
    const { store, now, random, processes } = runtime;
    const isReady = store.read(
      (sql) => devices.get(sql)?.workspace === workspace && !uploader.isClaimDue(sql, now(), process, processes),
      false,
    );
    if (isReady) return store.read((sql) => uploader.isThisProcess(sql, process), false);
    return store.write((sql) => {
      if (devices.get(sql)?.workspace !== workspace) {
        const since = joinPreferences.read(sql, workspace)?.since ?? 0;
        devices.join(sql, workspace, devices.newId(now(), random), since);
      }
      return uploader.claim(sql, now(), process, processes);
    });
  }

  #countAcked(acked: readonly string[]): void {
    const countOf = (kind: string): number => acked.filter((kindAcked) => kindAcked === kind).length;
    const { sessions, checkpoints, forgotten } = this.#counts;
    this.#counts = {
      ...this.#counts,
      sessions: sessions + countOf("session"),
      checkpoints: checkpoints + countOf("checkpoint"),
      forgotten: forgotten + countOf("forget"),
    };
  }

  async #pull({ edge: { workspace }, keyRing, call }: SyncTarget): Promise<SyncError | null> {
    const { runtime, platform } = this.#options;
    const scope = [workspace, ...keyRing.keys.keys()].join(" ");
    const now = platform.clock.monotonic();
    // A newer key may open what was refused.
    const isFull = this.#pullState.scope !== scope || now - this.#pullState.fullAt >= fullPullEveryMs;
    const device = runtime.store.read(devices.get, null)?.device ?? null;
    const pulled = await pull(
      { runtime, call, workspace, keys: keyRing, device },
      isFull ? 0 : this.#pullState.revision,
    );
    if (!pulled.ok) return pulled.error;
    this.#pullState = { revision: pulled.value.revision, scope, fullAt: isFull ? now : this.#pullState.fullAt };
    if (device !== null) recordTakeovers(runtime, workspace, device);
    this.#countPulled(pulled.value);
    this.#wasFull = isFull;
    return null;
  }

  #countPulled({ stored, refused }: PullResult): void {
    this.#counts = { ...this.#counts, received: stored, refused: refused.length };
  }

  /** [SY51] Only a full pull counts all refused envelopes; until then the count accumulates. */
  #refusedCount(previous: SyncNotes): number {
    return this.#counts.refused + (this.#wasFull === true ? 0 : (previous.refused ?? 0));
  }

  /** Writes only changes: each write wakes others. */
  #saveNotes(error: SyncError | null): void {
    const { store, now } = this.#options.runtime;
    const { sessions, checkpoints, forgotten } = this.#counts;
    const isQuiet = sessions + checkpoints + forgotten === 0;
    const previous = store.read(notes.read, {});
    if (isQuiet && isAlreadyNoted(previous, error, this.#refusedCount(previous), now())) return;
    const syncedAtField = error === null ? { syncedAt: now() } : {};
    const problem = error && { code: error.code, message: error.message, at: now() };
    store.write((sql) => {
      notes.write(sql, { ...syncedAtField, trouble: problem, refused: this.#refusedCount(notes.read(sql)) });
      if (error?.code === "wrong_key") addWrongKeyNotice(sql, now(), error.message);
      if (error === null) clearWrongKeyNotice(sql, now());
    });
  }
}

const syncedFreshMs = 60_000;

function isAlreadyNoted(previous: SyncNotes, error: SyncError | null, refused: number, now: number): boolean {
  const isFresh = error !== null || isWithin(now - (previous.syncedAt ?? 0), syncedFreshMs);
  return isFresh && previous.trouble?.code === error?.code && (previous.refused ?? 0) === refused;
}
