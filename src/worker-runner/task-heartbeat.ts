import type { CoordinatorClient } from "../coordinator-client/coordinator-client.ts";
import { isTransient, type CallError } from "../contract/errors.ts";
import type { OutputOf } from "../contract/operations.ts";
import type { ClaimedTask } from "../contract/tasks.ts";
import type { Result } from "../shared/result.ts";
import type { Platform } from "../coordinator-client/edge/platform.ts";
import { heartbeatIntervalMs, Renewal } from "../coordinator-client/edge/renewal.ts";
import { elapsedMs, marginMs, readClock, type Instant } from "../coordinator-client/edge/trust.ts";
import type { HeartbeatData } from "./heartbeat-data.ts";
import type { Stop } from "./executor.ts";

export interface TaskHeartbeatDeps {
  readonly link: Pick<CoordinatorClient, "call">;
  readonly platform: Pick<Platform, "clock" | "setTimer">;
}

/** [TA17] A heartbeat without changes may stay unwritten for a third of the allowed silence. */
const trustedShare = 2 / 3;
const minUnsentIntervalMs = 1_000;
const beatTimeoutMs = 10_000;
const maxCheckIntervalMs = 1_000;

type HeartbeatAnswer = Result<OutputOf<"tasks.heartbeat">, CallError>;

/** Times that the coordinator has last confirmed, from the start of its request. */
interface Confirmation {
  readonly at: Instant;
  readonly remainingMs: number;
}

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
  readonly #renewal: Renewal<HeartbeatAnswer>;
  #confirmed: Confirmation;
  #sentAt: Instant;
  #usageSentAt: Instant;
  #isBeatRequested = false;
  /** The first reason; only a lost claim replaces it. */
  #stop: Stop | null = null;
  #budgetReason: string | null = null;

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
    this.#confirmed = { at: since, remainingMs: task.remainingMs };
    this.#sentAt = since;
    this.#usageSentAt = since;
    this.#renewal = new Renewal(deps.platform, { check: (now) => this.#check(now), renew: () => this.#send() });
  }

  start(): void {
    this.#renewal.check();
  }

  get budgetReason(): string | null {
    return this.#budgetReason;
  }

  end(): void {
    void this.#renewal.stop();
  }

  beatSoon(): void {
    this.#isBeatRequested = true;
    this.#renewal.check();
  }

  /** [WK71] Sends what is new at once; without an answer it stays due. */
  async report(): Promise<void> {
    await this.#renewal.renew();
    // One that was under way has not taken it along.
    if (this.#data.hasUnsent && !this.#renewal.isStopped) await this.#renewal.renew();
  }

  async flush(): Promise<HeartbeatAnswer> {
    await this.#renewal.stop();
    return this.#send(true);
  }

  measure(): void {
    const wallMs = this.#wallMs(readClock(this.#deps.platform.clock));
    this.#data.addUsage({ wallMs: Math.round(wallMs), tokens: 0, costMicros: 0 });
  }

  #check(now: Instant): { readonly isDue: boolean; readonly nextInMs: number } {
    const stop = stopReason(this.#task, this.#confirmed, this.#wallMs(now), now);
    if (stop) this.#requestStop(stop);
    return { isDue: this.#isDue(now), nextInMs: this.#checkInMs(now) };
  }

  /** Checks often, since clocks may jump. */
  #checkInMs(now: Instant): number {
    const { heartbeatMs, budget } = this.#task;
    const ends = [trustedForMs(this.#task, this.#confirmed, now)];
    if (!this.#stop) {
      ends.push(this.#confirmed.remainingMs - elapsedMs(this.#confirmed.at, now));
      ends.push((budget.wallMs ?? Number.POSITIVE_INFINITY) - this.#wallMs(now));
    }
    return Math.min(maxCheckIntervalMs, heartbeatMs / 8, ...ends);
  }

  /** Uses the clock that stops while the machine sleeps. */
  #wallMs(now: Instant): number {
    return now.monotonic - this.#startedAt.monotonic;
  }

  get #everyMs(): number {
    return heartbeatIntervalMs(this.#task.heartbeatMs);
  }

  #isDue(now: Instant): boolean {
    const sinceMs = elapsedMs(this.#sentAt, now);
    const isSoon = this.#data.hasUnsent && sinceMs >= Math.min(minUnsentIntervalMs, this.#everyMs);
    return this.#isBeatRequested || isSoon || sinceMs >= this.#everyMs;
  }

  /** The claim is kept alive until the work is saved. */
  #requestStop(stop: Stop): void {
    if (stop.kind === "lost") this.end();
    else if (this.#stop) return;
    this.#stop = stop;
    this.#onStop(stop);
  }

  /** @param isLast sends what was used in any case */
  async #send(isLast = false): Promise<HeartbeatAnswer> {
    this.measure();
    const sentAt = readClock(this.#deps.platform.clock);
    // Every written heartbeat wakes the other workers of one machine.
    const isUsageFresh = !this.#data.hasUnsent && elapsedMs(this.#usageSentAt, sentAt) < this.#everyMs;
    this.#isBeatRequested = false;
    this.#sentAt = sentAt;
    const { usage, ...unsent } = this.#data.takeUnsent();
    const usageField = isUsageFresh && !isLast ? {} : { usage };
    if ("usage" in usageField) this.#usageSentAt = sentAt;
    const { task, claim, heartbeatMs } = this.#task;
    const input = { task, claim, ...unsent, ...usageField };
    const answer = await this.#deps.link.call("tasks.heartbeat", input, Math.min(beatTimeoutMs, heartbeatMs));
    if (answer.ok) this.#onAnswer(answer.value, sentAt);
    else this.#onError(answer.error, unsent);
    return answer;
  }

  #onAnswer({ isCancelled, isOverBudget, reason, remainingMs }: OutputOf<"tasks.heartbeat">, at: Instant): void {
    this.#confirmed = { at, remainingMs };
    if (isOverBudget) this.#onOverBudget(reason ?? "its budget is used up");
    else if (isCancelled && !this.#renewal.isStopped)
      this.#requestStop({ kind: "cancelled", message: reason ?? "cancelled" });
  }

  #onError(error: CallError, unsent: Parameters<HeartbeatData["restoreUnsent"]>[0]): void {
    this.#data.restoreUnsent(unsent);
    if (!isTransient(error) && !this.#renewal.isStopped) this.#requestStop({ kind: "lost", message: error.message });
  }

  #onOverBudget(reason: string): void {
    this.end();
    this.#budgetReason = reason;
    this.#stop = { kind: "budget", message: reason };
    this.#onStop(this.#stop);
  }
}

/** A clock that jumps ends no claim, unlike trust in a lease: only the time since counts. */
function trustedForMs({ heartbeatMs }: ClaimedTask, { at }: Confirmation, now: Instant): number {
  const trustedMs = heartbeatMs * trustedShare;
  return trustedMs - marginMs(trustedMs) - elapsedMs(at, now);
}

function stopReason(task: ClaimedTask, confirmed: Confirmation, wallMs: number, now: Instant): Stop | null {
  const sinceMs = elapsedMs(confirmed.at, now);
  if (trustedForMs(task, confirmed, now) <= 0)
    return { kind: "lost", message: `no heartbeat was answered for ${(sinceMs / 1_000).toFixed(1)} s` };
  if (sinceMs >= confirmed.remainingMs) return { kind: "time", message: "the time limit of the attempt has passed" };
  const { wallMs: budgetMs } = task.budget;
  return budgetMs !== null && wallMs >= budgetMs ? { kind: "budget", message: "its time budget is used up" } : null;
}
