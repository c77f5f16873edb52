import { clientMs } from "../../contract/hook-limits.ts";
import { isUtf8 } from "node:buffer";
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { wordAt } from "../../redaction/redact.ts";
import { listAt, objectAt, textAt, numberAt, type JsonObject, asObject } from "../../shared/json-fields.ts";
import { omitUndefined } from "../../shared/omit-undefined.ts";
import type { ClientDetails } from "../adapter/client-details.ts";
import { type HookLaunch, jsonExtensions } from "../adapter/client-form.ts";
import { ranText, userWords } from "../adapter/harness-text.ts";
import { refusal, uuid, type SessionFiles, type StoreHabits } from "../adapter/session-files.ts";
import { agentBehind, failedText, shellCompletion } from "../adapter/tools.ts";
import type { ReadContents } from "../conversation/conversation.ts";
import { problemOf, readBytes, headNamedBy, headOf } from "../transcript/transcript-file.ts";
import {
  addCall,
  addCompaction,
  addEnd,
  addFailure,
  addText,
  addUsage,
  type LineFormat,
  type LineOrigin,
  formatOf,
  rowState,
  type LineFormats,
  type TranscriptDraft,
  type Usage,
  usageOf,
} from "../transcript/transcript-draft.ts";
import { isForeignRow, startBranch } from "../transcript/linked-rows.ts";
import { backgroundIn, copilot, copilotTools, launched, shellName } from "./copilot.ts";

const copilotContents: ReadContents = (row) => {
  if (textAt(row, "agentId") !== null) return { isOfSubagent: true };
  const data = objectAt(row, "data");
  const hasEnded = row["type"] === "tool.execution_complete";
  const text = textAt(objectAt(data, "result"), "content") ?? textAt(objectAt(data, "error"), "message") ?? "";
  return {
    outputs: hasEnded ? [{ of: textAt(data, "toolCallId", 200), text, isCut: false }] : [],
    images: row["type"] === "user.message" ? listAt(data, "attachments").length : 0,
    thoughts: textAt(data, "reasoningText") ? 1 : 0,
  };
};

/** Hooks of Copilot CLI give a call no id: a live read takes no calls of theirs. */
const isUnhooked = true;

const stateOf = rowState(() => ({
  /** Words of the newest answer, if it calls no tool. */
  lastAnswer: null as string | null,
  /** Ids of sub-agents, by the calls that started them. */
  agents: new Map<string, string>(),
  /** Newest words of each sub-agent, by its id. */
  agentWords: new Map<string, string>(),
}));

/** Copilot CLI's events, by their `data`. */
const copilotEvents: LineFormats = {
  "session.start": readCopilotVersion,
  "session.resume": readCopilotVersion,
  "user.message": (draft, data, origin) => {
    const words = promptIn(data);
    if (words === null) return;
    startBranch(draft, null, origin);
    addText(draft, "user", words, origin);
  },
  // The client has cut its file back to before a prompt.
  "session.info": (draft, data, { at, uuid }) => {
    if (data["infoType"] !== "rewind" || at === null) return;
    draft.base = { files: "events.jsonl", bytes: Number(uuid.slice(1)), at };
  },
  "tool.user_requested": (draft, data, origin) => {
    const command = textAt(objectAt(data, "arguments"), "command");
    if (command !== null) addText(draft, "user", ranText(command), origin);
  },
  "assistant.message": (draft, data, origin) => {
    const text = textAt(data, "content") ?? "";
    addText(draft, "assistant", text, origin);
    stateOf(draft).lastAnswer = listAt(data, "toolRequests").length === 0 ? text : null;
    draft.turnEnd = null;
  },
  // Each answer of the model has one; the last calls no tool.
  "assistant.turn_end": (draft, _data, { at }) => {
    const { lastAnswer: text } = stateOf(draft);
    if (text !== null) draft.turnEnd = { text, at };
  },
  "session.usage_record": (draft, data, origin) => {
    const usage = usageIn(data, origin);
    if (usage) addUsage(draft, usage);
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
    const created = output.startsWith("Created file") ? { type: "create" } : null;
    const id = textAt(data, "toolCallId", 200);
    const result = shell ?? backgroundIn(output) ?? created ?? agentIn(draft, id ?? "", output);
    const response = result === null ? {} : { response: result };
    addEnd(draft, { toolUseId: id, error, at, isUnhooked, ...response });
  },
  "system.notification": (draft, data, { at }) => {
    const kind = objectAt(data, "kind");
    const shell = kind?.["type"] === "shell_completed" ? textAt(kind, "shellId", 40) : null;
    if (shell !== null) draft.notes.push({ kind: "ended", id: shellName(shell), at });
    // A sub-agent in the background that waits for another message.
    const agent = kind?.["type"] === "agent_idle" ? textAt(kind, "agentId", 200) : null;
    if (agent !== null) endAgent(draft, agent, at);
  },
  "permission.completed": (draft, data, { at }) => {
    const answer = textAt(objectAt(data, "result"), "kind") ?? "";
    draft.decisions.push({ at, isRefused: !answer.startsWith("approved") });
  },
  abort: (draft, data, { at }) => {
    if (data["reason"] === "user_initiated") draft.interruptions.push({ at });
  },
  "session.error": (draft, data, origin) =>
    addFailure(draft, textAt(data, "message") ?? "error", origin, copilot.limitIn?.(data)),
  "session.compaction_complete": (draft, data, { at }) => {
    const summary = textAt(data, "summaryContent");
    if (data["success"] !== false) addCompaction(draft, { summary, trigger: "unknown", at });
  },
};

