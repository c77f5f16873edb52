import type { Usage } from "../../contract/budgets.ts";
import { isLost, isTransient } from "../../contract/errors.ts";
import type { Json } from "../../contract/values.ts";
import type { OutputOf } from "../../contract/operations.ts";
import { pollEveryMs } from "../../contract/protocol.ts";
import type { ClaimedTask, Progress, TaskState } from "../../contract/tasks.ts";
import { claimer, type Claim } from "../../coordinator-client/coordinator-client.ts";
import { pause } from "../../coordinator-client/edge/platform.ts";
import { isWithin } from "../../shared/known-time.ts";
import { omitUndefined } from "../../shared/omit-undefined.ts";
import { oneAtATime, repeat } from "../../shared/async-work.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import type { Sql } from "../../shared/sql.ts";
import * as checkpoints from "../sessions/checkpoints/checkpoints.ts";
import * as news from "../sessions/news.ts";
import * as spending from "../sessions/usage/task-spending.ts";
import { type ChatParts, dropHeld, listHeld, type Holding } from "./holdings.ts";
import type { Outbox, SendResult } from "./messages.ts";

export type HeldTask = Holding<"claim">;

export type ReportResult =
  | { readonly kind: "kept" }
  | { readonly kind: "answered"; readonly answer: Result<ReportAnswer> };

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
  usageOf({ body: { task, claim } }: HeldTask): Usage | null {
    const { runtime, sessionId } = this.#parts;
    const record = runtime.store.read((sql) => spending.get(sql, sessionId), null);
    return record?.task === task && record.claim === claim ? spending.toUsage(record, runtime.now()) : null;
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
    const report = { ...this.#attempt(held), reason, isRetryable };
    return this.#outbox.call("tasks.nack", report, this.#leave(held, { progress: { note: reason } }));
  }

  /** Gives the task back; it costs no attempt. */
  release(held: HeldTask, reason: string): Promise<SendResult<"tasks.release">> {
    return this.#outbox.call("tasks.release", { ...this.#attempt(held), reason }, this.#leave(held));
  }

  /** Removes the task from the chat, and has the newest checkpoint sent with it. */
  #leave(held: HeldTask, more: { readonly progress?: Progress } = {}): (sql: Sql) => void {
    const heartbeat = { ...this.#heartbeat(held, this.newestCheckpoint()), ...more };
    return (sql) => {
      this.#remove(sql, held);
      this.#outbox.enqueue(sql, "tasks.heartbeat", heartbeat);
    };
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
      runtime.store.write((sql) => spending.exceed(sql, sessionId, held.body, overBudget));
      return this.#lose(held, overBudget);
    }
    if (usage) this.#confirmUsage(held, usage);
    if (isCancelled) {
      const newsItem = { kind: "task_cancelled", task, title, reason: reason ?? "cancelled" } as const;
      news.notify(runtime, sessionId, `cancelled:${task}:${claim}`, newsItem);
    }
  }

  /** Most heartbeats are below every limit and need no write. */
  #confirmUsage({ body }: HeldTask, usage: Usage): void {
    const { runtime, sessionId } = this.#parts;
    const isOverLimit = runtime.store.read(
      (sql) => spending.refusal(sql, sessionId, undefined, runtime.now()) !== null,
      false,
    );
    if (isOverLimit) runtime.store.write((sql) => spending.confirm(sql, sessionId, body, usage));
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

interface TaskClaimsParts extends ChatParts {
  readonly tasks: HeldClaims;
  readonly capabilities: () => readonly string[];
  readonly onTaken: () => void;
}

interface AlertRequest {
  readonly types: readonly string[];
  readonly at: number;
}

const claimTimeoutMs = 8_000;
const searchEveryMs = 2_000;
const listTimeoutMs = 5_000;
const maxListed = 200;
/** For a task that came before the watch did. */
const firstPauseMs = 1_000;

export class TaskClaims {
  readonly #parts: TaskClaimsParts;
  readonly #ask: Claim;
  /** Types for which the chat found nothing; a later process of the chat must ask again. */
  #alert: AlertRequest | null = null;
  #searchedAt = Number.NEGATIVE_INFINITY;

  constructor(parts: TaskClaimsParts) {
    this.#parts = parts;
    this.#ask = claimer(parts.link, parts.platform, claimTimeoutMs);
  }

  /** @param types empty: all; @param waitMs 0: asks once */
  async claim(types: readonly string[], waitMs: number): Promise<Result<HeldTask | null>> {
    this.#alert = null;
    const result = await this.#claimWithin(types, waitMs);
    if (result.ok && result.value === null) this.#alert = { types, at: this.#parts.runtime.now() };
    return result;
  }

  /** Alerts once when a task can be taken. */
  readonly check = oneAtATime(() => this.#search());

  async #claimWithin(types: readonly string[], waitMs: number): Promise<Result<HeldTask | null>> {
    const { link, platform, isLocal, signal } = this.#parts;
    const late = new AbortController();
    const ended = AbortSignal.any([signal, late.signal]);
    let hint = new AbortController();
    const unsubscribes = [
      link.onHint(() => hint.abort()),
      platform.setTimer(() => late.abort(), waitMs),
      // An edge hints at free tasks only to those that watch them.
      ...(waitMs === 0 || isLocal ? [] : [link.onChanges("$task/", (changes) => changes && hint.abort())]),
    ];
    try {
      return await repeat(
        () => {
          // Before the request, so that no hint is missed.
          hint = new AbortController();
          return this.#claimOnce(types);
        },
        (answer, attempt) => {
          const isEmpty = answer.ok ? answer.value === null : isTransient(answer.error);
          if (!isEmpty || waitMs === 0 || ended.aborted) return null;
          return attempt === 0 ? firstPauseMs : pollEveryMs;
        },
        (ms) => pause(platform, ms, AbortSignal.any([ended, hint.signal])),
      );
    } finally {
      for (const stop of unsubscribes) stop();
    }
  }

  async #claimOnce(types: readonly string[]): Promise<Result<HeldTask | null>> {
    const { tasks, error } = await this.#ask(1, types);
    const [task] = tasks;
    if (!task) return error ? err(error) : ok(null);
    const held = this.#parts.tasks.add(task);
    this.#parts.onTaken();
    return ok(held);
  }

  async #search(): Promise<void> {
    const alert = this.#alert;
    const now = this.#parts.runtime.now();
    if (alert === null || isWithin(now - this.#searchedAt, searchEveryMs)) return;
    this.#searchedAt = now;
    const { runtime, link, sessionId, workspace, capabilities } = this.#parts;
    const [only] = alert.types.length === 1 ? alert.types : [];
    const input = { state: "queued", limit: maxListed, ...omitUndefined({ type: only }) } as const;
    const queued = await link.call("tasks.list", input, listTimeoutMs);
    const abilities = capabilities();
    const firstTask = (queued.ok ? queued.value.tasks : []).find(
      (task) =>
        (alert.types.length === 0 || alert.types.includes(task.type)) &&
        task.capabilities.every((one) => abilities.includes(one)),
    );
    if (!firstTask || this.#alert !== alert) return;
    const { task, type: title } = firstTask;
    const key = `available:${workspace}:${task}:${alert.at}`;
    news.notify(runtime, sessionId, key, { kind: "task_available", task, title });
    this.#alert = null;
  }
}
