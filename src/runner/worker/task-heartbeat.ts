import { type Usage, maxUsage, zeroUsage } from "../../contract/budgets.ts";
import { isTransient } from "../../contract/errors.ts";
import type { Json } from "../../contract/values.ts";
import type { OutputOf } from "../../contract/operations.ts";
import type { Ran, Route } from "../../contract/model-routes.ts";
import type { ClaimedTask, Progress } from "../../contract/tasks.ts";
import type { CoordinatorClient } from "../../coordinator-client/client.ts";
import type { Platform } from "../../coordinator-client/edge/platform.ts";
import { heartbeatIntervalMs, Renewal } from "../../coordinator-client/edge/renewal.ts";
import { elapsedMs, marginMs, readClock, type Instant } from "../../coordinator-client/edge/trust.ts";
import { redact } from "../../redaction/redact.ts";
import { isRecord } from "../../shared/json-fields.ts";
import type { Result } from "../../shared/result.ts";
import type { Stop } from "./executor.ts";

export interface TaskHeartbeatDeps {
  readonly link: Pick<CoordinatorClient, "call">;
  readonly platform: Pick<Platform, "clock" | "setTimer">;
  /** Only the first counts. */
  readonly onStop: (stop: Stop) => void;
  /** Gets a text for people. */
  readonly warn: (message: string) => void;
}

export type Checkpoint = Readonly<Record<string, Json>>;

interface News {
  readonly progress?: Progress;
  readonly checkpoint?: Json;
  readonly route?: Route;
  readonly ran?: Ran;
}

/** A heartbeat without changes may stay unwritten for a third of the allowed silence. */
const trustedShare = 2 / 3;
const minUnsentIntervalMs = 1_000;
const beatTimeoutMs = 10_000;
const maxCheckIntervalMs = 1_000;
const maxNoteChars = 500;
const maxDataChars = 8_192;
const maxCheckpointChars = 65_536;

type HeartbeatAnswer = Result<OutputOf<"tasks.heartbeat">>;

/**
 * Reports how far an attempt is. A claim is trusted from the start of the last answered
 * request for two thirds of the allowed silence, less a margin, by the clock that shows more.
 * Stops when that or the attempt's time has expired. What it sends is redacted, and within
 * the coordinator's limits.
 */
export class TaskHeartbeat {
  readonly #deps: TaskHeartbeatDeps;
  readonly #task: ClaimedTask;
  readonly #startedAt: Instant;
  readonly #renewal: Renewal<HeartbeatAnswer>;
  /** Time that the coordinator has last confirmed, from the start of its request. */
  #confirmed: { readonly at: Instant; readonly remainingMs: number };
  #sentAt: Instant;
  #usageSentAt: Instant;
  #isBeatRequested = false;
  #isStopping = false;
  #budgetReason: string | null = null;
  #usage: Usage = zeroUsage;
  #checkpoint: Checkpoint;
  /** The newest of each kind. */
  #news: News = {};
  #unsent: News = {};

  /** @param since start of the request that brought the task */
  constructor(deps: TaskHeartbeatDeps, task: ClaimedTask, since: Instant) {
    this.#deps = deps;
    this.#task = task;
    this.#startedAt = readClock(deps.platform.clock);
    this.#confirmed = { at: since, remainingMs: task.remainingMs };
    this.#sentAt = since;
    this.#usageSentAt = since;
    this.#renewal = new Renewal(deps.platform, { check: (now) => this.#check(now), renew: () => this.#send() });
    this.#checkpoint = isRecord(task.checkpoint) ? task.checkpoint : {};
  }

  /** Null while the coordinator has seen no budget used up. */
  get budgetReason(): string | null {
    return this.#budgetReason;
  }

