import { maxMessageBodyChars, type Message } from "../../contract/messages.ts";
import type { Json } from "../../contract/values.ts";
import type { Result } from "../../shared/result.ts";
import type { ChatLink, Trouble } from "../link/chat-link.ts";
import { redact } from "../redaction/redact.ts";
import type { Runtime } from "../runtime.ts";
import type { Directory } from "./directory.ts";
import * as news from "./news.ts";

export interface PostSurroundings {
  readonly runtime: Pick<Runtime, "store" | "now" | "log">;
  readonly link: ChatLink;
  readonly directory: Directory;
  readonly sessionId: string;
  readonly workspace: string;
}

const page = 50;
const withinMs = 10_000;

/** Messages for the chat: [TE8] stored as news before they are acknowledged, so that none is lost or delivered twice. */
export class Post {
  readonly #around: PostSurroundings;
  #pulling: Promise<Result<null, Trouble>> | null = null;
  #isClosed = false;

  constructor(around: PostSurroundings) {
    this.#around = around;
  }

  /** Reads new messages. */
  pull(): Promise<Result<null, Trouble>> {
    this.#pulling ??= this.#pullAll().finally(() => (this.#pulling = null));
    return this.#pulling;
  }

  close(): void {
    this.#isClosed = true;
  }

  async #pullAll(): Promise<Result<null, Trouble>> {
    const { link } = this.#around;
    for (;;) {
      const pulled = await link.call("messages.pull", { limit: page }, withinMs);
      if (!pulled.ok) return pulled;
      const { messages, isMore } = pulled.value;
      if (this.#isClosed) return { ok: true, value: null };
      if (messages.length > 0) {
        await this.#takeIn(messages);
        const acked = await link.call("messages.ack", { ids: messages.map(({ id }) => id) }, withinMs);
        if (!acked.ok) return acked;
      }
      if (!isMore) return { ok: true, value: null };
    }
  }

  async #takeIn(messages: readonly Message[]): Promise<void> {
    const { runtime, directory, sessionId, workspace } = this.#around;
    const named: { readonly message: Message; readonly fromName: string }[] = [];
    for (const message of messages) named.push({ message, fromName: (await directory.person(message.from)).name });
    runtime.store.write((sql) => {
      for (const { message, fromName } of named) {
        const { id, from, target } = message;
        const topic = target.to === "topic" ? target.topic : null;
        // Only a message from SHIM was redacted by its sender.
        const text = redact(textOf(message.body)).text.slice(0, maxMessageBodyChars);
        const told = { kind: "message", id, from, fromName, topic, text } as const;
        news.add(sql, runtime.now(), sessionId, `message:${workspace}:${id}`, told);
      }
    });
  }
}

function textOf(body: Json): string {
  return typeof body === "string" ? body : JSON.stringify(body);
}
