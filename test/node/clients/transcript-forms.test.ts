import { expect, it } from "vitest";
import { commandIn, userWords } from "#src/clients/adapter/harness-text.ts";
import { transcriptFormat } from "#src/clients/details.ts";
import { readRows } from "#src/clients/transcript.ts";
import type { TranscriptContent } from "#src/clients/transcript/transcript-draft.ts";
import { rowsIn } from "#src/clients/transcript/transcript-rows.ts";
import {
  codexHead,
  codexOfFunctions,
  codexOfPrograms,
  codexRow,
  openCodeDocument,
  secondOf,
} from "#harness/clients/invented-transcripts.ts";
import { RecordedClient, recordedSession, recording } from "#harness/clients/recorded-client.ts";
import { tempRuntime } from "#harness/machine/temp-runtime.ts";
import { aCompactBoundary, anAssistantLine, aToolResultLine, aUserLine } from "#harness/machine/transcripts.ts";

type Row = Readonly<Record<string, unknown>>;

function read(client: string, rows: readonly object[]): TranscriptContent {
  return readRows(
    rows.map((row, position) => ({ row: row as Row, damage: null, position, bytes: 1 })),
    undefined,
    transcriptFormat(client),
  );
}

function readClaude(...lines: readonly string[]): TranscriptContent {
  return read(
    "claude-code",
    lines.map((line) => JSON.parse(line) as Row),
  );
}

function said({ texts }: TranscriptContent): string[] {
  return texts.map(({ role, text }) => `${role}: ${text}`);
}

function calls({ toolCalls, toolEnds }: TranscriptContent): string[] {
  const ends = new Map(toolEnds.map(({ toolUseId, error }) => [toolUseId, error ?? "done"]));
  return toolCalls.map(({ id, name }) => `${name}: ${ends.get(id)?.split("\n")[0] ?? "running"}`);
}

it("Codex 0.118: events have the words once, shells are functions, and a patch is a tool", () => {
  const content = read("codex", codexOfFunctions);
  expect(said(content)).toEqual([
    "user: sort the imports\n[attached: /p/shot.png]",
    "assistant: I look at the imports.",
    "assistant: They are sorted.",
  ]);
  expect(calls(content)).toEqual(["Bash: Exit code 1 2 errors", "Bash: done", "apply_patch: done", "TodoWrite: done"]);
  expect(content.toolCalls.map(({ input }) => input)).toMatchObject([
    { command: "npm run lint" },
    { command: "ls -a" },
    {},
    { todos: [{ content: "sort", status: "completed" }] },
  ]);
  expect(content.toolCalls.map(({ isUnhooked }) => isUnhooked ?? false)).toEqual([false, false, true, true]);
  expect(secondOf(content.turnEnd?.at ?? null)).toBe(13);
  expect(content).toMatchObject({ clientVersion: "0.118.0", model: "gpt-5.3" });
});

it("Codex 0.147: commands, patches and servers inside of a program, answers of a dialog, turns taken back", () => {
  const content = read("codex", codexOfPrograms);
  expect(said(content)).toEqual([
    "user: follow the notes\n[attached: notes.md]",
    "assistant: 1. Rename it.",
    "user: yes",
  ]);
  expect(calls(content)).toEqual([
    "Bash: Script failed",
    "apply_patch: done",
    "mcp__db__query: no such table",
    "AskUserQuestion: done",
    "exec: running",
  ]);
  expect(content.toolCalls[0]?.input).toEqual({ command: 'make "all"' });
  expect(content.toolEnds.at(-1)?.response).toEqual({ answers: { "Which one?": ["the first"] } });
  expect(content.compactions.map(({ summary, at }) => [summary, secondOf(at)])).toEqual([[null, 9]]);
  expect(content.interruptions.map(({ at }) => secondOf(at))).toEqual([15]);
  expect(content.turnEnd).toBeNull();
});

