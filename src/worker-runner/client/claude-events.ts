import { describeInput } from "../../local-mcp/sessions/hook-entries.ts";
import type { ToolCall } from "../../routing/stall-detector.ts";
import {
  asObject,
  listAt,
  numberAt,
  objectAt,
  parseObject,
  textAt,
  type JsonObject,
} from "../../shared/json-fields.ts";
import type { TokenCounts } from "../../local-mcp/usage/ledger.ts";

export interface ResultEvent {
  readonly kind: "result";
  readonly subtype: string;
  readonly isError: boolean;
  readonly terminalReason: string | null;
  readonly text: string;
  readonly turns: number;
  readonly refused: number;
  /** Includes sub-agents and side requests. */
  readonly tokens: number | null;
  readonly costUsd: number | null;
  /** Whether tokens and cost cover only the time since the previous result event. */
  readonly isPart: boolean;
}

export type ClaudeEvent =
  | { readonly kind: "begun"; readonly session: string; readonly model: string; readonly permissionMode: string }
  | {
      readonly kind: "message";
      readonly id: string;
      readonly model: string;
      readonly counts: TokenCounts;
      /** False for messages of sub-agents. */
      readonly isOwn: boolean;
      readonly texts: readonly string[];
      readonly tools: readonly string[];
      readonly calls: readonly ToolCall[];
      /** Claude Code's own word for an API error. */
      readonly problem: string | null;
    }
  | {
      readonly kind: "counted";
      readonly parent: string;
      readonly id: string | null;
      readonly counts: Partial<TokenCounts>;
    }
  | { readonly kind: "toolResults"; readonly results: readonly { readonly id: string; readonly isError: boolean }[] }
  | { readonly kind: "refused"; readonly tool: string }
  | { readonly kind: "retrying"; readonly attempt: number; readonly delayMs: number; readonly problem: string }
  /** `resetsAtMs`: end of the rate limit, epoch ms. */
  | { readonly kind: "limited"; readonly resetsAtMs: number | null }
  | ResultEvent;

/** Most lines are parts of a text that follows in full. */
const skippedMarker = '"type":"content_block_';

/** [CX8] Pure, never throws; ignores unknown kinds. @returns "unreadable" if not a JSON object */
export function readEvent(line: string): ClaudeEvent | "unreadable" | null {
  if (line.trim() === "" || line.includes(skippedMarker)) return null;
  const event = parseObject(line);
  if (!event) return "unreadable";
  return readers.get(textAt(event, "type", 40) ?? "")?.(event) ?? null;
}

const readers: ReadonlyMap<string, (event: JsonObject) => ClaudeEvent | null> = new Map([
  ["system", parseSystem],
  ["assistant", parseAssistant],
  ["user", parseUser],
  ["stream_event", parseCounted],
  ["rate_limit_event", parseRateLimit],
  ["result", parseResult],
]);

function parseSystem(event: JsonObject): ClaudeEvent | null {
  switch (textAt(event, "subtype", 40)) {
    case "init":
      return parseInit(event);
    case "permission_denied":
      return { kind: "refused", tool: textAt(event, "tool_name", 200) ?? "a tool" };
    case "api_retry":
      return {
        kind: "retrying",
        attempt: numberAt(event, "attempt") ?? 1,
        delayMs: numberAt(event, "retry_delay_ms") ?? 0,
        problem: textAt(event, "error", 200) ?? "unknown",
      };
    case null:
    default:
      return null;
  }
}

function parseInit(event: JsonObject): ClaudeEvent | null {
  const session = textAt(event, "session_id", 200);
  if (session === null) return null;
  const permissionMode = textAt(event, "permissionMode", 40) ?? "unknown";
  return { kind: "begun", session, model: textAt(event, "model", 200) ?? unknownModel, permissionMode };
}

/** Replaces the model's name in an answer that Claude Code made up itself. */
export const syntheticModel = "<synthetic>";
export const unknownModel = "unknown";

