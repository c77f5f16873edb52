import type { HookClient } from "../contract/clients.ts";

/** Variables with the session's id that clients set for their servers and for shell commands. */
export const sessionVariables: readonly (readonly [client: HookClient, variable: string])[] = [
  ["codex", "CODEX_SESSION_ID"],
  ["copilot", "COPILOT_AGENT_SESSION_ID"],
  ["qwen", "QWEN_CODE_SESSION_ID"],
  ["gemini", "GEMINI_SESSION_ID"],
  ["claude-code", "CLAUDE_CODE_SESSION_ID"],
];
