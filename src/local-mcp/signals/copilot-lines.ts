import { copilotTools } from "../../clients/copilot.ts";
import { numberAt, objectAt, textAt, type JsonObject } from "../../shared/json-fields.ts";
import { wordAt } from "../sessions/entries.ts";
import { userWords } from "../sessions/harness-text.ts";
import {
  addCall,
  addCompaction,
  addEnd,
  addFailure,
  addUsage,
  type LineFormat,
  type LineOrigin,
  type TranscriptDraft,
} from "./transcript-draft.ts";

/**
 * [TR201] Copilot CLI's events. Its hooks give a call no id, so a live read takes calls from the
 * hooks alone.
 */
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
  "tool.execution_start": readCall,
  "tool.execution_complete": readCallEnd,
  "session.error": (draft, data, origin) => addFailure(draft, textAt(data, "message") ?? "error", origin),
  "session.compaction_complete": (draft, data, { at }) => {
    const summary = textAt(data, "summaryContent");
    if (data["success"] !== false) addCompaction(draft, { summary, trigger: "unknown", at });
  },
};

function readStart(draft: TranscriptDraft, data: JsonObject): void {
  draft.clientVersion = wordAt(data, "copilotVersion", 40) ?? draft.clientVersion;
}

function addText(draft: TranscriptDraft, role: "user" | "assistant", data: JsonObject, origin: LineOrigin): void {
  const content = textAt(data, "content") ?? "";
  const text = role === "user" ? userWords(content) : content;
  if (text !== "") draft.texts.push({ role, text, ...origin });
}

function readCall(draft: TranscriptDraft, data: JsonObject, origin: LineOrigin): void {
  const id = textAt(data, "toolCallId", 200);
  const name = textAt(data, "toolName", 200);
  if (id === null || name === null) return;
  const input = data["arguments"];
  addCall(draft, { id, name: copilotTools.get(name) ?? name, input, isUnhooked: true, ...origin });
}

function readCallEnd(draft: TranscriptDraft, data: JsonObject, { at }: LineOrigin): void {
  const toolUseId = textAt(data, "toolCallId", 200);
  if (toolUseId === null) return;
  const code = numberAt(objectAt(data, "shellExecution"), "exitCode") ?? 0;
  const failed = data["success"] === false ? (textAt(objectAt(data, "error"), "message") ?? "failed") : null;
  const output = textAt(objectAt(data, "result"), "content") ?? "";
  const error = code === 0 ? failed : `Exit code ${code} ${output}`.trim();
  const response = output.startsWith("Created file") ? { response: { type: "create" } } : {};
  addEnd(draft, { toolUseId, error, at, isUnhooked: true, ...response });
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
