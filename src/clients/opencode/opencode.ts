import type { UsageLimit } from "../../contract/config.ts";
import { numberAt, objectAt, type JsonObject } from "../../shared/json-fields.ts";
import { claudeCompatible } from "../adapter/claude-compatible.ts";
import { paymentRequired, type ToolNames } from "../adapter/client-adapter.ts";

export const opencodeTools: ToolNames = new Map([
  ["bash", "Bash"],
  ["write", "Write"],
  ["edit", "Edit"],
  ["read", "Read"],
  ["patch", "apply_patch"],
  ["task", "Agent"],
  ["todowrite", "TodoWrite"],
  ["question", "AskUserQuestion"],
]);

const openCodeReasons: ReadonlySet<unknown> = new Set(["account_rate_limit", "free_tier_limit"]);

/** The error of a message, or the status with which OpenCode waits before it tries again. */
function openCodeLimit(error: JsonObject): UsageLimit | null {
  if (openCodeReasons.has(objectAt(error, "action")?.["reason"])) return { resetsAtMs: numberAt(error, "next") };
  return objectAt(error, "data")?.["statusCode"] === paymentRequired ? { resetsAtMs: null } : null;
}

/** Events come from SHIM's plugin, which names them as Claude Code does. */
export const opencode = claudeCompatible({
  name: "opencode",
  title: "OpenCode",
  threads: "one-server",
  endsSilently: true,
  startsHooks: "itself",
  compaction: { keepsPrompts: false, showsSummary: true },
  answers: {
    dialog: "beside-hook",
    permission: ["allow", "session", "deny"],
    // A plan is a question with the choices yes and no.
    question: ["answer", "deny"],
    plan: [],
    wider:
      "OpenCode allows for the session in all chats of this window; a Deny denies all that this chat asks at the moment.",
  },
  window: { prompt: "plugin", stop: "plugin" },
  isTranscriptUnread: true,
  commands: {
    resume: (session) => ({ command: "opencode", args: ["-s", session] }),
    run(prompt, args, chat) {
      const session = chat === undefined || chat.isNew ? [] : ["-s", chat.id];
      return { command: "opencode", args: ["run", ...session, ...args], input: prompt };
    },
    start: (prompt) => ({ command: "opencode", args: ["--prompt", prompt] }),
  },
  verifiedWith: "1.18.33",
  limitIn: openCodeLimit,
  // OpenCode works with many providers, and gets the keys of all.
  variables: { own: () => [/^(OPENCODE_\w+|\w+_API_KEY)$/], ofChat: /^OPENCODE_PID$/ },
  events: [
    "SessionStart",
    "UserPromptSubmit",
    "PreToolUse",
    "PostToolUse",
    "PostToolUseFailure",
    "PreCompact",
    "PostCompact",
    "PermissionRequest",
    "Stop",
    "StopFailure",
  ],
  lacks: [
    "No event says that a chat was closed: it counts as closed when its process is gone after the end of a turn.",
    "The fill of the context window is not known.",
  ],
  tools: opencodeTools,
});
