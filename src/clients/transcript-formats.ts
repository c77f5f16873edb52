import { opencode, opencodeTools, qwen, qwenTools } from "./claude-code/claude-compatible.ts";
import { withClaudeTool, type ToolNames } from "./adapter/define-client.ts";
import { copilot, copilotTools } from "./copilot/copilot.ts";
import { geminiTools } from "./gemini/gemini.ts";
import type { HookClient } from "../contract/clients.ts";
import { asObject, listAt, numberAt, objectAt, textAt, type JsonObject } from "../shared/json-fields.ts";
import { wordAt } from "../redaction/bounded-text.ts";
import { userWords, withAttachments } from "./adapter/harness-text.ts";
import { readCodexLine } from "./codex/codex-lines.ts";
import {
  addCall,
  addCompaction,
  addCounts,
  addEnd,
  addFailure,
  addText,
  blocksOf,
  textOf,
  type LineFormat,
  type LineOrigin,
  type TranscriptDraft,
  type TranscriptTurnEnd,
} from "./transcript/transcript-draft.ts";

/** Readers of rows by the row's kind; other kinds say nothing of the work. */
type Rows = Readonly<Record<string, LineFormat>>;

/** Hooks of Copilot CLI and Gemini CLI give a call no id: a live read takes no calls of theirs. */
const isUnhooked = true;

