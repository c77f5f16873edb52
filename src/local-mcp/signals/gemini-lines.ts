import { geminiTools } from "../../clients/gemini.ts";
import { asObject, listAt, numberAt, objectAt, textAt, type JsonObject } from "../../shared/json-fields.ts";
import { wordAt } from "../sessions/entries.ts";
import { userWords } from "../sessions/harness-text.ts";
import {
  addCall,
  addEnd,
  addFailure,
  addUsage,
  type LineFormat,
  type LineOrigin,
  type TranscriptDraft,
} from "./transcript-draft.ts";

/**
 * [TR201] Messages of Gemini CLI, each written again when it grows, between lines that only set
 * fields of the file. Its hooks give a call no id, so a live read takes calls from the hooks alone.
 */
export const readGeminiLine: LineFormat = (draft, line, { at, uuid }) => {
  const id = textAt(line, "id", 100) ?? uuid;
  readers[textAt(line, "type") ?? ""]?.(draft, line, { at, uuid: id });
};

const readers: Readonly<Record<string, (draft: TranscriptDraft, line: JsonObject, origin: LineOrigin) => void>> = {
  user: (draft, line, origin) => addText(draft, "user", userWords(contentOf(line)), origin),
  gemini: (draft, line, origin) => {
    addText(draft, "assistant", contentOf(line), origin);
    for (const call of listAt(line, "toolCalls")) readCall(draft, asObject(call), origin);
    readUsage(draft, line, origin);
  },
  error: (draft, line, origin) => addFailure(draft, contentOf(line) || "error", origin),
};

function contentOf(line: JsonObject): string {
  const parts = listAt(line, "content").map((part) => textAt(asObject(part), "text") ?? "");
  return textAt(line, "content") ?? parts.join("\n");
}

function addText(draft: TranscriptDraft, role: "user" | "assistant", text: string, origin: LineOrigin): void {
  if (text.trim() !== "") draft.texts.push({ role, text, ...origin });
}

function readCall(draft: TranscriptDraft, call: JsonObject | null, origin: LineOrigin): void {
  const id = textAt(call, "id", 200);
  const name = textAt(call, "name", 200);
  if (id === null || name === null) return;
  const ownTime = Date.parse(textAt(call, "timestamp", 40) ?? "");
  const at = Number.isNaN(ownTime) ? origin.at : ownTime;
  const input = call?.["args"];
  addCall(draft, { id, name: geminiTools.get(name) ?? name, input, at, uuid: origin.uuid, isUnhooked: true });
  addResult(draft, id, at, call);
}

const ends: ReadonlySet<unknown> = new Set(["success", "error", "cancelled"]);

function addResult(draft: TranscriptDraft, id: string, at: number | null, call: JsonObject | null): void {
  const status = call?.["status"];
  if (!ends.has(status)) return;
  const output = outputOf(call) ?? "failed";
  const isFailed = status !== "success" || /^Exit Code: [1-9]/m.test(output);
  const response = output.startsWith("Successfully created") ? { response: { type: "create" } } : {};
  addEnd(draft, { toolUseId: id, error: isFailed ? output : null, at, ...response });
}

function outputOf(call: JsonObject | null): string | null {
  const [first = null] = listAt(call, "result").map(asObject);
  const response = objectAt(objectAt(first, "functionResponse"), "response");
  return textAt(response, "output") ?? textAt(response, "error") ?? textAt(call, "resultDisplay");
}

function readUsage(draft: TranscriptDraft, line: JsonObject, { at, uuid }: LineOrigin): void {
  const counts = objectAt(line, "tokens");
  if (!counts) return;
  const cacheReadTokens = numberAt(counts, "cached") ?? 0;
  addUsage(draft, {
    messageId: uuid,
    requestId: null,
    model: wordAt(line, "model", 200),
    inputTokens: Math.max(0, (numberAt(counts, "input") ?? 0) - cacheReadTokens),
    cacheReadTokens,
    cacheCreationTokens: 0,
    outputTokens: (numberAt(counts, "output") ?? 0) + (numberAt(counts, "thoughts") ?? 0),
    at,
  });
}
