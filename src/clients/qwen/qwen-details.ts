import { dirname, join } from "node:path";
import { wordAt } from "../../redaction/redact.ts";
import { asObject, listAt, objectAt, textAt, type JsonObject, numberAt } from "../../shared/json-fields.ts";
import type { ClientDetails } from "../adapter/client-details.ts";
import { settings } from "../adapter/client-form.ts";
import { launched } from "../adapter/claude-compatible.ts";
import { withClaudeTool } from "../adapter/client-adapter.ts";
import { userWords } from "../adapter/harness-text.ts";
import { endEvent, runOutput } from "../adapter/run-output.ts";
import { dashed, refusal, type SessionFiles } from "../adapter/session-files.ts";
import { agentBehind, failedText, shellAnswer } from "../adapter/tools.ts";
import { readAssistant, readEnd, readSystem } from "../claude-code/claude-run.ts";
import { inlinePicture, type ReadContents } from "../conversation/conversation.ts";
import {
  addCall,
  addCompaction,
  addCounts,
  addEnd,
  addFailure,
  addText,
  endWithout,
  type LineFormat,
  formatOf,
  type LineFormats,
} from "../transcript/transcript-draft.ts";
import { goBackTo, isForeignRow, linkOf, startBranch } from "../transcript/linked-rows.ts";
import { headOf } from "../transcript/transcript-file.ts";
import { qwen, qwenTools } from "./qwen.ts";

/** Messages of Qwen Code are Gemini's. */
const qwenContents: ReadContents = (row) => {
  const parts = listAt(objectAt(row, "message"), "parts").map(asObject);
  const results = parts.map((part) => objectAt(part, "functionResponse")).filter((one) => one !== null);
  const cut = objectAt(objectAt(row, "toolCallResult"), "resultDisplay")?.["truncated"] === true;
  return {
    outputs: results.map((result) => {
      const response = objectAt(result, "response");
      const text = textAt(response, "output") ?? textAt(response, "error") ?? "";
      return { of: textAt(result, "id", 200), text, isCut: cut };
    }),
    images: parts.filter((part) => part && ("inlineData" in part || "fileData" in part)).length,
    pictures: parts.flatMap((part) => inlinePicture(objectAt(part, "inlineData"))),
    thoughts: parts.filter((part) => part?.["thought"] === true).length,
  };
};

/** Records of Qwen Code: Gemini's messages, with its own frame. */
const qwenRecords: LineFormats = {
  user: (draft, line, origin) => {
    const words = promptIn(line);
    if (line["subtype"] === "notification") draft.notes.push({ kind: "notice", text: qwenText(line), at: origin.at });
    if (words === null) return;
    startBranch(draft, textAt(line, "parentUuid", 100), origin);
    addText(draft, "user", words, line["subtype"] === "cron" ? { ...origin, from: "schedule" } : origin);
  },
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
    const answer = objectAt(qwenParts(line)[0] ?? null, "functionResponse");
    // The file of a sub-agent has none.
    const { status = objectAt(answer, "response")?.["error"] === undefined ? "success" : "error" } = result ?? {};
    const error = status === "success" ? null : errorOf(result, answer);
    // Its user refused or stopped the call, which ends the turn.
    if (status === "cancelled") draft.interruptions.push({ at });
    const shell = shellAnswer(answer);
    const end = { toolUseId: textAt(result, "callId", 200), at };
    const answered = answersIn(objectAt(result, "resultDisplay")) ?? agentIn(answer);
    const said = answered === null ? {} : { response: answered };
    if (shell === null) addEnd(draft, { ...end, error, ...said });
    else addEnd(draft, { ...end, error: error === null ? null : failedText(shell), response: shell });
  },
  system: (draft, line, origin) => {
    const compaction = { summary: null, trigger: "unknown", at: origin.at };
    if (line["subtype"] === "chat_compression") addCompaction(draft, compaction);
    // Its parent is the row before the first prompt that the user took back.
    if (line["subtype"] === "rewind") goBackTo(draft, textAt(line, "parentUuid", 100), origin);
    const error = objectAt(objectAt(line, "systemPayload"), "uiEvent");
    if (error && isFinal(error))
      addFailure(draft, textAt(error, "error_message") ?? "error", origin, qwen.limitIn?.(error));
  },
};

/** Last words of a sub-agent, which works on behind the turn without such; null: of none. */
function agentIn(answer: JsonObject | null): JsonObject | null {
  const output = answer?.["name"] === "agent" ? textAt(objectAt(answer, "response"), "output") : null;
  return agentBehind(output, launched) ?? (output === null ? null : { output });
}

