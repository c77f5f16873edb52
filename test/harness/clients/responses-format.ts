import { isRecord, listAt, textAt, type JsonObject } from "#src/shared/json-fields.ts";
import type { Message, Reply, SentEvent, WireFormat } from "./wire-format.ts";

/** The Responses API of OpenAI: Codex. */
export const responsesFormat: WireFormat = {
  isPath: (path) => path.endsWith("/responses"),
  isStream: (_path, body) => body["stream"] === true,
  messages: (body) => listAt(body, "input").filter(isRecord).map(messageOf),
  hasTools: (body) => listAt(body, "tools").length > 0,
  whole: responseOf,
  events,
};

/** Items that are no messages (calls and their outputs) are the assistant's and the tools'. */
function messageOf(item: JsonObject): Message {
  const role = textAt(item, "role") ?? (String(item["type"]).endsWith("_output") ? "tool" : "assistant");
  const { content, output } = item;
  return { role, text: textOf(content) ?? textOf(output) ?? JSON.stringify(item) };
}

function textOf(content: unknown): string | null {
  if (typeof content === "string") return content;
  if (!Array.isArray(content)) return null;
  return content
    .filter(isRecord)
    .map((part) => textAt(part, "text") ?? "")
    .join("\n");
}

type Call = Reply["calls"][number];

function responseOf({ serial, model, text, calls, usage }: Reply, body: JsonObject) {
  const content = [{ type: "output_text", text, annotations: [] }];
  const message = { type: "message", id: `item_${serial}`, role: "assistant", status: "completed", content };
  return {
    id: `resp_${serial}`,
    object: "response",
    status: "completed",
    model,
    output: [
      ...(text === undefined ? [] : [message]),
      ...calls.map((call, index) => callItem(call, `${serial}_${index}`, body)),
    ],
    usage: {
      input_tokens: usage.input_tokens,
      input_tokens_details: { cached_tokens: usage.cache_read_input_tokens },
      output_tokens: usage.output_tokens,
      output_tokens_details: { reasoning_tokens: 0 },
      total_tokens: usage.input_tokens + usage.output_tokens,
    },
  };
}

/** A tool that takes free text is offered as `custom`, those of an MCP server in a namespace. */
function callItem({ name, input }: Call, id: string, body: JsonObject): JsonObject {
  const tools = listAt(body, "tools").filter(isRecord);
  const common = { id: `item_${id}`, call_id: `call_${id}`, status: "completed" };
  if (tools.some((tool) => tool["type"] === "custom" && tool["name"] === name))
    return { type: "custom_tool_call", ...common, name, input: input["input"] };
  const [, namespace, tool] = /^(mcp__\w+?)__(\w+)$/.exec(name) ?? [];
  const named = namespace === undefined ? { name } : { name: tool, namespace };
  return { type: "function_call", ...common, ...named, arguments: JSON.stringify(input) };
}

function events(reply: Reply, body: JsonObject): SentEvent[] {
  const response = responseOf(reply, body);
  const sent: SentEvent[] = [];
  const add = (type: string, data: object): unknown =>
    sent.push({ event: type, data: { type, sequence_number: sent.length, ...data } });
  add("response.created", { response: { ...response, status: "in_progress", output: [], usage: null } });
  for (const [output_index, item] of response.output.entries()) {
    add("response.output_item.added", { output_index, item });
    add("response.output_item.done", { output_index, item });
  }
  add("response.completed", { response });
  return sent;
}
