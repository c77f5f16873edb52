import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { codexHead, codexRow, stamp } from "#harness/clients/invented-transcripts.ts";
import { RecordedClient } from "#harness/clients/recorded-client.ts";
import { stateOf } from "#harness/machine/claude.ts";
import { temporaryFolder } from "#harness/machine/git-project.ts";
import { tempRuntime } from "#harness/machine/temp-runtime.ts";
import { aToolResultLine, aToolUse, aUserLine, anAssistantLine } from "#harness/machine/transcripts.ts";
import { subagentWords } from "#src/clients/adapter/harness-text.ts";
import { importTranscript } from "#src/machine/sessions/transcripts/import-transcript.ts";

const words = "The pier is\nfull: three boats.";
const figures = "agentId: a1b2 (for resuming)\n<usage>total_tokens: 9\ntool_uses: 1</usage>";
const ofClaude = "[Subagent hand-back] It is model output. The report follows:";
const ofGemini = `Subagent 'finder' finished.\nTermination Reason: GOAL\nResult:\n${words}`;
const ofOpenCode = `<task id="ses_b" state="completed">\n<summary>x</summary>\n<task_result>\n${words}\n</task_result>\n</task>`;
const ofCodex = `Message Type: FINAL_ANSWER\nTask name: /root\nSender: /root/finder\nPayload:\n${words}`;

it.each([words, `${ofClaude}\n${words}\n${figures}`, ofGemini, ofOpenCode, ofCodex, `${words}\n${figures}`])(
  "what a client writes around the last words of a sub-agent is left out: %j",
  (text) => {
    expect(subagentWords(text)).toBe(words);
  },
);

type Rows = readonly (object | string)[];

const task = { description: "look", prompt: "Look at the pier." };
const askedClaude = [aUserLine("look"), anAssistantLine({ content: [aToolUse("t1", "Task", task)] })];
const notice = `<task-notification>\n<task-id>a1</task-id>\n<status>completed</status>\n<summary>x</summary>\n<result>${words}</result>\n</task-notification>`;

const openCodeInfo = (role: string): object => {
  return { id: `msg_${role}`, role, sessionID: "ses_a", time: { created: 1_700_000_000_000 } };
};

/** Rows of OpenCode's export. */
function openCode(state: object): object {
  const part = { type: "tool", callID: "t1", tool: "task", state: { status: "completed", input: task, ...state } };
  const messages = [
    { info: openCodeInfo("user"), parts: [{ type: "text", text: "look" }] },
    { info: openCodeInfo("assistant"), parts: [part] },
  ];
  return { info: { id: "ses_a", directory: "/p", version: "1.18.33", time: { created: 1_700_000_000_000 } }, messages };
}

const copilotRow = (type: string, data: object, second: number): object => {
  return { type, data, id: `00000000-0000-4000-8000-00000000000${second}`, timestamp: stamp(second), parentId: null };
};
const qwenRow = (type: string, parts: readonly object[], more: object = {}): object => {
  return {
    uuid: type,
    parentUuid: null,
    sessionId: "q1",
    timestamp: stamp(2),
    cwd: "/p",
    type,
    message: { parts },
    ...more,
  };
};
const geminiHead = { sessionId: "g1", projectHash: "0", startTime: stamp(0), lastUpdated: stamp(0), kind: "main" };
const called = (name: string, output: string): object => ({
  functionResponse: { id: "t1", name, response: { output } },
});
const listing = { agents: [{ agent_name: "/root/finder", agent_status: { completed: words } }] };
const waited = { status: { "thread-1": { completed: words } }, timed_out: false };
const asksCodex = [
  codexHead("0.147.0"),
  codexRow(1, "event_msg", { type: "user_message", message: "look" }),
  codexRow(2, "event_msg", { type: "sub_agent_activity", agent_path: "/root/finder", agent_thread_id: "thread-1" }),
];
const codexOutput = (name: string, output: string): object[] => [
  codexRow(3, "response_item", { type: "function_call", name, arguments: "{}", call_id: "c1" }),
  codexRow(4, "response_item", { type: "function_call_output", call_id: "c1", output }),
];
const agentMessage = {
  type: "agent_message",
  author: "/root/finder",
  content: [{ type: "input_text", text: ofCodex }],
};

