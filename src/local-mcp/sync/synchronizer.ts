import { within, type Platform } from "../../coordinator-client/edge/platform.ts";
import { isRefusal, retryOf } from "../../contract/errors.ts";
import { fullJitter } from "../../shared/backoff.ts";
import { messageOf, stackOf } from "../../shared/error.ts";
import { readEdgeConfig } from "../../coordinator-client/edge-config.ts";
import type { ProcessIdentity } from "../../platform/processes.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { StoreError } from "../../store/store-error.ts";
import { SyncRound, type Connect, type RoundOptions, type SyncReport } from "./sync-round.ts";
import * as uploader from "./uploader.ts";

export interface SynchronizerOptions {
  readonly runtime: Runtime;
  readonly platform: Pick<Platform, "setTimer" | "random" | "clock">;
  readonly process: ProcessIdentity;
  readonly connect: Connect;
  readonly fingerprint: () => string;
  readonly onPulled: OnPulled;
  /** Calls `check` after commits of any process, until it returns true; null: not possible now. */
  readonly watchCommits: (check: () => boolean) => (() => void) | null;
}

/** Called after each pull, with the workspace and the id of this device. */
export type OnPulled = (runtime: Runtime, workspace: string, device: string) => void;

/** Poll interval of the store's version in ms; a commit that is watched is noticed at once. */
const pollEveryMs = 250;
/** Poll interval in ms when nothing was stored for a while. */
const quietPollEveryMs = 2_000;
const quietAfterMs = 10_000;
/** Poll interval in ms while not joined, while another process sends, or after a user's error. */
const idlePollEveryMs = 2_000;
const pullEveryMs = 60_000;
/** Retry delay in ms after a refusal: a repeat may be millions of characters and fail again. */
const refusedRetryMs = 300_000;
const retryBackoff = { baseMs: 1_000, capMs: 60_000 };
/** Time limit in ms of a process's last round. */
const lastRoundTimeoutMs = 2_000;

/** Mirrors this machine's sessions to the coordinator, and those of other machines here. */
export class StateSynchronizer {
  readonly #options: SynchronizerOptions;
  readonly #round: SyncRound;
  #running: Promise<SyncReport> | null = null;
  #cancel: (() => void) | null = null;
  #isStopped = false;
  #version = "";
  #failures = 0;
  #notBefore = 0;
  #pullAt = 0;
  #changedAt = 0;
  /** A round writes to the store as well, so the commit that wakes may be its own. */
  #restUntil = 0;
  #unwatch: (() => void) | null = null;

  constructor(options: SynchronizerOptions) {
    this.#options = options;
    this.#round = new SyncRound(options);
  }

  start(afterMs = 0): void {
    if (this.#isStopped || this.#cancel) return;
    this.#schedule(afterMs);
  }

  async stop(): Promise<void> {
    if (this.#isStopped) return;
    this.#isStopped = true;
    this.#cancel?.();
    this.#unwatch?.();
    const { platform, runtime, process } = this.#options;
    if (this.#round.isSending) await within(platform, lastRoundTimeoutMs, this.#runLastRound());
    await this.#round.abort();
    await this.#running;
    if (this.#round.isSending) runtime.store.write((sql) => uploader.release(sql, process));
  }

  async #runLastRound(): Promise<void> {
    await this.#running;
    this.#round.sendWithoutWait();
    await this.syncNow({ isPulling: false, files: "none" });
  }

  async syncNow(options: RoundOptions = { isPulling: true, files: "all" }): Promise<SyncReport> {
    while (this.#running) await this.#running;
    this.#running = this.#runRound(options).finally(() => (this.#running = null));
    return this.#running;
  }

  #schedule(ms: number): void {
    if (this.#isStopped) return;
    this.#cancel = this.#options.platform.setTimer(() => this.#check(), ms);
  }

  /** [SY64] A later commit does not postpone the round that an earlier one waits for. */
  #wake(): boolean {
    if (this.#readVersion() === this.#version) return false;
    const now = this.#options.platform.clock.monotonic();
    if (this.#running || this.#notBefore > now) return true;
    this.#cancel?.();
    this.#schedule(Math.max(0, this.#restUntil - now));
    return true;
  }

  #check(): void {
    this.#unwatch ??= this.#options.watchCommits(() => this.#wake());
    const now = this.#options.platform.clock.monotonic();
    const isPulling = now >= this.#pullAt;
    if (now < this.#notBefore) return this.#schedule(this.#notBefore - now);
    if (!this.#isRoundDue(isPulling)) {
      return this.#schedule(now - this.#changedAt > quietAfterMs ? quietPollEveryMs : pollEveryMs);
    }
    // Reads a file, so only where there is something to send.
    if (!this.#isJoined()) return this.#schedule(idlePollEveryMs);
    if (this.#readVersion() !== this.#version) this.#changedAt = now;
    void this.syncNow({ isPulling, files: "some" }).then((report) => this.#onRoundEnd(report, isPulling));
  }

  /** An unreadable file counts as joined: the round reports it. */
  #isJoined(): boolean {
    const { env, paths } = this.#options.runtime;
    const edge = readEdgeConfig(paths.home, env);
    return !edge.ok || edge.value !== null;
  }

  #isRoundDue(isPulling: boolean): boolean {
    return isPulling || this.#round.isDue || this.#failures > 0 || this.#readVersion() !== this.#version;
  }

  #onRoundEnd({ trouble }: SyncReport, isPulling: boolean): void {
    const { platform } = this.#options;
    const now = platform.clock.monotonic();
    this.#restUntil = now + pollEveryMs;
    if (trouble === null) {
      this.#failures = 0;
      if (isPulling) this.#pullAt = now + pullEveryMs;
    } else if (retryOf(trouble) === "after_user") {
      this.#notBefore = now + idlePollEveryMs;
    } else if (trouble.code === "lost_place" || (isRefusal(trouble) && retryOf(trouble) === "never")) {
      this.#failures += 1;
      this.#notBefore = now + refusedRetryMs;
    } else {
      const jitterMs = fullJitter(retryBackoff, this.#failures, platform.random);
      this.#failures += 1;
      this.#notBefore = now + Math.max(pollEveryMs, jitterMs + (trouble.retryAfterMs ?? 0));
    }
    this.#schedule(pollEveryMs);
  }

  async #runRound(options: RoundOptions): Promise<SyncReport> {
    this.#version = this.#readVersion();
    try {
      return await this.#round.run(options);
    } catch (error) {
      // StoreErrors are reported; other errors are bugs, and the chat continues without the sync.
      const { runtime } = this.#options;
      runtime.log("error", "sync", { error: error instanceof StoreError ? error.message : stackOf(error) });
      const code = error instanceof StoreError ? error.code : "internal";
      return this.#round.report({ code, message: messageOf(error) });
    }
  }

  #readVersion(): string {
    try {
      return this.#options.runtime.store.version();
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      // The round reports the error.
      return "unreadable";
    }
  }
}
