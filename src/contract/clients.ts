/** Clients whose hooks or plugins report their events to SHIM. */
export const hookClients = ["claude-code", "codex", "copilot", "opencode", "qwen", "gemini"] as const;
export type HookClient = (typeof hookClients)[number];
