import { expect, it } from "vitest";
import { foreignCaller, recordForeignCaller, readForeignCallers } from "#src/local-mcp/hooks/foreign-callers.ts";
import { aCliHome } from "#harness/machine/cli-home.ts";

const session = "00000000-0000-4000-8000-000000000001";
const claude = { CLAUDECODE: "1", CLAUDE_CODE_ENTRYPOINT: "cli", CLAUDE_CODE_SESSION_ID: session };
const event = { session_id: session, transcript_path: "/t.jsonl", cwd: "/p", hook_event_name: "PreToolUse" };

it("[HO36] Claude Code is known, also in a terminal of another client", () => {
  const surroundings = [{}, { VSCODE_PID: "7" }, { CURSOR_TRACE_ID: "x" }, { GEMINI_API_KEY: "k" }];
  for (const more of surroundings) expect(foreignCaller({ ...claude, ...more }, () => event)).toBeNull();
  const { CLAUDE_CODE_SESSION_ID: _, ...old } = claude;
  expect(foreignCaller({ ...old, VSCODE_PID: "7" }, () => event)).toBeNull();
});

/** Environment and payload of a hook, as each client gave them when it ran a hook of Claude Code's settings. */
const foreign: readonly (readonly [name: string, env: NodeJS.ProcessEnv, payload: object])[] = [
  ["VS Code", { VSCODE_PID: "7" }, { sessionId: "s", hookEventName: "PreToolUse", timestamp: "2026-11-21" }],
  ["Cursor", { CURSOR_VERSION: "2.1", CLAUDE_PROJECT_DIR: "/p" }, { ...event, conversation_id: "c" }],
  ["Copilot", { COPILOT_CLI: "1", CLAUDE_PROJECT_DIR: "/p" }, { ...event, timestamp: "2026-11-21" }],
  ["Gemini CLI", { GEMINI_SESSION_ID: "s", CLAUDE_PROJECT_DIR: "/p" }, { ...event, timestamp: "2026-11-21" }],
  ["Codex", { CODEX_MANAGED_BY_NPM: "1" }, { ...event, turn_id: "t" }],
  ["Qwen Code", { QWEN_PROJECT_DIR: "/p", GEMINI_PROJECT_DIR: "/p" }, event],
  ["OpenCode", { OPENCODE: "1" }, { sessionID: "s" }],
  ["an unknown client", {}, event],
];

it("[HO36] other clients are known by their names, also when they were started from a chat of Claude Code", () => {
  for (const [name, env, payload] of foreign) {
    expect(foreignCaller(env, () => payload)).toBe(name);
  }
  for (const [name, env, payload] of foreign.slice(0, 5)) {
    const inherited = { ...claude, CLAUDE_CODE_SESSION_ID: "another" };
    expect(foreignCaller({ ...inherited, ...env }, () => payload)).toBe(name);
  }
});

it("[HO36] each is noted once, and the doctor names them", async () => {
  const home = aCliHome();
  const path = home.paths.foreignCallers;
  expect(readForeignCallers(path)).toEqual({});
  recordForeignCaller(path, "VS Code", 1);
  recordForeignCaller(path, "Cursor", 2);
  recordForeignCaller(path, "VS Code", 3);
  expect(readForeignCallers(path)).toEqual({ "VS Code": 1, Cursor: 2 });
  const { out } = await home.shim("doctor");
  expect(out).toContain("VS Code, Cursor runs the hooks of Claude Code's settings");
});
