import { asObject, listAt, objectAt, textAt, type JsonObject } from "../../shared/json-fields.ts";
import { wordAt } from "../../redaction/bounded-text.ts";
import { userWords } from "../adapter/harness-text.ts";
import {
  addCall,
  addCompaction,
  addCounts,
  addEnd,
  addFailure,
  addText,
  endWithout,
  type LineFormat,
  type LineFormats,
} from "../transcript/transcript-draft.ts";
import { withClaudeTool } from "../adapter/define-client.ts";
import { failedText, shellAnswer } from "../adapter/shell-results.ts";
import { qwen, qwenTools } from "./qwen.ts";

/** Records of Qwen Code: Gemini's messages, with its own frame. */
const qwenRecords: LineFormats = {
  user: (draft, line, origin) => addText(draft, "user", userWords(qwenText(line)), origin),
  assistant: (draft, line, origin) => {
    const text = qwenText(line);
    addText(draft, "assistant", text, origin);
    const calls = qwenParts(line)
      .map((part) => objectAt(part, "functionCall"))
      .filter((call) => call !== null);
    draft.turnEnd = endWithout(calls, text, origin);
    for (const call of calls) {
      const given = { tool_name: textAt(call, "name", 200), tool_input: call["args"] ?? null, cwd: line["cwd"] };
      const { tool_name: name, tool_input: input } = withClaudeTool(given, qwenTools);
      addCall(draft, { id: textAt(call, "id", 200), name: typeof name === "string" ? name : null, input, ...origin });
    }
    const fields = { input: "promptTokenCount", cached: "cachedContentTokenCount", output: ["candidatesTokenCount"] };
    const about = { messageId: origin.uuid, model: wordAt(line, "model", 200), at: origin.at };
    addCounts(draft, objectAt(line, "usageMetadata"), fields, about);
  },
  tool_result: (draft, line, { at }) => {
    const result = objectAt(line, "toolCallResult");
    const error =
      textAt(objectAt(result, "error"), "message") ??
      textAt(result, "resultDisplay") ??
      textAt(objectAt(result, "resultDisplay"), "text") ??
      "failed";
    const isFailed = result?.["status"] !== "success";
    const shell = shellAnswer(objectAt(qwenParts(line)[0] ?? null, "functionResponse"));
    const end = { toolUseId: textAt(result, "callId", 200), at };
    if (shell === null) addEnd(draft, { ...end, error: isFailed ? error : null });
    else addEnd(draft, { ...end, error: isFailed ? failedText(shell) : null, response: shell });
  },
  system: (draft, line, origin) => {
    const compaction = { summary: null, trigger: "unknown", at: origin.at };
    if (line["subtype"] === "chat_compression") addCompaction(draft, compaction);
    // Each try that failed has one: only a limit is known to be the last.
    const error = objectAt(objectAt(line, "systemPayload"), "uiEvent");
    const limit = error && qwen.limitIn?.(error);
    if (limit) addFailure(draft, textAt(error, "error_message") ?? "error", origin, limit);
  },
};

export const readQwenLine: LineFormat = (draft, line, origin) => {
  draft.clientVersion = wordAt(line, "version", 40) ?? draft.clientVersion;
  qwenRecords[textAt(line, "type") ?? ""]?.(draft, line, origin);
};

function qwenParts(line: JsonObject): (JsonObject | null)[] {
  return listAt(objectAt(line, "message"), "parts").map(asObject);
}

function qwenText(line: JsonObject): string {
  return qwenParts(line)
    .flatMap((part) => (part?.["thought"] === true ? [] : (textAt(part, "text") ?? [])))
    .join("\n");
}
