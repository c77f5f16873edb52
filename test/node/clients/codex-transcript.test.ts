import { appendFileSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { readAppended, type TranscriptPart } from "#src/clients/transcript.ts";
import { transcriptFormat } from "#src/clients/details.ts";
import { codexOfFunctions, codexOfPlans, codexRow } from "#harness/clients/invented-transcripts.ts";
import { RecordedClient } from "#harness/clients/recorded-client.ts";
import { temporaryFolder } from "#harness/machine/git-project.ts";
import { tempRuntime } from "#harness/machine/temp-runtime.ts";

const session = "00000000-0000-4000-8000-000000000001";

/** What the real Codex 0.169.0 wrote. */
function rollout(name: string): string {
  return new URL(`../../harness/clients/rollouts/codex-${name}.jsonl`, import.meta.url).pathname;
}

function read(name: string): TranscriptPart {
  return readAppended(rollout(name), 0, { format: transcriptFormat("codex") });
}

it("texts, calls and ends of a rollout are read once each, with the exit code of a command", () => {
  const { texts, toolCalls, toolEnds, contextUsage, contextWindow, usage } = read("tools");
  expect(texts).toMatchObject([
    { role: "user", text: "do a first thing" },
    { role: "assistant", text: "Done." },
  ]);
  expect(toolCalls).toMatchObject([
    { id: "call_1_0", name: "Bash", input: { command: "echo one; exit 3" } },
    { id: "call_2_0", name: "mcp__shim__shim_session_status", input: {} },
  ]);
  expect(toolEnds).toMatchObject([
    { toolUseId: "call_1_0", error: "Exit code 3 one" },
    { toolUseId: "call_2_0", error: null },
  ]);
  expect(usage.map(({ messageId }) => messageId)).toEqual(["resp_1", "resp_2", "resp_3"]);
  expect(contextUsage).toMatchObject({ model: "scripted", inputTokens: 1_000, cacheReadTokens: 0, outputTokens: 20 });
  expect(contextWindow).toBe(258_400);
});

it("a compaction forgets the context's fill, and its summary is no answer of the chat", () => {
  const { texts, compactBoundary, contextUsage, toolEnds } = read("compaction");
  expect(compactBoundary?.at).toBeGreaterThan(0);
  expect(contextUsage?.inputTokens).toBe(1_000);
  expect(texts.map(({ text }) => text)).toEqual(["do a first thing", "Done."]);
  expect(toolEnds).toMatchObject([
    { toolUseId: "call_1_0", error: null },
    { toolUseId: "call_2_0", error: null },
  ]);
});

it("an error of the API is the end of its turn", () => {
  const { apiErrors, outcomes } = read("error");
  expect(apiErrors).toMatchObject([{ text: expect.stringContaining("usage limit") as string }]);
  expect(outcomes).toMatchObject([{ isFailed: true }]);
});

it("a command that fails is a failure of its call, and no call is counted twice", () => {
  const chat = new RecordedClient(tempRuntime(), "codex");
  const path = join(temporaryFolder(), "rollout.jsonl");
  writeFileSync(path, "");
  const call = { session_id: session, transcript_path: path, tool_use_id: "call_1_0" };
  for (const name of ["SessionStart", "UserPromptSubmit"])
    chat.send(name, { session_id: session, transcript_path: path });
  chat.send("PreToolUse", call);
  writeFileSync(path, readFileSync(rollout("tools")));
  chat.send("PostToolUse", call);
  chat.send("Stop", { session_id: session, transcript_path: path, last_assistant_message: "Done." });
  expect(chat.session(session)).toMatchObject({ toolCalls: 2, toolErrors: 1 });
  expect(chat.entries(session).map(({ kind }) => kind)).toEqual([
    "start",
    "prompt",
    "tool_start",
    "assistant",
    "tool_start",
    "tool_end",
    "tool_error",
    "turn_end",
  ]);
});

it("a live chat of Codex 0.118 has its answers, failures and the end of its turn from the rollout, and calls from its hooks", () => {
  const runtime = tempRuntime({ now: Date.parse("2023-11-14T09:59:59Z") });
  const chat = new RecordedClient(runtime, "codex");
  const path = join(temporaryFolder(), "rollout.jsonl");
  writeFileSync(path, "");
  const common = { session_id: session, transcript_path: path };
  for (const name of ["SessionStart", "UserPromptSubmit"]) chat.send(name, common);
  runtime.wait(60_000);
  writeFileSync(path, codexOfFunctions.map((row) => `${JSON.stringify(row)}\n`).join(""));
  chat.send("UserPromptSubmit", { ...common, turn_id: "second", prompt: "thanks" });
  expect(chat.entries(session).map(({ kind }) => kind)).toEqual([
    "start",
    "prompt",
    "assistant",
    "assistant",
    "tool_start",
    "tool_start",
    "todos",
    "tool_error",
    "tool_end",
    "turn_end",
    "prompt",
  ]);
});

it("a live chat's plan is approved by a prompt that is read later", () => {
  const runtime = tempRuntime({ now: Date.parse("2023-11-14T09:59:59Z") });
  const chat = new RecordedClient(runtime, "codex");
  const path = join(temporaryFolder(), "rollout.jsonl");
  writeFileSync(path, "");
  const common = { session_id: session, transcript_path: path };
  for (const name of ["SessionStart", "UserPromptSubmit"]) chat.send(name, common);
  for (const [turn, row] of codexOfPlans.entries()) {
    appendFileSync(path, `${JSON.stringify(row)}\n`);
    chat.send("Stop", { ...common, turn_id: String(turn) });
  }
  expect(chat.entries(session).filter(({ kind }) => kind === "plan")).toMatchObject([
    { text: "# Move\n\n- in two steps" },
  ]);
});

function aDialog(tool: string): { readonly call: object; readonly answered: object; readonly rows: readonly object[] } {
  const questions = [{ id: "which", header: "Which", question: "Which one?" }];
  const output = '{"answers":{"which":{"answers":["the first","user_note: and fast"]}}}';
  const call = { tool_name: tool, tool_use_id: "call_9", tool_input: { questions } };
  const given = { name: tool, call_id: "call_9", arguments: JSON.stringify({ questions }) };
  return {
    call,
    answered: { ...call, tool_response: output },
    rows: [
      codexRow(1, "response_item/function_call", given),
      codexRow(2, "response_item/function_call_output", { call_id: "call_9", output }),
    ],
  };
}

it.each([
  ["the transcript alone", { hooks: false, parts: 1, question: "Which one?" }],
  ["two parts of the transcript", { hooks: false, parts: 2, question: "which" }],
  ["hooks and the transcript", { hooks: true, parts: 2, question: "Which one?" }],
])("answers of a live chat's dialog are kept once: %s", (_case, { hooks, parts, question }) => {
  const runtime = tempRuntime({ now: Date.parse("2023-11-14T09:59:59Z") });
  const chat = new RecordedClient(runtime, "codex");
  const path = join(temporaryFolder(), "rollout.jsonl");
  writeFileSync(path, "");
  const common = { session_id: session, transcript_path: path };
  for (const name of ["SessionStart", "UserPromptSubmit"]) chat.send(name, common);
  const { call, answered, rows } = aDialog("request_user_input");
  for (const [index, row] of rows.entries()) {
    if (hooks) chat.send(index === 0 ? "PreToolUse" : "PostToolUse", { ...common, ...(index === 0 ? call : answered) });
    appendFileSync(path, `${JSON.stringify(row)}\n`);
    if (index === 0 && parts === 2) chat.send("Stop", { ...common, turn_id: "first" });
  }
  chat.send("Stop", { ...common, turn_id: "second" });
  const entries = chat.entries(session);
  expect(entries.filter(({ kind }) => kind === "answers")).toEqual([
    { kind: "answers", answers: [{ question, answer: "the first, user_note: and fast" }] },
  ]);
  const calls = entries.filter(({ kind }) => kind.startsWith("tool_")).map((entry) => "name" in entry && entry.name);
  expect(calls).toEqual(hooks ? ["AskUserQuestion", "AskUserQuestion"] : []);
});

it("a live chat's to-do list, of which hooks say nothing, is taken from the transcript", () => {
  const chat = new RecordedClient(tempRuntime({ now: Date.parse("2023-11-14T09:59:59Z") }), "codex");
  const path = join(temporaryFolder(), "rollout.jsonl");
  writeFileSync(path, "");
  const common = { session_id: session, transcript_path: path };
  for (const name of ["SessionStart", "UserPromptSubmit"]) chat.send(name, common);
  for (const [index, status] of ["pending", "completed"].entries()) {
    const given = { name: "update_plan", call_id: `call_${index}` };
    const plan = { plan: [{ step: "mend the hull", status }] };
    appendFileSync(
      path,
      `${JSON.stringify(codexRow(index + 1, "response_item/function_call", { ...given, arguments: JSON.stringify(plan) }))}\n`,
    );
    chat.send("Stop", { ...common, turn_id: String(index) });
  }
  const entries = chat.entries(session).filter(({ kind }) => kind === "todos" || kind.startsWith("tool_"));
  expect(entries).toMatchObject([
    { kind: "todos", todos: [{ text: "mend the hull", status: "pending" }] },
    { kind: "todos", todos: [{ text: "mend the hull", status: "completed" }] },
  ]);
});

it("each compaction of a turn that ended is kept once, without a summary of it", () => {
  const chat = new RecordedClient(tempRuntime(), "codex");
  const common = { session_id: session, turn_id: "t1", trigger: "auto" };
  for (const name of ["SessionStart", "UserPromptSubmit", "PreCompact", "PostCompact", "PostCompact", "PreCompact"])
    chat.send(name, { ...common, prompt: "mend the hull" });
  expect(chat.entries(session).map(({ kind }) => kind)).toEqual([
    "start",
    "prompt",
    "compacting",
    "compacted",
    "compacting",
  ]);
  chat.send("PostCompact", common);
  expect(chat.entries(session).slice(-2)).toMatchObject([{ kind: "compacting" }, { kind: "compacted", summary: "" }]);
});