it("a prompt that the user edited, or went back to before, is withdrawn with all that was said since", () => {
  const rows = [
    aUserLine("plan the pier", { uuid: "a", parentUuid: null }),
    anAssistantLine({ content: [{ type: "text", text: "It has two parts." }] }, { uuid: "b", parentUuid: "a" }),
    aUserLine("paint it blue", { uuid: "c", parentUuid: "b" }),
    anAssistantLine({ content: [{ type: "text", text: "It is blue." }] }, { uuid: "d", parentUuid: "c" }),
    aUserLine("and the door", { uuid: "e", parentUuid: "d" }),
  ];
  const again = aUserLine("paint it green", { uuid: "f", parentUuid: "b" });
  const before = ["user: plan the pier", "assistant: It has two parts."];
  expect(said(readClaude(...rows, again))).toEqual([...before, "user: paint it green"]);
  expect(said(readClaude(...rows, ...rows.slice(2)))).toEqual(said(readClaude(...rows)));
});

it("OpenCode: parts of messages, without its own; a failed command, an answered dialog, an abort", () => {
  const content = read("opencode", openCodeDocument.messages);
  expect(said(content)).toEqual([
    "user: build it\n[attached: screen.png]",
    "assistant: I build it.",
    "assistant: It is built.",
    "user: and test it",
  ]);
  expect(calls(content)).toEqual(["Bash: Exit code 2 no rule", "Edit: done", "AskUserQuestion: done", "Bash: running"]);
  expect(content.toolEnds.at(-1)?.response).toEqual({ answers: { "Which one?": ["the first", "the last"] } });
  expect(content.compactions).toMatchObject([{ summary: "## Goal: build", trigger: "auto" }]);
  expect(content.interruptions.map(({ at }) => secondOf(at))).toEqual([16]);
});

const noise = [
  "<local-command-stdout>Goodbye!</local-command-stdout>",
  "<local-command-caveat>Caveat: none of this</local-command-caveat>",
  "<bash-input>ls</bash-input>",
  "<bash-stdout>a</bash-stdout><bash-stderr></bash-stderr>",
  "<task-notification>\n<status>done</status>\n</task-notification>\nRead the output file to retrieve the result: /tmp/a",
  '<agent-message from="review">fine</agent-message>',
  "Caveat: The messages below were generated by the user while running local commands. Do not respond.",
  "[Request interrupted by user for tool use]",
  "Operation stopped by hook: no",
  "# AGENTS.md instructions for /p\n\n<INSTRUCTIONS>\nx\n</INSTRUCTIONS>",
  "<environment_context><cwd>/p</cwd></environment_context>",
  "<system-reminder>be brief</system-reminder>",
  "System: Please continue.",
  '{"task_id":"b1","description":"lint","task_type":"local_bash"}',
];

it("what a client writes in the user's name is no word of the user", () => {
  expect(noise.filter((text) => userWords(text) !== "")).toEqual([]);
});

it("the user's words stay: after an editor's context, before a reminder, and with an element in their middle", () => {
  const opened = "<ide_opened_file>The user opened a.ts.</ide_opened_file>\n<ide_selection>x</ide_selection>\nfix it";
  expect(userWords(opened)).toBe("fix it");
  expect(userWords("fix it\n<system-reminder>be brief</system-reminder>")).toBe("fix it");
  expect(userWords("what does <task-notification> mean?")).toBe("what does <task-notification> mean?");
  expect(userWords("# Context from my IDE setup:\n\n## Active file: a.ts\n\n## My request for Codex:\nfix it")).toBe(
    "fix it",
  );
  const note =
    "If you need specific details from before exiting plan mode (like code), read the full transcript at: /t.jsonl";
  expect(userWords(`Implement the following plan:\n\n# Paint\n\n${note}`)).toBe(
    "Implement the following plan:\n\n# Paint",
  );
  expect(userWords("<div>is this right?</div>")).toBe("<div>is this right?</div>");
});