  /** Usage, and route and model where there are any, for the report of the end. */
  get used(): { readonly usage: Usage } & Pick<News, "route" | "ran"> {
    const { route, ran } = this.#news;
    return { usage: this.#usage, ...(route ? { route } : {}), ...(ran ? { ran } : {}) };
  }

  get progress(): Progress {
    return this.#news.progress ?? {};
  }

  start(): void {
    this.#renewal.check();
  }

  end(): void {
    void this.#renewal.stop();
  }

  beatSoon(): void {
    this.#isBeatRequested = true;
    this.#renewal.check();
  }

  /** Sends what is new at once; without an answer it stays due. */
  async report(): Promise<void> {
    await this.#renewal.renew();
    // One that was under way has not taken it along.
    if (this.#hasUnsent && !this.#renewal.isStopped) await this.#renewal.renew();
  }

  async flush(): Promise<void> {
    await this.#renewal.stop();
    await this.#send(true);
  }

  measure(): void {
    const wallMs = this.#wallMs(readClock(this.#deps.platform.clock));
    this.addUsage({ wallMs: Math.round(wallMs), tokens: 0, costMicros: 0 });
  }

  addUsage(usage: Usage): void {
    this.#usage = maxUsage(this.#usage, usage);
  }

  setProgress({ percent, note, data }: Progress): void {
    const isDataFit = data === undefined || JSON.stringify(data).length <= maxDataChars;
    if (!isDataFit) this.#deps.warn(`the data of its progress is left out: more than ${maxDataChars} characters`);
    const progress = {
      ...(percent === undefined || Number.isNaN(percent) ? {} : { percent: Math.min(100, Math.max(0, percent)) }),
      ...(note === undefined ? {} : { note: redact(note).text.slice(0, maxNoteChars) }),
      ...(data === undefined || !isDataFit ? {} : { data }),
    };
    this.add({ progress });
  }

  /** Fields that are not given stay. */
  setCheckpoint(fields: Checkpoint): void {
    const checkpoint = { ...this.#checkpoint, ...fields };
    const chars = JSON.stringify(checkpoint).length;
    if (chars > maxCheckpointChars)
      return this.#deps.warn(
        `its checkpoint has ${chars} characters, the limit is ${maxCheckpointChars}: the previous one is kept`,
      );
    this.#checkpoint = checkpoint;
    this.add({ checkpoint });
  }

  add(news: News): void {
    this.#news = { ...this.#news, ...news };
    this.#unsent = { ...this.#unsent, ...news };
  }

  get #hasUnsent(): boolean {
    return Object.keys(this.#unsent).length > 0;
  }

  /** Checks often, since clocks may jump. */
  #check(now: Instant): { readonly isDue: boolean; readonly nextInMs: number } {
    const { heartbeatMs, budget } = this.#task;
    const trustedMs = heartbeatMs * trustedShare;
    const silentMs = elapsedMs(this.#confirmed.at, now);
    // A clock that jumps ends no claim, unlike trust in a lease: only the time since counts.
    const trustedForMs = trustedMs - marginMs(trustedMs) - silentMs;
    const timeLeftMs = this.#confirmed.remainingMs - silentMs;
    const budgetLeftMs = (budget.wallMs ?? Number.POSITIVE_INFINITY) - this.#wallMs(now);
    if (trustedForMs <= 0)
      this.#requestStop({ kind: "lost", message: `no heartbeat was answered for ${(silentMs / 1_000).toFixed(1)} s` });
    else if (timeLeftMs <= 0) this.#requestStop({ kind: "time", message: "the time limit of the attempt has passed" });
    else if (budgetLeftMs <= 0) this.#requestStop({ kind: "budget", message: "its time budget is used up" });
    const ends = this.#isStopping ? [trustedForMs] : [trustedForMs, timeLeftMs, budgetLeftMs];
    const sinceMs = elapsedMs(this.#sentAt, now);
    const dueMs = this.#hasUnsent ? Math.min(minUnsentIntervalMs, this.#everyMs) : this.#everyMs;
    const isDue = this.#isBeatRequested || sinceMs >= dueMs;
    return { isDue, nextInMs: Math.min(maxCheckIntervalMs, heartbeatMs / 8, ...ends) };
  }

  /** Uses the clock that stops while the machine sleeps. */
  #wallMs(now: Instant): number {
    return now.monotonic - this.#startedAt.monotonic;
  }

  get #everyMs(): number {
    return heartbeatIntervalMs(this.#task.heartbeatMs);
  }

  /** The claim is kept alive until the work is saved. */
  #requestStop(stop: Stop): void {
    if (stop.kind === "lost") this.end();
    this.#isStopping = true;
    this.#deps.onStop(stop);
  }

  /** @param isLast sends what was used in any case */
  async #send(isLast = false): Promise<HeartbeatAnswer> {
    this.measure();
    const sentAt = readClock(this.#deps.platform.clock);
    // Every written heartbeat wakes the other workers of one machine.
    const isUsageSent = isLast || this.#hasUnsent || elapsedMs(this.#usageSentAt, sentAt) >= this.#everyMs;
    this.#isBeatRequested = false;
    this.#sentAt = sentAt;
    if (isUsageSent) this.#usageSentAt = sentAt;
    const unsent = this.#unsent;
    this.#unsent = {};
    const { task, claim, heartbeatMs } = this.#task;
    const input = { task, claim, ...unsent, ...(isUsageSent ? { usage: this.#usage } : {}) };
    const answer = await this.#deps.link.call("tasks.heartbeat", input, Math.min(beatTimeoutMs, heartbeatMs));
    if (answer.ok) this.#onAnswer(answer.value, sentAt);
    else {
      // Newer data takes precedence.
      this.#unsent = { ...unsent, ...this.#unsent };
      const { error } = answer;
      if (!isTransient(error)) this.#requestStop({ kind: "lost", message: error.message });
    }
    return answer;
  }

  #onAnswer({ isCancelled, isOverBudget, reason, remainingMs }: OutputOf<"tasks.heartbeat">, at: Instant): void {
    this.#confirmed = { at, remainingMs };
    if (isOverBudget) {
      this.end();
      this.#budgetReason = reason ?? "its budget is used up";
      this.#requestStop({ kind: "budget", message: this.#budgetReason });
    } else if (isCancelled) this.#requestStop({ kind: "cancelled", message: reason ?? "cancelled" });
  }
}
