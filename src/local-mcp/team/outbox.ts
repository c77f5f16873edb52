import type { CoordinatorClient } from "../../coordinator-client/coordinator-client.ts";
import { retryOf, type CallError, type Retry } from "../../contract/errors.ts";
import type { OutputOf } from "../../contract/operations.ts";
import { fullJitter } from "../../shared/backoff.ts";
import type { Result } from "../../shared/result.ts";
import type { Sql } from "../../shared/sql.ts";
import type { Platform } from "../../coordinator-client/edge/platform.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import * as queuedCalls from "./queued-calls.ts";
import type { QueuedCall, QueuedCallInput, QueuedCallName } from "./queued-calls.ts";
import * as news from "../sessions/news.ts";

export interface OutboxDeps {
  readonly runtime: Pick<Runtime, "store" | "now" | "log">;
  readonly platform: Pick<Platform, "setTimer" | "random">;
  readonly link: CoordinatorClient;
  readonly sessionId: string;
  readonly workspace: string;
}

export type SendResult<Name extends QueuedCallName> =
  | { readonly kind: "answered"; readonly answer: Result<OutputOf<Name>, CallError> }
  | { readonly kind: "kept" };

type AnswerHandler = (answer: Result<unknown, CallError>) => void;

const callTimeoutMs = 10_000;
const answerTimeoutMs = 5_000;
const retryBackoff = { baseMs: 500, capMs: 30_000 };

/**
 * [TE6] Calls are on disk until they are answered, sent in order, and take effect once. [TE7] A
 * late refusal is a notification for the chat.
 */
export class Outbox {
  readonly #deps: OutboxDeps;
  readonly #waiters = new Map<number, AnswerHandler>();
  #isSending = false;
  #isSendWanted = false;
  #isClosed = false;
  #attempt = 0;
  #cancelTimer: () => void = () => undefined;
  readonly #emptyListeners = new Set<() => void>();

  constructor(deps: OutboxDeps) {
    this.#deps = deps;
  }

  /** @param alsoWrite runs in the same transaction */
  async call<Name extends QueuedCallName>(
    name: Name,
    input: QueuedCallInput<Name>,
    alsoWrite: (sql: Sql) => void = () => undefined,
  ): Promise<SendResult<Name>> {
    const { runtime, platform } = this.#deps;
    const seq = runtime.store.write((sql) => {
      alsoWrite(sql);
      return this.enqueue(sql, name, input);
    });
    return new Promise((resolve) => {
      const cancelTimer = platform.setTimer(() => {
        this.#waiters.delete(seq);
        resolve({ kind: "kept" });
      }, answerTimeoutMs);
      this.#waiters.set(seq, (answer) => {
        cancelTimer();
        resolve({ kind: "answered", answer: answer as Result<OutputOf<Name>, CallError> });
      });
      this.flush();
    });
  }

  /** @returns the call's sequence number */
  enqueue<Name extends QueuedCallName>(sql: Sql, name: Name, input: QueuedCallInput<Name>): number {
    return queuedCalls.add(sql, this.#deps.runtime.now(), this.#deps, name, input);
  }

  flush(): void {
    this.#isSendWanted = true;
    if (this.#isSending || this.#isClosed) return;
    this.#isSending = true;
    void this.#flushAll()
      .catch((error: unknown) => {
        this.#deps.runtime.log("error", "what the chat says to others was not sent", { error: String(error) });
        this.#scheduleRetry();
      })
      .finally(() => (this.#isSending = false));
  }

  close(): void {
    this.#isClosed = true;
    this.#cancelTimer();
    this.#emptyListeners.clear();
  }

  whenEmpty(): Promise<void> {
    return new Promise((resolve) => {
      this.#emptyListeners.add(resolve);
      this.flush();
    });
  }

  async #flushAll(): Promise<void> {
    while (this.#isSendWanted && !this.#isClosed) {
      this.#isSendWanted = false;
      this.#cancelTimer();
      if (await this.#sendQueued()) continue;
      return this.#scheduleRetry();
    }
  }

  async #sendQueued(): Promise<boolean> {
    const { runtime, link, sessionId, workspace } = this.#deps;
    for (;;) {
      const call = runtime.store.read((sql) => queuedCalls.oldest(sql, sessionId, workspace), null);
      if (!call || this.#isClosed) {
        if (!this.#isClosed) for (const resolve of this.#emptyListeners) resolve();
        this.#emptyListeners.clear();
        return true;
      }
      const answer = await link.call(call.name, call.input, callTimeoutMs);
      if (this.#isClosed) return true;
      if (!answer.ok && retries.has(retryOf(answer.error))) {
        runtime.store.write((sql) => queuedCalls.recordFailure(sql, call.seq, answer.error.code));
        return false;
      }
      this.#attempt = 0;
      this.#finish(call, answer);
    }
  }

  #finish(call: QueuedCall, answer: Result<unknown, CallError>): void {
    const { runtime, sessionId } = this.#deps;
    const waiter = this.#waiters.get(call.seq);
    this.#waiters.delete(call.seq);
    const newsItem = waiter ? null : toLateNews(call, answer);
    runtime.store.write((sql) => {
      queuedCalls.remove(sql, call.seq);
      if (newsItem) news.add(sql, runtime.now(), sessionId, `call:${call.seq}`, newsItem);
    });
    waiter?.(answer);
  }

  #scheduleRetry(): void {
    if (this.#isClosed) return;
    const { platform } = this.#deps;
    this.#cancelTimer = platform.setTimer(() => this.flush(), fullJitter(retryBackoff, this.#attempt, platform.random));
    this.#attempt += 1;
  }
}

const retries: ReadonlySet<Retry> = new Set<Retry>(["later", "after_registering", "with_another_client"]);

function toLateNews({ name, input }: QueuedCall, answer: Result<unknown, CallError>): news.News | null {
  if (answer.ok) return name === "tasks.submit" ? toSubmittedNews(answer.value as OutputOf<"tasks.submit">) : null;
  // The heartbeats report an ended claim.
  if (name === "tasks.heartbeat") return null;
  const reason = `${answer.error.code}: ${answer.error.message}`;
  const task = input["task"];
  if (typeof task === "number") return { kind: "report_refused", task, reason };
  const what = name === "tasks.submit" ? "the tasks were not submitted" : "the message was not sent";
  return { kind: "notice", text: `What was kept while the coordinator could not be reached: ${what}. ${reason}` };
}

function toSubmittedNews({ tasks }: OutputOf<"tasks.submit">): news.News {
  const numbers = tasks.map(({ task }) => task).join(", ");
  return { kind: "notice", text: `The tasks that were kept while the coordinator could not be reached: ${numbers}.` };
}
