import { claudeCompatible } from "../adapter/claude-compatible.ts";
import { chatOptions, paymentRequired, type ToolNames } from "../adapter/client-adapter.ts";

export const qwenTools: ToolNames = new Map([
  ["run_shell_command", "Bash"],
  ["write_file", "Write"],
  ["edit", "Edit"],
  ["read_file", "Read"],
  ["agent", "Agent"],
  ["task_stop", "TaskStop"],
  ["todo_write", "TodoWrite"],
  ["ask_user_question", "AskUserQuestion"],
]);

export const qwen = claudeCompatible({
  name: "qwen",
  title: "Qwen Code",
  endsSilently: true,
  endReason: "prompt_input_exit",
  answers: {
    dialog: "after-hook",
    // After 60 s Qwen Code shows its dialog, and ignores the answer of the hook, which still runs.
    waitSeconds: 55,
    permission: ["allow", "deny"],
    // A hook can refuse a question, and not answer it; no hook is asked about a plan.
    question: ["deny"],
    plan: [],
  },
  continuesAtStop: true,
  commands: {
    resume: (session) => ({ command: "qwen", args: ["--resume", session] }),
    run: (prompt, args, chat) => ({ command: "qwen", args: [...chatOptions(chat), ...args], input: prompt }),
    start: (prompt, id) => ({ command: "qwen", args: ["--session-id", id, "-i", prompt] }),
  },
  verifiedWith: "0.24.4",
  limitIn: (error) => (error["status_code"] === paymentRequired ? { resetsAtMs: null } : null),
  variables: {
    own: () => [/^(QWEN_\w+|OPENAI_\w+|DASHSCOPE_\w+)$/],
    ofChat: /^QWEN_(PROJECT_DIR|CODE_(SESSION|PROMPT)_ID)$/,
    session: "QWEN_CODE_SESSION_ID",
  },
  compaction: { keepsPrompts: false, showsSummary: true },
  keepsStart: true,
  events: [
    "SessionStart",
    "UserPromptSubmit",
    "PreToolUse",
    "PostToolUse",
    "PostToolUseFailure",
    "PermissionRequest",
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
    "A command that the user runs with ! fires no event, and no transcript has it.",
    "Messages of SHIM for the user are not shown with a prompt.",
    "The calls of its memory agent, which works after a turn, cannot be distinguished from those of the chat.",
  ],
  tools: qwenTools,
  // `tool_use_id` is made up for each event.
  callId: "tool_call_id",
  versionVariable: "QWEN_CODE_STARTUP_VERSION",
});