/** Id and last words of a sub-agent, which works on behind the turn without such; null: none. */
function agentIn(draft: TranscriptDraft, call: string, output: string): JsonObject | null {
  if (draft.calls.get(call)?.name !== "Agent") return null;
  return agentBehind(output, launched) ?? omitUndefined({ output, agentId: stateOf(draft).agents.get(call) });
}

/** Events of a sub-agent name it: its start, tokens, words and end. Seen with 1.0.102. */
function readAgentEvent(draft: TranscriptDraft, agent: string, type: string, data: JsonObject, origin: LineOrigin) {
  const { agents, agentWords } = stateOf(draft);
  const { at } = origin;
  const usage = type === "session.usage_record" ? usageIn(data, origin) : null;
  if (usage) draft.subagentUsage.set(usage.messageId, usage);
  if (type === "subagent.started") agents.set(textAt(data, "toolCallId", 200) ?? "", agent);
  if (type === "assistant.message") agentWords.set(agent, textAt(data, "content") ?? "");
  if (type === "subagent.completed" || type === "subagent.failed") endAgent(draft, agent, at);
}

function endAgent(draft: TranscriptDraft, agent: string, at: number | null): void {
  const text = stateOf(draft).agentWords.get(agent) ?? "";
  draft.notes.push(text.trim() === "" ? { kind: "ended", id: agent, at } : { kind: "answer", id: agent, text, at });
}

function usageIn(data: JsonObject, { at, uuid: messageId }: LineOrigin): Usage | null {
  const usage = objectAt(data, "usage");
  const fields = { input: "inputTokens", cached: "cacheReadTokens", written: "cacheWriteTokens" };
  const model = wordAt(usage, "model", 200);
  return usage && usageOf(usage, { ...fields, output: ["outputTokens"] }, { messageId, at, model });
}

/** A skill, a schedule and a notification name themselves as the source of a message. */
function promptIn(data: JsonObject): string | null {
  const words = (textAt(data, "source") ?? "user") === "user" ? userWords(textAt(data, "content") ?? "") : "";
  return words.trim() === "" ? null : words;
}

function readCopilotVersion(draft: TranscriptDraft, data: JsonObject): void {
  draft.clientVersion = wordAt(data, "copilotVersion", 40) ?? draft.clientVersion;
}

const readCopilotLine: LineFormat = (draft, line, { at, uuid }) => {
  const data = objectAt(line, "data");
  const type = textAt(line, "type") ?? "";
  const link = { id: textAt(line, "id", 100), parent: textAt(line, "parentId", 100) };
  const prompt = data && type === "user.message" ? promptIn(data) : null;
  const isForeign = isForeignRow(draft, link, at, prompt === null ? null : { text: prompt });
  if (!data || isForeign) return;
  // A rewind moves the rows that it keeps; its own row says where the kept ones end.
  const origin = { at, uuid: type === "session.info" ? uuid : (link.id ?? uuid) };
  const agent = textAt(line, "agentId", 200);
  if (agent === null) formatOf(copilotEvents, type)?.(draft, data, origin);
  else readAgentEvent(draft, agent, type, data, origin);
};

/**
 * Seen with 1.0.102: it ends at once, without a word, where the file is empty, cut within a key,
 * filled with zeros, no mapping, or lacks the id; it makes a new one where there is none.
 */
async function workspaceProblem(path: string): Promise<string | null> {
  // Loaded here: most programs that know the clients read no YAML.
  const { readYaml } = await import("../../platform/read-yaml.ts");
  try {
    const { bytes } = readBytes(path);
    const read = readYaml(bytes.toString("utf8"));
    const value = read.ok ? read.value.value : undefined;
    if (!isUtf8(bytes) || (value !== null && asObject(value) === null)) return "is no YAML";
    return (asObject(value)?.["id"] ?? null) === null ? "names no session" : null;
  } catch (error) {
    return `cannot be used: ${problemOf(error)}`;
  }
}

