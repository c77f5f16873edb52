import { expect, it } from "vitest";
import type { TranscriptContent } from "#src/local-mcp/signals/transcript-draft.ts";
import { transcriptFormat } from "#src/local-mcp/signals/transcript-formats.ts";
import { readRows } from "#src/local-mcp/signals/transcript.ts";
import { codexHead, codexRow, secondOf } from "#harness/clients/invented-transcripts.ts";

type Row = Readonly<Record<string, unknown>>;

function read(rows: readonly Row[]): TranscriptContent {
  return readRows(
    rows.map((row, position) => ({ row, position })),
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
    'const patch = "*** Begin Patch\\n*** Add File: a.ts\\n+tools.get(); cmd: \\"no\\"\\n*** Update File: b.ts\\n"; text(await tools.apply_patch(patch));',
    "apply_patch",
    { path: "a.ts, b.ts" },
  ],
  [
    'const r = await tools.write_stdin({session_id:7, chars:""});\ntext(r.output);',
    "write_stdin",
    { description: '{session_id:7, chars:""})' },
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

it.each(programs)("[TR213] Codex: a program is the call of the tool that it uses (%#)", (program, name, input) => {
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

it("[TR213] Codex: a program that updates its plan beside a command yields both calls, and the plan also where the command failed", () => {
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

const patchProgram = 'text(await tools.apply_patch("*** Begin Patch\\n*** Update File: a.ts\\n"));';

it("[TR221] Codex: a patch inside of a program is one call, with its row or without", () => {
  const row = codexRow(2, "event_msg/patch_apply_end", {
    call_id: "exec-1",
    success: true,
    changes: { "/p/a.ts": { type: "update" } },
  });
  const [head, program, end] = [codexHead("0.144.1"), programRow(1, "c", patchProgram), programOutput(3, "c", "Done!")];
  const content = read([head, program, row, end]);
  expect(content.toolCalls.map(({ id }) => id)).toEqual(["exec-1"]);
  expect(content.toolEnds.map(({ toolUseId }) => toolUseId)).toEqual(["exec-1"]);
  const failed = codexRow(3, "response_item/custom_tool_call_output", { call_id: "c", output: "Script failed\n" });
  expect(calls(read([head, program, failed]))).toEqual(["apply_patch: Script failed"]);
  const next = programRow(4, "d", patchProgram);
  expect(read([head, program, row, end, next]).toolCalls.map(({ id }) => id)).toEqual(["exec-1", "d"]);
});

it.each([
  ["functions", "Process running with session ID 7", "Process exited with code 1\nOutput:\n1 failed"],
  ["programs", "part\nSESSION_ID=7", "Exit code: 1\n1 failed"],
])("[TR222] Codex: waiting for a command of %s belongs to the command, whose end it has", (form, first, last) => {
  const isProgram = form === "programs";
  const asked = (second: number, id: string, name: string, input: Row): Row =>
    isProgram
      ? programRow(second, id, `const r = await tools.${name}(${JSON.stringify(input)}); text(r.output);`)
      : codexRow(second, "response_item/function_call", { call_id: id, name, arguments: JSON.stringify(input) });
  const answered = (second: number, id: string, text: string): Row =>
    isProgram
      ? programOutput(second, id, text)
      : codexRow(second, "response_item/function_call_output", { call_id: id, output: `Wall time: 1 s\n${text}` });
  const rows = [
    codexHead("0.144.1"),
    asked(1, "c1", "exec_command", { cmd: "npm test" }),
    answered(2, "c1", first),
    asked(3, "c2", "write_stdin", { session_id: 7, chars: "", yield_time_ms: 1_000 }),
    answered(4, "c2", first),
    asked(5, "c3", "write_stdin", { session_id: 7, chars: "" }),
  ];
  expect(calls(read(rows))).toEqual(["Bash: running"]);
  const done = read([...rows, answered(6, "c3", last)]);
  expect(calls(done)).toEqual([expect.stringMatching(/^Bash: Exit code 1 /)]);
  expect(done.toolEnds[0]?.error).toContain("1 failed");
  expect(done.toolEnds.map(({ at }) => secondOf(at))).toEqual([6]);
  const typed = asked(3, "c4", "write_stdin", { session_id: 7, chars: "y" });
  const unknown = asked(3, "c5", "write_stdin", { session_id: 8, chars: "" });
  expect(calls(read([...rows.slice(0, 3), typed, unknown]))).toEqual([
    "Bash: done",
    "write_stdin: running",
    "write_stdin: running",
  ]);
});

function printed(second: number, id: string, ...texts: readonly string[]): Row {
  const parts = ["Script completed\nWall time 1.2 seconds\nOutput:\n", ...texts];
  const output = parts.map((text) => ({ type: "input_text", text }));
  return codexRow(second, "response_item/custom_tool_call_output", { call_id: id, output });
}

const result = {
  chunk_id: "a1b2c3",
  wall_time_seconds: 0.5,
  exit_code: 2,
  original_token_count: 9,
  output: "no such rule",
};
const passed = { ...result, exit_code: 0, output: "fine" };
const command = 'const r = await tools.exec_command({cmd:"npm run lint"});';

it.each([
  ["a result", `${command} text(JSON.stringify(r));`, [JSON.stringify(result)], "Exit code 2 no such rule"],
  [
    "results by name",
    `${command} text({a, b});`,
    [JSON.stringify({ a: passed, b: result })],
    "Exit code 2 no such rule",
  ],
  ["a list of results", `${command} text([a, b]);`, [JSON.stringify([passed, result])], "Exit code 2 no such rule"],
  [
    "one text for each result",
    `${command} rs.forEach(text);`,
    [JSON.stringify(passed), JSON.stringify(result)],
    "Exit code 2 no such rule",
  ],
  [
    "a result that the client has cut",
    `${command} text(r);`,
    [`Warning: truncated output\nTotal output lines: 1\n\n${JSON.stringify(result).slice(0, 110)}`],
    "Exit code 2 Warning: truncated output",
  ],
  [
    "an exit code after a mark",
    `${command} text(r.output); text(\`exit=\${r.exit_code}\`);`,
    ["no such rule", "exit=2"],
    "Exit code 2 no such rule",
  ],
  [
    "a mark below the output",
    `${command} text(\`\${r.output}\\n--EXIT:\${r.exit_code}--\`);`,
    ["no such rule\n--EXIT:127--"],
    "Exit code 127 no such rule",
  ],
  ["results that passed", `${command} text(r);`, [JSON.stringify(passed)], "done"],
  ["a mark of success", `${command} text(\`exit=\${r.exit_code}\`);`, ["exit=0"], "done"],
  ["an exit code that the command itself printed", `${command} text(r.output);`, ["exit=2", '{"exit_code":2}'], "done"],
])(
  "[TR225] Codex: a command of a program has failed where what the program printed says so: %s",
  (_case, program, texts, end) => {
    const content = read([codexHead("0.144.1"), programRow(1, "c", program), printed(2, "c", ...texts)]);
    expect(calls(content)).toEqual([`Bash: ${end}`]);
  },
);

it("[TR225] Codex: the failed command of a program is no failure of its patch", () => {
  const program = `${command} await tools.apply_patch("*** Begin Patch\\n*** Update File: a.ts\\n"); text(r);`;
  const content = read([codexHead("0.144.1"), programRow(1, "c", program), printed(2, "c", JSON.stringify(result))]);
  expect(calls(content)).toEqual(["Bash: Exit code 2 no such rule", "apply_patch: done"]);
});

it("[TR222] [TR225] Codex: waiting for a program that runs on belongs to its call, whose end it has", () => {
  const waits = codexRow(3, "response_item/function_call", {
    call_id: "w",
    name: "wait",
    arguments: '{"cell_id":"7"}',
  });
  const runs = codexRow(2, "response_item/custom_tool_call_output", {
    call_id: "c",
    output: "Script running with cell ID 7\nWall time 10.0 seconds\nOutput:\n",
  });
  const ended = {
    call_id: "w",
    output: [{ text: "Script completed\nWall time 3 seconds\nOutput:\n" }, { text: "EXIT=1" }],
  };
  const rows = [codexHead("0.144.1"), programRow(1, "c", `${command} text(\`EXIT=\${r.exit_code}\`);`), runs, waits];
  expect(calls(read(rows))).toEqual(["Bash: running"]);
  const done = read([...rows, codexRow(4, "response_item/function_call_output", ended)]);
  expect(calls(done)).toEqual(["Bash: Exit code 1 EXIT=1"]);
  expect(done.toolEnds.map(({ at }) => secondOf(at))).toEqual([4]);
  const other = codexRow(3, "response_item/function_call", {
    call_id: "w",
    name: "wait",
    arguments: '{"cell_id":"8"}',
  });
  expect(calls(read([...rows.slice(0, 3), other]))).toEqual(["Bash: done", "wait: running"]);
});
