import { clientMs, toolMs } from "./hook-limits.ts";
import type { HookEvent } from "./hooks.ts";

/**
 * Unlisted MCP tool for hook events of type `mcp_tool`. Arguments
 * are text: objects and lists arrive as JSON, absent fields as "".
 */
export const hookTool = "shim_hook";

const common = ["session_id", "transcript_path", "cwd", "prompt_id", "agent_id", "agent_type"];

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

/** Single fields, since a whole tool input or response may be megabytes. */
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
const toolResponse = [
  "type",
  "task",
  "answers",
  "filePath",
  "plan",
  "stdout",
  "stderr",
  "backgroundTaskId",
  "agentId",
  "isAsync",
  "status",
].map((name) => `tool_response.${name}`);
const tool = [...common, "tool_name", "tool_use_id", ...toolInput];

/**
 * Excludes SessionStart and SessionEnd, which fire while no server is connected, and
 * UserPromptSubmit, which detects a dead server.
 */
export const hookToolFields = {
  PreToolUse: tool,
  PostToolUse: [...tool, ...toolResponse, "duration_ms"],
  PostToolUseFailure: [...tool, "error", "duration_ms"],
  PreCompact: [...common, "trigger"],
  PostCompact: [...common, "trigger", "compact_summary"],
  Stop: [...common, "last_assistant_message", "stop_hook_active", "effort.level"],
  StopFailure: [...common, "error", "last_assistant_message"],
  SubagentStop: [...common, "last_assistant_message"],
  Notification: [...common, "message", "notification_type"],
  // The whole input: its user decides on it.
  PermissionRequest: [...common, "tool_name", "tool_input", "permission_suggestions"],
  PreModelSwitch: [...common, "from_model", "to_model", "context_tokens"],
} as const satisfies Partial<Record<HookEvent, readonly string[]>>;
export type HookToolEvent = keyof typeof hookToolFields;

/** Events that 2.1.197 has not. A client drops all hooks of a file with an unknown event. */
export const eventSince: Partial<Record<HookEvent, string>> = { PreModelSwitch: "2.1.251" };

/** @param version such as "2.1.328 (Claude Code)"; null: unknown, so only old events count */
export function isEventKnown(event: HookEvent, version: string | null): boolean {
  const since = eventSince[event];
  return since === undefined || isAtLeast(version, since);
}

function isAtLeast(version: string | null, minVersion: string): boolean {
  const [, ...found] = /(?<!\d)(\d+)\.(\d+)\.(\d+)/.exec(version ?? "") ?? [];
  const minParts = minVersion.split(".").map(Number);
  const difference = found.map((part, at) => Number(part) - (minParts[at] ?? 0)).find((one) => one !== 0);
  return found.length > 0 && (difference ?? 0) >= 0;
}

export function isHookToolEvent(event: string): event is HookToolEvent {
  return Object.hasOwn(hookToolFields, event);
}

/**
 * Tools whose input is taken whole: SHIM cannot list the arguments of other servers' tools, and an
 * answer may replace the input of a subagent's call.
 */
const wholeInputs = "mcp__|Agent$";

/** @param server name of SHIM's MCP server in the client */
export function hookToolGroups(event: HookToolEvent, server: string) {
  const handler = (fields: readonly string[]) => ({
    type: "mcp_tool",
    server,
    tool: hookTool,
    // Its own default is ten minutes.
    timeout: (event === "PermissionRequest" ? clientMs(event) : toolMs) / 1_000,
    input: { event, ...Object.fromEntries(fields.map((field) => [field, `\${${field}}`])) },
  });
  const fields: readonly string[] = hookToolFields[event];
  const group = (names: readonly string[], matcher?: string) => ({
    ...(matcher !== undefined && { matcher }),
    hooks: [handler(names)],
  });
  if (!fields.includes("tool_name") || fields.includes("tool_input")) return [group(fields)];
  const whole = [...fields.filter((field) => !field.startsWith("tool_input.")), "tool_input"];
  return [group(fields, `^(?!${wholeInputs})`), group(whole, `^(?:${wholeInputs})`)];
}
