import type { OutputOf } from "../../contract/operations.ts";
import type { ClaimedTask } from "../../contract/tasks.ts";
import type { Result } from "../../shared/result.ts";
import type { Outside } from "../edge/outside.ts";
import { elapsedMs, marginMs, read, type Instant } from "../edge/trust.ts";
import type { News } from "./news.ts";
import { Stop } from "./stop.ts";
import { isPassing, type ChatLink, type Trouble } from "../link/chat-link.ts";

export interface PulseSurroundings {
  readonly link: ChatLink;
  readonly outside: Pick<Outside, "clock" | "setTimer">;
}

/** Four in the silence that is allowed, but no rarer than this, in ms. */
const rarestBeatMs = 30_000;
/** [TA17] A heartbeat without news may not be written down within a third of the silence that is allowed: so much of it is sure after an answer. */
const sureShare = 2 / 3;
/** News go out no faster, in ms. */
const newsEveryMs = 1_000;
/** Of one heartbeat, in ms. */
const beatWithinMs = 10_000;
const mostCheckMs = 1_000;

/**
 * The heartbeats of one attempt, and how long its claim can be trusted: [WK5] from the start of the last request that was answered for two
 * thirds of the silence that is allowed, less a margin, by the clock that says more. [WK6] It calls for a stop when that, or the time of the attempt, is over.
 */
export class Pulse {
  readonly #around: PulseSurroundings;
  readonly #task: ClaimedTask;
  readonly #news: News;
  readonly #stop: (stop: Stop) => void;
  readonly #begun: Instant;
  readonly #everyMs: number;
  #trustedFrom: Instant;
  #closesFrom: Instant;
  #closesInMs: number;
  #triedAt: Instant;
  /** Of what was used. */
  #toldAt: Instant;
  #beating: Promise<Result<unknown, Trouble>> | null = null;
  #isWanted = false;
  #isCalled = false;
  #isOver = false;
  #spent: string | null = null;
  #cancelTimer: () => void = () => undefined;

  /** @param since start of the request that brought the task */
  constructor(around: PulseSurroundings, task: ClaimedTask, since: Instant, news: News, stop: (stop: Stop) => void) {
    this.#around = around;
    this.#task = task;
    this.#news = news;
    this.#stop = stop;
    this.#begun = read(around.outside.clock);
    this.#everyMs = Math.min(rarestBeatMs, task.heartbeatMs / 4);
    this.#trustedFrom = since;
    this.#closesFrom = since;
    this.#closesInMs = task.remainingMs;
    this.#triedAt = since;
    this.#toldAt = since;
  }

  start(): void {
    this.#cancelTimer();
    this.#tick();
  }

  /** Why the coordinator has ended the attempt for its budget; null: it has not. */
  get spent(): string | null {
    return this.#spent;
  }

  /** No more heartbeats, and nothing is called for. */
  end(): void {
    this.#isOver = true;
    this.#cancelTimer();
  }

