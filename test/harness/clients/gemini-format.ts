import { isRecord, listAt, type JsonObject } from "#src/shared/json-fields.ts";
import type { Reply, WireFormat } from "./wire-format.ts";

/** The Gemini API: Gemini CLI. */
export const geminiFormat: WireFormat = {
  isPath: (path) => /\/models\/[^/]+:(streamGenerateContent|generateContent)$/.test(path),
  isStream: (path) => path.endsWith(":streamGenerateContent"),
  messages: (body) =>
    listAt(body, "contents")
      .filter(isRecord)
      .map((content) => ({ role: String(content["role"]), text: partsText(content) })),
  hasTools: (body) => listAt(body, "tools").length > 0,
  whole: responseOf,
  events: (reply) => [{ event: null, data: responseOf(reply) }],
};

function partsText(content: JsonObject): string {
  return listAt(content, "parts")
    .filter(isRecord)
    .map((part) => (typeof part["text"] === "string" ? part["text"] : JSON.stringify(part)))
    .join("\n");
}

function responseOf({ serial, model, text, calls, usage }: Reply): object {
  const parts = [
    ...(text === undefined ? [] : [{ text }]),
    ...calls.map(({ name, input }, index) => ({ functionCall: { id: `call_${serial}_${index}`, name, args: input } })),
  ];
  return {
    candidates: [{ index: 0, content: { role: "model", parts }, finishReason: "STOP" }],
    modelVersion: model,
    responseId: `gen_${serial}`,
    usageMetadata: {
      promptTokenCount: usage.input_tokens,
      candidatesTokenCount: usage.output_tokens,
      totalTokenCount: usage.input_tokens + usage.output_tokens,
      cachedContentTokenCount: usage.cache_read_input_tokens,
    },
  };
}
