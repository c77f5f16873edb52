import { retryOf, type Retry } from "../../contract/errors.ts";
import { maxMessageBodyChars, type Message } from "../../contract/messages.ts";
import type { InputOf, OutputOf } from "../../contract/operations.ts";
import { callUntilAnswered } from "../../coordinator-client/coordinator-client.ts";
import { pause, within } from "../../coordinator-client/edge/platform.ts";
import { redact } from "../../redaction/redact.ts";
import { oneAfterAnother } from "../../shared/async-work.ts";
import { ok, type Result } from "../../shared/result.ts";
import type { Sql } from "../../shared/sql.ts";
import type { RowOf } from "../../shared/table.ts";
import { teamCalls, type QueuedCallName } from "../../store/team-tables.ts";
import * as news from "../sessions/news.ts";
import type { ChatParts } from "./holdings.ts";

/** Contains what makes the call take effect once (claim, request id); the sender is added later. */
type QueuedCallInput<Name extends QueuedCallName> = Omit<InputOf<Name>, "self">;

const queued = teamCalls.pick("seq", "name", "input");

type QueuedCall = RowOf<typeof queued>;

export function countQueued(sql: Sql, sessionId: string): number {
  return teamCalls.count(sql, { session: sessionId });
}

type OutboxParts = Pick<ChatParts, "runtime" | "platform" | "link" | "sessionId" | "workspace" | "signal">;

export type SendResult<Name extends QueuedCallName> =
  | { readonly kind: "answered"; readonly answer: Result<OutputOf<Name>> }
  | { readonly kind: "kept" };

const callTiming = { timeoutMs: 10_000, maxPauseMs: 30_000 };
const answerTimeoutMs = 5_000;
/** Pause after a failure of the store. */
const storeRetryMs = 5_000;

/**
 * Calls are on disk until they are answered, sent in order, and take effect once. A
 * late refusal is a notification for the chat.
 */
export class Outbox {
  readonly #parts: OutboxParts;
  readonly #waiters = new Map<number, (answer: Result<unknown>) => void>();
  #wake = new AbortController();
  readonly #sendInOrder = oneAfterAnother(() => this.#sendAll());

  constructor(parts: OutboxParts) {
    this.#parts = parts;
  }

  /** @param alsoWrite runs in the same transaction */
  async call<Name extends QueuedCallName>(
    name: Name,
    input: QueuedCallInput<Name>,
    alsoWrite: (sql: Sql) => void = () => undefined,
  ): Promise<SendResult<Name>> {
    const { runtime, platform } = this.#parts;
    const seq = runtime.store.write((sql) => {
      alsoWrite(sql);
      return this.enqueue(sql, name, input);
    });
    const answered = Promise.withResolvers<Result<unknown>>();
    this.#waiters.set(seq, answered.resolve);
    void this.flush();
    let answer = await within(platform, answerTimeoutMs, answered.promise);
    // Without a waiter it was answered in this moment.
    if (answer === null && !this.#waiters.delete(seq)) answer = await answered.promise;
    return answer ? { kind: "answered", answer: answer as Result<OutputOf<Name>> } : { kind: "kept" };
  }

  /** @returns the call's sequence number */
  enqueue<Name extends QueuedCallName>(sql: Sql, name: Name, input: QueuedCallInput<Name>): number {
    const { runtime, sessionId: session, workspace } = this.#parts;
    return teamCalls.append(sql, { session, workspace, name, input, at: runtime.now() });
  }

  /** @returns once all is answered, or the signal is aborted */
  flush(): Promise<void> {
    this.#wake.abort();
    return this.#sendInOrder();
  }

  async #sendAll(): Promise<void> {
    const { runtime, platform, sessionId, workspace, signal } = this.#parts;
    while (!signal.aborted) {
      try {
        const oldest = "WHERE session = ? AND workspace = ? ORDER BY seq LIMIT 1";
        const [call] = runtime.store.read((sql) => queued.select(sql, oldest, sessionId, workspace), []);
        if (!call) return;
        await this.#send(call);
      } catch (error) {
        runtime.log("error", "the queued calls of the chat were not sent", { error: String(error) });
        await pause(platform, storeRetryMs, AbortSignal.any([signal, this.#renewWake()]));
      }
    }
  }

  async #send(call: QueuedCall): Promise<void> {
    const { signal } = this.#parts;
    const answer = await callUntilAnswered(this.#parts, call.name, call.input, {
      ...callTiming,
      signal,
      wake: () => this.#renewWake(),
      isRetryable: (error) => retries.has(retryOf(error)),
    });
    if (!signal.aborted) this.#finish(call, answer);
  }

  #renewWake(): AbortSignal {
    this.#wake = new AbortController();
    return this.#wake.signal;
  }

