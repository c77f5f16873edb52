import { appendFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { codexHead, codexRow, stamp } from "#harness/clients/invented-transcripts.ts";
import { RecordedClient } from "#harness/clients/recorded-client.ts";
import { stateOf } from "#harness/machine/claude.ts";
import { temporaryFolder } from "#harness/machine/git-project.ts";
import { tempRuntime } from "#harness/machine/temp-runtime.ts";
import { importTranscript } from "#src/machine/sessions/transcripts/import-transcript.ts";

const session = "00000000-0000-4000-8000-000000000001";
const own = { session_id: session, transcript_path: undefined };
const turn = "SessionStart UserPromptSubmit PreToolUse PostToolUse";

const task = "look for the parser";
const launched =
  "Background agent launched successfully.\ntask_id: general-purpose-call_8_0 (internal ID - do not mention to the user.)";

const codexAgent = "01a22c7b-57a7-7c50-8d9b-6a7322745370";
const qwenAgent = "general-purpose-call_8_0";

// Copilot CLI is not known to have such a tool.
it.each<[client: string, id: string, call: object, stop: object | null]>([
  [
    "codex",
    codexAgent,
    {
      tool_name: "spawn_agent",
      tool_input: { message: task },
      tool_response: `{"agent_id":"${codexAgent}","nickname":"Lovelace"}`,
    },
    { tool_name: "multi_agent_v1close_agent", tool_input: { target: codexAgent } },
  ],
  [
    "qwen",
    qwenAgent,
    { tool_name: "agent", tool_input: { prompt: task }, tool_response: { llmContent: launched } },
    { tool_name: "task_stop", tool_input: { task_id: qwenAgent } },
  ],
  [
    "copilot",
    "c50459cc-5460-4197-a08d-983adedea790",
    {
      tool_name: "Agent",
      tool_input: { prompt: task },
      tool_result: {
        text_result_for_llm: "Agent started in background with agent_id: c50459cc-5460-4197-a08d-983adedea790. You'll",
      },
    },
    null,
  ],
])("%s: a sub-agent that works on behind the turn is known until it ends or is stopped", (client, id, call, stop) => {
  const runtime = tempRuntime();
  const chat = new RecordedClient(runtime, client).sendEach(turn, own);
  const use = (name: string, fields: object): void => {
    for (const event of ["PreToolUse", "PostToolUse"])
      chat.send(event, { ...own, tool_use_id: name, tool_call_id: name, ...fields });
  };
  use("call_9", call);
  chat.send("Stop", own);
  const behind = (): unknown =>
    stateOf(runtime, session)?.background?.map(({ id: agent, name, input }) => ({ agent, name, input }));
  expect(behind()).toEqual([{ agent: id, name: "Agent", input: task }]);
  chat.send("SubagentStop", { ...own, agent_id: id });
  expect(behind()).toEqual([]);
  if (stop === null) return;
  use("call_10", call);
  expect(behind()).toHaveLength(1);
  use("call_11", stop);
  expect(behind()).toEqual([]);
});

it.each<[client: string, events: string, call: object]>([
  [
    "qwen",
    "PreToolUse PostToolUse",
    { tool_response: { llmContent: "Background shell started.\nid: bg_be1e4442\npid: 4438\noutput file: /x" } },
  ],
  [
    "gemini",
    "BeforeTool AfterTool",
    {
      tool_response: {
        llmContent:
          "<untrusted_context>\nCommand moved to background (PID: 9450). Output hidden.\n</untrusted_context>",
      },
    },
  ],
  [
    "copilot",
    "PreToolUse PostToolUse",
    { tool_result: { text_result_for_llm: "<command started in background with shellId: 0>" } },
  ],
])("%s: a command that works on behind the turn is known", (client, events, call) => {
  const runtime = tempRuntime();
  const chat = new RecordedClient(runtime, client);
  chat.sendEach(`SessionStart ${events}`, { ...own, ...call });
  expect(stateOf(runtime, session)?.background).toMatchObject([{ name: "Bash" }]);
});

it("Codex: no event ends a command that works on behind the turn; its rollout has it", () => {
  const runtime = tempRuntime();
  const file = join(temporaryFolder(), "rollout.jsonl");
  writeFileSync(file, "");
  const write = (payload: object): void =>
    appendFileSync(
      file,
      `${JSON.stringify({ timestamp: new Date(runtime.now()).toISOString(), type: "response_item", payload })}\n`,
    );
  const chat = new RecordedClient(runtime, "codex");
  const about = { ...own, transcript_path: file };
  chat.sendEach("SessionStart UserPromptSubmit", about);
  const input = JSON.stringify({ cmd: "npm run serve" });
  write({ type: "function_call", name: "exec_command", call_id: "call_7", arguments: input });
  chat.send("PreToolUse", { ...about, tool_use_id: "call_7", tool_input: { command: "npm run serve" } });
  const output = "Chunk ID: 5b\nWall time: 0.5 seconds\nProcess running with session ID 60714\nOutput:\nready";
  write({ type: "function_call_output", call_id: "call_7", output });
  chat.send("Stop", about);
  expect(stateOf(runtime, session)?.background).toMatchObject([{ id: "session-60714", input: "npm run serve" }]);
});

const words = "The pier is full.";
const copilotAgent = "2a65dbef-b200-4c63-9f4e-2a66e652c88c";
let rows = 0;
const copilotRow = (type: string, data: object, agentId?: string): object => {
  rows += 1;
  const id = `00000000-0000-4000-8000-${String(rows).padStart(12, "0")}`;
  return { type, data, id, timestamp: stamp(rows), parentId: null, ...(agentId && { agentId }) };
};
const qwenRow = (type: string, parts: readonly object[], more: object = {}): object => {
  rows += 1;
  const frame = { uuid: `${rows}`, parentUuid: null, sessionId: session, timestamp: stamp(rows), cwd: "/p" };
  return { ...frame, type, message: { parts }, ...more };
};
const notification = `<task-notification>\n<task-id>${qwenAgent}</task-id>\n<status>completed</status>\n<summary>x</summary>\n<result>${words}</result>\n</task-notification>`;
const told = "Agent started in background with agent_id: ";
const spawns = (call: string, more: object): object =>
  codexRow(2, "response_item", { type: "function_call", name: "spawn_agent", call_id: call, ...more });
const output = (call: string, said: object): object =>
  codexRow(3, "response_item", { type: "function_call_output", call_id: call, output: JSON.stringify(said) });
const begun = { kind: "started", agent_thread_id: codexAgent, agent_path: "/root/looker" };

const copilotBegins = [
  copilotRow("session.start", { sessionId: session, context: { cwd: "/p" } }),
  copilotRow("user.message", { content: "look" }),
  copilotRow("tool.execution_start", { toolCallId: "t1", toolName: "task", arguments: { prompt: task } }),
  copilotRow("subagent.started", { toolCallId: "t1" }, copilotAgent),
  copilotRow("tool.execution_complete", {
    toolCallId: "t1",
    success: true,
    result: { content: `${told}${copilotAgent}. You'll be notified when it completes.` },
  }),
  copilotRow("assistant.message", { content: "I look." }, copilotAgent),
];

/** Rows until the sub-agent works, and those with which it is over. */
const behindInRows: Readonly<Record<string, readonly [rows: readonly object[], ends: readonly object[]]>> = {
  "Copilot CLI": [
    copilotBegins,
    [
      copilotRow("assistant.message", { content: words }, copilotAgent),
      copilotRow("subagent.completed", { toolCallId: "t1" }, copilotAgent),
    ],
  ],
  "Copilot CLI, whose sub-agent waits for more": [
    copilotBegins,
    [
      copilotRow("assistant.message", { content: words }, copilotAgent),
      copilotRow("system.notification", { content: "", kind: { type: "agent_idle", agentId: copilotAgent } }),
    ],
  ],
  "Qwen Code": [
    [
      qwenRow("user", [{ text: "look" }]),
      qwenRow("assistant", [{ functionCall: { id: "t1", name: "agent", args: { prompt: task } } }]),
      qwenRow("tool_result", [{ functionResponse: { id: "t1", name: "agent", response: { output: launched } } }], {
        toolCallResult: { callId: "t1", status: "success" },
      }),
    ],
    [qwenRow("user", [{ text: notification }], { subtype: "notification" })],
  ],
  Codex: [
    [
      codexHead("0.147.0"),
      codexRow(1, "event_msg", { type: "user_message", message: "look" }),
      spawns("c1", { arguments: JSON.stringify({ message: task }) }),
      output("c1", { agent_id: codexAgent }),
    ],
    [
      codexRow(4, "response_item", { type: "function_call", name: "wait", arguments: "{}", call_id: "c2" }),
      output("c2", { status: { [codexAgent]: { completed: words } } }),
    ],
  ],
  "Codex, whose call names it by its path": [
    [
      codexHead("0.171.0"),
      codexRow(1, "event_msg", { type: "user_message", message: "look" }),
      spawns("c1", { namespace: "collaboration", arguments: JSON.stringify({ message: task }) }),
      codexRow(2, "event_msg", { type: "sub_agent_activity", event_id: "c1", ...begun }),
      output("c1", { task_name: "/root/looker" }),
    ],
    [
      codexRow(4, "response_item", {
        type: "function_call",
        name: "close_agent",
        arguments: '{"target":"/root/looker"}',
        call_id: "c2",
      }),
      output("c2", { status: "shutdown" }),
    ],
  ],
};

async function imported(all: readonly object[]) {
  const runtime = tempRuntime();
  const path = join(temporaryFolder(), "t.jsonl");
  writeFileSync(path, all.map((row) => `${JSON.stringify(row)}\n`).join(""));
  const read = await importTranscript(runtime, { path, folder: "/p" });
  return stateOf(runtime, read.ok ? read.value.session : read.error);
}

it.each(Object.entries(behindInRows))(
  "%s: of an imported session it is known which sub-agent works on behind the turn, and when it is over",
  async (_, [begin, end]) => {
    const [atWork, over] = [await imported(begin), await imported([...begin, ...end])];
    expect([atWork?.background, atWork?.results ?? []]).toMatchObject([[{ name: "Agent", input: task }], []]);
    expect(over?.background ?? []).toEqual([]);
    const said = JSON.stringify(end).includes(words) ? [words] : [];
    expect((over?.results ?? []).map(({ text }) => text)).toEqual(said);
  },
);
