/** Invented transcripts in the forms of each client and family of versions, with the fields that matter. */

const day = Date.parse("2023-11-14T10:00:00Z");

export const stamp = (second: number): string => new Date(day + second * 1_000).toISOString();
export const secondOf = (at: number | null): number | null => (at === null ? null : (at - day) / 1_000);

type Fields = Readonly<Record<string, unknown>>;

/** A row of Codex; `type` names the row and its payload. */
export function codexRow(second: number, type: string, payload: Fields): Fields {
  const [row, kind] = type.split("/");
  return { timestamp: stamp(second), type: row, payload: kind === undefined ? payload : { type: kind, ...payload } };
}

export function codexHead(version: string): Fields {
  return codexRow(0, "session_meta", { id: "019f0000-0000-7000-8000-000000000001", cwd: "/p", cli_version: version });
}

function call(second: number, id: string, name: string, input: Fields): Fields {
  const given = { name, call_id: id, arguments: JSON.stringify(input) };
  return codexRow(second, "response_item/function_call", given);
}

function output(second: number, id: string, text: string): Fields {
  return codexRow(second, "response_item/function_call_output", { call_id: id, output: text });
}

function program(second: number, id: string, input: string): Fields {
  return codexRow(second, "response_item/custom_tool_call", { call_id: id, name: "exec", input });
}

function message(second: number, role: string, type: string, text: string): Fields {
  return codexRow(second, "response_item/message", { role, content: [{ type, text }] });
}

const patch =
  "*** Begin Patch\n*** Add File: src/new.ts\n+export {};\n*** Update File: src/old.ts\n@@\n-a\n+b\n*** End Patch";

/** Of 0.118: shells are functions, and a patch is a tool of its own. */
export const codexOfFunctions: readonly Fields[] = [
  codexHead("0.118.0"),
  message(1, "user", "input_text", "<environment_context>\n<cwd>/p</cwd>\n</environment_context>"),
  message(2, "user", "input_text", "sort the imports"),
  codexRow(2, "event_msg/user_message", { message: "sort the imports", images: [], local_images: ["/p/shot.png"] }),
  codexRow(3, "turn_context", { cwd: "/p", model: "gpt-5.3" }),
  codexRow(4, "event_msg/agent_message", { message: "I look at the imports." }),
  message(4, "assistant", "output_text", "I look at the imports."),
  call(5, "call_1", "shell", { command: ["bash", "-lc", "npm run lint"] }),
  output(6, "call_1", '{"output":"2 errors","metadata":{"exit_code":1,"duration_seconds":0.1}}'),
  codexRow(7, "response_item/local_shell_call", { call_id: "call_2", action: { type: "exec", command: ["ls", "-a"] } }),
  output(8, "call_2", "Chunk ID: 1\nWall time: 0.1 seconds\nProcess exited with code 0\nOutput:\na"),
  codexRow(9, "response_item/custom_tool_call", { call_id: "call_3", name: "apply_patch", input: patch }),
  codexRow(10, "event_msg/patch_apply_end", { call_id: "call_3", success: true, changes: {} }),
  codexRow(10, "response_item/custom_tool_call_output", { call_id: "call_3", output: "Exit code: 0\nSuccess." }),
  call(11, "call_4", "update_plan", { plan: [{ step: "sort", status: "completed" }] }),
  output(11, "call_4", "Plan updated"),
  codexRow(12, "event_msg/agent_message", { message: "They are sorted." }),
  codexRow(13, "event_msg/task_complete", { turn_id: "t1", last_agent_message: "They are sorted." }),
];

