import { listAt, numberAt, objectAt, textAt, type JsonObject } from "../../shared/json-fields.ts";
import { wordAt } from "../../redaction/bounded-text.ts";
import { userWords } from "../adapter/harness-text.ts";
import {
  addCall,
  addCompaction,
  addCounts,
  addEnd,
  addFailure,
  addText,
  type LineFormat,
  type LineFormats,
  type TranscriptDraft,
} from "../transcript/transcript-draft.ts";
import { failedText, shellCompletion } from "../adapter/shell-results.ts";
import { copilot, copilotTools } from "./copilot.ts";

/** Hooks of Copilot CLI give a call no id: a live read takes no calls of theirs. */
const isUnhooked = true;

/** Copilot CLI's events, by their `data`. */
const copilotEvents: LineFormats = {
  "session.start": readCopilotVersion,
  "session.resume": readCopilotVersion,
  "user.message": (draft, data, origin) => {
    // A skill, a schedule and a notification name themselves as its source.
    const source = textAt(data, "source") ?? "user";
    if (source === "user") addText(draft, "user", userWords(textAt(data, "content") ?? ""), origin);
  },
  "assistant.message": (draft, data, origin) => {
    const text = textAt(data, "content") ?? "";
    addText(draft, "assistant", text, origin);
    draft.lastAnswer = listAt(data, "toolRequests").length === 0 ? text : null;
    draft.turnEnd = null;
  },
  // Each answer of the model has one; the last calls no tool.
  "assistant.turn_end": (draft, _data, { at }) => {
    if (draft.lastAnswer !== null) draft.turnEnd = { text: draft.lastAnswer, at };
  },
  "session.usage_record": (draft, data, { at, uuid }) => {
    const usage = objectAt(data, "usage");
    const fields = { input: "inputTokens", cached: "cacheReadTokens", written: "cacheWriteTokens" };
    const about = { messageId: uuid, requestId: textAt(usage, "providerCallId", 200), at };
    addCounts(draft, usage, { ...fields, output: ["outputTokens"] }, { ...about, model: wordAt(usage, "model", 200) });
  },
  "tool.execution_start": (draft, data, origin) => {
    const name = textAt(data, "toolName", 200);
    const call = {
      name: copilotTools.get(name ?? "") ?? name,
      input: data["arguments"],
      isUnhooked,
      ...origin,
    } as const;
    addCall(draft, { id: textAt(data, "toolCallId", 200), ...call });
  },
  "tool.execution_complete": (draft, data, { at }) => {
    const failed = data["success"] === false ? (textAt(objectAt(data, "error"), "message") ?? "failed") : null;
    const output = textAt(objectAt(data, "result"), "content") ?? "";
    const shell = shellCompletion(output, numberAt(objectAt(data, "shellExecution"), "exitCode"));
    const error = shell !== null && shell.exit_code !== 0 ? failedText(shell) : failed;
    const created = output.startsWith("Created file") ? { response: { type: "create" } } : {};
    const response = shell === null ? created : { response: shell };
    addEnd(draft, { toolUseId: textAt(data, "toolCallId", 200), error, at, isUnhooked, ...response });
  },
  "session.error": (draft, data, origin) =>
    addFailure(draft, textAt(data, "message") ?? "error", origin, copilot.limitIn?.(data)),
  "session.compaction_complete": (draft, data, { at }) => {
    const summary = textAt(data, "summaryContent");
    if (data["success"] !== false) addCompaction(draft, { summary, trigger: "unknown", at });
  },
};

function readCopilotVersion(draft: TranscriptDraft, data: JsonObject): void {
  draft.clientVersion = wordAt(data, "copilotVersion", 40) ?? draft.clientVersion;
}

export const readCopilotLine: LineFormat = (draft, line, { at, uuid }) => {
  const data = objectAt(line, "data");
  // Events of a subagent name it.
  if (!data || textAt(line, "agentId") !== null) return;
  const type = textAt(line, "type") ?? "";
  // The id of the event is that of the answer which it counts.
  const id = type === "session.usage_record" ? (textAt(line, "id", 100) ?? uuid) : uuid;
  copilotEvents[type]?.(draft, data, { at, uuid: id });
};
