import type { HookAnswer } from "../../contract/hooks.ts";
import { objectAt, textAt, type JsonObject } from "../../shared/json-fields.ts";
import { omitUndefined } from "../../shared/omit-undefined.ts";
import {
  chatOptions,
  defineClient,
  isCreated,
  withClaudeTool,
  withNewFile,
  type ToolNames,
} from "../adapter/client-adapter.ts";
import { withShellResult } from "../adapter/tools.ts";

export const geminiTools: ToolNames = new Map([
  ["run_shell_command", "Bash"],
  ["write_file", "Write"],
  ["replace", "Edit"],
  ["read_file", "Read"],
  ["invoke_agent", "Agent"],
  ["ask_user", "AskUserQuestion"],
]);

/** The context of a start stands before the user's first words. */
const startContext = /^<hook_context>[\s\S]*?<\/hook_context>\s*/;

function inputOf(payload: JsonObject): JsonObject {
  const { prompt_response: last, notification_type: notification, ...rest } = payload;
  const prompt = textAt(payload, "prompt")?.replace(startContext, "");
  const type = notification === "ToolPermission" ? "permission_prompt" : notification;
  const given = omitUndefined({
    prompt,
    // All words of the turn in one: the transcript has them one by one.
    last_assistant_message: payload["transcript_path"] === undefined ? last : undefined,
    notification_type: type,
    error: errorOf(objectAt(payload, "tool_response")) ?? undefined,
  });
  return withShellResult(withNewFile(withClaudeTool({ ...rest, ...given }, geminiTools), isCreated));
}

/** A call that fails is reported like one that succeeds, with an error or a code in its result. */
function errorOf(response: JsonObject | null): string | null {
  const result = textAt(response, "llmContent");
  const isFailed = response?.["error"] !== undefined || /^Exit Code: [1-9]/m.test(result ?? "");
  return isFailed ? (textAt(objectAt(response, "error"), "message") ?? result ?? "failed") : null;
}

function answer(event: string, { systemMessage, decision, reason, hookSpecificOutput: inner }: HookAnswer): object {
  const isDenied = inner?.permissionDecision === "deny" || decision === "block";
  const context = inner?.additionalContext;
  return omitUndefined({
    systemMessage,
    decision: isDenied ? "deny" : undefined,
    reason: inner?.permissionDecisionReason ?? reason,
    hookSpecificOutput: context === undefined ? undefined : { hookEventName: event, additionalContext: context },
  });
}

/** Gemini CLI has events of its own. */
export const gemini = defineClient({
  name: "gemini",
  title: "Gemini CLI",
  verifiedWith: "0.61.0",
  endReason: "exit",
  // PreCompress comes before each request; events of models carry the whole conversation.
  events: {
    SessionStart: "SessionStart",
    BeforeAgent: "UserPromptSubmit",
    BeforeTool: "PreToolUse",
    AfterTool: (input) => ({ event: input["error"] === undefined ? "PostToolUse" : "PostToolUseFailure", input }),
    AfterAgent: "Stop",
    Notification: "Notification",
    SessionEnd: "SessionEnd",
  },
  lacks: [
    "A tool call has no id: the same call made twice at once is paired in the order of its events.",
    "No event says which version runs, and the transcript alone that a conversation was compressed.",
    "The transcript loses the call that runs when the client is killed; the journal has it.",
    "The signs < and > of a brief reach the model escaped.",
  ],
  inputOf,
  answer,
  variables: {
    own: () => [/^(GEMINI_\w+|GOOGLE_\w+)$/],
    ofChat: /^GEMINI_(CLI|CWD|SESSION_ID|PROJECT_DIR)$/,
    session: "GEMINI_SESSION_ID",
  },
  commands: {
    resume: (session) => ({ command: "gemini", args: ["--resume", session] }),
    run: (prompt, args, chat) => ({ command: "gemini", args: [...chatOptions(chat), ...args], input: prompt }),
    start: (prompt, id) => ({ command: "gemini", args: ["--session-id", id, "-i", prompt] }),
  },
});
