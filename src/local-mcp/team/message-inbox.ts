import type { CoordinatorClient } from "../../coordinator-client/coordinator-client.ts";
import type { CallError } from "../../contract/errors.ts";
import { maxMessageBodyChars, type Message } from "../../contract/messages.ts";
import type { Result } from "../../shared/result.ts";
import { redact } from "../../redaction/redact.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import type { ChatDirectory } from "./chat-directory.ts";
import * as news from "../sessions/news.ts";

export interface MessageInboxDeps {
  readonly runtime: Pick<Runtime, "store" | "now" | "log">;
  readonly link: CoordinatorClient;
  readonly directory: ChatDirectory;
  readonly sessionId: string;
  readonly workspace: string;
}

const pageSize = 50;
const timeoutMs = 10_000;

/** [TE8] Messages are stored before they are acknowledged: none is lost or delivered twice. */
export class MessageInbox {
  readonly #deps: MessageInboxDeps;
  #pulling: Promise<Result<null, CallError>> | null = null;
  #isClosed = false;

  constructor(deps: MessageInboxDeps) {
    this.#deps = deps;
  }

  pull(): Promise<Result<null, CallError>> {
    this.#pulling ??= this.#pullAll().finally(() => (this.#pulling = null));
    return this.#pulling;
  }

  close(): void {
    this.#isClosed = true;
  }

  async #pullAll(): Promise<Result<null, CallError>> {
    const { link } = this.#deps;
    for (;;) {
      const answer = await link.call("messages.pull", { limit: pageSize }, timeoutMs);
      if (!answer.ok) return answer;
      const { messages, isMore } = answer.value;
      if (this.#isClosed) return { ok: true, value: null };
      if (messages.length > 0) {
        await this.#store(messages);
        const acknowledged = await link.call("messages.ack", { ids: messages.map(({ id }) => id) }, timeoutMs);
        if (!acknowledged.ok) return acknowledged;
      }
      if (!isMore) return { ok: true, value: null };
    }
  }

  async #store(messages: readonly Message[]): Promise<void> {
    const { runtime, directory, sessionId, workspace } = this.#deps;
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
