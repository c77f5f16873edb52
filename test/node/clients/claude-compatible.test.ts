import { expect, it } from "vitest";
import { recordDeath } from "#src/machine/recovery/incomplete/deaths.ts";
import * as sessions from "#src/machine/sessions/sessions.ts";
import { RecordedClient } from "#harness/clients/recorded-client.ts";
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

it("a subagent of Qwen Code and its end are known", () => {
  const chat = new RecordedClient(tempRuntime(), "qwen");
  for (const name of ["PreToolUse-in-subagent", "PostToolUse-in-subagent", "SubagentStop"]) chat.send(name, own);
  expect(chat.entries(session)).toMatchObject([
    { kind: "tool_start", name: "Bash (subagent)" },
    { kind: "tool_end", name: "Bash (subagent)" },
    { kind: "subagent_end", text: "SUB-DONE" },
  ]);
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

it.each(["sigterm", "client_gone"])(
  "the end that the MCP process has just seen (%s) counts although nothing of it is stored yet",
  (reason) => {
    const runtime = tempRuntime();
    const chat = new RecordedClient(runtime, "qwen", 2_001);
    for (const name of ["SessionStart", "UserPromptSubmit", "PostToolUse", "Stop"]) chat.send(name, own);
    runtime.processes.kill(2_001);
    runtime.store.write((sql) => recordDeath(sql, runtime, own.session_id, reason));
    expect(chat.session(own.session_id)).toMatchObject(
      reason === "sigterm" ? { endedAt: expect.any(Number) } : { endedAt: null, detachReason: "closed" },
    );
  },
);

it("a chat that was over is resumed without a word of a death", () => {
  const runtime = tempRuntime();
  const chat = new RecordedClient(runtime, "qwen", 2_001);
  for (const name of ["SessionStart", "UserPromptSubmit", "PostToolUse", "Stop"]) chat.send(name, own);
  runtime.store.write((sql) => sessions.detach(sql, runtime.now(), own.session_id, "stdin_end"));
  runtime.processes.kill(2_001);
  const resumed = new RecordedClient(runtime, "qwen", 2_002);
  for (const name of ["SessionStart", "UserPromptSubmit"])
    expect(resumed.send(name, { ...own, source: "resume" })).toEqual({});
});
