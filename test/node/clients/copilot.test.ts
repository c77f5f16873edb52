import { expect, it } from "vitest";
import { copilot } from "#src/clients/copilot/copilot.ts";
import { RecordedClient } from "#harness/clients/recorded-client.ts";
import { tempRuntime } from "#harness/machine/temp-runtime.ts";

const session = "00000000-0000-4000-8000-000000000001";
const next = "00000000-0000-4000-8000-000000000009";
const own = { session_id: session };

it("events of Copilot CLI are recorded under its name; its start counts as one", () => {
  const chat = new RecordedClient(tempRuntime(), "copilot");
  for (const name of ["SessionStart", "UserPromptSubmit", "PreToolUse", "PostToolUse"]) chat.send(name, own);
  expect(chat.session(session)).toMatchObject({
    client: "copilot",
    toolCalls: 1,
    transcriptPath: `/home/user/.copilot/session-state/${session}/events.jsonl`,
  });
  expect(chat.entries(session)).toMatchObject([
    { kind: "start", source: "startup" },
    { kind: "prompt", text: "do the scripted work" },
    { kind: "tool_start", name: "Bash", input: "echo one-$((1+1))" },
    { kind: "tool_end", name: "Bash" },
  ]);
});

it("context stands at the top of an answer, a refusal also inside", () => {
  const runtime = tempRuntime();
  const chat = new RecordedClient(runtime, "copilot");
  for (const name of ["SessionStart", "UserPromptSubmit", "PreToolUse"]) chat.send(name, own);
  runtime.processes.kill(chat.pid);
  const answer = new RecordedClient(runtime, "copilot", 2_001).send("SessionStart", { session_id: next });
  expect(answer).toEqual({ additionalContext: expect.stringContaining("do the scripted work") });
  const refusal = {
    hookEventName: "PreToolUse",
    permissionDecision: "deny",
    permissionDecisionReason: "reserved",
  } as const;
  expect(copilot.answer("PreToolUse", { hookSpecificOutput: refusal })).toEqual({
    ...refusal,
    hookSpecificOutput: refusal,
  });
  expect(copilot.answer("PreToolUse", {})).toEqual({});
  expect(copilot.answer("Stop", { decision: "block", reason: "news" })).toEqual({ decision: "block", reason: "news" });
});

it.each([
  ["SessionStart-resume", "UserPromptSubmit"],
  ["UserPromptSubmit", "SessionStart-resume"],
])("a resumed chat gets once how it died, with the first of %s and %s", (first, second) => {
  const runtime = tempRuntime();
  const chat = new RecordedClient(runtime, "copilot");
  for (const name of ["SessionStart", "UserPromptSubmit", "PreToolUse"]) chat.send(name, own);
  runtime.processes.kill(chat.pid);
  const resumed = new RecordedClient(runtime, "copilot", 2_001);
  const context = expect.stringContaining("in mid-turn, running Bash");
  expect(resumed.send(first, own)).toEqual({ additionalContext: context });
  for (const name of [second, "UserPromptSubmit"]) expect(resumed.send(name, { ...own, prompt: "go on" })).toEqual({});
});

it("the end of a prompt ends no chat of Copilot CLI in an editor; one whose process is gone was closed", () => {
  const runtime = tempRuntime();
  const chat = new RecordedClient(runtime, "copilot");
  for (const name of ["SessionStart", "UserPromptSubmit", "Stop", "SessionEnd"]) chat.send(name, own);
  expect(chat.session(session)).toMatchObject({ endedAt: null, detachReason: null });
  chat.send("UserPromptSubmit", { ...own, prompt: "and now the tests" });
  chat.send("Stop", own);
  chat.send("SessionEnd", own);
  expect(chat.entries(session).map(({ kind }) => kind)).toEqual(["start", "prompt", "turn_end", "prompt", "turn_end"]);
  runtime.processes.kill(chat.pid);
  new RecordedClient(runtime, "copilot", 2_001).send("SessionStart", { session_id: next });
  expect(chat.session(session)).toMatchObject({ detachReason: "closed" });
});

it("a chat of Copilot CLI that its user ends is over", () => {
  const chat = new RecordedClient(tempRuntime(), "copilot");
  for (const name of ["SessionStart", "UserPromptSubmit", "Stop"]) chat.send(name, own);
  chat.send("SessionEnd", { ...own, reason: "user_exit" });
  expect(chat.session(session)).toMatchObject({ endedAt: expect.any(Number) });
});

it("a subagent's calls are the chat's, its end and its prompts are not", () => {
  const chat = new RecordedClient(tempRuntime(), "copilot");
  chat.send("SessionStart", own);
  for (const name of ["PreToolUse-in-subagent", "PostToolUse-in-subagent", "Stop", "SubagentStop"]) chat.send(name);
  expect(chat.entries(session)).toMatchObject([
    { kind: "start" },
    { kind: "tool_start", name: "Bash (subagent)" },
    { kind: "tool_end", name: "Bash (subagent)" },
    { kind: "subagent_end", text: "SUB-DONE" },
  ]);
});

it("a subagent of a subagent belongs to the chat whose transcript it names", () => {
  const chat = new RecordedClient(tempRuntime(), "copilot");
  const nested = { parent_agent_id: "another-subagent", transcript_path: `/s/${session}/events.jsonl` };
  chat.send("SubagentStop", nested);
  expect(chat.entries(session)).toMatchObject([{ kind: "subagent_end" }]);
});

it("a failed edit names its file, and a created file is new", () => {
  const chat = new RecordedClient(tempRuntime(), "copilot");
  chat.send("PreToolUse-edit", own);
  chat.send("PostToolUseFailure-edit", own);
  const created = { tool_name: "create", tool_input: { path: "/home/user/project/new.txt", file_text: "a" } };
  chat.send("PreToolUse", { ...own, ...created });
  chat.send("PostToolUse", { ...own, ...created });
  expect(chat.entries(session)).toMatchObject([
    { kind: "tool_start", name: "Edit", input: "/home/user/project/nothere.txt" },
    { kind: "tool_error", name: "Edit", text: "Path not absolute" },
    { kind: "tool_start", name: "Write" },
    { kind: "tool_end", name: "Write", path: "/home/user/project/new.txt", action: "created" },
  ]);
});

it("a question to the user marks the chat as waiting, an API error ends its turn", () => {
  const chat = new RecordedClient(tempRuntime(), "copilot");
  for (const name of ["SessionStart", "UserPromptSubmit"]) chat.send(name, own);
  chat.send("Notification", { sessionId: session });
  expect(chat.session(session)).toMatchObject({ waiting: { for: "permission" } });
  chat.send("ErrorOccurred", own);
  chat.send("ErrorOccurred", { ...own, error_context: "tool_execution" });
  expect(chat.entries(session).slice(2)).toMatchObject([
    { kind: "failure", text: expect.stringContaining("invalid_request_error") },
  ]);
  expect(copilot.normalise("SessionStart", {}, {})).toBeNull();
});

it("a command whose result says a code other than 0 has failed", () => {
  const chat = new RecordedClient(tempRuntime(), "copilot");
  const failed = { result_type: "success", text_result_for_llm: "no\n<shellId: 1 completed with exit code 3>" };
  chat.send("PreToolUse", own);
  chat.send("PostToolUse", { ...own, tool_result: failed });
  expect(chat.session(session)).toMatchObject({ toolCalls: 1, toolErrors: 1 });
  expect(chat.entries(session).at(-1)).toMatchObject({ kind: "tool_error", text: "Exit code 3 no" });
});
