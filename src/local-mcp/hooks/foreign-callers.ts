import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";

/** Other clients run the hooks of Claude Code's settings too, with their own payloads. */

/** Variables set for child processes. A VS Code terminal passes those of VS Code to Claude Code. */
const clientMarks: readonly (readonly [variable: RegExp, name: string])[] = [
  [/^CURSOR_/, "Cursor"],
  [/^COPILOT_/, "Copilot"],
  [/^QWEN_/, "Qwen Code"],
  [/^GEMINI_/, "Gemini CLI"],
  [/^CODEX_/, "Codex"],
  [/^OPENCODE/, "OpenCode"],
  [/^VSCODE_/, "VS Code"],
];

const foreignFields = ["sessionId", "sessionID", "hookEventName", "conversation_id", "turn_id", "timestamp"];

/**
 * [HO36] Returns null for Claude Code, which sets CLAUDECODE for its hooks and, since 2.1.197, the
 * session's id. A client started from a chat inherits both, but has another session.
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

/** Clients seen to run SHIM's hooks, with the first call (epoch ms). A file avoids the store. */
export type ForeignCallers = Readonly<Record<string, number>>;

export function readForeignCallers(path: string): ForeignCallers {
  try {
    return JSON.parse(readFileSync(path, "utf8")) as ForeignCallers;
  } catch {
    return {};
  }
}

/**
 * [HO36] Written once per client. A lost concurrent write is repeated at the client's next call.
 */
export function recordForeignCaller(path: string, name: string, now: number): void {
  const known = readForeignCallers(path);
  if (known[name] !== undefined) return;
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  writeFileSync(path, JSON.stringify({ ...known, [name]: now }), { mode: 0o600 });
}