/** [TR201] Copilot CLI's events, by their `data`. */
const copilotEvents: Rows = {
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
    const code = numberAt(objectAt(data, "shellExecution"), "exitCode") ?? 0;
    const failed = data["success"] === false ? (textAt(objectAt(data, "error"), "message") ?? "failed") : null;
    const output = textAt(objectAt(data, "result"), "content") ?? "";
    const error = code === 0 ? failed : `Exit code ${code} ${output}`.trim();
    const response = output.startsWith("Created file") ? { response: { type: "create" } } : {};
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

const readCopilotLine: LineFormat = (draft, line, { at, uuid }) => {
  const data = objectAt(line, "data");
  // Events of a subagent name it.
  if (!data || textAt(line, "agentId") !== null) return;
  const type = textAt(line, "type") ?? "";
  // The id of the event is that of the answer which it counts.
  const id = type === "session.usage_record" ? (textAt(line, "id", 100) ?? uuid) : uuid;
  copilotEvents[type]?.(draft, data, { at, uuid: id });
};

/** [TR205] These clients write no end of a turn: its last answer has words, and calls no tool. */
function endWithout(calls: readonly unknown[], text: string, { at }: LineOrigin): TranscriptTurnEnd | null {
  return calls.length === 0 && text.trim() !== "" ? { text, at } : null;
}

/**
 * [TR201] Messages of Gemini CLI, each written again when it grows, between lines that only set
 * fields of the file.
 */
const geminiMessages: Rows = {
  user: (draft, line, origin) => addText(draft, "user", userWords(textOf(line)), origin),
  gemini: (draft, line, origin) => {
    const text = textOf(line);
    addText(draft, "assistant", text, origin);
    const calls = listAt(line, "toolCalls");
    for (const call of calls) readGeminiCall(draft, asObject(call) ?? {}, origin);
    draft.turnEnd = endWithout(calls, text, origin);
    const fields = { input: "input", cached: "cached", output: ["output", "thoughts"] };
    const about = { messageId: origin.uuid, model: wordAt(line, "model", 200), at: origin.at };
    addCounts(draft, objectAt(line, "tokens"), fields, about);
  },
  error: (draft, line, origin) => addFailure(draft, textOf(line) || "error", origin),
  info: (draft, line, { at }) => {
    if (textOf(line) === "Request cancelled.") draft.interruptions.push({ at });
  },
};

const readGeminiLine: LineFormat = (draft, line, { at, uuid }) =>
  geminiMessages[textAt(line, "type") ?? ""]?.(draft, line, { at, uuid: textAt(line, "id", 100) ?? uuid });

const geminiEnds: ReadonlySet<unknown> = new Set(["success", "error", "cancelled"]);

const readGeminiCall: LineFormat = (draft, call, { at: lineAt, uuid }) => {
  const id = textAt(call, "id", 200);
  const name = textAt(call, "name", 200);
  const ownTime = Date.parse(textAt(call, "timestamp", 40) ?? "");
  const at = Number.isNaN(ownTime) ? lineAt : ownTime;
  if (name === null) return;
  addCall(draft, { id, name: geminiTools.get(name) ?? name, input: call["args"], at, uuid, isUnhooked });
  const { status } = call;
  if (!geminiEnds.has(status)) return;
  const response = objectAt(objectAt(asObject(listAt(call, "result")[0]), "functionResponse"), "response");
  const output = textAt(response, "output") ?? textAt(response, "error") ?? textAt(call, "resultDisplay") ?? "failed";
  const isFailed = status !== "success" || /^Exit Code: [1-9]/m.test(output);
  const created = output.startsWith("Successfully created") ? { response: { type: "create" } } : {};
  addEnd(draft, { toolUseId: id, error: isFailed ? output : null, at, ...created });
};

/** [TR201] Records of Qwen Code: Gemini's messages, with its own frame. */
const qwenRecords: Rows = {
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
    addEnd(draft, { toolUseId: textAt(result, "callId", 200), error: isFailed ? error : null, at });
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

const readQwenLine: LineFormat = (draft, line, origin) => {
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

/** [TR201] Messages of `opencode export`, each with its parts; a live chat has no such file. */
const readOpenCodeMessage: LineFormat = (draft, row, { uuid }) => {
  const info = objectAt(row, "info");
  const origin = { at: numberAt(objectAt(info, "time"), "created"), uuid: textAt(info, "id", 100) ?? uuid };
  openCodeMessages[textAt(info, "role") ?? ""]?.(draft, row, origin);
};

const openCodeMessages: Rows = {
  user: (draft, row, origin) => {
    const compaction = blocksOf(row, "compaction", "parts")[0];
    const trigger = compaction?.["auto"] === true ? "auto" : "manual";
    if (compaction) addCompaction(draft, { summary: null, trigger, at: origin.at });
    const files = blocksOf(row, "file", "parts");
    const names = files.map((part) => textAt(part, "filename", 500) ?? textAt(part, "mime", 100) ?? "file");
    addText(draft, "user", withAttachments(userWords(openCodeText(row)), names), origin);
  },
  assistant: (draft, row, origin) => {
    const info = objectAt(row, "info");
    const text = openCodeText(row);
    draft.model = wordAt(info, "modelID", 200) ?? draft.model;
    if (info?.["summary"] === true) return addOpenCodeSummary(draft, text.trim(), origin.at);
    for (const part of blocksOf(row, undefined, "parts"))
      openCodeParts[textAt(part, "type") ?? ""]?.(draft, part, origin);
    const endedAt = numberAt(objectAt(info, "time"), "completed");
    draft.turnEnd = info?.["finish"] === "stop" && endedAt !== null ? { text, at: endedAt } : null;
    const error = objectAt(info, "error");
    if (error) readOpenCodeError(draft, error, { ...origin, at: endedAt ?? origin.at });
  },
};

function addOpenCodeSummary(draft: TranscriptDraft, summary: string, at: number | null): void {
  const begun = draft.compactions.at(-1)?.summary === null ? draft.compactions.pop() : undefined;
  addCompaction(draft, { summary, trigger: begun?.trigger ?? "unknown", at });
}

const readOpenCodeError: LineFormat = (draft, error, origin) => {
  if (error["name"] === "MessageAbortedError") draft.interruptions.push({ at: origin.at });
  else {
    const text = textAt(objectAt(error, "data"), "message") ?? textAt(error, "name") ?? "error";
    addFailure(draft, text, origin, opencode.limitIn?.(error));
  }
};

/** Synthetic parts are OpenCode's own: the content of a file, a request to go on. */
function openCodeText(row: JsonObject): string {
  const own = blocksOf(row, "text", "parts").filter(({ synthetic, ignored }) => !synthetic && !ignored);
  return textOf({ own }, "own");
}

const openCodeNames: ToolNames = new Map([...opencodeTools, ["question", "AskUserQuestion"]]);

const openCodeParts: Rows = {
  text: (draft, part, { at, uuid }) => {
    const ownTime = numberAt(objectAt(part, "time"), "start") ?? at;
    addText(draft, "assistant", openCodeText({ parts: [part] }), { at: ownTime, uuid });
  },
  tool: (draft, part, { at: messageAt, uuid }) => {
    const id = textAt(part, "callID", 200);
    const tool = textAt(part, "tool", 200);
    const state = objectAt(part, "state");
    if (tool === null || state === null) return;
    const at = numberAt(objectAt(state, "time"), "start") ?? messageAt;
    const name = openCodeNames.get(tool) ?? tool;
    addCall(draft, { id, name, input: state["input"], at, uuid, isUnhooked });
    if (state["status"] !== "completed" && state["status"] !== "error") return;
    const response = name === "AskUserQuestion" ? { response: openCodeAnswers(state) } : {};
    const endedAt = numberAt(objectAt(state, "time"), "end") ?? at;
    addEnd(draft, { toolUseId: id, error: openCodeError(state), at: endedAt, ...response });
  },
};

/** A command that fails is a call that was completed. */
function openCodeError(state: JsonObject): string | null {
  if (state["status"] === "error") return textAt(state, "error") ?? "failed";
  const code = numberAt(objectAt(state, "metadata"), "exit") ?? 0;
  return code === 0 ? null : `Exit code ${code} ${textAt(state, "output") ?? ""}`.trim();
}

/** The answers stand in the order of the questions. */
function openCodeAnswers(state: JsonObject): JsonObject {
  const given = listAt(objectAt(state, "metadata"), "answers");
  const questions = listAt(objectAt(state, "input"), "questions").map((one) => textAt(asObject(one), "question") ?? "");
  return { answers: Object.fromEntries(questions.map((question, index) => [question, given[index]])) };
}

const formats: ReadonlyMap<string, LineFormat> = new Map<HookClient, LineFormat>([
  ["codex", readCodexLine],
  ["copilot", readCopilotLine],
  ["qwen", readQwenLine],
  ["gemini", readGeminiLine],
  ["opencode", readOpenCodeMessage],
]);

/** Undefined for Claude Code, and for a client whose files have its format. */
export function transcriptFormat(client: string): LineFormat | undefined {
  return formats.get(client);
}
