import { expect, it } from "vitest";
import { foreignCaller } from "#src/local-mcp/hooks/foreign-callers.ts";
import { recording } from "#harness/clients/recorded-client.ts";

const recorded = [
  ["copilot", "Copilot", ["SessionStart", "PreToolUse", "PostToolUse-mcp", "Notification", "Stop"]],
  ["qwen", "Qwen Code", ["SessionStart", "PreToolUse", "Stop"]],
  ["gemini", "Gemini CLI", ["SessionStart", "BeforeTool", "SessionEnd"]],
] as const;

it.each(recorded)(
  "[HO36] hooks of Claude Code that %s runs too are ignored, so its own record nothing twice",
  (client, name, events) => {
    for (const event of events) {
      const { env, payload } = recording(client, event);
      expect(foreignCaller(env, payload)).toBe(name);
      const inChat = { CLAUDECODE: "1", CLAUDE_CODE_SESSION_ID: "the-chat-that-started-it" };
      expect(foreignCaller({ ...env, ...inChat }, payload)).toBe(name);
    }
  },
);
