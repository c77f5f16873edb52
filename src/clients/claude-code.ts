import { hookEvents, isHookEvent } from "../contract/hook-input.ts";
import type { ClientAdapter } from "./client-adapter.ts";

export const claudeCode: ClientAdapter = {
  name: "claude-code",
  title: "Claude Code",
  verifiedWith: "2.1.328",
  events: hookEvents,
  lacks: [],
  // The summary comes after the start that follows a compaction.
  compaction: { keepsPrompts: false, showsSummary: true },
  normalise: (event, payload) => (isHookEvent(event) ? [{ event, input: payload }] : []),
  answer: (_event, answer) => answer,
  commands: {
    resume: (session) => ({ command: "claude", args: ["--resume", session] }),
    run: (prompt, args) => ({ command: "claude", args: ["-p", ...args], input: prompt }),
    start: (prompt, id) => ({ command: "claude", args: ["--session-id", id, prompt] }),
  },
};
