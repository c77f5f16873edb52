/**
 * SHIM's tools that only read, or save what the chat knows, by the names that its MCP server gives
 * them. None of them deletes, assigns work or speaks to other chats.
 */
export const harmlessTools = [
  "shim_auto_checkpoint",
  "shim_check_recovery",
  "shim_recall",
  "shim_monitor_signals",
  "shim_session_status",
  "shim_force_checkpoint",
  "shim_chats",
  "shim_inbox",
] as const;
/** All of its tools. */
export const ownTools = [
  ...harmlessTools,
  "shim_clear_state",
  "shim_submit",
  "shim_next",
  "shim_report",
  "shim_send",
  "shim_files",
  "shim_state_set",
] as const;

/** Tools by which a chat loads the definition of a deferred one, such as SHIM's. */
const toolSearches: ReadonlySet<string> = new Set(["ToolSearch", "tool_search"]);

/**
 * Clients put the server's name, as the user chose it, in front: `mcp__shim__shim_report` (Claude
 * Code, Codex, Qwen Code), `mcp_shim_shim_report` (Gemini CLI), `shim-shim_report` (Copilot CLI),
 * `shim_shim_report` (OpenCode), or nothing.
 */
const ownTool = new RegExp(`(?:^|[_:./-])(?:${ownTools.join("|")})$`);

/** Whether a call is one of SHIM's own tools, or leads to it. */
export function isWayToOwnTool(toolName: string): boolean {
  return ownTool.test(toolName) || toolSearches.has(toolName);
}