/** Of 0.147: tools are functions of programs, and a summary is encrypted. */
export const codexOfPrograms: readonly Fields[] = [
  codexHead("0.147.0"),
  codexRow(1, "turn_context", { cwd: "/p", model: "gpt-5.6" }),
  codexRow(2, "event_msg/user_message", {
    message:
      "# Files mentioned by the user:\n\n## notes.md: /p/notes.md\n\n## My request for Codex:\nfollow the notes\n",
  }),
  program(3, "call_1", 'await tools.exec_command({ cmd: "make \\"all\\"", workdir: "/p" });'),
  codexRow(4, "event_msg/patch_apply_end", {
    call_id: "exec-1",
    success: true,
    changes: { "/p/a.ts": { type: "add" }, "/p/b.ts": { type: "update" } },
  }),
  codexRow(4, "event_msg/mcp_tool_call_end", {
    call_id: "exec-2",
    invocation: { server: "db", tool: "query", arguments: { query: "select 1" } },
    result: { Ok: { content: [{ type: "text", text: "no such table" }], isError: true } },
  }),
  codexRow(5, "response_item/custom_tool_call_output", {
    call_id: "call_1",
    output: [{ type: "input_text", text: "Script failed\nWall time 0.1 seconds\nOutput:\n" }],
  }),
  call(6, "call_2", "request_user_input", { questions: [{ id: "q", question: "Which one?" }] }),
  output(7, "call_2", '{"answers":{"q":{"answers":["the first"]}}}'),
  codexRow(8, "event_msg/item_completed", { item: { type: "Plan", id: "p", text: "1. Rename it." } }),
  codexRow(9, "compacted", { message: "", replacement_history: [] }),
  codexRow(9, "event_msg/context_compacted", {}),
  codexRow(10, "event_msg/user_message", { message: "no, wait" }),
  codexRow(11, "event_msg/thread_rolled_back", { num_turns: 1 }),
  codexRow(12, "event_msg/user_message", { message: "<heartbeat>check the build</heartbeat>" }),
  codexRow(13, "event_msg/user_message", { message: "yes" }),
  program(14, "call_3", "const all = 1;"),
  codexRow(15, "event_msg/turn_aborted", { reason: "interrupted" }),
];

const answers = [["the first", "the last"]];

/** What `opencode export` writes. */
export const openCodeDocument = {
  info: { id: "ses_invented", directory: "/p", version: "1.18.9" },
  messages: [
    openCodeMessage("user", 1, {}, [
      { type: "text", text: "build it" },
      { type: "text", text: "Called the Read tool", synthetic: true },
      { type: "file", mime: "image/png", filename: "screen.png" },
    ]),
    openCodeMessage("assistant", 2, { modelID: "gpt-5.6", finish: "tool-calls", time: times(2, 6) }, [
      { type: "reasoning", text: "hm" },
      { type: "text", text: "I build it.", time: { start: day + 3_000 } },
      openCodeTool("c1", "bash", 4, { command: "make" }, { output: "no rule", metadata: { exit: 2 } }),
      openCodeTool("c2", "edit", 5, { filePath: "src/a.ts" }, { output: "ok" }),
      openCodeTool("c3", "question", 6, { questions: [{ question: "Which one?" }] }, { metadata: { answers } }),
    ]),
    openCodeMessage("user", 7, {}, [{ type: "compaction", auto: true }]),
    openCodeMessage("assistant", 8, { summary: true, mode: "compaction" }, [{ type: "text", text: "## Goal: build" }]),
    openCodeMessage("user", 9, {}, [{ type: "text", text: "Continue if you have next steps", synthetic: true }]),
    openCodeMessage("assistant", 10, { finish: "stop", time: times(10, 12) }, [
      { type: "text", text: "It is built.", time: { start: day + 11_000 } },
    ]),
    openCodeMessage("user", 13, {}, [{ type: "text", text: "and test it" }]),
    openCodeMessage("assistant", 14, { time: times(14, 16), error: { name: "MessageAbortedError", data: {} } }, [
      { type: "tool", tool: "bash", callID: "c4", state: { status: "running", input: { command: "make test" } } },
    ]),
  ],
};

function times(created: number, completed: number): Fields {
  return { created: day + created * 1_000, completed: day + completed * 1_000 };
}

function openCodeMessage(role: string, second: number, more: Fields, parts: readonly Fields[]): Fields {
  return { info: { id: `msg_${second}`, role, time: { created: day + second * 1_000 }, ...more }, parts };
}

function openCodeTool(id: string, tool: string, second: number, input: Fields, result: Fields): Fields {
  const time = { start: day + second * 1_000, end: day + second * 1_000 + 500 };
  return { type: "tool", tool, callID: id, state: { status: "completed", input, time, ...result } };
}
