import { claudeCode } from "../../../clients/claude-code/claude-code.ts";
import type { HookClient } from "../../../contract/clients.ts";
import { describeInput } from "../../../machine/sessions/hook-entries.ts";
import type { TokenCounts } from "../../../machine/usage/ledger.ts";
import type { ToolCall } from "../../../learning/routing/stall-detector.ts";
import {
  asObject,
  listAt,
  numberAt,
  objectAt,
  parseObject,
  textAt,
  type JsonObject,
} from "../../../shared/json-fields.ts";

/** Pure: what clients print while they run, in one form for all. */

export interface EndEvent {
  readonly kind: "ended";
  readonly subtype: string;
  readonly isError: boolean;
  readonly terminalReason: string | null;
  /** Its answer or error; "" where the last texts are its answer. */
  readonly text: string;
  readonly turns: number;
  readonly refused: number;
  /** Includes sub-agents and side requests. */
  readonly tokens: number | null;
  readonly costUsd: number | null;
  /** Whether tokens and cost cover only the time since the previous end. */
  readonly isPart: boolean;
}

export type RunEvent =
  /** `permissions`: null where the client names none. */
  | {
      readonly kind: "begun";
      readonly session: string;
      readonly model: string | null;
      readonly permissions: string | null;
    }
  /** A response of the API. `problem`: the client's own word for an error. */
  | {
      readonly kind: "response";
      readonly id: string;
      readonly model: string | null;
      readonly counts: TokenCounts;
      /** False for those of sub-agents. */
      readonly isOwn: boolean;
      readonly problem: string | null;
    }
  /** Tokens of the response that is arriving for a caller. */
  | {
      readonly kind: "counted";
      readonly parent: string;
      readonly id: string | null;
      readonly counts: TokenCounts;
    }
  /** `isPart`: it continues the text before it. */
  | { readonly kind: "text"; readonly text: string; readonly isPart: boolean }
  | { readonly kind: "tool"; readonly text: string; readonly call: ToolCall | null }
  | { readonly kind: "toolResult"; readonly id: string; readonly isError: boolean }
  /** A report of the client on itself. */
  | { readonly kind: "note"; readonly text: string }
  /** `resetsAtMs`: end of the usage limit, epoch ms. */
  | { readonly kind: "limited"; readonly resetsAtMs: number | null }
  | EndEvent;

export interface ClientOutput {
  /** Options that make the client print it. */
  readonly args: readonly string[];
  /** Never throws; unknown kinds give no event. @returns null: no JSON object */
  read(line: string): readonly RunEvent[] | null;
}

type Readers = Readonly<Record<string, (event: JsonObject) => RunEvent[]>>;

/** Most lines of Claude Code are parts of a text that follows in full. */
const skippedMarker = '"type":"content_block_';

function output(args: readonly string[], readers: Readers): ClientOutput {
  const readerOf = new Map(Object.entries(readers));
  return {
    args,
    read: (line) => {
      if (line.trim() === "" || line.includes(skippedMarker)) return [];
      const event = parseObject(line);
      return event && (readerOf.get(textAt(event, "type", 40) ?? "")?.(event) ?? []);
    },
  };
}

/** Lines of Claude Code, whose options are `claudeCommand`'s. */
export const claudeOutput = output([], {
  system: readSystem,
  assistant: readAssistant,
  user: readUser,
  stream_event: readCounted,
  rate_limit_event: readLimit,
  result: (event) => [readEnd(event)],
});

/**
 * Clients whose result can be read. Not Copilot CLI, which prints no tokens, and not OpenCode,
 * whose sessions have ids that no checkpoint holds.
 */
const otherOutputs: Partial<Readonly<Record<HookClient, ClientOutput>>> = {
  codex: output(["--json"], {
    "thread.started": (event) => begun(textAt(event, "thread_id", 200), null),
    "item.started": (event) => codexTool(objectAt(event, "item")),
    "item.completed": (event) => codexText(objectAt(event, "item")),
    "turn.completed": (event) => [ended(null, codexTokens(objectAt(event, "usage")))],
    "turn.failed": (event) => [ended(textAt(objectAt(event, "error"), "message") ?? "its turn failed")],
  }),
  gemini: output(["--output-format", "stream-json"], {
    init: (event) => begun(textAt(event, "session_id", 200), textAt(event, "model", 200)),
    message: (event) => {
      const text = textAt(event, "role", 40) === "assistant" ? textAt(event, "content") : null;
      return text === null ? [] : [{ kind: "text", text, isPart: event["delta"] === true }];
    },
    tool_use: (event) => [toolEvent(textAt(event, "tool_name", 200), event["parameters"], null)],
    result: (event) => {
      const message = textAt(objectAt(event, "error"), "message") ?? "it reported a failure without a reason";
      const isGood = textAt(event, "status", 40) === "success";
      return [ended(isGood ? null : message, numberAt(objectAt(event, "stats"), "total_tokens"))];
    },
  }),
  // Its lines are Claude Code's but for the usage.
  qwen: output(["--output-format", "stream-json"], {
    system: readSystem,
    assistant: (event) => readAssistant(event).filter(({ kind }) => kind !== "response"),
    result: (event) => {
      const { isError, text, turns } = readEnd(event);
      const failure = textAt(objectAt(event, "error"), "message") ?? (text || "it reported a failure");
      return [{ ...ended(isError ? failure : null, numberAt(objectAt(event, "usage"), "total_tokens")), turns }];
    },
  }),
};