  /** Asks at once whether the task is still wanted. */
  beatSoon(): void {
    this.#isWanted = true;
    if (!this.#isOver) this.#tick();
  }

  /** The last heartbeat: all that is news is told, or cannot be now. */
  async flush(): Promise<Result<OutputOf<"tasks.heartbeat">, Trouble>> {
    this.end();
    await this.#beating;
    return this.#send();
  }

  /** Measured here, by the clock that stands still while the machine sleeps. */
  measure(): void {
    const wallMs = this.#wallMs(read(this.#around.outside.clock));
    this.#news.use({ wallMs: Math.round(wallMs), tokens: 0, costMicros: 0 });
  }

  #tick(): void {
    this.#cancelTimer();
    const now = read(this.#around.outside.clock);
    const over = this.#overAt(now);
    if (over) this.#call(over);
    if (this.#isOver) return;
    if (this.#isDue(now)) void this.#beat(this.#isAsking(now));
    this.#cancelTimer = this.#around.outside.setTimer(() => this.#tick(), this.#checkInMs(now));
  }

  /** Often, as clocks may jump; and when something is over. */
  #checkInMs(now: Instant): number {
    const { heartbeatMs, budget } = this.#task;
    const ends = [this.#trustedForMs(now)];
    if (!this.#isCalled) {
      ends.push(this.#closesInMs - elapsedMs(this.#closesFrom, now));
      ends.push((budget.wallMs ?? Number.POSITIVE_INFINITY) - this.#wallMs(now));
    }
    return Math.max(1, Math.ceil(Math.min(mostCheckMs, heartbeatMs / 8, ...ends)));
  }

  #trustedForMs(now: Instant): number {
    const sureMs = this.#task.heartbeatMs * sureShare;
    return sureMs - marginMs(sureMs) - elapsedMs(this.#trustedFrom, now);
  }

  #wallMs(now: Instant): number {
    return now.monotonic - this.#begun.monotonic;
  }

  #overAt(now: Instant): Stop | null {
    if (this.#trustedForMs(now) <= 0) {
      const silentMs = elapsedMs(this.#trustedFrom, now);
      return new Stop("lost", `no heartbeat was answered for ${(silentMs / 1_000).toFixed(1)} s`);
    }
    if (this.#isCalled) return null;
    if (elapsedMs(this.#closesFrom, now) >= this.#closesInMs)
      return new Stop("time", "the time of the attempt is over");
    const { wallMs } = this.#task.budget;
    return wallMs !== null && this.#wallMs(now) >= wallMs ? new Stop("budget", "its budget of time is used up") : null;
  }

  #isDue(now: Instant): boolean {
    if (this.#beating) return false;
    const sinceMs = elapsedMs(this.#triedAt, now);
    const isSoon = this.#news.isThere && sinceMs >= Math.min(newsEveryMs, this.#everyMs);
    return this.#isWanted || isSoon || sinceMs >= this.#everyMs;
  }

  /** Nothing is to be told but what was used, and that a moment ago: written down on one machine, it would be news to every other worker there. */
  #isAsking(now: Instant): boolean {
    return !this.#news.isThere && elapsedMs(this.#toldAt, now) < this.#everyMs;
  }

  /** Once. While the work is stopped and put away the claim is kept, as long as it is there. */
  #call(stop: Stop): void {
    if (stop.kind === "lost") this.end();
    if (this.#isCalled && stop.kind !== "lost") return;
    this.#isCalled = true;
    this.#stop(stop);
  }

  async #beat(isAsking: boolean): Promise<void> {
    this.#beating = this.#send(isAsking).finally(() => (this.#beating = null));
    await this.#beating;
  }

  /** @param isAsking what was used is left out */
  async #send(isAsking = false): Promise<Result<OutputOf<"tasks.heartbeat">, Trouble>> {
    const { clock } = this.#around.outside;
    this.measure();
    this.#isWanted = false;
    this.#triedAt = read(clock);
    const sentAt = this.#triedAt;
    if (!isAsking) this.#toldAt = sentAt;
    const { usage, ...news } = this.#news.take();
    const { task, claim } = this.#task;
    const answer = await this.#around.link.call(
      "tasks.heartbeat",
      { task, claim, ...news, ...(isAsking ? {} : { usage }) },
      Math.min(beatWithinMs, this.#task.heartbeatMs),
    );
    if (answer.ok) this.#heard(answer.value, sentAt);
    else {
      this.#news.giveBack(news);
      const isLost = !isPassing(answer.error) && !this.#isOver;
      if (isLost) this.#call(new Stop("lost", answer.error.message));
    }
    return answer;
  }

  #heard({ isCancelled, isOverBudget, reason, remainingMs }: OutputOf<"tasks.heartbeat">, sentAt: Instant): void {
    this.#trustedFrom = sentAt;
    this.#closesFrom = sentAt;
    this.#closesInMs = remainingMs;
    if (isOverBudget) this.#ended(reason ?? "its budget is used up");
    else if (isCancelled && !this.#isOver) this.#call(new Stop("cancelled", reason ?? "cancelled"));
  }

  /** The coordinator has ended the attempt with its answer. */
  #ended(reason: string): void {
    this.end();
    this.#spent = reason;
    this.#isCalled = true;
    this.#stop(new Stop("budget", reason));
  }
}