it.each([
  ["", "/lint"],
  ["\n\nonly the lexer", "/lint only the lexer"],
])("OpenCode: the text of a skill is the command that called it, with the user's words%s", (words, command) => {
  const folder = "Base directory for this skill: /home/ann/.agents/skills/lint";
  const paths = "Relative paths in this skill (e.g., scripts/) are relative to this base directory.";
  expect(userWords(`# Lint\n\nRun it.\n\n${folder}\n${paths}${words}`)).toBe(command);
  expect(userWords(`what does this mean?\n\n${folder}\nI saw it`)).toBe(`what does this mean?\n\n${folder}\nI saw it`);
});

function local(name: string, words: string): string {
  return `<command-name>/${name}</command-name>\n<command-message>${name}</command-message>\n<command-args>${words}</command-args>`;
}

it.each([
  ["/shim", "The user typed /shim:undo 3, a command of SHIM.\n", "/shim:undo 3"],
  ["/shim", "The user typed /shim:, a command of SHIM.\n", "/shim:"],
  ["/review", "Read the diff.\n", "/review"],
])("Copilot CLI: the text of the skill %s is the command that called it", (name, text, command) => {
  const sent = `The user explicitly invoked the "${name}" skill. Follow its instructions now.\n\n<skill-context name="x">\n${text}</skill-context>`;
  expect(userWords(sent)).toBe(command);
});

it("many reminders in a row cost little", () => {
  expect(userWords(`fix it\n${"<system-reminder>x</system-reminder>\n".repeat(50_000)}`)).toBe("fix it");
  expect(userWords(`${"<system-reminder>x</system-reminder>\n".repeat(50_000)}fix it`)).toBe("fix it");
});

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
  const content = readClaude(
    aUserLine("Caveat: see below", { isMeta: true }),
    aUserLine("of a subagent", { isSidechain: true }),
    aUserLine("a teammate writes", { origin: { kind: "peer" } }),
    aUserLine("typed by hand", { origin: { kind: "human" } }),
    anAssistantLine({ model: "<synthetic>", content: [{ type: "text", text: "No response requested." }] }),
    aCompactBoundary(100_000),
    aUserLine("This session is being continued: the plan.", { isCompactSummary: true }),
    aUserLine("[Request interrupted by user]"),
  );
  expect(said(content)).toEqual(["user: typed by hand"]);
  expect(content.compactions).toMatchObject([
    { summary: "This session is being continued: the plan.", trigger: "auto" },
  ]);
  expect(content.interruptions).toHaveLength(1);
});

function queued(operation: string, second: number, content?: string): string {
  const timestamp = new Date(Date.UTC(2026, 0, 1, 0, 0, second)).toISOString();
  return JSON.stringify({ type: "queue-operation", operation, timestamp, sessionId: "s", content });
}

function attachment(prompt: string, commandMode: string): string {
  return JSON.stringify({
    type: "attachment",
    attachment: { type: "queued_command", prompt, commandMode },
    uuid: prompt,
  });
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
  expect(content.texts).toHaveLength(2);
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
  expect(content.texts.map(({ text, startsNoTurn }) => [text, startsNoTurn])).toEqual([
    ["keep the old name", "queued"],
    ["first the tests:\n\n- of the lexer", "queued"],
  ]);
  expect(content.toolEnds).toHaveLength(6);
});

function recorded(client: string): TranscriptContent {
  return readRows(rowsIn(Buffer.from(recordedSession(client))), () => false, transcriptFormat(client));
}