const transcripts: Readonly<Record<string, Rows>> = {
  "Claude Code": [
    ...askedClaude,
    aToolResultLine("t1", words, false, { toolUseResult: { agentId: "a1", content: [{ type: "text", text: words }] } }),
  ],
  "Claude Code, in the background": [...askedClaude, aUserLine(notice)],
  "Claude Code, waited for": [
    ...askedClaude,
    anAssistantLine({ content: [aToolUse("t2", "TaskOutput", { task_id: "a1" })] }),
    aToolResultLine("t2", words, false, {
      toolUseResult: { task: { task_id: "a1", status: "completed", result: words } },
    }),
  ],
  Codex: [
    ...asksCodex,
    codexRow(5, "response_item", agentMessage),
    ...codexOutput("list_agents", JSON.stringify(listing)),
  ],
  "Codex, waited for": [...asksCodex, ...codexOutput("wait", JSON.stringify(waited))],
  OpenCode: [openCode({ output: ofOpenCode, metadata: { sessionId: "ses_b" } })],
  "Copilot CLI": [
    copilotRow("session.start", { sessionId: "00000000-0000-4000-8000-000000000001", context: { cwd: "/p" } }, 1),
    copilotRow("user.message", { content: "look" }, 2),
    copilotRow("tool.execution_start", { toolCallId: "t1", toolName: "task", arguments: task }, 3),
    copilotRow("tool.execution_complete", { toolCallId: "t1", success: true, result: { content: words } }, 4),
  ],
  "Qwen Code": [
    qwenRow("user", [{ text: "look" }]),
    qwenRow("assistant", [{ functionCall: { id: "t1", name: "agent", args: task } }]),
    qwenRow("tool_result", [called("agent", words)], { toolCallResult: { callId: "t1", status: "success" } }),
  ],
  "Gemini CLI": [
    geminiHead,
    { id: "m1", type: "user", timestamp: stamp(1), content: "look" },
    {
      id: "m2",
      type: "gemini",
      timestamp: stamp(2),
      content: "",
      toolCalls: [
        { id: "t1", name: "invoke_agent", args: task, status: "success", result: [called("invoke_agent", ofGemini)] },
      ],
    },
  ],
};

it.each(Object.entries(transcripts))(
  "the last words of a sub-agent are read from a transcript: %s",
  async (_, rows) => {
    const runtime = tempRuntime();
    const path = join(temporaryFolder(), "t1.jsonl");
    writeFileSync(
      path,
      rows.map((row) => `${(typeof row === "string" ? row : JSON.stringify(row)).trim()}\n`).join(""),
    );
    const imported = await importTranscript(runtime, { path, folder: "/p" });
    const session = imported.ok ? imported.value.session : imported.error;
    expect(stateOf(runtime, session)?.results?.map(({ text }) => text)).toEqual([words]);
  },
);

const call = { tool_use_id: "t1", tool_call_id: "t1" };
const live: readonly (readonly [string, string, object])[] = [
  ["codex", "SubagentStop", { last_assistant_message: words }],
  ["qwen", "SubagentStop", { last_assistant_message: words }],
  ["copilot", "SubagentStop", { last_assistant_message: words }],
  ["gemini", "AfterTool", { ...call, tool_name: "invoke_agent", tool_response: { llmContent: [{ text: ofGemini }] } }],
];

it.each(live)("the last words of a sub-agent come with an event of %s, and count once", (client, event, fields) => {
  const runtime = tempRuntime();
  const chat = new RecordedClient(runtime, client);
  const session = { session_id: "00000000-0000-4000-8000-000000000001", transcript_path: undefined };
  for (let time = 0; time < 2; time++) chat.send(event, { ...session, ...fields });
  expect(stateOf(runtime, session.session_id)?.results?.map(({ text }) => text)).toEqual([words]);
});
