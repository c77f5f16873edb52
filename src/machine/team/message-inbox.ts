import type { CallError } from "../../contract/errors.ts";
import { maxMessageBodyChars, type Message } from "../../contract/messages.ts";
import { ok, type Result } from "../../shared/result.ts";
import { redact } from "../../redaction/redact.ts";
import type { ChatParts } from "./chat-parts.ts";
import * as news from "../sessions/news.ts";

const pageSize = 50;
const timeoutMs = 10_000;

/** Messages are stored before they are acknowledged: none is lost or delivered twice. */
export class MessageInbox {
  readonly #parts: ChatParts;
  #running: Promise<Result<null, CallError>> | null = null;
  #isPullWanted = false;
  #isClosed = false;

  constructor(parts: ChatParts) {
    this.#parts = parts;
  }

  /** One that is asked for during another follows it. */
  pull(): Promise<Result<null, CallError>> {
    this.#isPullWanted = true;
    this.#running ??= this.#receiveAll().finally(() => (this.#running = null));
    return this.#running;
  }

  close(): void {
    this.#isClosed = true;
  }

  async #receiveAll(): Promise<Result<null, CallError>> {
    while (this.#isPullWanted && !this.#isClosed) {
      this.#isPullWanted = false;
      const page = await this.#pullPage();
      if (!page.ok) return page;
      this.#isPullWanted ||= page.value.isMore;
    }
    return ok(null);
  }

  async #pullPage(): Promise<Result<{ readonly isMore: boolean }, CallError>> {
    const answer = await this.#parts.link.call("messages.pull", { limit: pageSize }, timeoutMs);
    if (!answer.ok) return answer;
    const { messages, isMore } = answer.value;
    const received = messages.length === 0 ? ok(null) : await this.#receive(messages);
    return received.ok ? ok({ isMore }) : received;
  }

  async #receive(messages: readonly Message[]): Promise<Result<null, CallError>> {
    if (this.#isClosed) return ok(null);
    const ids = messages.map(({ id }) => id);
    await this.#store(messages);
    const acknowledged = await this.#parts.link.call("messages.ack", { ids }, timeoutMs);
    return acknowledged.ok ? ok(null) : acknowledged;
  }

  async #store(messages: readonly Message[]): Promise<void> {
    const { runtime, directory, sessionId, workspace } = this.#parts;
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
}
