import { asObject, listAt, numberAt, objectAt, textAt, type JsonObject } from "../../shared/json-fields.ts";
import { wordAt } from "../sessions/entries.ts";
import { addUsage, type LineFormat, type LineOrigin, type TranscriptDraft } from "./transcript-lines.ts";

/**
 * Messages of Gemini CLI, each written again when it grows, between lines that only set fields of
 * the file. Its hooks give a call no id, so calls come from the hooks alone.
 */
export const readGeminiLine: LineFormat = (draft, line, { at, uuid }) => {
  const id = textAt(line, "id", 100) ?? uuid;
  readers[textAt(line, "type") ?? ""]?.(draft, line, { at, uuid: id });
};

const readers: Readonly<Record<string, (draft: TranscriptDraft, line: JsonObject, origin: LineOrigin) => void>> = {
  user: (draft, line, origin) => addText(draft, "user", line, origin),
  gemini: (draft, line, origin) => {
    addText(draft, "assistant", line, origin);
    readUsage(draft, line, origin);
  },
  error: (draft, line, origin) => {
    draft.apiErrors.push({ text: contentOf(line) || "error", ...origin });
    draft.outcomes.push({ at: origin.at, isFailed: true });
  },
};

function contentOf(line: JsonObject): string {
  const parts = listAt(line, "content").map((part) => textAt(asObject(part), "text") ?? "");
  return textAt(line, "content") ?? parts.join("\n");
}

function addText(draft: TranscriptDraft, role: "user" | "assistant", line: JsonObject, origin: LineOrigin): void {
  const text = contentOf(line);
  if (text.trim() !== "") draft.texts.push({ role, text, ...origin });
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
