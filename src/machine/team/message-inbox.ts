import type { CallError } from "../../contract/errors.ts";
import { maxMessageBodyChars, type Message } from "../../contract/messages.ts";
import { oneAfterAnother } from "../../shared/one-at-a-time.ts";
import { ok, type Result } from "../../shared/result.ts";
import { redact } from "../../redaction/redact.ts";
import type { ChatParts } from "./chat-parts.ts";
import * as news from "../sessions/news.ts";

const pageSize = 50;
const timeoutMs = 10_000;

/**
 * Pulls all messages of a chat. They are stored before they are acknowledged: none is lost or
 * delivered twice.
 */
export function messageInbox(parts: ChatParts): () => Promise<Result<null, CallError>> {
  return oneAfterAnother(
    () => receiveAll(parts),
    (received) => !received.ok,
  );
}

async function receiveAll(parts: ChatParts): Promise<Result<null, CallError>> {
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
