import { appendFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { copilot } from "#src/clients/copilot/copilot.ts";
import { clientFiles } from "#src/clients/details.ts";
import { gemini } from "#src/clients/gemini/gemini.ts";
import { answerHook } from "#src/local-mcp/events/answer-hook.ts";
import { isClaudeCode } from "#src/local-mcp/events/payload.ts";
import * as journal from "#src/machine/sessions/journal.ts";
import * as sessions from "#src/machine/sessions/sessions.ts";
import { RecordedClient, recording } from "#harness/clients/recorded-client.ts";
import { T0, temporaryFolder } from "#harness/machine/git-project.ts";
import { tempRuntime } from "#harness/machine/temp-runtime.ts";

const session = "00000000-0000-4000-8000-000000000001";
const own = { session_id: session, transcript_path: undefined };

it("events of Qwen Code are recorded under its name, calls paired by the model's id", () => {
  const chat = new RecordedClient(tempRuntime(), "qwen");
  for (const name of ["SessionStart", "UserPromptSubmit", "PreToolUse", "PostToolUse"]) chat.send(name, own);
  for (const name of ["PreToolUse-write", "PostToolUse-write", "PreToolUse-edit", "PostToolUse-edit"])
    chat.send(name, own);
  chat.send("PostToolUseFailure", own);
  chat.send("Stop", own);
  expect(chat.session(session)).toMatchObject({ client: "qwen", toolCalls: 4, toolErrors: 1, model: "scripted" });
  expect(chat.entries(session)).toMatchObject([
    { kind: "start", source: "startup" },
    { kind: "prompt", text: "do the scripted work" },
    { kind: "tool_start", id: "call_example0003", name: "Bash" },
    { kind: "tool_end", id: "call_example0003", name: "Bash" },
    { kind: "tool_start", name: "Write" },
    { kind: "tool_end", name: "Write", path: "/home/user/project/final.txt", action: "created" },
    { kind: "tool_start", name: "Edit" },
    { kind: "tool_end", name: "Edit", path: "/home/user/project/final.txt", action: "edited" },
    { kind: "tool_error", name: "Bash", text: "Exit code 3" },
    { kind: "assistant", text: "FINAL-TEXT-DONE" },
    { kind: "turn_end" },
  ]);
});

it("Qwen Code's report of tool results is no request, and brings no second brief", () => {
  const runtime = tempRuntime();
  const chat = new RecordedClient(runtime, "qwen");
  for (const name of ["SessionStart", "UserPromptSubmit", "PreToolUse"]) chat.send(name, own);
  runtime.processes.kill(chat.pid);
  const next = new RecordedClient(runtime, "qwen", 2_001);
  const other = { ...own, session_id: "s2" };
  expect(next.send("SessionStart", other)["hookSpecificOutput"]).toMatchObject({
    additionalContext: expect.stringContaining("do the scripted work"),
  });
  next.send("UserPromptSubmit", other);
  expect(next.send("UserPromptSubmit", { ...other, prompt: "" })).toEqual({});
  expect(next.entries("s2").filter(({ kind }) => kind === "prompt")).toHaveLength(1);
});

it("Qwen Code's notice of a login is no question, its compaction is kept", () => {
  const chat = new RecordedClient(tempRuntime(), "qwen");
  chat.send("SessionStart", own);
  chat.send("Notification", own);
  expect(chat.session(session)?.waiting).toBeNull();
  for (const name of ["PreCompact", "PostCompact", "SessionStart-compact"]) chat.send(name, own);
  expect(chat.entries(session).map(({ kind }) => kind)).toEqual(["start", "compacting", "compacted", "start"]);
});

it("the end of a session that Qwen Code never began leaves no session", () => {
  const chat = new RecordedClient(tempRuntime(), "qwen");
  const end = { cwd: "/p", reason: "prompt_input_exit" };
  chat.report("SessionEnd", { ...end, session_id: "never-begun", transcript_path: "" });
  expect(chat.session("never-begun")).toBeNull();
  chat.send("SessionStart", { ...own, session_id: "begun" });
  chat.report("SessionEnd", { ...end, session_id: "begun", transcript_path: "/t/begun.jsonl" });
  expect(chat.session("begun")).toMatchObject({ endedAt: expect.any(Number) });
});

it("a headless run of Qwen Code that is gone after its turn was closed; one in the middle of a call was killed", () => {
  const runtime = tempRuntime();
  const start = (pid: number, id: string): RecordedClient => {
    const chat = new RecordedClient(runtime, "qwen", pid);
    for (const name of ["SessionStart", "UserPromptSubmit", "PreToolUse"]) chat.send(name, { ...own, session_id: id });
    return chat;
  };
  const done = start(2_001, "done");
  for (const name of ["PostToolUse", "Stop"]) done.send(name, { ...own, session_id: "done" });
  runtime.processes.kill(2_001);
  const killed = start(2_002, "killed");
  runtime.processes.kill(2_002);
  start(2_003, "next");
  expect(done.session("done")).toMatchObject({ detachReason: "closed" });
  expect(killed.session("killed")).toMatchObject({ detachReason: null, recovery: "offered" });
});

it("a chat of a client without an event of its end is over when its MCP process saw the client end it after a turn", () => {
  const runtime = tempRuntime();
  const turn = (pid: number, id: string, last: string): void => {
    const chat = new RecordedClient(runtime, "qwen", pid);
    for (const name of ["SessionStart", "UserPromptSubmit"]) chat.send(name, { ...own, session_id: id });
    chat.send("Stop", { ...own, session_id: id, last_assistant_message: last });
  };
  const quit = (id: string, reason: string): void =>
    runtime.store.write((sql) => sessions.detach(sql, runtime.now(), id, reason));
  turn(2_001, "killed", "Shall I do the tests now?");
  quit("killed", "client_gone");
  runtime.clock.now += 1_000;
  turn(2_002, "ended", "Shall I do the tests now?");
  quit("ended", "stdin_end");
  for (const pid of [2_001, 2_002]) runtime.processes.kill(pid);
  const next = new RecordedClient(runtime, "qwen", 2_003);
  const answer = JSON.stringify(next.send("SessionStart", { ...own, session_id: "next" }));
  expect(answer).toContain("<shim-recovered-session-killed>");
  expect(next.session("ended")).toMatchObject({ endedAt: expect.any(Number), recovery: null });
  expect(next.session("killed")).toMatchObject({ detachReason: "closed_open", recovery: "offered" });
});

const next = "00000000-0000-4000-8000-000000000009";
const ofCopilot = { session_id: session };

it("events of Copilot CLI are recorded under its name; its start counts as one", () => {
  const chat = new RecordedClient(tempRuntime(), "copilot");
  for (const name of ["SessionStart", "UserPromptSubmit", "PreToolUse", "PostToolUse"]) chat.send(name, ofCopilot);
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
  for (const name of ["SessionStart", "UserPromptSubmit", "PreToolUse"]) chat.send(name, ofCopilot);
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
  for (const name of ["SessionStart", "UserPromptSubmit", "PreToolUse"]) chat.send(name, ofCopilot);
  runtime.processes.kill(chat.pid);
  const resumed = new RecordedClient(runtime, "copilot", 2_001);
  const context = expect.stringContaining("in mid-turn, running Bash");
  expect(resumed.send(first, ofCopilot)).toEqual({ additionalContext: context });
  for (const name of [second, "UserPromptSubmit"])
    expect(resumed.send(name, { ...ofCopilot, prompt: "go on" })).toEqual({});
});

it("the end of a prompt ends no chat of Copilot CLI in an editor; one whose process is gone was closed", () => {
  const runtime = tempRuntime();
  const chat = new RecordedClient(runtime, "copilot");
  for (const name of ["SessionStart", "UserPromptSubmit", "Stop", "SessionEnd"]) chat.send(name, ofCopilot);
  expect(chat.session(session)).toMatchObject({ endedAt: null, detachReason: null });
  chat.send("UserPromptSubmit", { ...ofCopilot, prompt: "and now the tests" });
  chat.send("Stop", ofCopilot);
  chat.send("SessionEnd", ofCopilot);
  expect(chat.entries(session).map(({ kind }) => kind)).toEqual(["start", "prompt", "turn_end", "prompt", "turn_end"]);
  runtime.processes.kill(chat.pid);
  new RecordedClient(runtime, "copilot", 2_001).send("SessionStart", { session_id: next });
  expect(chat.session(session)).toMatchObject({ detachReason: "closed" });
});

it("a chat of Copilot CLI that its user ends is over", () => {
  const chat = new RecordedClient(tempRuntime(), "copilot");
  for (const name of ["SessionStart", "UserPromptSubmit", "Stop"]) chat.send(name, ofCopilot);
  chat.send("SessionEnd", { ...ofCopilot, reason: "user_exit" });
  expect(chat.session(session)).toMatchObject({ endedAt: expect.any(Number) });
});

it("a question to the user marks the chat as waiting, an API error ends its turn", () => {
  const chat = new RecordedClient(tempRuntime(), "copilot");
  for (const name of ["SessionStart", "UserPromptSubmit"]) chat.send(name, ofCopilot);
  chat.send("Notification", { sessionId: session });
  expect(chat.session(session)).toMatchObject({ waiting: { for: "permission" } });
  chat.send("ErrorOccurred", ofCopilot);
  chat.send("ErrorOccurred", { ...ofCopilot, error_context: "tool_execution" });
  expect(chat.entries(session).slice(2)).toMatchObject([
    { kind: "failure", text: expect.stringContaining("invalid_request_error") },
  ]);
  expect(copilot.normalise("SessionStart", {}, {})).toBeNull();
});

it("a command whose result says a code other than 0 has failed", () => {
  const chat = new RecordedClient(tempRuntime(), "copilot");
  const failed = { result_type: "success", text_result_for_llm: "no\n<shellId: 1 completed with exit code 3>" };
  chat.send("PreToolUse", ofCopilot);
  chat.send("PostToolUse", { ...ofCopilot, tool_result: failed });
  expect(chat.session(session)).toMatchObject({ toolCalls: 1, toolErrors: 1 });
  expect(chat.entries(session).at(-1)).toMatchObject({ kind: "tool_error", text: "Exit code 3 no" });
});

it("events of Gemini CLI are recorded under its name, with the user's own words", () => {
  const chat = new RecordedClient(tempRuntime(), "gemini");
  const names = ["SessionStart", "BeforeAgent", "BeforeTool", "AfterTool", "BeforeTool-write", "AfterTool-write"];
  for (const name of [...names, "BeforeTool-edit", "AfterTool-edit", "AfterAgent", "SessionEnd"]) chat.send(name, own);
  expect(chat.session(session)).toMatchObject({ client: "gemini", toolCalls: 3, endReason: "exit" });
  expect(chat.entries(session)).toMatchObject([
    { kind: "start", source: "startup" },
    { kind: "prompt", text: "do the scripted work" },
    { kind: "tool_start", name: "Bash" },
    { kind: "tool_end", name: "Bash" },
    { kind: "tool_start", name: "Write" },
    { kind: "tool_end", name: "Write", path: "/home/user/project/final.txt", action: "created" },
    { kind: "tool_start", name: "Edit" },
    { kind: "tool_end", name: "Edit", path: "/home/user/project/final.txt", action: "edited" },
    { kind: "assistant", text: "FINAL-TEXT-DONE" },
    { kind: "turn_end" },
    { kind: "end", reason: "exit" },
  ]);
});

it("the brief stands in an answer with Gemini CLI's own name of the event", () => {
  const runtime = tempRuntime();
  const chat = new RecordedClient(runtime, "gemini");
  for (const name of ["SessionStart", "BeforeAgent", "BeforeTool"]) chat.send(name, own);
  runtime.processes.kill(chat.pid);
  const next = new RecordedClient(runtime, "gemini", 2_001);
  expect(next.send("SessionStart", { ...own, session_id: "s2" })["hookSpecificOutput"]).toEqual({
    hookEventName: "SessionStart",
    additionalContext: expect.stringContaining("do the scripted work"),
  });
  const refusal = { hookEventName: "PreToolUse", permissionDecision: "deny", permissionDecisionReason: "no" } as const;
  expect(gemini.answer("BeforeTool", { hookSpecificOutput: refusal })).toEqual({ decision: "deny", reason: "no" });
  expect(gemini.answer("AfterAgent", { decision: "block", reason: "news" })).toEqual({
    decision: "deny",
    reason: "news",
  });
});

it("a call with an error or a code other than 0 in its result has failed", () => {
  const chat = new RecordedClient(tempRuntime(), "gemini");
  const results = [{ error: { message: "no such file" } }, { llmContent: "Output: no\nExit Code: 3" }];
  for (const tool_response of results) {
    chat.send("BeforeTool", own);
    chat.send("AfterTool", { ...own, tool_response });
  }
  expect(chat.session(session)).toMatchObject({ toolCalls: 2, toolErrors: 2 });
  expect(chat.entries(session).filter(({ kind }) => kind === "tool_error")).toMatchObject([
    { text: "no such file" },
    { text: "Exit code 3 no" },
  ]);
});

it("a chat of Gemini CLI that is asked to end in the middle of a turn was interrupted; after it, it is over", () => {
  const chat = new RecordedClient(tempRuntime(), "gemini");
  for (const name of ["SessionStart", "BeforeAgent", "BeforeTool", "SessionEnd"])
    chat.send(name, { session_id: "cut-off", reason: "exit" });
  expect(chat.session("cut-off")).toMatchObject({ endedAt: null, detachReason: "interrupted" });
  for (const name of ["SessionStart", "BeforeAgent", "AfterAgent", "SessionEnd"])
    chat.send(name, { session_id: "done", reason: "exit" });
  expect(chat.session("done")).toMatchObject({ endedAt: expect.any(Number), detachReason: null });
});

it("a turn that is cancelled and a client that is quit by Ctrl-C end the chat, in whichever order the hooks report it", () => {
  const late = new RecordedClient(tempRuntime(), "gemini");
  const orders = [
    ["AfterAgent", "SessionEnd", "SessionEnd", "SessionEnd"],
    ["SessionEnd", "AfterAgent", "SessionEnd", "SessionEnd"],
    ["SessionEnd", "SessionEnd", "SessionEnd", "AfterAgent"],
  ];
  for (const [at, order] of orders.entries()) {
    const session_id = `session-${at}`;
    for (const name of ["SessionStart", "BeforeAgent", "BeforeTool", ...order]) late.send(name, { ...own, session_id });
    expect([order, late.session(session_id)]).toMatchObject([order, { endReason: "exit" }]);
  }
});

function line(type: string, content: unknown, second: number): string {
  const timestamp = new Date(T0 + second * 1_000).toISOString();
  return `${JSON.stringify({ id: `row-${second}`, timestamp, type, content })}\n`;
}

it("after a tool that the user cancelled, which only the transcript says, the end of the client is that of the chat", () => {
  const path = join(temporaryFolder(), "session.jsonl");
  writeFileSync(path, line("user", [{ text: "do the scripted work" }], 1));
  const chat = new RecordedClient(tempRuntime(), "gemini");
  const given = { ...own, transcript_path: path };
  for (const name of ["SessionStart", "BeforeAgent", "BeforeTool"]) chat.send(name, given);
  appendFileSync(path, line("info", "Request cancelled.", 2));
  appendFileSync(path, line("gemini", "", 3));
  for (const name of ["AfterTool", "SessionEnd", "SessionEnd"]) chat.send(name, given);
  expect(chat.session(session)).toMatchObject({ endReason: "exit", detachReason: null });
});

function handler(name: keyof typeof clientFiles, event: string): unknown {
  const hooks = clientFiles[name]?.hooks;
  return hooks && hooks.form !== "own" ? hooks.handler("run", event) : null;
}

it("a handler in a shared file waits in the client's unit of time", () => {
  expect(handler("qwen", "SessionStart")).toEqual({ type: "command", name: "shim", command: "run", timeout: 15 });
  expect(handler("gemini", "BeforeTool")).toMatchObject({ timeout: 10_000 });
  expect(clientFiles.qwen?.servers?.entry("node", ["mcp"])).toEqual({ command: "node", args: ["mcp"] });
});

it("calls without an id are paired by name, input and order, in parallel and one after the other", () => {
  const runtime = tempRuntime();
  runtime.processes.start(1_000);
  const send = (event: string, command: string): void => {
    const input = { session_id: "s1", tool_name: "Bash", tool_input: { command } };
    answerHook(runtime, event, () => JSON.stringify(input), 1_000);
  };
  for (const command of ["make", "make", "test"]) send("PreToolUse", command);
  for (const command of ["test", "make", "make"]) send("PostToolUse", command);
  send("PreToolUse", "make");
  const rows = runtime.store.read((sql) => journal.list(sql, "s1", 0), []);
  const ids = rows.map(({ entry }) => (entry.kind === "tool_start" || entry.kind === "tool_end" ? entry.id : ""));
  const [first, second, other, ...rest] = ids;
  expect(new Set([first, second, other]).size).toBe(3);
  expect(rest.slice(0, 3)).toEqual([other, first, second]);
  expect(ids.slice(0, 6)).not.toContain(rest[3]);
});

const recorded = [
  ["copilot", ["SessionStart", "PreToolUse", "PostToolUse-mcp", "Notification", "Stop"]],
  ["qwen", ["SessionStart", "PreToolUse", "Stop"]],
  ["gemini", ["SessionStart", "BeforeTool", "SessionEnd"]],
] as const;

it.each(recorded)(
  "hooks of Claude Code that %s runs too are ignored, so its own record nothing twice",
  (client, events) => {
    for (const event of events) {
      const { env, payload } = recording(client, event);
      expect(isClaudeCode(env, payload)).toBe(false);
      const inChat = { CLAUDECODE: "1", CLAUDE_CODE_SESSION_ID: "the-chat-that-started-it" };
      expect(isClaudeCode({ ...env, ...inChat }, payload)).toBe(false);
    }
  },
);
