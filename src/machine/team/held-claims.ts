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
import type { ChatParts } from "./chat-parts.ts";
import { dropHeld, listHeld, type Holding } from "./holdings.ts";
import type { Outbox } from "./outbox.ts";

export type HeldTask = Holding<"claim">;

export type ReportResult =
  | { readonly kind: "kept" }
  | { readonly kind: "answered"; readonly answer: Result<ReportAnswer, CallError> };

interface ReportAnswer {
  readonly state?: TaskState;
  readonly isCancelled?: boolean;
  readonly reason?: string | null;
}

const beatTimeoutMs = 10_000;

/**
 * Sends heartbeats with the newest checkpoint while the chat shows signs of work. Notifies the chat
 * of a lost claim and a cancelled task.
 */
export class HeldClaims {
  readonly #parts: ChatParts;
  readonly #outbox: Outbox;
  readonly #sentCheckpoints = new Map<number, string | null>();
  readonly #deadlines = new Map<number, number>();

  constructor(parts: ChatParts, outbox: Outbox) {
    this.#parts = parts;
    this.#outbox = outbox;
  }

  list(): HeldTask[] {
    return listHeld(this.#parts, "claim");
  }

  /** Remaining ms of the attempt; null until known. */
  remainingMs({ body }: HeldTask): number | null {
    const at = this.#deadlines.get(body.task);
    return at === undefined ? null : Math.max(0, at - this.#parts.runtime.now());
  }

  add(task: ClaimedTask): HeldTask {
    const { runtime, sessionId, holdings } = this.#parts;
    this.#deadlines.set(task.task, runtime.now() + task.remainingMs);
    const held = { kind: "claim", resource: String(task.task), token: task.claim, body: task } as const;
    return holdings.put(this.#parts, held, (sql) => spending.begin(sql, sessionId, task, runtime.now()));
  }

  /** @returns whether the chat had it */
  #remove(sql: Sql, held: HeldTask): boolean {
    spending.end(sql, held.session, held.body);
    return dropHeld(sql, held);
  }

  newestCheckpoint(): Json {
    const { runtime, sessionId, isLocal } = this.#parts;
    const checkpoint = runtime.store.read((sql) => checkpoints.latest(sql, sessionId), null);
    if (!checkpoint) return null;
    return { session: sessionId, checkpoint: checkpoint.id, ...(isLocal ? { summary: checkpoint.summary } : {}) };
  }

  /** Usage by the client's figures and its transcript; null if unknown. */
  usageOf({ token: claim }: HeldTask): Usage | null {
    const { runtime, sessionId } = this.#parts;
    const record = runtime.store.read((sql) => spending.get(sql, sessionId), null);
    return record?.claim === claim ? spending.toUsage(record, runtime.now()) : null;
  }

  progress(held: HeldTask, progress: Progress): Promise<ReportResult> {
    return this.#outbox.call("tasks.heartbeat", { ...this.#heartbeat(held, this.newestCheckpoint()), progress });
  }

  /** One transaction keeps the report and removes the task from the chat. */
  complete(held: HeldTask, result: Json): Promise<ReportResult> {
    const report = { ...this.#attempt(held), result };
    return this.#outbox.call("tasks.ack", report, (sql) => void this.#remove(sql, held));
  }

  fail(held: HeldTask, reason: string, isRetryable: boolean): Promise<ReportResult> {
    const heartbeat = { ...this.#heartbeat(held, this.newestCheckpoint()), progress: { note: reason } };
    return this.#outbox.call("tasks.nack", { ...this.#attempt(held), reason, isRetryable }, (sql) => {
      this.#remove(sql, held);
      this.#outbox.enqueue(sql, "tasks.heartbeat", heartbeat);
    });
  }

  hasNewCheckpoint(): boolean {
    return this.list().some(({ body }) => this.#unsentCheckpoint(body.task) !== null);
  }

  loseAll(reason: string): void {
    for (const held of this.list()) this.#lose(held, reason);
  }

  async renew(held: HeldTask): Promise<void> {
    if (held.incarnation !== this.#parts.link.self?.incarnation)
      return this.#lose(held, "the chat was considered offline, and continues in another process");
    if (this.#parts.isActive()) await this.#beat(held);
  }

  /** For a client that is gone. */
  async sendLastCheckpoints(): Promise<void> {
    if (this.#parts.link.self) for (const held of this.list()) await this.#beat(held);
  }

  async #beat(held: HeldTask): Promise<void> {
    const checkpoint = this.#unsentCheckpoint(held.body.task);
    const heartbeat = this.#heartbeat(held, checkpoint);
    const answer = await this.#parts.link.call("tasks.heartbeat", heartbeat, beatTimeoutMs);
    if (this.#parts.signal.aborted) return;
    if (answer.ok) return this.#onAnswer(held, answer.value, checkpoint, heartbeat.usage);
    const { code, message } = answer.error;
    if (isLost(answer.error, "claim")) this.#lose(held, message);
    else if (!isTransient(answer.error)) this.#parts.runtime.log("warn", "heartbeat of a task", { code });
  }

  #heartbeat(held: HeldTask, checkpoint: Json) {
    return { ...this.#attempt(held), ...(checkpoint === null ? {} : { checkpoint }) };
  }

  #attempt(held: HeldTask): { readonly task: number; readonly claim: number; readonly usage?: Usage } {
    const { task, claim } = held.body;
    const usage = this.usageOf(held);
    return { task, claim, ...(usage ? { usage } : {}) };
  }

  #unsentCheckpoint(task: number): Json {
    const checkpoint = this.newestCheckpoint();
    return checkpoint !== null && this.#sentCheckpoints.get(task) !== JSON.stringify(checkpoint) ? checkpoint : null;
  }

  #onAnswer(held: HeldTask, answer: OutputOf<"tasks.heartbeat">, sentCheckpoint: Json, usage: Usage | undefined): void {
    const { isCancelled, isOverBudget, reason, remainingMs } = answer;
    const { runtime, sessionId } = this.#parts;
    const { task, claim, type: title } = held.body;
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

  #lose(held: HeldTask, reason: string): void {
    const { runtime, sessionId, workspace } = this.#parts;
    const { task, claim, type: title } = held.body;
    const newsItem = { kind: "claim_lost", task, title, reason, workspace } as const;
    runtime.store.write((sql) => {
      if (!this.#remove(sql, held)) return;
      news.add(sql, runtime.now(), sessionId, `lost:${task}:${claim}`, newsItem);
    });
    this.#sentCheckpoints.delete(task);
    this.#deadlines.delete(task);
  }
}