it.each([
  ["qwen", "0.24.4", false],
  ["copilot", "1.0.102", true],
  ["gemini", null, true],
])(
  "a transcript of the real %s: the words of both, five answers, and calls, marked where hooks give them no id",
  (...expected) => {
    const [client, clientVersion, isUnhooked] = expected;
    const content = recorded(client);
    expect(content.clientVersion).toBe(clientVersion);
    expect(new Set(content.texts.map(({ role, text }) => `${role}: ${text}`))).toEqual(
      new Set([
        "user: Make the parser accept empty input",
        "assistant: I look at the parser first.",
        "assistant: The parser accepts it now.",
      ]),
    );
    expect(content.usage).toHaveLength(5);
    expect(content.contextUsage).toMatchObject({ inputTokens: 1_000, outputTokens: 20 });
    expect(content.toolCalls.map(({ name }) => name)).toEqual(["Bash", "Write", "Read", "Bash"]);
    expect(content.toolCalls.every((call) => call.isUnhooked === true)).toBe(isUnhooked);
    expect(content.toolEnds.map(({ error }) => error !== null)).toEqual([false, false, true, true]);
  },
);

type Results = readonly (readonly [command: unknown, error: string | null, response: unknown])[];

/** How the commands of a transcript have ended. */
function resultsIn(client: string, text: string): Results {
  const content = readRows(rowsIn(Buffer.from(text)), () => false, transcriptFormat(client));
  const ends = new Map(content.toolEnds.map((end) => [end.toolUseId, end]));
  return content.toolCalls.flatMap(({ id, name, input }) => {
    const end = ends.get(id);
    const command = (input as { command?: unknown }).command;
    return name === "Bash" && end ? [[command, end.error, end.response] as const] : [];
  });
}

it.each([
  ["gemini", { stdout: "one" }],
  ["qwen", { stdout: "one", exit_code: 0 }],
  ["copilot", { stdout: "one", exit_code: 0 }],
])("a transcript of %s tells what a command printed and how it ended", (client, printed) => {
  const results = resultsIn(client, recordedSession(client));
  expect(results).toEqual([
    ["echo one", null, printed],
    ["echo bad; exit 3", "Exit code 3 bad", { stdout: "bad", exit_code: 3 }],
  ]);
});

it.each([
  [{ chunk_id: "1a", exit_code: 0, output: "3 tests passed\n" }, null, { stdout: "3 tests passed\n", exit_code: 0 }],
  [
    { output: "1 test failed\n", exit_code: 1, chunk_id: "1b" },
    "Exit code 1 1 test failed\n",
    { stdout: "1 test failed\n", exit_code: 1 },
  ],
  // What the command itself has printed is no object of the client.
  [{ output: "dist/a.js" }, null, { stdout: '\n{"output":"dist/a.js"}' }],
])("a program of Codex may print the result of a command as an object: %j", (result, error, response) => {
  const program = 'text(JSON.stringify(await tools.exec_command({cmd:"npm test"})));';
  const parts = ["Script completed\nWall time 1.2 seconds\nOutput:\n", JSON.stringify(result)];
  const output = parts.map((text) => ({ type: "input_text", text }));
  const rows = [
    codexHead("0.147.0"),
    codexRow(1, "response_item/custom_tool_call", { call_id: "p1", name: "exec", input: program }),
    codexRow(2, "response_item/custom_tool_call_output", { call_id: "p1", output }),
  ];
  expect(resultsIn("codex", rows.map((row) => JSON.stringify(row)).join("\n"))).toEqual([
    ["npm test", error, response],
  ]);
});

it.each([
  ["gemini", "BeforeTool", "AfterTool", { output: "one" }],
  ["qwen", "PreToolUse", "PostToolUse", { output: "one-2", exitCode: 0 }],
  ["copilot", "PreToolUse", "PostToolUse", { output: "one-2", exitCode: 0 }],
  ["codex", "PreToolUse", "PostToolUse", { output: "one-2" }],
])("events of %s tell what a command printed", (client, begin, end, result) => {
  const chat = new RecordedClient(tempRuntime(), client);
  chat.send(begin);
  chat.send(end);
  const session = String(recording(client, end).payload["session_id"]);
  expect(chat.entries(session).at(-1)).toMatchObject({ kind: "tool_end", name: "Bash", ...result });
});
