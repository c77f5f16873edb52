import type { CallError } from "../../contract/errors.ts";
import { maxMessageBodyChars, type Message } from "../../contract/messages.ts";
import { ok, type Result } from "../../shared/result.ts";
import { redact } from "../../redaction/redact.ts";
import type { ChatParts } from "./chat-parts.ts";
import * as news from "../sessions/news.ts";

const pageSize = 50;
const timeoutMs = 10_000;

/** [TE8] Messages are stored before they are acknowledged: none is lost or delivered twice. */
export class MessageInbox {
  readonly #parts: ChatParts;
  #running: Promise<Result<null, CallError>> | null = null;
  #isPullWanted = false;
  /** The highest id that was received or acknowledged. */
  #newest = 0;
  #isClosed = false;

  constructor(parts: ChatParts) {
    this.#parts = parts;
  }

  pull(): Promise<Result<null, CallError>> {
    this.#isPullWanted = true;
    return this.#run(null);
  }

  /** [TE50] A pull under way may return the same message, and an older one may be late. */
  onHint(message: Message | undefined): Promise<Result<null, CallError>> {
    const isNext = message && !this.#running && message.id > this.#newest;
    return isNext ? this.#run(message) : this.pull();
  }

  close(): void {
    this.#isClosed = true;
  }

  #run(carried: Message | null): Promise<Result<null, CallError>> {
    this.#running ??= this.#receiveAll(carried).finally(() => (this.#running = null));
    return this.#running;
  }

  async #receiveAll(carried: Message | null): Promise<Result<null, CallError>> {
    let done = carried ? await this.#receive([carried]) : ok(null);
    while (this.#isPullWanted && !this.#isClosed) {
      this.#isPullWanted = false;
      const page = await this.#pullPage();
      if (!page.ok) return page;
      done = ok(null);
      this.#isPullWanted ||= page.value.isMore;
    }
    return done;
  }

  async #pullPage(): Promise<Result<{ readonly isMore: boolean }, CallError>> {
    const answer = await this.#parts.link.call("messages.pull", { limit: pageSize }, timeoutMs);
    if (!answer.ok) return answer;
    const { messages, isMore, cursor } = answer.value;
    this.#newest = Math.max(this.#newest, cursor);
    const received = messages.length === 0 ? ok(null) : await this.#receive(messages);
    return received.ok ? ok({ isMore }) : received;
  }

  async #receive(messages: readonly Message[]): Promise<Result<null, CallError>> {
    if (this.#isClosed) return ok(null);
    const ids = messages.map(({ id }) => id);
    this.#newest = Math.max(this.#newest, ...ids);
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
