import type { CoordinatorClient } from "../coordinator-client/coordinator-client.ts";
import { isTransient, type CallError } from "../contract/errors.ts";
import type { OutputOf } from "../contract/operations.ts";
import type { ClaimedTask } from "../contract/tasks.ts";
import type { Result } from "../shared/result.ts";
import type { Platform } from "../coordinator-client/edge/platform.ts";
import { elapsedMs, marginMs, readClock, type Instant } from "../coordinator-client/edge/trust.ts";
import type { HeartbeatData } from "./heartbeat-data.ts";
import { Stop } from "./stop.ts";

export interface TaskHeartbeatDeps {
  readonly link: CoordinatorClient;
  readonly platform: Pick<Platform, "clock" | "setTimer">;
}

/** Upper bound; otherwise a quarter of the allowed silence. */
const maxBeatIntervalMs = 30_000;
/** [TA17] A heartbeat without changes may stay unwritten for a third of the allowed silence. */
const trustedShare = 2 / 3;
const minUnsentIntervalMs = 1_000;
const beatTimeoutMs = 10_000;
const maxCheckIntervalMs = 1_000;

/**
 * [WK41] A claim is trusted from the start of the last answered request for two thirds of the
 * allowed silence, less a margin, by the clock that shows more. [WK6] Stops when that or the
 * attempt's time has expired.
 */
export class TaskHeartbeat {
  readonly #deps: TaskHeartbeatDeps;
  readonly #task: ClaimedTask;
  readonly #data: HeartbeatData;
  readonly #onStop: (stop: Stop) => void;
  readonly #startedAt: Instant;
  readonly #everyMs: number;
  #trustedFrom: Instant;
  #deadlineFrom: Instant;
  #deadlineInMs: number;
  #lastSentAt: Instant;
  #usageSentAt: Instant;
  #beating: Promise<Result<unknown, CallError>> | null = null;
  #isBeatWanted = false;
  #hasRequestedStop = false;
  #hasEnded = false;
  #budgetReason: string | null = null;
  #cancelTimer: () => void = () => undefined;

  constructor(
    deps: TaskHeartbeatDeps,
    task: ClaimedTask,
    since: Instant,
    data: HeartbeatData,
    onStop: (onStop: Stop) => void,
  ) {
    this.#deps = deps;
    this.#task = task;
    this.#data = data;
    this.#onStop = onStop;
    this.#startedAt = readClock(deps.platform.clock);
    this.#everyMs = Math.min(maxBeatIntervalMs, task.heartbeatMs / 4);
    this.#trustedFrom = since;
    this.#deadlineFrom = since;
    this.#deadlineInMs = task.remainingMs;
    this.#lastSentAt = since;
    this.#usageSentAt = since;
  }

  start(): void {
    this.#cancelTimer();
    this.#tick();
  }

  get budgetReason(): string | null {
    return this.#budgetReason;
  }

  end(): void {
    this.#hasEnded = true;
    this.#cancelTimer();
  }

