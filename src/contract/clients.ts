/** Clients whose hooks or plugins report their events to SHIM. */
export const hookClients = [
  "claude-code",
  "codex",
  "copilot",
  "vscode",
  "opencode",
  "qwen",
  "gemini",
  "tabnine",
  "cursor",
  "codebuddy",
  "devin",
] as const;
export type HookClient = (typeof hookClients)[number];
