import { asObject, listAt, numberAt, objectAt, textAt, type JsonObject } from "../../shared/json-fields.ts";
import {
  type DrivenRun,
  beginEvents,
  runOutput,
  toolEvent,
  type EndEvent,
  type RunEvent,
} from "../adapter/run-output.ts";
import { totalTokens } from "../transcript/token-counts.ts";
import { claudeLimit } from "./claude-code.ts";
import { readCounts } from "./claude-lines.ts";
import { problemOf } from "./claude-problems.ts";

export function readSystem(event: JsonObject): RunEvent[] {
  switch (textAt(event, "subtype", 40)) {
    case "init": {
      const permissions = textAt(event, "permissionMode", 40) ?? "unknown";
      return beginEvents(textAt(event, "session_id", 200), textAt(event, "model", 200), permissions);
    }
    case "permission_denied":
      return [{ kind: "note", text: `refused: ${textAt(event, "tool_name", 200) ?? "a tool"}` }];
    case "api_retry": {
      const seconds = Math.ceil((numberAt(event, "retry_delay_ms") ?? 0) / 1_000);
      const reason = `${textAt(event, "error", 200) ?? "unknown"}, ${numberAt(event, "attempt") ?? 1}`;
      return [{ kind: "note", text: `the API request is retried in ${seconds} s (${reason})` }];
    }
    case null:
    default:
      return [];
  }
}

/** Replaces the model's name in an answer that Claude Code made up itself. */
const syntheticModel = "<synthetic>";

export function readAssistant(event: JsonObject): RunEvent[] {
  const message = objectAt(event, "message");
  const id = textAt(message, "id", 200);
  if (!message || id === null) return [];
  const named = textAt(message, "model", 200);
  const model = named === syntheticModel ? null : named;
  const counts = readCounts(named === syntheticModel ? null : objectAt(message, "usage"));
  const isOwn = isOwnEvent(event);
  const error = textAt(event, "error", 200);
  const problem = error === null ? null : problemOf(error);
  const response: RunEvent = { kind: "response", id, model, counts, isOwn, problem };
  if (!isOwn) return [response];
  const limit = readLimit(event);
  const blocks = listAt(message, "content").map(asObject);
  const texts = blocks.filter((block) => block?.["type"] === "text");
  const tools = blocks.filter((block) => block?.["type"] === "tool_use");
  return [
    response,
    ...limit,
    ...texts.map((block): RunEvent => ({ kind: "text", text: textAt(block, "text") ?? "", isPart: false })),
    ...tools.map((block) => toolEvent(textAt(block, "name", 200), block?.["input"])),
  ];
}

/** Whether it is not a sub-agent's. */
function isOwnEvent(event: JsonObject): boolean {
  return textAt(event, "parent_tool_use_id", 200) === null;
}

/** The first part of a response has its input tokens, the last one its output tokens and no id. */
function readCounted(event: JsonObject): RunEvent[] {
  const part = objectAt(event, "event");
  const message = objectAt(part, "message");
  const usage = objectAt(message ?? part, "usage");
  if (!usage) return [];
  const parent = textAt(event, "parent_tool_use_id", 200) ?? "";
  return [{ kind: "counted", parent, id: textAt(message, "id", 200), counts: readCounts(usage) }];
}

function readLimit(event: JsonObject): RunEvent[] {
  const limit = claudeLimit(event);
  return limit ? [{ kind: "limited", ...limit }] : [];
}

export function readEnd(event: JsonObject): EndEvent {
  const part = objectAt(event, "model_usage_since_last_result");
  const usage = part ?? objectAt(event, "modelUsage");
  const models =
    usage &&
    Object.values(usage)
      .map(asObject)
      .filter((model) => model !== null);
  const errors = listAt(event, "errors").filter((text) => typeof text === "string");
  return {
    kind: "ended",
    subtype: textAt(event, "subtype", 100) ?? "unknown",
    isError: event["is_error"] === true,
    terminalReason: textAt(event, "terminal_reason", 100),
    text: textAt(event, "result") ?? errors.join("; "),
    turns: numberAt(event, "num_turns") ?? 0,
    refused: listAt(event, "permission_denials").length,
    tokens: models && models.reduce((sum, model) => sum + totalTokens(readCounts(model)), 0),
    costUsd: models
      ? models.reduce((sum, model) => sum + (numberAt(model, "costUSD") ?? 0), 0)
      : numberAt(event, "total_cost_usd"),
    isPart: part !== null,
  };
}

/** Most lines are parts of a text that follows in full. */
const partOfText = '"type":"content_block_';

export const claudeRun = runOutput(
  ["--output-format", "stream-json", "--verbose"],
  {
    system: readSystem,
    assistant: readAssistant,
    stream_event: readCounted,
    rate_limit_event: readLimit,
    result: (event) => [readEnd(event)],
  },
  partOfText,
);

export const claudeDriven: DrivenRun = {
  args: (own, { mcpConfig, settings }, session, isResumed) => [
    "-p",
    "--input-format",
    "stream-json",
    ...claudeRun.args,
    "--mcp-config",
    mcpConfig,
    "--settings",
    settings,
    ...own,
    isResumed ? "--resume" : "--session-id",
    session,
  ],
  // A message per line.
  input: (prompt) => `${JSON.stringify({ type: "user", message: { role: "user", content: prompt } })}\n`,
  // After INT between two turns, Claude Code often ends without reporting its cost.
  interruptLine: JSON.stringify({
    type: "control_request",
    request_id: "interrupt",
    request: { subtype: "interrupt" },
  }),
};
