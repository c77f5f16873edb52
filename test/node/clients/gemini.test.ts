import { appendFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { gemini } from "#src/clients/gemini/gemini.ts";
import { RecordedClient } from "#harness/clients/recorded-client.ts";
import { T0, temporaryFolder } from "#harness/machine/git-project.ts";
import { tempRuntime } from "#harness/machine/temp-runtime.ts";

const session = "00000000-0000-4000-8000-000000000001";
const own = { session_id: session, transcript_path: undefined };

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

it("a question about a tool marks the chat as waiting; PreCompress is not recorded", () => {
  const chat = new RecordedClient(tempRuntime(), "gemini");
  chat.send("SessionStart", own);
  chat.report("Notification", { ...own, notification_type: "ToolPermission", message: "run it?" });
  expect(chat.session(session)).toMatchObject({ waiting: { for: "permission" } });
  expect(gemini.events).not.toContain("PreCompress");
  expect(gemini.normalise("PreCompress", own, {})).toEqual([]);
  expect(gemini.normalise("SessionStart", {}, {})).toBeNull();
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