function parseAssistant(event: JsonObject): ClaudeEvent | null {
  const message = objectAt(event, "message");
  const id = textAt(message, "id", 200);
  if (!message || id === null) return null;
  const blocks = listAt(message, "content").map(asObject);
  const model = textAt(message, "model", 200) ?? unknownModel;
  return {
    kind: "message",
    id,
    model,
    counts: { ...zeroCounts, ...(model === syntheticModel ? {} : readCounts(objectAt(message, "usage"))) },
    isOwn: textAt(event, "parent_tool_use_id", 200) === null,
    texts: blocks.flatMap((block) => (block?.["type"] === "text" ? [textAt(block, "text") ?? ""] : [])),
    tools: blocks.flatMap((block) =>
      block?.["type"] === "tool_use"
        ? [`${textAt(block, "name", 200) ?? "a tool"} ${describeInput(block["input"])}`]
        : [],
    ),
    calls: blocks.flatMap((block) => {
      const call = block?.["type"] === "tool_use" ? textAt(block, "id", 200) : null;
      return call === null ? [] : [{ id: call, name: textAt(block, "name", 200) ?? "a tool", input: block?.["input"] }];
    }),
    problem: textAt(event, "error", 200),
  };
}

/** Results of tool calls; null: none, or of a sub-agent. */
function parseUser(event: JsonObject): ClaudeEvent | null {
  if (textAt(event, "parent_tool_use_id", 200) !== null) return null;
  const blocks = listAt(objectAt(event, "message"), "content").map(asObject);
  const results = blocks.flatMap((block) => {
    const id = block?.["type"] === "tool_result" ? textAt(block, "tool_use_id", 200) : null;
    return id === null ? [] : [{ id, isError: block?.["is_error"] === true }];
  });
  return results.length === 0 ? null : { kind: "toolResults", results };
}

/** The first part of a response has its input tokens, the last one its output tokens and no id. */
function parseCounted(event: JsonObject): ClaudeEvent | null {
  const part = objectAt(event, "event");
  const message = objectAt(part, "message");
  const usage = objectAt(message ?? part, "usage");
  if (!usage) return null;
  const parent = textAt(event, "parent_tool_use_id", 200) ?? "";
  return { kind: "counted", parent, id: textAt(message, "id", 200), counts: readCounts(usage) };
}

const zeroCounts: TokenCounts = { input: 0, output: 0, cacheRead: 0, cacheWrite: 0 };
const countFields: Readonly<Record<keyof TokenCounts, readonly string[]>> = {
  input: ["input_tokens", "inputTokens"],
  output: ["output_tokens", "outputTokens"],
  cacheRead: ["cache_read_input_tokens", "cacheReadInputTokens"],
  cacheWrite: ["cache_creation_input_tokens", "cacheCreationInputTokens"],
};
const maxTokens = 1_000_000_000;

function readCounts(usage: JsonObject | null): Partial<TokenCounts> {
  const found = Object.entries(countFields).flatMap(([name, keys]) => {
    const count = keys.map((key) => numberAt(usage, key, maxTokens)).find((value) => value !== null);
    return count === undefined ? [] : [[name, Math.floor(count ?? 0)]];
  });
  return Object.fromEntries(found) as Partial<TokenCounts>;
}

export function totalTokens({ input, output, cacheRead, cacheWrite }: TokenCounts): number {
  return input + output + cacheRead + cacheWrite;
}

function parseRateLimit(event: JsonObject): ClaudeEvent | null {
  const info = objectAt(event, "rate_limit_info");
  if (textAt(info, "status", 40) !== "rejected") return null;
  const seconds = numberAt(info, "resetsAt");
  return { kind: "limited", resetsAtMs: seconds === null ? null : seconds * 1_000 };
}

function parseResult(event: JsonObject): ClaudeEvent {
  const part = objectAt(event, "model_usage_since_last_result");
  const models = readModels(part ?? objectAt(event, "modelUsage"));
  const errors = listAt(event, "errors").filter((text) => typeof text === "string");
  return {
    kind: "result",
    subtype: textAt(event, "subtype", 100) ?? "unknown",
    isError: event["is_error"] === true,
    terminalReason: textAt(event, "terminal_reason", 100),
    text: textAt(event, "result") ?? errors.join("; "),
    turns: numberAt(event, "num_turns") ?? 0,
    refused: listAt(event, "permission_denials").length,
    tokens: models && models.reduce((sum, model) => sum + totalTokens({ ...zeroCounts, ...readCounts(model) }), 0),
    costUsd: models
      ? models.reduce((sum, model) => sum + (numberAt(model, "costUSD") ?? 0), 0)
      : numberAt(event, "total_cost_usd"),
    isPart: part !== null,
  };
}

function readModels(usage: JsonObject | null): JsonObject[] | null {
  return (
    usage &&
    Object.values(usage)
      .map(asObject)
      .filter((model) => model !== null)
  );
}
