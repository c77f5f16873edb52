import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { transcriptFormat } from "#src/clients/details.ts";
import { readRows } from "#src/clients/transcript.ts";
import { rowsIn } from "#src/clients/transcript/transcript-rows.ts";
import { codexHead, codexRow } from "#harness/clients/invented-transcripts.ts";
import { RecordedClient, recording } from "#harness/clients/recorded-client.ts";
import { tempRuntime } from "#harness/machine/temp-runtime.ts";

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

const harness = new URL("../../harness/clients/", import.meta.url);

it.each([
  ["gemini", "transcripts/gemini.jsonl", { stdout: "one" }],
  ["qwen", "transcripts/qwen.jsonl", { stdout: "one", exit_code: 0 }],
  ["copilot", "transcripts/copilot.jsonl", { stdout: "one", exit_code: 0 }],
])("a transcript of %s tells what a command printed and how it ended", (client, file, printed) => {
  const results = resultsIn(client, readFileSync(new URL(file, harness), "utf8"));
  expect(results).toEqual([
    ["echo one", null, printed],
    ["echo bad; exit 3", "Exit code 3 bad", { stdout: "bad", exit_code: 3 }],
  ]);
});

it("a row of Codex tells what a command printed and how it ended, under the id of its hooks", () => {
  const item = { type: "CommandExecution", id: "c1", status: "completed", aggregated_output: "one\n", exit_code: 0 };
  const rows = [
    codexHead("0.169.0"),
    codexRow(1, "response_item/function_call", {
      call_id: "c1",
      name: "exec_command",
      arguments: '{"cmd":"echo one"}',
    }),
    codexRow(2, "event_msg/item_completed", { item }),
  ];
  const text = rows.map((row) => JSON.stringify(row)).join("\n");
  expect(resultsIn("codex", text)).toEqual([["echo one", null, { stdout: "one\n", exit_code: 0 }]]);
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

it("lines of a command that look like those after its output stay, but for the last ones", () => {
  const chat = new RecordedClient(tempRuntime(), "gemini");
  const report = "Output: Exit Code: 7\nError: two boats\nSignal: lost\nfour oars\nProcess Group PGID: 12";
  for (const llmContent of [report, "Output: (empty)\nProcess Group PGID: 13", "Command is running in background"]) {
    chat.send("BeforeTool");
    chat.send("AfterTool", { tool_response: { llmContent, returnDisplay: "" } });
  }
  const { session_id: session } = recording("gemini", "AfterTool").payload;
  const ends = chat.entries(String(session)).filter(({ kind }) => kind === "tool_end");
  expect(ends.map((end) => ("output" in end ? end.output : null))).toEqual([
    "Exit Code: 7 / Error: two boats / Signal: lost / four oars",
    null,
    null,
  ]);
});