export function otherOutput(client: HookClient): ClientOutput | null {
  return otherOutputs[client] ?? null;
}

function begun(session: string | null, model: string | null, permissions: string | null = null): RunEvent[] {
  return session === null ? [] : [{ kind: "begun", session, model, permissions }];
}

function toolEvent(name: string | null, input: unknown, id: string | null): RunEvent {
  const known = name ?? "a tool";
  return {
    kind: "tool",
    text: `${known} ${describeInput(input)}`,
    call: id === null ? null : { id, name: known, input },
  };
}

/** @param failure null for a good end */
function ended(failure: string | null, tokens: number | null = null): EndEvent {
  return {
    kind: "ended",
    subtype: failure === null ? "success" : "error",
    isError: failure !== null,
    terminalReason: null,
    text: failure ?? "",
    turns: 1,
    refused: 0,
    tokens: tokens === null ? null : Math.floor(tokens),
    costUsd: null,
    isPart: false,
  };
}

const codexOtherItems: ReadonlySet<string> = new Set(["agent_message", "reasoning", "error", "todo_list"]);

function codexTool(item: JsonObject | null): RunEvent[] {
  const type = textAt(item, "type", 40);
  if (type === null || codexOtherItems.has(type)) return [];
  return [{ kind: "tool", text: textAt(item, "command") ?? `${type} ${describeInput(item)}`, call: null }];
}

function codexText(item: JsonObject | null): RunEvent[] {
  const text = textAt(item, "type", 40) === "agent_message" ? textAt(item, "text") : null;
  return text === null ? [] : [{ kind: "text", text, isPart: false }];
}

/** Its input tokens include what came from the cache. */
function codexTokens(usage: JsonObject | null): number | null {
  const [input, output] = [numberAt(usage, "input_tokens"), numberAt(usage, "output_tokens")];
  return input === null || output === null ? null : input + output;
}

function readSystem(event: JsonObject): RunEvent[] {
  switch (textAt(event, "subtype", 40)) {
    case "init": {
      const permissions = textAt(event, "permissionMode", 40) ?? "unknown";
      return begun(textAt(event, "session_id", 200), textAt(event, "model", 200), permissions);
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

function readAssistant(event: JsonObject): RunEvent[] {
  const message = objectAt(event, "message");
  const id = textAt(message, "id", 200);
  if (!message || id === null) return [];
  const named = textAt(message, "model", 200);
  const model = named === syntheticModel ? null : named;
  const counts = readCounts(named === syntheticModel ? null : objectAt(message, "usage"));
  const isOwn = isOwnEvent(event);
  const problem = textAt(event, "error", 200);
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
    ...tools.map((block) => toolEvent(textAt(block, "name", 200), block?.["input"], textAt(block, "id", 200))),
  ];
}

/** Whether it is not a sub-agent's. */
function isOwnEvent(event: JsonObject): boolean {
  return textAt(event, "parent_tool_use_id", 200) === null;
}

function readUser(event: JsonObject): RunEvent[] {
  const blocks = isOwnEvent(event) ? listAt(objectAt(event, "message"), "content").map(asObject) : [];
  return blocks.flatMap((block) => {
    const id = block?.["type"] === "tool_result" ? textAt(block, "tool_use_id", 200) : null;
    return id === null ? [] : [{ kind: "toolResult", id, isError: block?.["is_error"] === true } as const];
  });
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

const maxTokens = 1_000_000_000;

/** Counts of a response, or of a model in the last event, which has names of its own for them. */
function readCounts(usage: JsonObject | null): TokenCounts {
  const count = (name: string, otherName: string): number =>
    Math.floor(numberAt(usage, name, maxTokens) ?? numberAt(usage, otherName, maxTokens) ?? 0);
  return {
    input: count("input_tokens", "inputTokens"),
    output: count("output_tokens", "outputTokens"),
    cacheRead: count("cache_read_input_tokens", "cacheReadInputTokens"),
    cacheWrite: count("cache_creation_input_tokens", "cacheCreationInputTokens"),
  };
}

export function totalTokens({ input, output, cacheRead, cacheWrite }: TokenCounts): number {
  return input + output + cacheRead + cacheWrite;
}

function readLimit(event: JsonObject): RunEvent[] {
  const limit = claudeCode.limitIn?.(event);
  return limit ? [{ kind: "limited", ...limit }] : [];
}

function readEnd(event: JsonObject): EndEvent {
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