/** @param shown what the client shows of a result; null: of no dialog */
function answersIn(shown: JsonObject | null): { readonly answers: JsonObject } | null {
  if (shown?.["type"] !== "ask_user_question_answers") return null;
  const answers = listAt(shown, "answers").map(asObject);
  return { answers: Object.fromEntries(answers.map((one) => [textAt(one, "question") ?? "", textAt(one, "answer")])) };
}

function errorOf(result: JsonObject | null, answer: JsonObject | null): string {
  const shown = textAt(result, "resultDisplay") ?? textAt(objectAt(result, "resultDisplay"), "text");
  const known = textAt(objectAt(result, "error"), "message") ?? shown;
  return known ?? textAt(objectAt(answer, "response"), "error") ?? "failed";
}

/** Each try that failed has an event. After status 429 or 5xx there is another try. */
function isFinal(event: JsonObject): boolean {
  const status = numberAt(event, "status_code") ?? 0;
  return event["event.name"] === "qwen-code.api_error" && status >= 400 && status < 500 && status !== 429;
}

const readQwenLine: LineFormat = (draft, line, origin) => {
  draft.clientVersion = wordAt(line, "version", 40) ?? draft.clientVersion;
  const prompt = line["type"] === "user" ? promptIn(line) : null;
  if (isForeignRow(draft, linkOf(line), origin.at, prompt === null ? null : { text: prompt })) return;
  formatOf(qwenRecords, textAt(line, "type"))?.(draft, line, origin);
};

/** The client itself writes how its background tasks ended, and what its goal asks for. */
const subtypesOfClient: ReadonlySet<unknown> = new Set(["notification", "goal_runtime"]);

function promptIn(line: JsonObject): string | null {
  const words = subtypesOfClient.has(line["subtype"]) ? "" : userWords(qwenText(line));
  return words.trim() === "" ? null : words;
}

function qwenParts(line: JsonObject): (JsonObject | null)[] {
  return listAt(objectAt(line, "message"), "parts").map(asObject);
}

function qwenText(line: JsonObject): string {
  return qwenParts(line)
    .flatMap((part) => (part?.["thought"] === true ? [] : (textAt(part, "text") ?? [])))
    .join("\n");
}

/** Lines of Claude Code, but for the usage. */
const qwenRun = runOutput(["--output-format", "stream-json"], {
  system: readSystem,
  assistant: (event) => readAssistant(event).filter(({ kind }) => kind !== "response"),
  result: (event) => {
    const { isError, text, turns } = readEnd(event);
    const failure = textAt(objectAt(event, "error"), "message") ?? (text || "it reported a failure");
    return [{ ...endEvent(isError ? failure : null, numberAt(objectAt(event, "usage"), "total_tokens")), turns }];
  },
});

function idsIn(row: JsonObject, key: string): (string | null)[] {
  const parts = qwenParts(row).map((part) => objectAt(part, key));
  return parts.flatMap((part) => (part === null ? [] : [textAt(part, "id", 200)]));
}

const qwenSessions: SessionFiles = {
  home: [".qwen"],
  files: ["projects/*/chats/{id}.jsonl"],
  archive: ["projects/*/chats/archive/*{id}.jsonl"],
  folderOf: (file, project) => join(dirname(dirname(dirname(file))), dashed(project), "chats"),
  isInFolder: true,
  store: {
    subagents: (file, id) => join(dirname(dirname(file)), "subagents", id),
    isNamedById: true,
    // Such as `<id>.ledger.jsonl`.
    isBeside: (name) => /\.[a-z-]+\.jsonl$/.test(name),
  },
  sessionIn: (row) => textAt(row, "sessionId", 200),
  links: { isLink: () => true, bridgeMs: 0, areTwinsJoined: true },
  callsIn: (row) => ({ calls: idsIn(row, "functionCall"), results: idsIn(row, "functionResponse") }),
  rowOf(row) {
    if (row["type"] === "tool_result") return { kind: "input" };
    if (row["type"] === "user" && objectAt(row, "message")) return { kind: "prompt" };
    if (row["type"] === "assistant" && objectAt(row, "message")) return { kind: "answer", of: null };
    const event = objectAt(objectAt(row, "systemPayload"), "uiEvent");
    if (event?.["event.name"] !== "qwen-code.api_error") return null;
    return refusal(numberAt(event, "status_code"), [event["error_type"]], textAt(event, "error_message"));
  },
};

export const qwenDetails: ClientDetails = {
  readRow: readQwenLine,
  contentsOf: qwenContents,
  headOf: (row) => (Array.isArray(objectAt(row, "message")?.["parts"]) ? headOf(row, "sessionId") : null),
  namedBy: "each row",
  runOutput: qwenRun,
  sessions: qwenSessions,
  // Qwen Code has a command `resume` of its own.
  promptPrefix: "shim:",
  form: { ...settings("qwen", ".qwen/settings.json", "cmd"), reads: ["a byte order mark", "comments"], hasRules: true },
};
