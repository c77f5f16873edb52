import type { JsonObject } from "../shared/json-fields.ts";
import type { ClientAdapter } from "./client-adapter.ts";
import { as, isOfSubagent, ofMainChat, perFile, type EventReader, type EventReaders } from "./client-events.ts";
import { withDialog } from "./codex-dialog.ts";

/** Codex has Claude Code's payload, its events and its form of answers, with these differences. */
export const codex: ClientAdapter = {
  name: "codex",
  title: "Codex",
  verifiedWith: "0.169.0",
  hasThreads: true,
  hidesFailures: true,
  // Its summary is encrypted.
  compaction: { keepsPrompts: true, showsSummary: false },
  events: [
    "SessionStart",
    "UserPromptSubmit",
    "PreToolUse",
    "PostToolUse",
    "PermissionRequest",
    "PreCompact",
    "PostCompact",
    "SubagentStop",
    "Stop",
    "SessionEnd",
  ],
  lacks: [
    "Hooks run only after the user trusts them.",
    "A start's context is cut to about 2,500 tokens.",
    "A failed shell command is reported like a successful one.",
    "An API error fires no event but the end of the session.",
  ],
  normalise(event, payload) {
    if (typeof payload["session_id"] !== "string") return null;
    return readers.get(event)?.(inputOf(payload)) ?? [];
  },
  answer: (_event, answer) => answer,
  commands: {
    resume: (session) => ({ command: "codex", args: ["resume", session] }),
    run: (prompt, args) => ({ command: "codex", args: ["exec", ...args, "-"], input: prompt }),
    start: (prompt) => ({ command: "codex", args: [prompt] }),
  },
};

const readers: EventReaders = new Map<string, EventReader>([
  ["SessionStart", as("SessionStart")],
  ["UserPromptSubmit", ofMainChat("UserPromptSubmit")],
  ["PreToolUse", (input) => perFile("PreToolUse")(withDialog(input))],
  ["PostToolUse", (input) => perFile("PostToolUse")(withDialog(input))],
  [
    "PermissionRequest",
    (input) => [{ event: "Notification", input: { ...input, notification_type: "permission_prompt" } }],
  ],
  ["PreCompact", as("PreCompact")],
  ["PostCompact", as("PostCompact")],
  ["SubagentStop", as("SubagentStop")],
  ["Stop", ofMainChat("Stop")],
  ["SessionEnd", as("SessionEnd")],
]);

/** The transcript named in a subagent's events is its own. */
function inputOf(payload: JsonObject): JsonObject {
  const { turn_id: turn, transcript_path: transcript, ...rest } = payload;
  const own = isOfSubagent(payload) ? {} : { transcript_path: transcript };
  return { ...rest, ...own, prompt_id: turn };
}
