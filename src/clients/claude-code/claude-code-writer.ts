import { join } from "node:path";
import { isRecord, type JsonObject } from "../../shared/json-fields.ts";
import { dashed, rootOf } from "../adapter/session-files.ts";
import type { Conversation, Item } from "../conversation/conversation.ts";
import {
  plainName,
  responsesOf,
  timesOf,
  type Exchange,
  type NewSession,
  type SessionWriter,
} from "../conversation/session-writer.ts";
import { claudeSessions } from "./claude-code-sessions.ts";
import { claudeCode } from "./claude-code.ts";

/** Tools whose calls Claude Code shows; those of MCP servers are known by their names. */
const tools: ReadonlySet<string> = new Set([
  "Agent",
  "AskUserQuestion",
  "Bash",
  "BashOutput",
  "Edit",
  "ExitPlanMode",
  "Glob",
  "Grep",
  "KillShell",
  "MultiEdit",
  "NotebookEdit",
  "PowerShell",
  "Read",
  "Skill",
  "Task",
  "TaskCreate",
  "TaskGet",
  "TaskList",
  "TaskOutput",
  "TaskStop",
  "TaskUpdate",
  "TodoWrite",
  "ToolSearch",
  "WebFetch",
  "WebSearch",
  "Write",
]);

/** Claude Code cuts the names of longer folders, and adds a hash. */
const maxFolder = 180;

const summaryHeading =
  "This session is being continued from a previous conversation that ran out of context. The summary below covers the earlier portion of the conversation.";

/** Counts of no request: what the session has cost stands at the client that ran it. */
const noUsage = {
  input_tokens: 0,
  cache_creation_input_tokens: 0,
  cache_read_input_tokens: 0,
  output_tokens: 0,
};

export const claudeCodeWriter: SessionWriter = {
  hasTool: (name) => tools.has(name) || name.startsWith("mcp__"),
  write(conversation, to) {
    if (to.cwd.length > maxFolder) throw new Error(`the path of ${to.cwd} is too long`);
    const id = to.uuid();
    const folder = join(rootOf(to.env, claudeSessions), "projects", dashed(to.cwd));
    return { id, path: join(folder, `${id}.jsonl`), rows: rowsOf(conversation, id, to) };
  },
};

type AddRow = (type: string, item: Item, fields: JsonObject) => void;

/** Each row names the one before it. */
function rowsOf({ items, model }: Conversation, sessionId: string, to: NewSession): JsonObject[] {
  const timeOf = timesOf(items, to.now);
  const rows: JsonObject[] = [];
  let parentUuid: string | null = null;
  const add: AddRow = (type, item, fields) => {
    const uuid = to.uuid();
    rows.push({
      parentUuid,
      isSidechain: false,
      userType: "external",
      entrypoint: "cli",
      cwd: to.cwd,
      sessionId,
      version: claudeCode.verifiedWith,
      type,
      ...fields,
      uuid,
      timestamp: new Date(timeOf(item)).toISOString(),
    });
    parentUuid = uuid;
  };
  for (const exchange of responsesOf(items))
    if (exchange.isOfModel) addResponse(add, exchange, { id: `msg_${to.uuid().replaceAll("-", "")}`, model });
    else for (const item of exchange.items) addOther(add, item, parentUuid);
  return rows;
}

interface Response {
  readonly id: string;
  readonly model: string | null;
}

function addResponse(add: AddRow, { items }: Exchange, { id, model }: Response): void {
  const stop = items.some(({ kind }) => kind === "call") ? "tool_use" : "end_turn";
  for (const item of items) {
    const block = blockOf(item);
    const message = {
      id,
      type: "message",
      role: "assistant",
      model: model ?? "unknown",
      content: [block],
      stop_reason: stop,
      stop_sequence: null,
      usage: noUsage,
    };
    add("assistant", item, { message });
  }
}

function blockOf(item: Item): JsonObject {
  if (item.kind !== "call") return { type: "text", text: item.kind === "answer" ? item.text : "" };
  const { id, name, input } = item;
  return { type: "tool_use", id: callId(id), name: plainName(name, 128), input: isRecord(input) ? input : { input } };
}

function callId(id: string): string {
  return plainName(id, 200);
}

function addOther(add: AddRow, item: Item, previous: string | null): void {
  if (item.kind === "summary") return addSummary(add, item, previous);
  if (item.kind === "prompt") add("user", item, { message: { role: "user", content: item.text } });
  if (item.kind !== "result") return;
  const result = { type: "tool_result", tool_use_id: callId(item.of), content: item.text, is_error: item.isError };
  add("user", item, { message: { role: "user", content: [result] } });
}

/** Claude Code sends nothing that stands before such a row, and shows it. */
function addSummary(add: AddRow, item: Item & { readonly text: string }, previous: string | null): void {
  add("system", item, {
    parentUuid: null,
    logicalParentUuid: previous,
    subtype: "compact_boundary",
    content: "Conversation compacted",
    isMeta: false,
    level: "info",
    compactMetadata: { trigger: "manual", preTokens: 0 },
  });
  const content = item.text.startsWith(summaryHeading) ? item.text : `${summaryHeading}\n\n${item.text}`;
  const message = { role: "user", content };
  add("user", item, { message, isCompactSummary: true, isVisibleInTranscriptOnly: true });
}
