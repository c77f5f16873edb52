import { appendFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { codex } from "#src/clients/codex/codex.ts";
import { transcriptFormat } from "#src/clients/details.ts";
import { readAppended, type TranscriptPart, readRows } from "#src/clients/transcript.ts";
import type { TranscriptContent } from "#src/clients/transcript/transcript-draft.ts";
import { answerHook } from "#src/local-mcp/events/answer-hook.ts";
import { codexRow, codexHead } from "#harness/clients/invented-transcripts.ts";
import { RecordedClient, recordedSession } from "#harness/clients/recorded-client.ts";
import { temporaryFolder } from "#harness/machine/git-project.ts";
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

function readRollout(name: string): TranscriptPart {
  const path = join(temporaryFolder(), "rollout.jsonl");
  writeFileSync(path, recordedSession(`codex-${name}`));
  return readAppended(path, 0, { format: transcriptFormat("codex") });
}

it("texts, calls and ends of a rollout are read once each, with the exit code of a command", () => {
  const { texts, toolCalls, toolEnds, contextUsage, contextWindow, usage } = readRollout("tools");
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
  const { texts, compactBoundary, contextUsage, toolEnds } = readRollout("compaction");
  expect(compactBoundary?.at).toBeGreaterThan(0);
  expect(contextUsage?.inputTokens).toBe(1_000);
  expect(texts.map(({ text }) => text)).toEqual(["do a first thing", "Done."]);
  expect(toolEnds).toMatchObject([
    { toolUseId: "call_1_0", error: null },
    { toolUseId: "call_2_0", error: null },
  ]);
});

it("a command that fails is a failure of its call, and no call is counted twice", () => {
  const chat = new RecordedClient(tempRuntime(), "codex");
  const path = join(temporaryFolder(), "rollout.jsonl");
  writeFileSync(path, "");
  const call = { session_id: session, transcript_path: path, tool_use_id: "call_1_0" };
  for (const name of ["SessionStart", "UserPromptSubmit"])
    chat.send(name, { session_id: session, transcript_path: path });
  chat.send("PreToolUse", call);
  writeFileSync(path, recordedSession("codex-tools"));
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

type Row = Readonly<Record<string, unknown>>;

function read(rows: readonly Row[]): TranscriptContent {
  return readRows(
    rows.map((row, position) => ({ row, damage: null, position, bytes: 1 })),
    undefined,
    transcriptFormat("codex"),
  );
}

function calls({ toolCalls, toolEnds }: TranscriptContent): string[] {
  const ends = new Map(toolEnds.map(({ toolUseId, error }) => [toolUseId, error ?? "done"]));
  return toolCalls.map(({ id, name }) => `${name}: ${ends.get(id)?.split("\n")[0] ?? "running"}`);
}

const programs: readonly (readonly [string, string, Row])[] = [
  [
    'const r = await tools.exec_command({"cmd":"npm run \\"all\\"","workdir":"/p"});',
    "Bash",
    { command: 'npm run "all"' },
  ],
  [
    'const rs = await Promise.all([tools.exec_command({cmd:`ls ${dir}`}), tools.exec_command({cmd:"pwd"})]);',
    "Bash",
    { command: "ls ${dir}\npwd" },
  ],
  [`await tools.exec_command({cmd:"${"x".repeat(5_000)}"});`, "Bash", { command: "x".repeat(1_000) }],
  [
    'const cmds = ["ls"]; for (const cmd of cmds) await tools.exec_command({cmd});',
    "Bash",
    { command: 'const cmds = ["ls"]; for (const cmd of cmds) await tools.exec_command({cmd});' },
  ],
  [
    'await tools.update_plan({plan:[{step:"read \\"a\\"",status:"completed"},{"step":"sort","status":"pending"}]});',
    "TodoWrite",
    {
      todos: [
        { content: 'read "a"', status: "completed" },
        { content: "sort", status: "pending" },
      ],
    },
  ],
  [
    "await tools.mcp__db__query({}); await tools.web__run({});",
    "exec",
    { command: "await tools.mcp__db__query({}); await tools.web__run({});" },
  ],
  ["text(ALL_TOOLS);", "exec", { command: "text(ALL_TOOLS);" }],
];

it.each(programs)("Codex: a program is the call of the tool that it uses (%#)", (program, name, input) => {
  const row = codexRow(1, "response_item/custom_tool_call", { call_id: "call_1", name: "exec", input: program });
  expect(read([codexHead("0.144.1"), row]).toolCalls).toMatchObject([{ name, input, isUnhooked: true }]);
});

function programRow(second: number, id: string, input: string): Row {
  return codexRow(second, "response_item/custom_tool_call", { call_id: id, name: "exec", input });
}

function programOutput(second: number, id: string, text: string): Row {
  return codexRow(second, "response_item/custom_tool_call_output", {
    call_id: id,
    output: [{ type: "input_text", text: `Script completed\nWall time 1 seconds\nOutput:\n${text}` }],
  });
}

it("Codex: a program that updates its plan beside a command yields both calls, and the plan also where the command failed", () => {
  const program =
    'const r = await tools.exec_command({cmd:"npm test"}); await tools.update_plan({plan:[{step:"test",status:"completed"}]}); text(r.output);';
  for (const [text, end] of [
    ["1 passed", "done"],
    ["Exit code: 1\n1 failed", "Exit code 1 "],
  ] as const) {
    const content = read([codexHead("0.144.1"), programRow(1, "c", program), programOutput(2, "c", text)]);
    expect(content.toolCalls.map(({ name, input }) => [name, input])).toEqual([
      ["Bash", { command: "npm test" }],
      ["TodoWrite", { todos: [{ content: "test", status: "completed" }] }],
    ]);
    expect(calls(content).map((call) => call.slice(0, 18))).toEqual([`Bash: ${end}`, "TodoWrite: done"]);
  }
});
