import type { UsageLimit } from "../../contract/at-limit.ts";
import { hookEvents, isHookEvent, type HookEvent } from "../../contract/hook-input.ts";
import type { ClientAdapter } from "../adapter/client-adapter.ts";
import { numberAt, objectAt, type JsonObject } from "../../shared/json-fields.ts";
import { defineClient, isCreated, withClaudeTool, withNewFile, type ToolNames } from "../adapter/define-client.ts";

/** The error is a row, a line of a headless run, or an event. `rate_limit` may be a throttling. */
function claudeLimit(error: JsonObject): UsageLimit | null {
  const info = objectAt(
    objectAt(error, "apiErrorParams") ?? objectAt(error, "api_error_params") ?? error,
    "rate_limit_info",
  );
  const seconds = numberAt(info, "resetsAt");
  const isReached =
    error["error"] === "billing_error" ||
    (error["apiError"] ?? error["api_error"]) === "usage_limit_reached" ||
    (info?.["status"] === "rejected" && seconds !== null);
  return isReached ? { resetsAtMs: seconds === null ? null : seconds * 1_000 } : null;
}

export const claudeCode: ClientAdapter = {
  name: "claude-code",
  title: "Claude Code",
  verifiedWith: "2.1.328",
  asksUser: true,
  events: hookEvents,
  lacks: [],
  // The summary comes after the start that follows a compaction.
  compaction: { keepsPrompts: false, showsSummary: true },
  limitIn: claudeLimit,
  normalise: (event, payload) => (isHookEvent(event) ? [{ event, input: payload }] : []),
  answer: (_event, answer) => answer,
  commands: {
    resume: (session) => ({ command: "claude", args: ["--resume", session] }),
    run: (prompt, args) => ({ command: "claude", args: ["-p", ...args], input: prompt }),
    start: (prompt, id) => ({ command: "claude", args: ["--session-id", id, prompt] }),
  },
};

/** A client with Claude Code's events, payload and answers, and its differences. */
interface Quirks extends Omit<ClientAdapter, "events" | "normalise" | "answer"> {
  readonly events: readonly HookEvent[];
  readonly tools?: ToolNames;
  /** Field with the id that the start and the end of a tool call share. */
  readonly callId?: string;
  /** Variable with the client's version. */
  readonly versionVariable?: string;
}

function claudeCompatible({
  events,
  tools = new Map(),
  callId = "tool_use_id",
  versionVariable = "",
  ...quirks
}: Quirks): ClientAdapter {
  const named = events.map((event) => [event, event] as const);
  return defineClient({
    ...quirks,
    events: {
      ...Object.fromEntries(named),
      // Qwen Code reports each batch of tool results as a prompt without text.
      UserPromptSubmit: (input) => (input["prompt"] === "" ? null : { event: "UserPromptSubmit", input }),
      // An editor's agent ends, beside the editor's sessions, one that never began.
      ...(events.includes("SessionEnd") && {
        SessionEnd: (input) => (input["transcript_path"] === "" ? null : { event: "SessionEnd", input }),
      }),
    },
    inputOf(payload, _session, env) {
      const { transcript_path: transcript, ...rest } = payload;
      const read = quirks.isTranscriptUnread ? {} : { transcript_path: transcript };
      const given = { client_version: env[versionVariable], ...rest, ...read, tool_use_id: payload[callId] };
      return withNewFile(withClaudeTool(given, tools), isCreated);
    },
  });
}

export const qwenTools: ToolNames = new Map([
  ["run_shell_command", "Bash"],
  ["write_file", "Write"],
  ["edit", "Edit"],
  ["read_file", "Read"],
  ["agent", "Agent"],
  ["todo_write", "TodoWrite"],
]);

/** HTTP: payment required. */
const spentStatus = 402;

export const qwen = claudeCompatible({
  name: "qwen",
  title: "Qwen Code",
  endsSilently: true,
  commands: {
    resume: (session) => ({ command: "qwen", args: ["--resume", session] }),
    run: (prompt, args) => ({ command: "qwen", args, input: prompt }),
    start: (prompt, id) => ({ command: "qwen", args: ["--session-id", id, "-i", prompt] }),
  },
  verifiedWith: "0.24.4",
  limitIn: (error) => (error["status_code"] === spentStatus ? { resetsAtMs: null } : null),
  compaction: { keepsPrompts: false, showsSummary: true },
  events: [
    "SessionStart",
    "UserPromptSubmit",
    "PreToolUse",
    "PostToolUse",
    "PostToolUseFailure",
    "PreCompact",
    "PostCompact",
    "Notification",
    "SubagentStop",
    "Stop",
    "SessionEnd",
  ],
  lacks: [
    "A headless run fires no event at its end.",
    "An API error fires no event.",
    "Messages of SHIM for the user are not shown with a prompt.",
    "The calls of its memory agent, which works after a turn, cannot be distinguished from those of the chat.",
  ],
  tools: qwenTools,
  // `tool_use_id` is made up for each event.
  callId: "tool_call_id",
  versionVariable: "QWEN_CODE_STARTUP_VERSION",
});

export const opencodeTools: ToolNames = new Map([
  ["bash", "Bash"],
  ["write", "Write"],
  ["edit", "Edit"],
  ["read", "Read"],
  ["patch", "apply_patch"],
  ["task", "Agent"],
  ["todowrite", "TodoWrite"],
]);

const openCodeReasons: ReadonlySet<unknown> = new Set(["account_rate_limit", "free_tier_limit"]);

/** The error of a message, or the status with which OpenCode waits before it tries again. */
function openCodeLimit(error: JsonObject): UsageLimit | null {
  if (openCodeReasons.has(objectAt(error, "action")?.["reason"])) return { resetsAtMs: numberAt(error, "next") };
  return objectAt(error, "data")?.["statusCode"] === spentStatus ? { resetsAtMs: null } : null;
}

/** Events come from SHIM's plugin, which names them as Claude Code does. */
export const opencode = claudeCompatible({
  name: "opencode",
  title: "OpenCode",
  endsSilently: true,
  isTranscriptUnread: true,
  commands: {
    resume: (session) => ({ command: "opencode", args: ["-s", session] }),
    run: (prompt, args) => ({ command: "opencode", args: ["run", ...args], input: prompt }),
    start: (prompt) => ({ command: "opencode", args: ["--prompt", prompt] }),
  },
  verifiedWith: "1.18.33",
  limitIn: openCodeLimit,
  events: [
    "SessionStart",
    "UserPromptSubmit",
    "PreToolUse",
    "PostToolUse",
    "PostToolUseFailure",
    "PreCompact",
    "PostCompact",
    "Notification",
    "Stop",
    "StopFailure",
  ],
  lacks: [
    "No event says that a chat was closed: it counts as closed when its process is gone after the end of a turn.",
    "The fill of the context window is not known.",
  ],
  tools: opencodeTools,
});