const copilotStore: StoreHabits = {
  async blockedBy(file) {
    const path = join(dirname(file), "workspace.yaml");
    const why = existsSync(path) ? await workspaceProblem(path) : null;
    return why === null ? null : { path, why };
  },
};

const time = /^\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d)$/;
/** Rows of other kinds pass unread. */
const copilotKinds = /^(?:user|assistant|tool|session|system|hook)\./;
const copilotTexts: ReadonlySet<unknown> = new Set(["user.message", "assistant.message", "system.message"]);

function idsOf(calls: readonly (JsonObject | null)[]): string[] {
  return calls.flatMap((call) => textAt(call, "toolCallId", 200) ?? []);
}

const copilotSessions: SessionFiles = {
  hasSubagentRows: true,
  home: [".copilot", "COPILOT_HOME"],
  files: ["session-state/{id}/events.jsonl"],
  store: copilotStore,
  head: {
    is: (row) => row["type"] === "session.start",
    isAnywhere: true,
    make(sessionId, cwd, at) {
      const timestamp = new Date(at).toISOString();
      // Copilot CLI takes no such row without these fields; no other row names its id.
      const start = { sessionId, version: 1, producer: "copilot-agent", copilotVersion: "0.0.0", startTime: timestamp };
      return { type: "session.start", data: { ...start, context: { cwd } }, id: sessionId, timestamp, parentId: null };
    },
  },
  accepts(row) {
    if (!copilotKinds.test(textAt(row, "type") ?? "")) return true;
    const data = objectAt(row, "data");
    const isNamed = uuid.test(textAt(row, "id") ?? "") && time.test(textAt(row, "timestamp") ?? "");
    return data !== null && isNamed && (!copilotTexts.has(row["type"]) || typeof data["content"] === "string");
  },
  callsIn(row) {
    const data = objectAt(row, "data");
    const calls = row["type"] === "tool.execution_start" ? [data] : listAt(data, "toolRequests").map(asObject);
    const hasEnded = row["type"] === "tool.execution_complete";
    return { calls: idsOf(calls), results: hasEnded ? idsOf([data]) : [] };
  },
  rowOf(row) {
    const data = objectAt(row, "data");
    if (data === null || textAt(row, "agentId") !== null) return null;
    if (row["type"] === "user.message") return { kind: "prompt" };
    if (row["type"] === "tool.execution_complete") return { kind: "input" };
    if (row["type"] === "assistant.message") return { kind: "answer", of: textAt(data, "messageId") };
    if (row["type"] !== "session.error") return null;
    return refusal(numberAt(data, "statusCode"), [data["errorType"]], textAt(data, "message"));
  },
};

export const copilotDetails: ClientDetails = {
  readRow: readCopilotLine,
  subagentRow(row, agent) {
    if (agent === null || row["agentId"] !== agent) return null;
    // Its prompt has the chat that started it as its source.
    const data = objectAt(row, "data");
    const isPrompt = textAt(data, "source")?.startsWith("agent-") === true;
    return { ...row, agentId: null, ...(isPrompt ? { data: { ...data, source: "user" } } : {}) };
  },
  contentsOf: copilotContents,
  headOf(row) {
    const data = row["type"] === "session.start" ? objectAt(row, "data") : null;
    const head = headOf(data, "sessionId");
    return head && { ...head, cwd: textAt(objectAt(data, "context"), "cwd", 4_096) };
  },
  headOfFile(row, path) {
    const isEvent = /^(?:user|assistant|session|tool)\./.test(textAt(row, "type") ?? "");
    return isEvent && objectAt(row, "data") ? headNamedBy(dirname(path), null) : null;
  },
  sessions: copilotSessions,
  form: {
    program: "copilot",
    reads: jsonExtensions,
    base: { variable: "COPILOT_HOME", folder: ".copilot" },
    hooks: { file: ".copilot/hooks/shim.json", form: "own", windowsShell: "powershell", text: copilotHooks },
    servers: {
      file: ".copilot/mcp-config.json",
      key: "mcpServers",
      entry: (command, args) => ({ type: "local", command, args, tools: ["*"] }),
    },
    commands: ".copilot/skills/shim/SKILL.md",
  },
};

function copilotHooks({ commandOf }: HookLaunch): string {
  const hooks = copilot.events.map((event) => {
    const command = commandOf(event);
    return [
      event,
      [{ type: "command", bash: command, powershell: command, timeoutSec: clientMs(event) / 1_000 }],
    ] as const;
  });
  return `${JSON.stringify({ version: 1, hooks: Object.fromEntries(hooks) }, null, 2)}\n`;
}
