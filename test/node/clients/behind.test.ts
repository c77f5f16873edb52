import { appendFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { RecordedClient } from "#harness/clients/recorded-client.ts";
import { stateOf } from "#harness/machine/claude.ts";
import { temporaryFolder } from "#harness/machine/git-project.ts";
import { tempRuntime } from "#harness/machine/temp-runtime.ts";

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
