import { isRecord, listAt, type JsonObject } from "#src/shared/json-fields.ts";
import type { Message, Reply, WireFormat } from "./wire-format.ts";

/** The Chat Completions API of OpenAI: Copilot CLI, OpenCode, Qwen Code. */
export const chatCompletionsFormat: WireFormat = {
  isPath: (path) => path.endsWith("/chat/completions"),
  isStream: (_path, body) => body["stream"] === true,
  messages: (body) => listAt(body, "messages").filter(isRecord).map(messageOf),
  hasTools: (body) => listAt(body, "tools").length > 0,
  whole: (reply) => ({
    ...common(reply),
    object: "chat.completion",
    choices: [{ index: 0, message: answerOf(reply), finish_reason: finishOf(reply) }],
    usage: usageOf(reply),
  }),
  events(reply) {
    const chunk = (choices: readonly object[], more: object = {}) => ({
      event: null,
      data: { ...common(reply), object: "chat.completion.chunk", choices, ...more },
    });
    return [
      chunk([{ index: 0, delta: answerOf(reply), finish_reason: null }]),
      chunk([{ index: 0, delta: {}, finish_reason: finishOf(reply) }]),
      chunk([], { usage: usageOf(reply) }),
      { event: null, data: "[DONE]" },
    ];
  },
};

function messageOf(message: JsonObject): Message {
  const { role, content, tool_calls: calls } = message;
  const parts = Array.isArray(content) ? content.filter(isRecord).map((part) => String(part["text"])) : [];
  const text = typeof content === "string" ? content : parts.join("\n");
  return { role: String(role), text: calls === undefined ? text : `${text}\n${JSON.stringify(calls)}` };
}

function common({ serial, model }: Reply) {
  return { id: `chatcmpl_${serial}`, created: 0, model };
}

function finishOf({ calls }: Reply): string {
  return calls.length > 0 ? "tool_calls" : "stop";
}

function answerOf({ serial, text, calls }: Reply): object {
  const tool_calls = calls.map(({ name, input }, index) => ({
    index,
    id: `call_${serial}_${index}`,
    type: "function",
    function: { name, arguments: JSON.stringify(input) },
  }));
  return { role: "assistant", content: text ?? null, ...(calls.length > 0 ? { tool_calls } : {}) };
}

function usageOf({ usage }: Reply): object {
  return {
    prompt_tokens: usage.input_tokens,
    completion_tokens: usage.output_tokens,
    total_tokens: usage.input_tokens + usage.output_tokens,
    prompt_tokens_details: { cached_tokens: usage.cache_read_input_tokens },
  };
}
