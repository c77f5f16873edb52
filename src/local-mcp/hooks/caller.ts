/** Pure: which client has started a hook process. Other clients run the hooks that stand in Claude Code's settings, with payloads of their own. */

/** A variable that a client sets for its child processes, and the client's name. Claude Code in a terminal of VS Code inherits those of VS Code. */
const clientMarks: readonly (readonly [variable: RegExp, name: string])[] = [
  [/^CURSOR_/, "Cursor"],
  [/^COPILOT_/, "Copilot"],
  [/^QWEN_/, "Qwen Code"],
  [/^GEMINI_/, "Gemini CLI"],
  [/^CODEX_/, "Codex"],
  [/^OPENCODE/, "OpenCode"],
  [/^VSCODE_/, "VS Code"],
];

/** Fields that Claude Code never sends. */
const foreignFields = ["sessionId", "sessionID", "hookEventName", "conversation_id", "turn_id", "timestamp"];

/**
 * [HO36] The name of the client, or null for Claude Code. Claude Code sets CLAUDECODE for its hooks, and since 2.1.197 the id of the session; a
 * client that was started from a chat inherits both, but has another session.
 *
 * @param payload returns the parsed stdin of the hook; called only if the environment does not decide
 */
export function foreignCaller(env: NodeJS.ProcessEnv, payload: () => unknown): string | null {
  const name = clientMarks.find(([mark]) => Object.keys(env).some((variable) => mark.test(variable)))?.[1] ?? null;
  const isClaudeCode = env["CLAUDECODE"] === "1" || env["CLAUDE_CODE_ENTRYPOINT"] !== undefined;
  if (!isClaudeCode) return name ?? "an unknown client";
  return name === null || isClaudeCodes(payload(), env["CLAUDE_CODE_SESSION_ID"]) ? null : name;
}

function isClaudeCodes(payload: unknown, session: string | undefined): boolean {
  const fields: Readonly<Record<string, unknown>> =
    typeof payload === "object" && payload !== null ? { ...payload } : {};
  const isOfSession = session !== undefined && session === fields["session_id"];
  return isOfSession || !foreignFields.some((field) => field in fields);
}