  beatSoon(): void {
    this.#isBeatWanted = true;
    if (!this.#hasEnded) this.#tick();
  }

  async flush(): Promise<Result<OutputOf<"tasks.heartbeat">, CallError>> {
    this.end();
    await this.#beating;
    return this.#send();
  }

  /** Uses the clock that stops while the machine sleeps. */
  measure(): void {
    const wallMs = this.#wallMs(readClock(this.#deps.platform.clock));
    this.#data.addUsage({ wallMs: Math.round(wallMs), tokens: 0, costMicros: 0 });
  }

  #tick(): void {
    this.#cancelTimer();
    const now = readClock(this.#deps.platform.clock);
    const stopReason = this.#stopReasonAt(now);
    if (stopReason) this.#requestStop(stopReason);
    if (this.#hasEnded) return;
    if (this.#isDue(now)) void this.#sendOnce(this.#isUsageFresh(now));
    this.#cancelTimer = this.#deps.platform.setTimer(() => this.#tick(), this.#checkInMs(now));
  }

  /** Checks often, since clocks may jump. */
  #checkInMs(now: Instant): number {
    const { heartbeatMs, budget } = this.#task;
    const ends = [this.#trustedForMs(now)];
    if (!this.#hasRequestedStop) {
      ends.push(this.#deadlineInMs - elapsedMs(this.#deadlineFrom, now));
      ends.push((budget.wallMs ?? Number.POSITIVE_INFINITY) - this.#wallMs(now));
    }
    return Math.max(1, Math.ceil(Math.min(maxCheckIntervalMs, heartbeatMs / 8, ...ends)));
  }

  #trustedForMs(now: Instant): number {
    const trustedMs = this.#task.heartbeatMs * trustedShare;
    return trustedMs - marginMs(trustedMs) - elapsedMs(this.#trustedFrom, now);
  }

  #wallMs(now: Instant): number {
    return now.monotonic - this.#startedAt.monotonic;
  }

  #stopReasonAt(now: Instant): Stop | null {
    if (this.#trustedForMs(now) <= 0) {
      const silentMs = elapsedMs(this.#trustedFrom, now);
      return new Stop("lost", `no heartbeat was answered for ${(silentMs / 1_000).toFixed(1)} s`);
    }
    if (this.#hasRequestedStop) return null;
    if (elapsedMs(this.#deadlineFrom, now) >= this.#deadlineInMs)
      return new Stop("time", "the time of the attempt is over");
    const { wallMs } = this.#task.budget;
    return wallMs !== null && this.#wallMs(now) >= wallMs ? new Stop("budget", "its budget of time is used up") : null;
  }

  #isDue(now: Instant): boolean {
    if (this.#beating) return false;
    const sinceMs = elapsedMs(this.#lastSentAt, now);
    const isSoon = this.#data.hasUnsent && sinceMs >= Math.min(minUnsentIntervalMs, this.#everyMs);
    return this.#isBeatWanted || isSoon || sinceMs >= this.#everyMs;
  }

  /** Every written heartbeat wakes the other workers of one machine. */
  #isUsageFresh(now: Instant): boolean {
    return !this.#data.hasUnsent && elapsedMs(this.#usageSentAt, now) < this.#everyMs;
  }

  /** The claim is kept alive until the work is saved. */
  #requestStop(stopReason: Stop): void {
    if (stopReason.kind === "lost") this.end();
    if (this.#hasRequestedStop && stopReason.kind !== "lost") return;
    this.#hasRequestedStop = true;
    this.#onStop(stopReason);
  }

  async #sendOnce(isWithoutUsage: boolean): Promise<void> {
    this.#beating = this.#send(isWithoutUsage).finally(() => (this.#beating = null));
    await this.#beating;
  }

  async #send(isWithoutUsage = false): Promise<Result<OutputOf<"tasks.heartbeat">, CallError>> {
    const { clock } = this.#deps.platform;
    this.measure();
    this.#isBeatWanted = false;
    this.#lastSentAt = readClock(clock);
    const sentAt = this.#lastSentAt;
    if (!isWithoutUsage) this.#usageSentAt = sentAt;
    const { usage, ...unsent } = this.#data.takeUnsent();
    const { task, claim } = this.#task;
    const answer = await this.#deps.link.call(
      "tasks.heartbeat",
      { task, claim, ...unsent, ...(isWithoutUsage ? {} : { usage }) },
      Math.min(beatTimeoutMs, this.#task.heartbeatMs),
    );
    if (answer.ok) this.#onAnswer(answer.value, sentAt);
    else {
      this.#data.restoreUnsent(unsent);
      const isLost = !isTransient(answer.error) && !this.#hasEnded;
      if (isLost) this.#requestStop(new Stop("lost", answer.error.message));
    }
    return answer;
  }

  #onAnswer({ isCancelled, isOverBudget, reason, remainingMs }: OutputOf<"tasks.heartbeat">, sentAt: Instant): void {
    this.#trustedFrom = sentAt;
    this.#deadlineFrom = sentAt;
    this.#deadlineInMs = remainingMs;
    if (isOverBudget) this.#onOverBudget(reason ?? "its budget is used up");
    else if (isCancelled && !this.#hasEnded) this.#requestStop(new Stop("cancelled", reason ?? "cancelled"));
  }

  #onOverBudget(reason: string): void {
    this.end();
    this.#budgetReason = reason;
    this.#hasRequestedStop = true;
    this.#onStop(new Stop("budget", reason));
  }
}
