import { isRecord, listAt } from "#src/shared/json-fields.ts";
import type { Reply, SentEvent, WireFormat } from "./wire-format.ts";

/** The Messages API of Anthropic: Claude Code. */
export const messagesFormat: WireFormat = {
  isPath: (path) => path === "/v1/messages",
  isStream: (_path, body) => body["stream"] === true,
  messages: (body) =>
    listAt(body, "messages")
      .filter(isRecord)
      .map((message) => ({ role: String(message["role"]), text: contentText(message["content"]) })),
  hasTools: (body) => listAt(body, "tools").length > 0,
  whole: messageOf,
  events,
};

/** Text, tool calls and tool results of a message as one string; blocks stand in lines of their own. */
function contentText(content: unknown): string {
  if (typeof content === "string") return content;
  if (!Array.isArray(content)) return "";
  return content
    .filter(isRecord)
    .map((block) => {
      if (block["type"] === "text") return String(block["text"]);
      if (block["type"] === "tool_result") return contentText(block["content"]);
      return JSON.stringify(block);
    })
    .join("\n");
}

function messageOf({ serial, model, text, calls, usage }: Reply) {
  const uses = calls.map((call, index) => ({ type: "tool_use" as const, id: `toolu_${serial}_${index}`, ...call }));
  const texts = text === undefined ? [] : [{ type: "text" as const, text }];
  return {
    id: `msg_${serial}`,
    type: "message",
    role: "assistant",
    model,
    content: [...texts, ...uses],
    stop_reason: calls.length > 0 ? "tool_use" : "end_turn",
    stop_sequence: null,
    usage,
  };
}

function events(reply: Reply): SentEvent[] {
  const message = messageOf(reply);
  const sent: SentEvent[] = [];
  const add = (type: string, data: object): unknown => sent.push({ event: type, data: { type, ...data } });
  add("message_start", { message: { ...message, content: [], stop_reason: null } });
  for (const [index, block] of message.content.entries()) {
    const isText = block.type === "text";
    add("content_block_start", { index, content_block: isText ? { ...block, text: "" } : { ...block, input: {} } });
    const delta = isText
      ? { type: "text_delta", text: block.text }
      : { type: "input_json_delta", partial_json: JSON.stringify(block.input) };
    add("content_block_delta", { index, delta });
    add("content_block_stop", { index });
  }
  const { stop_reason, stop_sequence, usage } = message;
  add("message_delta", { delta: { stop_reason, stop_sequence }, usage: { output_tokens: usage.output_tokens } });
  add("message_stop", {});
  return sent;
}
