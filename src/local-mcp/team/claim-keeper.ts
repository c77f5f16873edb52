import type { Usage } from "../../contract/budgets.ts";
import type { OutputOf } from "../../contract/operations.ts";
import type { ClaimedTask } from "../../contract/tasks.ts";
import type { Json } from "../../contract/values.ts";
import type { Platform } from "../../coordinator-client/edge/platform.ts";
import { heartbeatIntervalMs, Renewal } from "../../coordinator-client/edge/renewal.ts";
import { elapsedMs, readClock, type Instant } from "../../coordinator-client/edge/trust.ts";
import * as checkpoints from "../checkpoints/checkpoints.ts";
import { isTransient, type ChatLink, type CallError } from "../../coordinator-client/chat-link.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { StoreError } from "../../store/store-error.ts";
import * as spending from "../usage/task-spending.ts";
import * as heldTasks from "./held-tasks.ts";
import type { HeldTask } from "./held-tasks.ts";
import * as news from "./news.ts";

export interface ClaimKeeperDeps {
  readonly runtime: Pick<Runtime, "store" | "now" | "log">;
  readonly platform: Pick<Platform, "clock" | "setTimer">;
  readonly link: ChatLink;
  readonly sessionId: string;
  readonly workspace: string;
  /** An edge's operator could read the summary of a checkpoint. */
  readonly isLocal: boolean;
  readonly isActive: () => boolean;
}

/** Interval of heartbeats while the store cannot be read. */
const blindIntervalMs = 30_000;
const beatTimeoutMs = 10_000;
const lostCodes: ReadonlySet<string> = new Set(["stale_claim", "unknown_task", "unknown_chat", "chat_replaced"]);

/**
 * [TE4] [TE26] Sends heartbeats with the newest checkpoint while the chat shows signs of work.
 * [TE5] Notifies the chat of a lost claim and a cancelled task.
 */
export class ClaimKeeper {
  readonly #deps: ClaimKeeperDeps;
  readonly #sentCheckpoints = new Map<number, string | null>();
  readonly #deadlines = new Map<number, number>();
  readonly #renewal: Renewal<void>;
  #beatAt: Instant;

  constructor(deps: ClaimKeeperDeps) {
    this.#deps = deps;
    this.#beatAt = readClock(deps.platform.clock);
    this.#renewal = new Renewal(deps.platform, { check: (now) => this.#nextBeat(now), renew: () => this.#beat() });
  }

  list(): HeldTask[] {
    return this.#deps.runtime.store.read((sql) => heldTasks.list(sql, this.#deps), []);
  }

