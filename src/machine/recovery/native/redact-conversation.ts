import type { Conversation, Item } from "../../../clients/conversation/conversation.ts";
import { redact, redactJson } from "../../../redaction/redact.ts";

interface Redacted {
  readonly conversation: Conversation;
  /** Secrets and private texts that markers replace. */
  readonly count: number;
}

/** Pure. The new session is a second file of what was said: secrets stay in the first one alone. */
export function redactConversation(conversation: Conversation): Redacted {
  let count = 0;
  const items = conversation.items.map((item): Item => {
    if (item.kind === "call") {
      const input = redactJson(item.input);
      count += input.count;
      return { ...item, input: input.value };
    }
    const text = redact(item.text);
    count += text.count;
    return { ...item, text: text.text };
  });
  return { conversation: { ...conversation, items }, count };
}
