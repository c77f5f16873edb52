import { appendFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { commandIn, userWords } from "#src/clients/adapter/harness-text.ts";
import { transcriptFormat } from "#src/clients/details.ts";
import { readRows } from "#src/clients/transcript.ts";
import type { TranscriptContent } from "#src/clients/transcript/transcript-draft.ts";
import { rowsIn } from "#src/clients/transcript/transcript-rows.ts";
import { codexHead, codexOfFunctions, codexOfPrograms, codexRow } from "#harness/clients/invented-transcripts.ts";
import { openCodeDocument, secondOf } from "#harness/clients/invented-transcripts.ts";
import { RecordedClient, recordedSession } from "#harness/clients/recorded-client.ts";
import { T0, temporaryFolder } from "#harness/machine/git-project.ts";
import { tempRuntime } from "#harness/machine/temp-runtime.ts";
import { aCompactBoundary, anAssistantLine, aToolResultLine, aUserLine } from "#harness/machine/transcripts.ts";

/** What the client's transcript with these rows says. */
function read(client: string, ...rows: readonly (string | object)[]): TranscriptContent {
  const text = rows.map((row) => (typeof row === "string" ? row : JSON.stringify(row))).join("\n");
  return readRows(rowsIn(Buffer.from(text)), () => false, transcriptFormat(client));
}

const readClaude = (...rows: readonly (string | object)[]): TranscriptContent => read("claude-code", ...rows);
const said = ({ texts }: TranscriptContent): string[] => texts.map(({ role, text }) => `${role}: ${text}`);

function calls({ toolCalls, toolEnds }: TranscriptContent): string[] {
  const ends = new Map(toolEnds.map(({ toolUseId, error }) => [toolUseId, error ?? "done"]));
  return toolCalls.map(({ id, name }) => `${name}: ${ends.get(id)?.split("\n")[0] ?? "running"}`);
}

it.each(["claude-code", "codex", "copilot", "opencode", "qwen", "gemini"])(
  "a row of %s whose kind is a name that each object has says nothing",
  (client) => {
    for (const kind of ["__proto__", "constructor", "toString"]) {
      const info = { role: "assistant" };
      const row = { type: kind, data: {}, payload: { type: kind }, info: { role: kind } };
      const content = read(client, row, { ...row, info, parts: [{ type: kind }] });
      expect([content.texts, content.toolCalls, content.damages]).toEqual([[], [], []]);
    }
  },
);

it("Codex 0.118: events have the words once, shells are functions, and a patch is a tool", () => {
  const content = read("codex", ...codexOfFunctions);
  expect(said(content)[0]).toBe("user: sort the imports\n[attached: /p/shot.png]");
  expect(calls(content)).toEqual(["Bash: Exit code 1 2 errors", "Bash: done", "apply_patch: done", "TodoWrite: done"]);
  expect(content.toolCalls).toMatchObject([
    { input: { command: "npm run lint" } },
    { input: { command: "ls -a" } },
    { isUnhooked: true },
    { input: { todos: [{ content: "sort", status: "completed" }] }, isUnhooked: true },
  ]);
  expect(content.toolCalls.slice(0, 2).some(({ isUnhooked }) => isUnhooked)).toBe(false);
  expect(secondOf(content.turnEnd?.at ?? null)).toBe(13);
  expect(content).toMatchObject({ clientVersion: "0.118.0", model: "gpt-5.3" });
});

it("Codex 0.147: commands, patches and servers inside of a program, answers of a dialog, turns taken back", () => {
  const content = read("codex", ...codexOfPrograms);
  expect(said(content)).toEqual([
    "user: follow the notes\n[attached: notes.md]",
    "assistant: 1. Rename it.",
    "user: yes",
  ]);
  const inProgram = ["Bash: Script failed", "apply_patch: done", "mcp__db__query: no such table"];
  expect(calls(content)).toEqual([...inProgram, "AskUserQuestion: done", "exec: running"]);
  expect(content.toolCalls[0]?.input).toEqual({ command: 'make "all"' });
  expect(content.toolEnds.at(-1)?.response).toEqual({ answers: { "Which one?": ["the first"] } });
  expect(content.compactions.map(({ summary, at }) => [summary, secondOf(at)])).toEqual([[null, 9]]);
  expect([content.interruptions.map(({ at }) => secondOf(at)), content.turnEnd]).toEqual([[15], null]);
});

it("Codex 0.169: two rows of one prompt are one, the same words later are another; a failed call of a server", () => {
  const words = { message: "go on" };
  const failed = { type: "McpToolCall", id: "m1", status: "failed", error: { message: "no such table" } };
  const item = { type: "UserMessage", content: [{ type: "text", text: "go on" }] };
  const content = read(
    "codex",
    codexHead("0.169.0"),
    codexRow(1, "event_msg/user_message", words),
    codexRow(1, "event_msg/item_completed", { item }),
    codexRow(1, "event_msg/item_completed", { item: failed }),
    codexRow(3, "event_msg/user_message", words),
  );
  expect(said(content)).toEqual(["user: go on", "user: go on"]);
  expect(content.toolEnds).toMatchObject([{ toolUseId: "m1", error: "no such table" }]);
});

it("a prompt that the user went back to before is withdrawn with all that was said since", () => {
  const content = readClaude(
    aUserLine("plan the pier", { uuid: "a", parentUuid: null }),
    aUserLine("paint it blue", { uuid: "b", parentUuid: "a" }),
    anAssistantLine({ content: [{ type: "text", text: "It is blue." }] }, { uuid: "c", parentUuid: "b" }),
    aUserLine("and the door", { uuid: "d", parentUuid: "c" }),
    aUserLine("paint it green", { uuid: "e", parentUuid: "a" }),
  );
  expect(said(content)).toEqual(["user: plan the pier", "user: paint it green"]);
});

it("OpenCode: parts of messages, without its own; a failed command, an answered dialog, an abort", () => {
  const content = read("opencode", ...openCodeDocument.messages);
  expect(said(content)[0]).toBe("user: build it\n[attached: screen.png]");
  expect(calls(content)).toEqual(["Bash: Exit code 2 no rule", "Edit: done", "AskUserQuestion: done", "Bash: running"]);
  expect(content.toolEnds.at(-1)?.response).toEqual({ answers: { "Which one?": ["the first", "the last"] } });
  expect(content.compactions).toMatchObject([{ summary: "## Goal: build", trigger: "auto" }]);
  expect(content.interruptions.map(({ at }) => secondOf(at))).toEqual([16]);
});

const noise = [
  "<local-command-stdout>Goodbye!</local-command-stdout>",
  "<local-command-caveat>Caveat: none of this</local-command-caveat>",
  "<bash-stdout>a</bash-stdout><bash-stderr></bash-stderr>",
  "<task-notification>\n<status>done</status>\n</task-notification>\nRead the output file to retrieve the result: /tmp/a",
  '<agent-message from="review">fine</agent-message>',
  "Caveat: The messages below were generated by the user while running local commands. Do not respond.",
  "[Request interrupted by user for tool use]",
  "Operation stopped by hook: no",
  "# AGENTS.md instructions for /p\n\n<INSTRUCTIONS>\nx\n</INSTRUCTIONS>",
  "<environment_context><cwd>/p</cwd></environment_context>",
  "<system-reminder>be brief</system-reminder>",
  "<system-reminder>a reminder that is cut",
  "System: Please continue.",
  '{"task_id":"b1","description":"lint","task_type":"local_bash"}',
];

it("what a client writes in the user's name is no word of the user", () => {
  expect(noise.filter((text) => userWords(text) !== "")).toEqual([]);
});

const planNote =
  "If you need specific details from before exiting plan mode (like code), read the full transcript at: /t.jsonl";
const plan = "Implement the following plan:\n\n# Paint";
const folder = "Base directory for this skill: /home/ann/.agents/skills/lint";
const lint = `# Lint\n\nRun it.\n\n${folder}\nRelative paths in this skill (e.g., scripts/) are relative to this base directory.`;
const ofCopilot = (name: string, text: string): string =>
  `The user explicitly invoked the "${name}" skill. Follow its instructions now.\n\n<skill-context name="x">\n${text}\n</skill-context>`;
const reminders = "<system-reminder>x</system-reminder>\n".repeat(50_000);

it.each([
  ["an IDE's context", "<ide_opened_file>a.ts</ide_opened_file>\n<ide_selection>x</ide_selection>\nfix it", "fix it"],
  ["an IDE's files", "# Context from my IDE setup:\n\n## Active file: a\n\n## My request for Codex:\nfix it", "fix it"],
  ["a reminder behind them", "fix it\n<system-reminder>be brief</system-reminder>", "fix it"],
  ["what a hook of Gemini CLI added", "fix it\n<hook_context>SHIM: news</hook_context>", "fix it"],
  [
    "what a hook of Qwen Code added",
    "fix it\n<qwen:user-prompt-submit-context>\nSHIM: news\n</qwen:user-prompt-submit-context>",
    "fix it",
  ],
  ["many reminders behind them", `fix it\n${reminders}`, "fix it"],
  ["many reminders before them", `${reminders}fix it`, "fix it"],
  ["an element in their middle", "what does <task-notification> mean?", null],
  ["an element of the user's", "<div>is this right?</div>", null],
  ["a note behind a plan", `${plan}\n\n${planNote}`, plan],
  ["the text of a skill of OpenCode", lint, "/lint"],
  ["the text of a skill of OpenCode, with words", `${lint}\n\nonly the lexer`, "/lint only the lexer"],
  ["a quoted skill of OpenCode", `what does this mean?\n\n${folder}\nI saw it`, null],
  ["SHIM's command with words", ofCopilot("/shim", "The user typed /shim:undo 3, a command of SHIM."), "/shim:undo 3"],
  ["SHIM's command alone", ofCopilot("/shim", "The user typed /shim:, a command of SHIM."), "/shim:"],
  ["another skill of Copilot CLI", ofCopilot("/review", "Read the diff."), "/review"],
])("the user's words stay, and a skill is the command that called it: %s", (_what, text, words) => {
  expect(userWords(text)).toBe(words ?? text);
});

function local(name: string, words: string): string {
  return `<command-name>/${name}</command-name>\n<command-message>${name}</command-message>\n<command-args>${words}</command-args>`;
}

it("a command keeps its name and the user's words; one that the client carries out without words is none", () => {
  const custom = "<command-message>deploy is running…</command-message>\n<command-name>/deploy</command-name>";
  expect(commandIn(custom)?.text).toBe("/deploy");
  expect(commandIn(`${custom}\n<command-args>to staging</command-args>`)?.text).toBe("/deploy to staging");
  expect(commandIn(local("exit", ""))).toEqual({ text: "", isLocal: true });
  expect(commandIn(local("compact", "keep the plan"))).toEqual({ text: "/compact keep the plan", isLocal: true });
  expect(commandIn("run <command-name>")).toBeNull();
  const content = readClaude(aUserLine(local("exit", "")), aUserLine(custom), aUserLine(local("compact", "keep it")));
  expect(said(content)).toEqual(["user: /deploy", "user: /compact keep it"]);
});

it("Claude Code: rows of the client, of hooks and of other chats are no prompts; summaries and interruptions are named", () => {
  const summary = "This session is being continued: the plan.";
  const content = readClaude(
    aUserLine("Caveat: see below", { isMeta: true }),
    aUserLine("of a subagent", { isSidechain: true }),
    aUserLine("a teammate writes", { origin: { kind: "peer" } }),
    aUserLine("typed by hand", { origin: { kind: "human" } }),
    anAssistantLine({ model: "<synthetic>", content: [{ type: "text", text: "No response requested." }] }),
    aCompactBoundary(100_000),
    aUserLine(summary, { isCompactSummary: true }),
    aUserLine("[Request interrupted by user]"),
  );
  expect(said(content)).toEqual(["user: typed by hand"]);
  expect(content.compactions).toMatchObject([{ summary, trigger: "auto" }]);
  expect(content.interruptions).toHaveLength(1);
});

function queued(operation: string, second: number, content?: string): object {
  const timestamp = new Date(Date.UTC(2026, 0, 1, 0, 0, second)).toISOString();
  return { type: "queue-operation", operation, timestamp, sessionId: "s", content };
}

function attachment(prompt: string, commandMode: string): object {
  return { type: "attachment", attachment: { type: "queued_command", prompt, commandMode }, uuid: prompt };
}

it("a prompt typed during a turn is read once, at the time when it was typed", () => {
  const content = readClaude(
    queued("enqueue", 1, "also rename it"),
    queued("enqueue", 2, "<task-notification>done</task-notification>"),
    queued("remove", 3),
    attachment("also rename it", "prompt"),
    queued("remove", 4),
    queued("enqueue", 5, "submitted later"),
    queued("dequeue", 6),
    queued("enqueue", 7, "taken back"),
    queued("popAll", 8, "taken back"),
    queued("remove", 9),
    attachment("without rows of the queue", "prompt"),
    attachment("a notice", "task-notification"),
  );
  expect(content.texts).toMatchObject([
    { text: "also rename it", startsNoTurn: "queued", at: Date.UTC(2026, 0, 1, 0, 0, 1) },
    { text: "without rows of the queue", startsNoTurn: "queued" },
  ]);
});

const refused =
  "The user doesn't want to proceed with this tool use. The tool use was rejected (eg. if it was a file edit, the new_string was NOT written to the file).";
const how = `${refused} To tell you how to proceed, the user said:\n`;
const note = "\n\nNote: The user's next message may contain a correction or preference. Pay close attention.";

it("the words with which the user refuses a call are a prompt of its turn; what the client adds is none", () => {
  const content = readClaude(
    aToolResultLine("edit", `${how}keep the old name`, true),
    aToolResultLine("plan", `${how}first the tests:\n\n- of the lexer${note}`, true),
    aToolResultLine("dialog", `${how}The user wants to clarify these questions.\n  Questions asked:\n- "Which?"`, true),
    aToolResultLine("stopped", `${refused} STOP what you are doing and wait for the user.`, true),
    aToolResultLine("failed", `Exit code 1\n${how}no`, true),
    aToolResultLine("read", `${how}no`, false),
    aToolResultLine("subagent", `${how}not that`, true, { isSidechain: true }),
  );
  const words = content.texts.map(({ text, startsNoTurn }) => `${startsNoTurn}: ${text}`);
  expect(words).toEqual(["queued: keep the old name", "queued: first the tests:\n\n- of the lexer"]);
  expect(content.toolEnds).toHaveLength(6);
});

/** How the commands of a transcript have ended. */
function resultsIn({ toolCalls, toolEnds }: TranscriptContent): unknown[] {
  const ends = new Map(toolEnds.map((end) => [end.toolUseId, end]));
  return toolCalls.flatMap(({ id, name, input }) => {
    const end = ends.get(id);
    return name === "Bash" && end ? [[(input as { command?: unknown }).command, end.error, end.response]] : [];
  });
}

it.each([
  ["qwen", "0.24.4", false, { stdout: "one", exit_code: 0 }],
  ["copilot", "1.0.102", true, { stdout: "one", exit_code: 0 }],
  ["gemini", null, true, { stdout: "one" }],
])(
  "a transcript of the real %s: the words of both, five answers, what each command printed, and calls, marked where hooks give them no id",
  (client, clientVersion, isUnhooked, printed) => {
    const content = read(client, recordedSession(client));
    expect(content.clientVersion).toBe(clientVersion);
    const answers = ["assistant: I look at the parser first.", "assistant: The parser accepts it now."];
    expect([...new Set(said(content))].toSorted()).toEqual([...answers, "user: Make the parser accept empty input"]);
    expect(content.usage).toHaveLength(5);
    expect(content.contextUsage).toMatchObject({ input: 1_000, output: 20 });
    expect(content.toolCalls.map(({ name }) => name)).toEqual(["Bash", "Write", "Read", "Bash"]);
    expect(content.toolCalls.every((call) => call.isUnhooked === true)).toBe(isUnhooked);
    expect(content.toolEnds.map(({ error }) => error !== null)).toEqual([false, false, true, true]);
    expect(resultsIn(content)).toEqual([
      ["echo one", null, printed],
      ["echo bad; exit 3", "Exit code 3 bad", { stdout: "bad", exit_code: 3 }],
    ]);
  },
);

const programRow = (input: string): object =>
  codexRow(1, "response_item/custom_tool_call", { call_id: "p1", name: "exec", input });

function programOutput(...texts: readonly string[]): object {
  const all = ["Script completed\nWall time 1.2 seconds\nOutput:\n", ...texts];
  const output = all.map((text) => ({ type: "input_text", text }));
  return codexRow(2, "response_item/custom_tool_call_output", { call_id: "p1", output });
}

const passed = "3 tests passed\n";
const failed = "1 test failed\n";

it.each([
  [{ chunk_id: "1a", exit_code: 0, output: passed }, null, { stdout: passed, exit_code: 0 }],
  [{ output: failed, exit_code: 1, chunk_id: "1b" }, `Exit code 1 ${failed}`, { stdout: failed, exit_code: 1 }],
  // What the command itself has printed is no object of the client.
  [{ output: "dist/a.js" }, null, { stdout: '\n{"output":"dist/a.js"}' }],
])("a program of Codex may print the result of a command as an object: %j", (result, error, response) => {
  const program = 'text(JSON.stringify(await tools.exec_command({cmd:"npm test"})));';
  const content = read("codex", codexHead("0.147.0"), programRow(program), programOutput(JSON.stringify(result)));
  expect(resultsIn(content)).toEqual([["npm test", error, response]]);
});

const parallel = 'await Promise.all([tools.exec_command({cmd:`ls ${dir}`}), tools.exec_command({cmd:"pwd"})]);';
const loop = 'const cmds = ["ls"]; for (const cmd of cmds) await tools.exec_command({cmd});';
const others = "await tools.mcp__db__query({}); await tools.web__run({});";
const planning =
  'await tools.update_plan({plan:[{step:"read \\"a\\"",status:"completed"},{"step":"sort","status":"pending"}]});';
const planned = [
  { content: 'read "a"', status: "completed" },
  { content: "sort", status: "pending" },
];

it.each([
  ['await tools.exec_command({"cmd":"npm run \\"all\\"","workdir":"/p"});', "Bash", { command: 'npm run "all"' }],
  [parallel, "Bash", { command: "ls ${dir}\npwd" }],
  [`await tools.exec_command({cmd:"${"x".repeat(5_000)}"});`, "Bash", { command: "x".repeat(1_000) }],
  [loop, "Bash", { command: loop }],
  [planning, "TodoWrite", { todos: planned }],
  [others, "exec", { command: others }],
  ["text(ALL_TOOLS);", "exec", { command: "text(ALL_TOOLS);" }],
])("a program of Codex is the call of the tool that it uses (%#)", (program, name, input) => {
  const { toolCalls } = read("codex", codexHead("0.144.1"), programRow(program));
  expect(toolCalls).toMatchObject([{ name, input, isUnhooked: true }]);
});

it.each([
  ["1 passed", "Bash: done"],
  ["Exit code: 1\n1 failed", "Bash: Exit code 1"],
  ["Process exited with code 1\nOutput:\n1 failed", "Bash: Exit code 1"],
])("a program of Codex that updates its plan beside a command yields both calls: it printed %j", (printed, end) => {
  const program =
    'const r = await tools.exec_command({cmd:"npm test"}); await tools.update_plan({plan:[{step:"test",status:"completed"}]}); text(r.output);';
  const content = read("codex", codexHead("0.144.1"), programRow(program), programOutput(printed));
  expect(content.toolCalls).toMatchObject([
    { name: "Bash", input: { command: "npm test" } },
    { name: "TodoWrite", input: { todos: [{ content: "test", status: "completed" }] } },
  ]);
  expect(calls(content)).toEqual([expect.stringMatching(`^${end}`), "TodoWrite: done"]);
});

it("texts, calls and ends of a rollout are read once each, with the exit code of a command", () => {
  const content = read("codex", recordedSession("codex-tools"));
  expect(said(content)).toEqual(["user: do a first thing", "assistant: Done."]);
  expect(content.toolCalls).toMatchObject([
    { id: "call_1_0", name: "Bash", input: { command: "echo one; exit 3" } },
    { id: "call_2_0", name: "mcp__shim__shim_session_status", input: {} },
  ]);
  expect(calls(content)).toEqual(["Bash: Exit code 3 one", "mcp__shim__shim_session_status: done"]);
  expect(content.usage.map(({ messageId }) => messageId)).toEqual(["resp_1", "resp_2", "resp_3"]);
  expect(content.contextUsage).toMatchObject({ model: "scripted", input: 1_000, cacheRead: 0 });
  expect(content.contextWindow).toBe(258_400);
});

it("a compaction of Codex forgets the context's fill, and its summary is no answer of the chat", () => {
  const content = read("codex", recordedSession("codex-compaction"));
  expect(content.compactBoundary?.at).toBeGreaterThan(0);
  expect(content.contextUsage?.input).toBe(1_000);
  expect(said(content)).toEqual(["user: do a first thing", "assistant: Done."]);
  expect(content.toolEnds.map(({ error }) => error)).toEqual([null, null]);
});

const session = "00000000-0000-4000-8000-000000000001";

/** A live chat of Codex with one prompt. */
function aLiveCodex(now = T0) {
  const transcript_path = join(temporaryFolder(), "rollout.jsonl");
  writeFileSync(transcript_path, "");
  const common = { session_id: session, transcript_path, prompt: "do a first thing" };
  const chat = new RecordedClient(tempRuntime({ now }), "codex").sendEach("SessionStart UserPromptSubmit", common);
  return { chat, common, write: (text: string): void => appendFileSync(transcript_path, text) };
}

it("Codex: a command that fails is a failure of its call, and no call is counted twice", () => {
  const { chat, common, write } = aLiveCodex();
  const call = { ...common, tool_use_id: "call_1_0" };
  chat.send("PreToolUse", call);
  write(recordedSession("codex-tools"));
  chat.send("PostToolUse", call);
  chat.send("Stop", { ...common, last_assistant_message: "Done." });
  expect(chat.session(session)).toMatchObject({ toolCalls: 2, toolErrors: 1 });
  const kinds = chat.entries(session).map(({ kind }) => kind);
  expect(kinds.join(" ")).toBe("start prompt tool_start assistant tool_start tool_end tool_error turn_end");
});

const questions = [{ id: "which", header: "Which", question: "Which one?" }];
const answers = '{"answers":{"which":{"answers":["the first","user_note: and fast"]}}}';

it.each([
  ["the transcript alone", { hooks: false, parts: 1, question: "Which one?" }],
  ["two parts of the transcript", { hooks: false, parts: 2, question: "which" }],
  ["hooks and the transcript", { hooks: true, parts: 2, question: "Which one?" }],
])("answers of a dialog in a live chat of Codex are kept once: %s", (_case, { hooks, parts, question }) => {
  const { chat, common, write } = aLiveCodex(Date.parse("2023-11-14T09:59:59Z"));
  const call = { ...common, tool_name: "request_user_input", tool_use_id: "call_9", tool_input: { questions } };
  const writeRow = (second: number, type: string, payload: Readonly<Record<string, unknown>>): void =>
    write(`${JSON.stringify(codexRow(second, `response_item/${type}`, payload))}\n`);
  if (hooks) chat.send("PreToolUse", call);
  writeRow(1, "function_call", { name: call.tool_name, call_id: "call_9", arguments: JSON.stringify({ questions }) });
  if (parts === 2) chat.send("Stop", { ...common, turn_id: "first" });
  if (hooks) chat.send("PostToolUse", { ...call, tool_response: answers });
  writeRow(2, "function_call_output", { call_id: "call_9", output: answers });
  chat.send("Stop", { ...common, turn_id: "second" });
  const entries = chat.entries(session);
  const kept = [{ question, answer: "the first, user_note: and fast" }];
  expect(entries.filter(({ kind }) => kind === "answers")).toEqual([{ kind: "answers", answers: kept }]);
  const calls = entries.filter(({ kind }) => kind.startsWith("tool_")).map((entry) => "name" in entry && entry.name);
  expect(calls).toEqual(hooks ? ["AskUserQuestion", "AskUserQuestion"] : []);
});
