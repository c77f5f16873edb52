import { isRefusal, retryOf } from "../../contract/errors.ts";
import { syncHintEveryMs } from "../../contract/sync.ts";
import { WorkspaceClient } from "../../coordinator-client/client.ts";
import { readEdgeConfig } from "../../coordinator-client/edge-config.ts";
import { within, nodePlatform } from "../../coordinator-client/edge/platform.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { messageOf, stackOf } from "../../shared/error.ts";
import { fullJitter } from "../../shared/async-work.ts";
import { fail } from "../../shared/result.ts";
import { exceptStoreErrors, StoreError } from "../../store/store-error.ts";
import { SyncRound, type RoundOptions, type SyncReport } from "./sync-round.ts";
import type { SynchronizerOptions } from "./record-sender.ts";

/** Poll interval in ms while not joined, or after a user's error. */
const idlePollEveryMs = 2_000;
const pullEveryMs = 60_000;
/** Longest rest in ms after a round. */
const maxRestMs = 250;
/** Retry delay in ms after a refusal: a repeat may be millions of characters and fail again. */
const refusedRetryMs = 300_000;
const minRetryMs = 250;
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
  #failures = 0;
  #notBefore = 0;
  #pullAt = 0;
  /** Start of the last pull, and time before which a pull is followed by another one. */
  #pulledAt = Number.NEGATIVE_INFINITY;
  #pullUntil = Number.NEGATIVE_INFINITY;
  #deathAt = Number.NEGATIVE_INFINITY;
  #hasCommit = false;
  #unsubscribe: (() => void) | null = null;

  constructor(options: SynchronizerOptions) {
    this.#options = options;
    this.#round = new SyncRound(options);
  }

  start(afterMs = 0): void {
    if (this.#isStopped || this.#cancel) return;
    this.#schedule(afterMs);
  }

  /**
   * Pulls at once, and once more when the coordinator may send the next hint.
   * @param isDeath else not sooner than two seconds after the last pull
   */
  pullSoon(isDeath: boolean): void {
    if (this.#isStopped || !this.#cancel) return;
    const now = this.#options.platform.clock.monotonic();
    if (isDeath) this.#deathAt = now;
    this.#pullUntil = now + syncHintEveryMs;
    this.#pullAt = Math.min(this.#pullAt, isDeath ? now : Math.max(now, this.#pulledAt + syncHintEveryMs));
    if (!this.#running) this.#schedule(Math.max(0, this.#pullAt - now));
  }

  async stop(): Promise<void> {
    if (this.#isStopped) return;
    this.#isStopped = true;
    this.#cancel?.();
    this.#unfollow();
    if (this.#round.hasTarget) await within(this.#options.platform, lastRoundTimeoutMs, this.#runLastRound());
    await this.#round.abort();
    await this.#running;
  }

  async #runLastRound(): Promise<void> {
    await this.#running;
    await this.syncNow({ isPulling: false, files: "none" });
  }

  async syncNow(options: RoundOptions = { isPulling: true, files: "all" }): Promise<SyncReport> {
    while (this.#running) await this.#running;
    this.#running = this.#runRound(options).finally(() => (this.#running = null));
    return this.#running;
  }

  #schedule(ms: number): void {
    this.#cancel?.();
    if (this.#isStopped) return;
    this.#cancel = this.#options.platform.setTimer(() => this.#check(), ms);
  }

  #follow(): void {
    this.#unsubscribe ??= this.#options.runtime.store.onCommit(() => this.#onCommit());
  }

  #unfollow(): void {
    this.#unsubscribe?.();
    this.#unsubscribe = null;
  }

  /** Deferred, so that the call that has stored it is answered first. */
  #onCommit(): void {
    if (this.#running || this.#hasCommit) return;
    this.#hasCommit = true;
    this.#schedule(0);
  }

  /** Starts no round for a commit that leaves nothing to send, such as a round's own. */
  #check(): void {
    this.#hasCommit = false;
    if (this.#isStopped) return;
    const now = this.#options.platform.clock.monotonic();
    if (now < this.#notBefore) return this.#schedule(this.#notBefore - now);
    const dueAt = this.#failures > 0 ? now : Math.min(this.#pullAt, this.#sendDueAt());
    if (dueAt > now) return this.#schedule(dueAt - now);
    // Reads a file, so only where there is something to send.
    if (!this.#isJoined()) {
      this.#unfollow();
      return this.#schedule(idlePollEveryMs);
    }
    this.#follow();
    const isPulling = now >= this.#pullAt;
    void this.syncNow({ isPulling, files: "some" }).then((report) => this.#onRoundEnd(report, isPulling, now));
  }

  /** A round reports an unreadable store. */
  #sendDueAt(): number {
    return exceptStoreErrors(
      () => this.#round.dueAt(),
      () => Number.NEGATIVE_INFINITY,
    );
  }

  /** An unreadable file counts as joined: the round reports it. */
  #isJoined(): boolean {
    const { env, paths } = this.#options.runtime;
    const edge = readEdgeConfig(paths.home, env);
    return !edge.ok || edge.value !== null;
  }

  #onRoundEnd({ trouble }: SyncReport, isPulling: boolean, startedAt: number): void {
    const { platform } = this.#options;
    const now = platform.clock.monotonic();
    if (trouble === null) {
      this.#failures = 0;
      // Rounds take at most half of the time, however often is stored.
      this.#notBefore = now + Math.min(now - startedAt, maxRestMs);
      if (isPulling) {
        this.#pulledAt = startedAt;
        this.#pullAt = startedAt < this.#pullUntil ? startedAt + syncHintEveryMs : now + pullEveryMs;
        if (startedAt < this.#deathAt) this.#pullAt = now;
      }
    } else if (retryOf(trouble) === "after_user") {
      this.#notBefore = now + idlePollEveryMs;
    } else if (trouble.code === "lost_place" || (isRefusal(trouble) && retryOf(trouble) === "never")) {
      this.#failures += 1;
      this.#notBefore = now + refusedRetryMs;
    } else {
      const jitterMs = fullJitter(retryBackoff, this.#failures, platform.random);
      this.#failures += 1;
      this.#notBefore = now + Math.max(minRetryMs, jitterMs + (trouble.retryAfterMs ?? 0));
    }
    this.#check();
  }

  async #runRound(options: RoundOptions): Promise<SyncReport> {
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
}

type OnPulled = SynchronizerOptions["onPulled"];

/** A push of four megabytes can take long. */
const timeoutMs = 60_000;

export function createSynchronizer(runtime: Runtime, onPulled: OnPulled): StateSynchronizer {
  const platform = nodePlatform();
  const connect: SynchronizerOptions["connect"] = ({ url, workspace, token }, signal) => {
    // Sealed content fits no frame, and the sync repeats by itself.
    const client = WorkspaceClient.open({ edge: url, workspace, token, connectsFor: "chat", signal }, platform);
    if (!client.ok) return () => Promise.resolve(fail("edge_unusable", client.error));
    return (name, input) => client.value.call(name, input, timeoutMs);
  };
  return new StateSynchronizer({ runtime, platform, connect, onPulled });
}

/** `stop` sends what is left if that is quick. */
export function startSync(
  runtime: Runtime,
  onPulled: OnPulled,
): Pick<StateSynchronizer, "pullSoon" | "stop" | "syncNow"> {
  const synchronizer = createSynchronizer(runtime, onPulled);
  synchronizer.start();
  return synchronizer;
}
