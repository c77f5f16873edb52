import { withClaudeTool } from "../../clients/define-client.ts";
import { qwenTools } from "../../clients/claude-compatible.ts";
import { asObject, listAt, numberAt, objectAt, textAt, type JsonObject } from "../../shared/json-fields.ts";
import { wordAt } from "../sessions/entries.ts";
import { userWords } from "../sessions/harness-text.ts";
import {
  addCall as addToolCall,
  addCompaction,
  addEnd,
  addUsage,
  type LineFormat,
  type LineOrigin,
  type TranscriptDraft,
} from "./transcript-draft.ts";

/** [TR201] Records of Qwen Code: Gemini's messages, with its own frame. */
export const readQwenLine: LineFormat = (draft, line, origin) => {
  draft.clientVersion = wordAt(line, "version", 40) ?? draft.clientVersion;
  readers[textAt(line, "type") ?? ""]?.(draft, line, origin);
};

const readers: Readonly<Record<string, (draft: TranscriptDraft, line: JsonObject, origin: LineOrigin) => void>> = {
  user: (draft, line, origin) => addText(draft, "user", line, origin),
  assistant: readAssistant,
  tool_result: readResult,
  system: (draft, line, { at }) => {
    if (line["subtype"] === "chat_compression") addCompaction(draft, { summary: null, trigger: "unknown", at });
  },
};

function partsOf(line: JsonObject): (JsonObject | null)[] {
  return listAt(objectAt(line, "message"), "parts").map(asObject);
}

function addText(draft: TranscriptDraft, role: "user" | "assistant", line: JsonObject, origin: LineOrigin): void {
  const texts = partsOf(line).flatMap((part) => (part?.["thought"] === true ? [] : (textAt(part, "text") ?? [])));
  const text = role === "user" ? userWords(texts.join("\n")) : texts.join("\n");
  if (text.trim() !== "") draft.texts.push({ role, text, ...origin });
}

function readAssistant(draft: TranscriptDraft, line: JsonObject, origin: LineOrigin): void {
  addText(draft, "assistant", line, origin);
  for (const part of partsOf(line)) addCall(draft, objectAt(part, "functionCall"), line["cwd"], origin);
  readUsage(draft, line, origin);
}

function addCall(draft: TranscriptDraft, call: JsonObject | null, cwd: unknown, origin: LineOrigin): void {
  const id = textAt(call, "id", 200);
  const given = { tool_name: textAt(call, "name", 200), tool_input: call?.["args"] ?? null, cwd };
  const { tool_name: name, tool_input: input } = withClaudeTool(given, qwenTools);
  if (id !== null && typeof name === "string") addToolCall(draft, { id, name, input, ...origin });
}

function readUsage(draft: TranscriptDraft, line: JsonObject, { at, uuid }: LineOrigin): void {
  const counts = objectAt(line, "usageMetadata");
  if (!counts) return;
  const cached = numberAt(counts, "cachedContentTokenCount") ?? 0;
  addUsage(draft, {
    messageId: uuid,
    requestId: null,
    model: wordAt(line, "model", 200),
    inputTokens: Math.max(0, (numberAt(counts, "promptTokenCount") ?? 0) - cached),
    cacheReadTokens: cached,
    cacheCreationTokens: 0,
    outputTokens: numberAt(counts, "candidatesTokenCount") ?? 0,
    at,
  });
}

function readResult(draft: TranscriptDraft, line: JsonObject, { at }: LineOrigin): void {
  const result = objectAt(line, "toolCallResult");
  const toolUseId = textAt(result, "callId", 200);
  if (toolUseId === null) return;
  const isFailed = result?.["status"] !== "success";
  const error =
    textAt(objectAt(result, "error"), "message") ??
    textAt(result, "resultDisplay") ??
    textAt(objectAt(result, "resultDisplay"), "text") ??
    "failed";
  addEnd(draft, { toolUseId, error: isFailed ? error : null, at });
}
