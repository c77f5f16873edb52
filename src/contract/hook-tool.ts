import type { HookEvent } from "./hook-input.ts";

/**
 * The unlisted MCP tool through which Claude Code (2.1.118 or later) delivers hook events of type `mcp_tool`. Its arguments are text: the client
 * replaces `${field}` with the field's value, an object or a list with its JSON, and an absent field with "".
 */
export const hookTool = "shim_hook";

/** Fields that every event carries. */
const common = ["session_id", "transcript_path", "cwd", "prompt_id", "agent_id", "agent_type"];

/** Arguments of tools of which one tells a person what a call is about, in order of preference. */
export const describingArguments = [
  "command",
  "file_path",
  "notebook_path",
  "path",
  "pattern",
  "query",
  "url",
  "subject",
  "description",
  "prompt",
] as const;

/** Single fields, since a whole tool input or response may be megabytes. What SHIM reads from a tool call stands here. */
const toolInput = [
  ...describingArguments,
  "taskId",
  "status",
  "todos",
  "questions",
  "answers",
  "plan",
  "planFilePath",
].map((name) => `tool_input.${name}`);
const toolResponse = ["type", "task", "answers", "filePath", "plan"].map((name) => `tool_response.${name}`);
const tool = [...common, "tool_name", "tool_use_id", ...toolInput];

/** The events that go through the MCP process. SessionStart and SessionEnd fire while no server is connected; UserPromptSubmit notices a dead one. */
export const hookToolFields = {
  PreToolUse: tool,
  PostToolUse: [...tool, ...toolResponse, "duration_ms"],
  PostToolUseFailure: [...tool, "error", "duration_ms"],
  PreCompact: [...common, "trigger"],
  PostCompact: [...common, "trigger", "compact_summary"],
  Stop: [...common, "last_assistant_message", "stop_hook_active"],
  StopFailure: [...common, "error", "last_assistant_message"],
  SubagentStop: [...common, "last_assistant_message"],
  Notification: [...common, "message", "notification_type"],
  PreModelSwitch: [...common, "from_model", "to_model", "context_tokens"],
} as const satisfies Partial<Record<HookEvent, readonly string[]>>;
export type HookToolEvent = keyof typeof hookToolFields;

/** The first version of Claude Code that knows hooks of type `mcp_tool`. */
export const hookToolSince = "2.1.118";

/**
 * Events that came with a later version of Claude Code. A client that does not know an event, or a type of hook, drops all hooks that stand in
 * the same file.
 */
const eventSince: Partial<Record<HookEvent, string>> = { PreModelSwitch: "2.1.251" };

/** @param version of the client, such as "2.1.328 (Claude Code)"; null: not known, so that only old events count as known */
export function isEventKnown(event: HookEvent, version: string | null): boolean {
  const since = eventSince[event];
  return since === undefined || isAtLeast(version, since);
}

export function hasHookTool(version: string | null): boolean {
  return isAtLeast(version, hookToolSince);
}

/** From this version on the newest models are offered no to-do tools unless the user's settings say so. */
export function hasNoTodoTools(version: string | null): boolean {
  return isAtLeast(version, "2.1.233");
}

function isAtLeast(version: string | null, minVersion: string): boolean {
  const [, ...found] = /(\d+)\.(\d+)\.(\d+)/.exec(version ?? "") ?? [];
  const minParts = minVersion.split(".").map(Number);
  const difference = found.map((part, at) => Number(part) - (minParts[at] ?? 0)).find((one) => one !== 0);
  return found.length > 0 && (difference ?? 0) >= 0;
}

export function isHookToolEvent(event: string): event is HookToolEvent {
  return Object.hasOwn(hookToolFields, event);
}

/** Seconds that the client waits for an answer before it goes on without one; the client's own default is ten minutes. */
const hookToolTimeout = 5;

/** The handler of one event as it stands in the client's settings or in the plugin. */
export interface HookToolHandler {
  readonly type: "mcp_tool";
  readonly server: string;
  readonly tool: string;
  readonly timeout: number;
  readonly input: Readonly<Record<string, string>>;
}

/** Arguments of other servers' tools have names that SHIM cannot list: theirs are passed whole. */
const otherServers = "^mcp__";

export interface HookToolGroup {
  readonly matcher?: string;
  readonly hooks: readonly HookToolHandler[];
}

/** @param server the name under which the client knows SHIM's MCP server (`shim`, or `plugin:shim:shim`) */
export function hookToolGroups(event: HookToolEvent, server: string): HookToolGroup[] {
  const handler = (fields: readonly string[]): HookToolHandler => ({
    type: "mcp_tool",
    server,
    tool: hookTool,
    timeout: hookToolTimeout,
    input: { event, ...Object.fromEntries(fields.map((field) => [field, `\${${field}}`])) },
  });
  const fields: readonly string[] = hookToolFields[event];
  if (!fields.includes("tool_name")) return [{ hooks: [handler(fields)] }];
  const whole = [...fields.filter((field) => !field.startsWith("tool_input.")), "tool_input"];
  return [
    { matcher: "^(?!mcp__)", hooks: [handler(fields)] },
    { matcher: otherServers, hooks: [handler(whole)] },
  ];
}
