import { numberAt, objectAt, textAt, type JsonObject } from "../../shared/json-fields.ts";
import { wordAt } from "../sessions/entries.ts";
import { addUsage, type LineFormat, type LineOrigin, type TranscriptDraft } from "./transcript-lines.ts";

/** Copilot CLI's events. Its hooks give a call no id, so calls come from the hooks alone. */
export const readCopilotLine: LineFormat = (draft, line, origin) => {
  // Events of a subagent name it.
  if (textAt(line, "agentId") !== null) return;
  const data = objectAt(line, "data");
  if (data) readers[textAt(line, "type") ?? ""]?.(draft, data, origin, textAt(line, "id", 100));
};

type Reader = (draft: TranscriptDraft, data: JsonObject, origin: LineOrigin, id: string | null) => void;

const readers: Readonly<Record<string, Reader>> = {
  "session.start": readStart,
  "session.resume": readStart,
  "user.message": (draft, data, origin) => addText(draft, "user", data, origin),
  "assistant.message": (draft, data, origin) => addText(draft, "assistant", data, origin),
  "session.usage_record": (draft, data, origin, id) => readUsage(draft, objectAt(data, "usage"), origin, id),
  "session.error": (draft, data, origin) => {
    draft.apiErrors.push({ text: textAt(data, "message") ?? "error", ...origin });
    draft.outcomes.push({ at: origin.at, isFailed: true });
  },
  "session.compaction_complete": (draft, data, { at }) => {
    if (data["success"] === false) return;
    draft.contextUsage = null;
    draft.compactBoundary = { at };
  },
};

function readStart(draft: TranscriptDraft, data: JsonObject): void {
  draft.clientVersion = wordAt(data, "copilotVersion", 40) ?? draft.clientVersion;
}

function addText(draft: TranscriptDraft, role: "user" | "assistant", data: JsonObject, origin: LineOrigin): void {
  const text = textAt(data, "content");
  if (text !== null) draft.texts.push({ role, text, ...origin });
}

function readUsage(draft: TranscriptDraft, data: JsonObject | null, { at, uuid }: LineOrigin, id: string | null): void {
  const cacheReadTokens = numberAt(data, "cacheReadTokens") ?? 0;
  addUsage(draft, {
    messageId: id ?? uuid,
    requestId: textAt(data, "providerCallId", 200),
    model: wordAt(data, "model", 200),
    inputTokens: Math.max(0, (numberAt(data, "inputTokens") ?? 0) - cacheReadTokens),
    cacheReadTokens,
    cacheCreationTokens: numberAt(data, "cacheWriteTokens") ?? 0,
    outputTokens: numberAt(data, "outputTokens") ?? 0,
    at,
  });
}
