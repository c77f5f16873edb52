import * as checkpoints from "../checkpoints/checkpoints.ts";
import * as spending from "../usage/task-spending.ts";
import * as news from "../sessions/news.ts";
import { isLost, isTransient, type CallError } from "../../contract/errors.ts";
import type { Usage } from "../../contract/budgets.ts";
import type { OutputOf } from "../../contract/operations.ts";
import type { ClaimedTask, Progress, TaskState } from "../../contract/tasks.ts";
import type { Json } from "../../contract/json.ts";
import type { Result } from "../../shared/result.ts";
import type { Sql } from "../../shared/sql.ts";
import { teamClaims } from "../../store/team-tables.ts";
import { heartbeatIntervalMs, Renewal } from "../../coordinator-client/edge/renewal.ts";
import { elapsedMs, readClock, type Instant } from "../../coordinator-client/edge/trust.ts";
import { attempt } from "../../platform/log-file.ts";
import { exceptStoreErrors } from "../../store/store-error.ts";
import type { ChatParts } from "./chat-parts.ts";
import type { Outbox } from "./outbox.ts";

export interface HeldTask {
  readonly task: ClaimedTask;
  readonly incarnation: number;
  readonly at: number;
}

export type ReportResult =
  | { readonly kind: "kept" }
  | { readonly kind: "answered"; readonly answer: Result<ReportAnswer, CallError> };

interface ReportAnswer {
  readonly state?: TaskState;
  readonly isCancelled?: boolean;
  readonly reason?: string | null;
}

/** Interval of heartbeats while the store cannot be read. */
const blindIntervalMs = 30_000;
const beatTimeoutMs = 10_000;

/**
 * Sends heartbeats with the newest checkpoint while the chat shows signs of work.
 * Notifies the chat of a lost claim and a cancelled task.
 */
export class HeldClaims {
  readonly #parts: ChatParts;
  readonly #outbox: Outbox;
  readonly #sentCheckpoints = new Map<number, string | null>();
  readonly #deadlines = new Map<number, number>();
  readonly #renewal: Renewal<void>;
  #beatAt: Instant;

  constructor(parts: ChatParts, outbox: Outbox) {
    this.#parts = parts;
    this.#outbox = outbox;
    this.#beatAt = readClock(parts.platform.clock);
    this.#renewal = new Renewal(parts.platform, { check: (now) => this.#nextBeat(now), renew: () => this.#beat() });
  }

  list(): HeldTask[] {
    const { runtime, sessionId, workspace } = this.#parts;
    const own = "WHERE session = ? AND workspace = ? ORDER BY at, task";
    return runtime.store
      .read((sql) => teamClaims.select(sql, own, sessionId, workspace), [])
      .map(({ incarnation, at, body: task }) => ({ incarnation, at, task }));
  }

  /** Remaining ms of the attempt; null until known. */
  remainingMs({ task }: HeldTask): number | null {
    const at = this.#deadlines.get(task.task);
    return at === undefined ? null : Math.max(0, at - this.#parts.runtime.now());
  }

  add(task: ClaimedTask): HeldTask {
    const { runtime, platform, link, sessionId: session, workspace } = this.#parts;
    const held = { task, incarnation: link.self?.incarnation ?? 0, at: runtime.now() };
    const { incarnation, at } = held;
    runtime.store.write((sql) => {
      teamClaims.put(sql, { session, workspace, task: task.task, claim: task.claim, incarnation, at, body: task });
      spending.begin(sql, session, task, at);
    });
    this.#deadlines.set(task.task, held.at + task.remainingMs);
    this.#beatAt = readClock(platform.clock);
    this.#renewal.check();
    return held;
  }

  /** @returns whether the chat had it */
  #remove(sql: Sql, { task, claim }: ClaimedTask): boolean {
    const { sessionId: session } = this.#parts;
    spending.end(sql, session, { task, claim });
    return teamClaims.delete(sql, { session, task, claim }) > 0;
  }

  newestCheckpoint(): Json {
    const { runtime, sessionId, isLocal } = this.#parts;
    const checkpoint = runtime.store.read((sql) => checkpoints.latest(sql, sessionId), null);
    if (!checkpoint) return null;
    return { session: sessionId, checkpoint: checkpoint.id, ...(isLocal ? { summary: checkpoint.summary } : {}) };
  }

  /** Usage by the client's figures and its transcript; null if unknown. */
  usageOf({ task: { claim } }: HeldTask): Usage | null {
    const { runtime, sessionId } = this.#parts;
    const record = runtime.store.read((sql) => spending.get(sql, sessionId), null);
    return record?.claim === claim ? spending.toUsage(record, runtime.now()) : null;
  }

  progress(held: HeldTask, progress: Progress): Promise<ReportResult> {
    return this.#outbox.call("tasks.heartbeat", this.#heartbeatInput(held, progress));
  }

  /** One transaction keeps the report and removes the task from the chat. */
  complete(held: HeldTask, result: Json): Promise<ReportResult> {
    const { task, claim } = held.task;
    return this.#outbox.call(
      "tasks.ack",
      { task, claim, result, ...this.#usageField(held) },
      (sql) => void this.#remove(sql, held.task),
    );
  }