  /** Remaining ms of the attempt; null until known. */
  remainingMs({ task }: HeldTask): number | null {
    const at = this.#deadlines.get(task.task);
    return at === undefined ? null : Math.max(0, at - this.#deps.runtime.now());
  }

  add(task: ClaimedTask): HeldTask {
    const { runtime, platform, link } = this.#deps;
    const held = { task, incarnation: link.self?.incarnation ?? 0, at: runtime.now() };
    runtime.store.write((sql) => heldTasks.upsert(sql, this.#deps, held));
    this.#deadlines.set(task.task, held.at + task.remainingMs);
    this.#beatAt = readClock(platform.clock);
    this.#renewal.check();
    return held;
  }

  newestCheckpoint(): Json {
    const { runtime, sessionId, isLocal } = this.#deps;
    const checkpoint = runtime.store.read((sql) => checkpoints.latest(sql, sessionId), null);
    if (!checkpoint) return null;
    return { session: sessionId, checkpoint: checkpoint.id, ...(isLocal ? { summary: checkpoint.summary } : {}) };
  }

  /** [BU8] Usage by the client's figures and its transcript; null if unknown. */
  usageOf({ task: { claim } }: HeldTask): Usage | null {
    const { runtime, sessionId } = this.#deps;
    const record = runtime.store.read((sql) => spending.get(sql, sessionId), null);
    return record?.claim === claim ? spending.toUsage(record, runtime.now()) : null;
  }

  check(): void {
    if (!this.#renewal.isStopped) void this.#renewal.renew();
  }

  sendNewCheckpoint(): void {
    if (this.list().some(({ task }) => this.#unsentCheckpoint(task.task) !== null)) this.check();
  }

  async flush(): Promise<void> {
    await this.#beatAll();
  }

  loseAll(reason: string): void {
    for (const held of this.list()) this.#lose(held, reason);
  }

  close(): void {
    void this.#renewal.stop();
  }

  #nextBeat(now: Instant): { readonly isDue: boolean; readonly nextInMs: number } | null {
    const everyMs = this.#intervalMs();
    if (everyMs === null) return null;
    const dueInMs = everyMs - elapsedMs(this.#beatAt, now);
    return { isDue: dueInMs <= 0, nextInMs: dueInMs > 0 ? dueInMs : everyMs };
  }

  #intervalMs(): number | null {
    try {
      const held = this.list();
      return held.length === 0 ? null : Math.min(...held.map(({ task }) => heartbeatIntervalMs(task.heartbeatMs)));
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      return blindIntervalMs;
    }
  }

  async #beat(): Promise<void> {
    this.#beatAt = readClock(this.#deps.platform.clock);
    try {
      if (this.#deps.isActive()) await this.#beatAll();
    } catch (error) {
      this.#deps.runtime.log("error", "heartbeat of a task", { error: String(error) });
    }
  }

  async #beatAll(): Promise<void> {
    const { self } = this.#deps.link;
    if (!self) return;
    for (const held of this.list()) {
      if (held.incarnation === self.incarnation) await this.#sendHeartbeat(held);
      else this.#lose(held, "the chat counted as gone, and goes on in another process");
    }
  }

  async #sendHeartbeat(held: HeldTask): Promise<void> {
    const { task, claim } = held.task;
    const checkpoint = this.#unsentCheckpoint(task);
    const usage = this.usageOf(held);
    const answer = await this.#deps.link.call(
      "tasks.heartbeat",
      { task, claim, ...(checkpoint === null ? {} : { checkpoint }), ...(usage ? { usage } : {}) },
      beatTimeoutMs,
    );
    if (this.#renewal.isStopped) return;
    if (answer.ok) this.#onAnswer(held, answer.value, checkpoint, usage);
    else this.#onError(held, answer.error);
  }

  #unsentCheckpoint(task: number): Json {
    const checkpoint = this.newestCheckpoint();
    return checkpoint !== null && this.#sentCheckpoints.get(task) !== JSON.stringify(checkpoint) ? checkpoint : null;
  }

  #onAnswer(held: HeldTask, answer: OutputOf<"tasks.heartbeat">, sentCheckpoint: Json, usage: Usage | null): void {
    const { isCancelled, isOverBudget, reason, remainingMs } = answer;
    const { runtime } = this.#deps;
    const { task, claim, type: title } = held.task;
    if (sentCheckpoint !== null) this.#sentCheckpoints.set(task, JSON.stringify(sentCheckpoint));
    this.#deadlines.set(task, runtime.now() + remainingMs);
    if (isOverBudget) return this.#onOverBudget(held, reason ?? "its budget is used up");
    if (usage) this.#confirmUsage(claim, usage);
    if (isCancelled) {
      this.#addNews(`cancelled:${task}:${claim}`, {
        kind: "task_cancelled",
        task,
        title,
        reason: reason ?? "cancelled",
      });
    }
  }

  /** Most heartbeats are below every limit and need no write. */
  #confirmUsage(claim: number, usage: Usage): void {
    const { runtime, sessionId } = this.#deps;
    const isOverLimit = runtime.store.read(
      (sql) => spending.refusal(sql, sessionId, undefined, runtime.now()) !== null,
      false,
    );
    if (isOverLimit) runtime.store.write((sql) => spending.confirm(sql, sessionId, claim, usage));
  }

  #onOverBudget(held: HeldTask, reason: string): void {
    const { runtime, sessionId } = this.#deps;
    runtime.store.write((sql) => spending.exceed(sql, sessionId, held.task.claim, reason));
    this.#lose(held, reason);
  }

  #onError(held: HeldTask, error: CallError): void {
    if (lostCodes.has(error.code)) this.#lose(held, error.message);
    else if (!isTransient(error)) this.#deps.runtime.log("warn", "heartbeat of a task", { code: error.code });
  }

  #lose({ task: claimed }: HeldTask, reason: string): void {
    const { runtime, sessionId, workspace } = this.#deps;
    const { task, claim, type: title } = claimed;
    const newsItem = { kind: "claim_lost", task, title, reason, workspace } as const;
    runtime.store.write((sql) => {
      if (!heldTasks.remove(sql, this.#deps, claimed)) return;
      news.add(sql, runtime.now(), sessionId, `lost:${task}:${claim}`, newsItem);
    });
    this.#sentCheckpoints.delete(task);
    this.#deadlines.delete(task);
  }

  #addNews(key: string, newsItem: news.News): void {
    const { runtime, sessionId } = this.#deps;
    const isKnown = runtime.store.read((sql) => news.has(sql, sessionId, key), false);
    if (!isKnown) runtime.store.write((sql) => void news.add(sql, runtime.now(), sessionId, key, newsItem));
  }
}
