import { expect, it } from "vitest";
import type { TranscriptContent } from "#src/clients/transcript/transcript-draft.ts";
import { transcriptFormat } from "#src/clients/details.ts";
import { readRows } from "#src/clients/transcript.ts";
import { codexHead, codexRow } from "#harness/clients/invented-transcripts.ts";

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

it("Codex: a patch inside of a program is the call of its row", () => {
  const program = programRow(1, "c", 'text(await tools.apply_patch("*** Begin Patch\\n*** Update File: a.ts\\n"));');
  const row = codexRow(2, "event_msg/patch_apply_end", {
    call_id: "exec-1",
    success: true,
    changes: { "/p/a.ts": { type: "update" } },
  });
  const content = read([codexHead("0.144.1"), program, row, programOutput(3, "c", "Done!")]);
  expect(content.toolCalls.map(({ id }) => id)).toEqual(["exec-1"]);
  expect(calls(content)).toEqual(["apply_patch: done"]);
});

function waits(id: string, name: string): Row {
  return codexRow(2, "response_item/function_call", { call_id: id, name, arguments: '{"session_id":7,"chars":"y"}' });
}

it("Codex: waiting for a command, and typing into it, are no calls", () => {
  const program = programRow(3, "c", 'const r = await tools.write_stdin({session_id:7, chars:""});');
  expect(read([codexHead("0.144.1"), waits("a", "write_stdin"), waits("b", "wait"), program]).toolCalls).toEqual([]);
});