  fail(held: HeldTask, reason: string, isRetryable: boolean): Promise<ReportResult> {
    const { task, claim } = held.task;
    const heartbeat = this.#heartbeatInput(held, { note: reason });
    return this.#outbox.call("tasks.nack", { task, claim, reason, isRetryable, ...this.#usageField(held) }, (sql) => {
      this.#remove(sql, held.task);
      this.#outbox.enqueue(sql, "tasks.heartbeat", heartbeat);
    });
  }

  check(): void {
    if (!this.#renewal.isStopped) void this.#renewal.renew();
  }

  sendNewCheckpoint(): void {
    if (this.list().some(({ task }) => this.#unsentCheckpoint(task.task) !== null)) this.check();
  }

  flush(): Promise<void> {
    return this.#beatAll();
  }

  loseAll(reason: string): void {
    for (const held of this.list()) this.#lose(held, reason);
  }

  close(): void {
    void this.#renewal.stop();
  }

  #nextBeat(now: Instant): { readonly isDue: boolean; readonly nextInMs: number } | null {
    const everyMs = exceptStoreErrors(
      () => this.#intervalMs(),
      () => blindIntervalMs,
    );
    if (everyMs === null) return null;
    const dueInMs = everyMs - elapsedMs(this.#beatAt, now);
    return { isDue: dueInMs <= 0, nextInMs: dueInMs > 0 ? dueInMs : everyMs };
  }

  #intervalMs(): number | null {
    const held = this.list();
    return held.length === 0 ? null : Math.min(...held.map(({ task }) => heartbeatIntervalMs(task.heartbeatMs)));
  }

  async #beat(): Promise<void> {
    this.#beatAt = readClock(this.#parts.platform.clock);
    await attempt(this.#parts.runtime.log, "heartbeat of a task", () => this.#parts.isActive() && this.#beatAll());
  }

  async #beatAll(): Promise<void> {
    const { self } = this.#parts.link;
    if (!self) return;
    for (const held of this.list()) {
      if (held.incarnation === self.incarnation) await this.#sendHeartbeat(held);
      else this.#lose(held, "the chat was considered offline, and continues in another process");
    }
  }

  async #sendHeartbeat(held: HeldTask): Promise<void> {
    const { task, claim } = held.task;
    const checkpoint = this.#unsentCheckpoint(task);
    const usage = this.usageOf(held);
    const answer = await this.#parts.link.call(
      "tasks.heartbeat",
      { task, claim, ...(checkpoint === null ? {} : { checkpoint }), ...(usage ? { usage } : {}) },
      beatTimeoutMs,
    );
    if (this.#renewal.isStopped) return;
    if (answer.ok) return this.#onAnswer(held, answer.value, checkpoint, usage);
    const { code, message } = answer.error;
    if (isLost(answer.error, "claim")) this.#lose(held, message);
    else if (!isTransient(answer.error)) this.#parts.runtime.log("warn", "heartbeat of a task", { code });
  }

  #heartbeatInput(held: HeldTask, progress: Progress) {
    const { task, claim } = held.task;
    const checkpoint = this.newestCheckpoint();
    return { task, claim, progress, ...(checkpoint === null ? {} : { checkpoint }), ...this.#usageField(held) };
  }

  #usageField(held: HeldTask): { usage?: Usage } {
    const usage = this.usageOf(held);
    return usage ? { usage } : {};
  }

  #unsentCheckpoint(task: number): Json {
    const checkpoint = this.newestCheckpoint();
    return checkpoint !== null && this.#sentCheckpoints.get(task) !== JSON.stringify(checkpoint) ? checkpoint : null;
  }

  #onAnswer(held: HeldTask, answer: OutputOf<"tasks.heartbeat">, sentCheckpoint: Json, usage: Usage | null): void {
    const { isCancelled, isOverBudget, reason, remainingMs } = answer;
    const { runtime, sessionId } = this.#parts;
    const { task, claim, type: title } = held.task;
    if (sentCheckpoint !== null) this.#sentCheckpoints.set(task, JSON.stringify(sentCheckpoint));
    this.#deadlines.set(task, runtime.now() + remainingMs);
    if (isOverBudget) {
      const overBudget = reason ?? "its budget is used up";
      runtime.store.write((sql) => spending.exceed(sql, sessionId, claim, overBudget));
      return this.#lose(held, overBudget);
    }
    if (usage) this.#confirmUsage(claim, usage);
    if (isCancelled) {
      const newsItem = { kind: "task_cancelled", task, title, reason: reason ?? "cancelled" } as const;
      news.notify(runtime, sessionId, `cancelled:${task}:${claim}`, newsItem);
    }
  }

  /** Most heartbeats are below every limit and need no write. */
  #confirmUsage(claim: number, usage: Usage): void {
    const { runtime, sessionId } = this.#parts;
    const isOverLimit = runtime.store.read(
      (sql) => spending.refusal(sql, sessionId, undefined, runtime.now()) !== null,
      false,
    );
    if (isOverLimit) runtime.store.write((sql) => spending.confirm(sql, sessionId, claim, usage));
  }

  #lose({ task: claimed }: HeldTask, reason: string): void {
    const { runtime, sessionId, workspace } = this.#parts;
    const { task, claim, type: title } = claimed;
    const newsItem = { kind: "claim_lost", task, title, reason, workspace } as const;
    runtime.store.write((sql) => {
      if (!this.#remove(sql, claimed)) return;
      news.add(sql, runtime.now(), sessionId, `lost:${task}:${claim}`, newsItem);
    });
    this.#sentCheckpoints.delete(task);
    this.#deadlines.delete(task);
  }
}
