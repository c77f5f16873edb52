import { expect, it } from "vitest";
import { isClaudeCode } from "#src/local-mcp/events/foreign-callers.ts";
import { recording } from "#harness/clients/recorded-client.ts";

const recorded = [
  ["copilot", ["SessionStart", "PreToolUse", "PostToolUse-mcp", "Notification", "Stop"]],
  ["qwen", ["SessionStart", "PreToolUse", "Stop"]],
  ["gemini", ["SessionStart", "BeforeTool", "SessionEnd"]],
] as const;

it.each(recorded)(
  "hooks of Claude Code that %s runs too are ignored, so its own record nothing twice",
  (client, events) => {
    for (const event of events) {
      const { env, payload } = recording(client, event);
      expect(isClaudeCode(env, payload)).toBe(false);
      const inChat = { CLAUDECODE: "1", CLAUDE_CODE_SESSION_ID: "the-chat-that-started-it" };
      expect(isClaudeCode({ ...env, ...inChat }, payload)).toBe(false);
    }
  },
);
