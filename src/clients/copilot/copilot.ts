import { basename, dirname, join } from "node:path";
import type { UsageLimit } from "../../contract/config.ts";
import type { HookAnswer } from "../../contract/hooks.ts";
import { asObject, numberAt, objectAt, textAt, type JsonObject } from "../../shared/json-fields.ts";
import { omitUndefined } from "../../shared/omit-undefined.ts";
import {
  chatOptions,
  defineClient,
  paymentRequired,
  withClaudeTool,
  withNewFile,
  type ToolNames,
} from "../adapter/client-adapter.ts";
import { failedText, shellCompletion, withAgentBehind } from "../adapter/tools.ts";

export const copilotTools: ToolNames = new Map([
  ["bash", "Bash"],
  ["powershell", "PowerShell"],
  ["view", "Read"],
  ["create", "Write"],
  ["edit", "Edit"],
  ["task", "Agent"],
]);

/** Limits of a plan; the other codes throttle for a short time. */
const limitCodes: ReadonlySet<unknown> = new Set(["user_weekly_rate_limited", "user_global_rate_limited"]);

/** A `session.error`. */
function limitIn({ errorType, errorCode, statusCode }: JsonObject): UsageLimit | null {
  const isReached = errorType === "quota" || statusCode === paymentRequired || limitCodes.has(errorCode);
  return isReached ? { resetsAtMs: null } : null;
}

/** Errors of a tool or of what the user typed end no turn. */
const turnErrors: ReadonlySet<unknown> = new Set(["model_call", "system"]);

/**
 * Copilot CLI, and the chats of VS Code that it runs. Events registered in PascalCase have Claude
 * Code's payload, but for these differences.
 */
export const copilot = defineClient({
  name: "copilot",
  title: "Copilot CLI",
  verifiedWith: "1.0.102",
  threads: "server-each",
  endsSilently: true,
  endReason: "user_exit",
  limitIn,
  events: {
    SessionStart: (input) => ({
      event: "SessionStart",
      input: { ...input, source: input["source"] === "new" ? "startup" : input["source"] },
    }),
    UserPromptSubmit: "UserPromptSubmit",
    PreToolUse: "PreToolUse",
    // A command that fails is a success for Copilot CLI; the end of its result has the code.
    PostToolUse: (input) => {
      const code = numberAt(objectAt(input, "tool_response"), "exit_code") ?? 0;
      return { event: code > 0 ? "PostToolUseFailure" : "PostToolUse", input };
    },
    PostToolUseFailure: "PostToolUseFailure",
    PreCompact: "PreCompact",
    Notification: "Notification",
    SubagentStop: "SubagentStop",
    Stop: "Stop",
    ErrorOccurred(input) {
      const error = textAt(objectAt(input, "error"), "message") ?? "unknown error";
      return turnErrors.has(input["error_context"]) ? { event: "StopFailure", input: { ...input, error } } : null;
    },
    // Comes after each prompt of an editor's chat, and after the one of a headless run.
    SessionEnd: (input) => ({ event: input["reason"] === "complete" ? "Stop" : "SessionEnd", input }),
  },
  lacks: [
    "No event says that an editor has closed a chat, or that a headless run is over: it counts as closed when its process is gone after the end of a turn.",
    "A tool call has no id: the same call made twice at once is paired in the order of its events.",
    "The hooks of a session's start and of its first prompt run at once: the journal may have the prompt first.",
    "A session that is killed in its first tool call cannot be resumed by the client: the next chat gets its brief.",
    "Messages of SHIM for the user are not shown.",
    "The instructions of an MCP server do not reach the model without --allow-all-mcp-server-instructions.",
  ],
  sessionOf,
  inputOf,
  answer,
  variables: {
    own: () => [/^(COPILOT_\w+|GH_TOKEN|GITHUB_TOKEN)$/],
    ofChat: /^COPILOT_(CLI|AGENT_SESSION_ID|HOOK_DIR)$/,
    session: "COPILOT_AGENT_SESSION_ID",
  },
  commands: {
    resume: (session) => ({ command: "copilot", args: ["--resume", session] }),
    run: (prompt, args, chat) => ({ command: "copilot", args: [...chatOptions(chat), ...args], input: prompt }),
    start: (prompt, id) => ({ command: "copilot", args: ["--session-id", id, "-i", prompt] }),
  },
});

/** Notifications keep the camelCase names. A subagent's session belongs to its parent's. */
function sessionOf(payload: JsonObject): string | null {
  const own = textAt(payload, "session_id") ?? textAt(payload, "sessionId");
  const parent = textAt(payload, "parent_agent_id");
  if (parent === null) return own;
  const transcript = textAt(payload, "transcript_path");
  return transcript === null ? parent : basename(dirname(transcript));
}

function inputOf(payload: JsonObject, session: string, env: NodeJS.ProcessEnv): JsonObject {
  const { tool_result: response, ...rest } = payload;
  const report = textAt(asObject(response), "text_result_for_llm");
  const shell = shellCompletion(report ?? "");
  const background = backgroundIn(report ?? "");
  const home = env["COPILOT_HOME"] ?? join(env["HOME"] ?? env["USERPROFILE"] ?? "", ".copilot");
  const input = withClaudeTool(
    {
      ...rest,
      ...omitUndefined({
        tool_response: shell ?? background ?? response,
        error: payload["error"] ?? (shell === null ? (report ?? undefined) : failedText(shell)),
      }),
      session_id: session,
      client_version: env["COPILOT_CLI_BINARY_VERSION"],
      transcript_path: textAt(payload, "transcript_path") ?? join(home, "session-state", session, "events.jsonl"),
    },
    copilotTools,
  );
  // `create` refuses a file that exists.
  return withAgentBehind(
    withNewFile(input, () => response !== undefined),
    report,
    launched,
  );
}

/** Result of the call of a sub-agent that works on behind the turn. */
export const launched = /^Agent started in background with agent_id: ([\w-]{1,80})/;
const behind = /^<command (?:started in background )?with shellId: (\w{1,40})(?: moved to background\b|>)/;

/** A command that works on behind the turn, some since their user typed; null: it has ended. */
export function backgroundIn(result: string): { readonly backgroundTaskId: string } | null {
  const id = behind.exec(result)?.[1];
  return id === undefined ? null : { backgroundTaskId: shellName(id) };
}

/** Names what runs in the background. */
export function shellName(id: string): string {
  return `shell ${id}`;
}

/** Context stands at the top of an answer, but inside at PreToolUse. */
function answer(event: string, { decision, reason, hookSpecificOutput: inner }: HookAnswer): object {
  if (event === "PreToolUse") return inner === undefined ? {} : { ...inner, hookSpecificOutput: inner };
  return omitUndefined({ decision, reason, additionalContext: inner?.additionalContext });
}
