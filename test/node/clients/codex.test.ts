import { expect, it } from "vitest";
import { answerHook } from "#src/local-mcp/events/answer-hook.ts";
import { codex } from "#src/clients/codex/codex.ts";
import { RecordedClient } from "#harness/clients/recorded-client.ts";
import { tempRuntime } from "#harness/machine/temp-runtime.ts";

const session = "00000000-0000-4000-8000-000000000001";
const parent = "00000000-0000-4000-8000-000000000008";

it("events of Codex are recorded under its name, with the words and calls of the chat", () => {
  const chat = new RecordedClient(tempRuntime(), "codex");
  for (const name of ["SessionStart", "UserPromptSubmit", "PreToolUse", "PostToolUse", "Stop"])
    chat.send(name, { session_id: session });
  expect(chat.session(session)).toMatchObject({ client: "codex", toolCalls: 1, title: "do the scripted work" });
  expect(chat.entries(session)).toMatchObject([
    { kind: "start", source: "startup" },
    { kind: "prompt", text: "do the scripted work" },
    { kind: "tool_start", name: "Bash", input: "echo one-$((1+1))" },
    { kind: "tool_end", name: "Bash" },
    { kind: "assistant", text: "FINAL-TEXT-DONE" },
    { kind: "turn_end" },
  ]);
});

it("the next chat of Codex gets the brief of one that died, as context of its start", () => {
  const runtime = tempRuntime();
  const chat = new RecordedClient(runtime, "codex");
  for (const name of ["SessionStart", "UserPromptSubmit", "PreToolUse"]) chat.send(name, { session_id: session });
  runtime.processes.kill(chat.pid);
  const next = new RecordedClient(runtime, "codex", 2_001);
  const answer = next.send("SessionStart", { session_id: parent });
  expect(answer["hookSpecificOutput"]).toMatchObject({
    hookEventName: "SessionStart",
    additionalContext: expect.stringContaining("do the scripted work"),
  });
});

it("a patch is a call for each of its files", () => {
  const chat = new RecordedClient(tempRuntime(), "codex");
  const patch =
    "*** Begin Patch\n*** Add File: new.txt\n+hello\n*** Update File: src/old.ts\n@@\n-a\n+b\n*** End Patch\n";
  const call = { session_id: session, tool_input: { command: patch } };
  chat.send("PreToolUse-edit", call);
  chat.send("PostToolUse-edit", call);
  expect(chat.entries(session).filter(({ kind }) => kind === "tool_end")).toMatchObject([
    { name: "Write", path: "/home/user/project/new.txt", action: "created" },
    { name: "Edit", path: "/home/user/project/src/old.ts", action: "edited" },
  ]);
});

it("the task of a subagent is no request of the user, and its transcript not the chat's", () => {
  const chat = new RecordedClient(tempRuntime(), "codex");
  chat.send("UserPromptSubmit", { session_id: parent, agent_id: "a1" });
  expect(chat.session(parent)).toBeNull();
  chat.send("PreToolUse-in-subagent");
  expect(chat.session(parent)).toMatchObject({ transcriptPath: null });
  expect(chat.entries(parent)).toMatchObject([{ kind: "tool_start", name: "Bash (subagent)" }]);
});

it("an event without a use is answered with nothing; another client's payload is refused", () => {
  const runtime = tempRuntime();
  const chat = new RecordedClient(runtime, "codex");
  expect(chat.send("SubagentStart")).toEqual({});
  expect(chat.session(parent)).toBeNull();
  expect(answerHook(runtime, "Stop", () => '{"sessionId":"s1"}', chat.pid, codex)).toBe("");
  expect(runtime.logged.at(-1)).toContain("input is not what Codex sends");
});

it("an event that waited in the spool keeps its client", () => {
  const runtime = tempRuntime({ busyMs: 10 });
  const chat = new RecordedClient(runtime, "codex");
  const writer = tempRuntime({ beside: runtime }).store.connection();
  writer.run("BEGIN IMMEDIATE");
  chat.send("SessionStart", { session_id: session });
  writer.run("COMMIT");
  expect(chat.session(session)).toBeNull();
  chat.send("UserPromptSubmit", { session_id: session });
  expect(chat.session(session)).toMatchObject({ client: "codex" });
  expect(chat.entries(session)).toMatchObject([{ kind: "start" }, { kind: "prompt" }]);
});
