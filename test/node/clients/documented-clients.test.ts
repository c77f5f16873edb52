import { expect, it } from "vitest";
import { cursor } from "#src/clients/cursor.ts";
import { vscode } from "#src/clients/vscode.ts";
import { RecordedClient } from "#harness/clients/recorded-client.ts";
import { tempRuntime } from "#harness/machine/temp-runtime.ts";

/** Payloads as the clients' documentation shows them: they were not recorded. */

const common = { timestamp: "2026-02-09T10:30:00.000Z", cwd: "/p", transcript_path: "/p/transcript.json" };
const vscodeEvent = (event: string, fields: object = {}): object => ({
  ...common,
  sessionId: "v1",
  hookEventName: event,
  ...fields,
});

it("[CA9] VS Code's own agent, which runs Copilot's hooks, is recorded as VS Code", () => {
  const chat = new RecordedClient(tempRuntime(), "copilot");
  const call = { tool_name: "editFiles", tool_use_id: "t1", tool_input: { files: ["src/a.ts", "src/b.ts"] } };
  chat.report("SessionStart", vscodeEvent("SessionStart", { source: "new" }));
  chat.report("UserPromptSubmit", vscodeEvent("UserPromptSubmit", { prompt: "fix the build" }));
  chat.report("PreToolUse", vscodeEvent("PreToolUse", call));
  chat.report("PostToolUse", vscodeEvent("PostToolUse", { ...call, tool_response: "done" }));
  const created = { tool_name: "create_file", tool_use_id: "t2", tool_input: { filePath: "/p/new.ts", content: "" } };
  chat.report("PostToolUse", vscodeEvent("PostToolUse", created));
  chat.report("Stop", vscodeEvent("Stop"));
  expect(chat.session("v1")).toMatchObject({ client: "vscode", toolCalls: 3, transcriptPath: null });
  expect(chat.entries("v1")).toMatchObject([
    { kind: "start", source: "startup" },
    { kind: "prompt", text: "fix the build" },
    { kind: "tool_start", name: "Edit" },
    { kind: "tool_start", name: "Edit" },
    { kind: "tool_end", path: "/p/src/a.ts", action: "edited" },
    { kind: "tool_end", path: "/p/src/b.ts", action: "edited" },
    { kind: "tool_end", name: "Write", path: "/p/new.ts" },
    { kind: "turn_end" },
  ]);
  expect(vscode.normalise("Stop", { session_id: "x" }, {})).toBeNull();
  expect(vscode.answer("Stop", { decision: "block", reason: "news" })).toEqual({
    hookSpecificOutput: { hookEventName: "Stop", decision: "block", reason: "news" },
  });
  expect(vscode.answer("SessionStart", { systemMessage: "hello" })).toEqual({ systemMessage: "hello" });
});

const cursorCommon = {
  conversation_id: "c1",
  generation_id: "g1",
  model: "some-model",
  cursor_version: "3.0.0",
  workspace_roots: ["/p"],
  transcript_path: null,
};

it("[CA1] [CA10] events of Cursor, as documented", () => {
  const chat = new RecordedClient(tempRuntime(), "cursor");
  const send = (event: string, fields: object = {}): Record<string, unknown> =>
    chat.report(event, { ...cursorCommon, hook_event_name: event, ...fields });
  const call = { tool_name: "Shell", tool_use_id: "t1", tool_input: { command: "npm test" }, cwd: "/p" };
  send("sessionStart", { session_id: "c1" });
  send("beforeSubmitPrompt", { prompt: "fix the build" });
  send("preToolUse", call);
  send("postToolUse", { ...call, tool_output: '{"exitCode":0}', duration: 12 });
  send("postToolUseFailure", { ...call, tool_use_id: "t2", error_message: "timed out" });
  send("stop", { status: "completed" });
  expect(chat.session("c1")).toMatchObject({ client: "cursor", toolCalls: 2, toolErrors: 1, cwd: "/p" });
  expect(chat.entries("c1")).toMatchObject([
    { kind: "start", source: "startup" },
    { kind: "prompt", text: "fix the build" },
    { kind: "tool_start", name: "Bash", input: "npm test" },
    { kind: "tool_end", name: "Bash", durationMs: 12 },
    { kind: "tool_error", text: "timed out" },
    { kind: "turn_end" },
  ]);
  send("stop", { status: "error", error_message: "overloaded" });
  expect(chat.entries("c1").at(-1)).toMatchObject({ kind: "failure", text: "overloaded" });
  expect(cursor.normalise("stop", {}, {})).toBeNull();
});

it("[CA8] answers to Cursor", () => {
  const refusal = { hookEventName: "PreToolUse", permissionDecision: "deny", permissionDecisionReason: "no" } as const;
  const context = { hookEventName: "SessionStart", additionalContext: "brief" } as const;
  expect(cursor.answer("preToolUse", { hookSpecificOutput: refusal })).toEqual({
    permission: "deny",
    user_message: "no",
    agent_message: "no",
  });
  expect(cursor.answer("sessionStart", { hookSpecificOutput: context })).toEqual({ additional_context: "brief" });
  expect(cursor.answer("stop", { decision: "block", reason: "news" })).toEqual({ followup_message: "news" });
});
