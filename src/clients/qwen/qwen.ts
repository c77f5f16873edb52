import { numberAt, objectAt, textAt } from "../../shared/json-fields.ts";
import { ended, runOutput } from "../adapter/run-output.ts";
import { readAssistant, readEnd, readSystem } from "../claude-code/claude-run.ts";
import { claudeCompatible } from "../adapter/claude-compatible.ts";
import type { ToolNames } from "../adapter/define-client.ts";

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
  // Its lines are Claude Code's but for the usage.
  runOutput: runOutput(["--output-format", "stream-json"], {
    system: readSystem,
    assistant: (event) => readAssistant(event).filter(({ kind }) => kind !== "response"),
    result: (event) => {
      const { isError, text, turns } = readEnd(event);
      const failure = textAt(objectAt(event, "error"), "message") ?? (text || "it reported a failure");
      return [{ ...ended(isError ? failure : null, numberAt(objectAt(event, "usage"), "total_tokens")), turns }];
    },
  }),
  variables: {
    own: () => [/^(QWEN_\w+|OPENAI_\w+|DASHSCOPE_\w+)$/],
    ofChat: /^QWEN_(PROJECT_DIR|CODE_(SESSION|PROMPT)_ID)$/,
    session: "QWEN_CODE_SESSION_ID",
  },
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