  #finish(call: QueuedCall, answer: Result<unknown>): void {
    const { runtime, sessionId } = this.#parts;
    const waiter = this.#waiters.get(call.seq);
    this.#waiters.delete(call.seq);
    const newsItem = waiter ? null : toLateNews(call, answer);
    runtime.store.write((sql) => {
      teamCalls.delete(sql, { seq: call.seq });
      if (newsItem) news.add(sql, runtime.now(), sessionId, `call:${call.seq}`, newsItem);
    });
    waiter?.(answer);
  }
}

const retries: ReadonlySet<Retry> = new Set<Retry>(["later", "after_registering", "with_another_client"]);

function toLateNews({ name, input }: QueuedCall, answer: Result<unknown>): news.News | null {
  if (answer.ok) return name === "tasks.submit" ? toSubmittedNews(answer.value as OutputOf<"tasks.submit">) : null;
  // The heartbeats report an ended claim.
  if (name === "tasks.heartbeat") return null;
  const reason = `${answer.error.code}: ${answer.error.message}`;
  const task = input["task"];
  if (typeof task === "number") return { kind: "report_refused", task, reason };
  const what = name === "tasks.submit" ? "the tasks were not submitted" : "the message was not sent";
  return { kind: "notice", text: `Kept while the coordinator could not be reached, now rejected: ${what}. ${reason}` };
}

function toSubmittedNews({ tasks }: OutputOf<"tasks.submit">): news.News {
  const numbers = tasks.map(({ task }) => task).join(", ");
  return { kind: "notice", text: `The tasks that were kept while the coordinator could not be reached: ${numbers}.` };
}

const pageSize = 50;
const timeoutMs = 10_000;

/**
 * Pulls all messages of a chat. They are stored before they are acknowledged: none is lost or
 * delivered twice.
 */
export function messageInbox(parts: ChatParts): () => Promise<Result<null>> {
  return oneAfterAnother(
    () => receiveAll(parts),
    (received) => !received.ok,
  );
}

async function receiveAll(parts: ChatParts): Promise<Result<null>> {
  const { link, signal } = parts;
  for (;;) {
    const answer = await link.call("messages.pull", { limit: pageSize }, timeoutMs);
    if (!answer.ok) return answer;
    const { messages, isMore } = answer.value;
    if (signal.aborted) return ok(null);
    if (messages.length > 0) {
      await store(parts, messages);
      const acknowledged = await link.call("messages.ack", { ids: messages.map(({ id }) => id) }, timeoutMs);
      if (!acknowledged.ok) return acknowledged;
    }
    if (!isMore || signal.aborted) return ok(null);
  }
}

async function store(
  { runtime, directory, sessionId, workspace }: ChatParts,
  messages: readonly Message[],
): Promise<void> {
  const namedMessages: { readonly message: Message; readonly fromName: string }[] = [];
  for (const message of messages)
    namedMessages.push({ message, fromName: (await directory.identify(message.from)).name });
  runtime.store.write((sql) => {
    for (const { message, fromName } of namedMessages) {
      const { id, from, target } = message;
      const topic = target.to === "topic" ? target.topic : null;
      // Only SHIM's own messages were redacted by their sender.
      const body = typeof message.body === "string" ? message.body : JSON.stringify(message.body);
      const text = redact(body).text.slice(0, maxMessageBodyChars);
      const newsItem = { kind: "message", id, from, fromName, topic, text } as const;
      news.add(sql, runtime.now(), sessionId, `message:${workspace}:${id}`, newsItem);
    }
  });
}
