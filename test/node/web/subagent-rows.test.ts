import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, it } from "vitest";
import { codexRow } from "#harness/clients/invented-transcripts.ts";
import { aCliHome, addSession, type CliHome } from "#harness/machine/cli-home.ts";
import type { HookClient } from "#src/contract/clients.ts";
import type { ConversationRow } from "#src/contract/machine/conversation.ts";

const id = "019f0000-0000-7000-8000-00000000000a";

function write(home: CliHome, path: string, rows: readonly object[]): string {
  const file = join(home.folder, path);
  mkdirSync(dirname(file), { recursive: true });
  const timed = rows.map((row, at) => ({ ...row, timestamp: new Date(home.now + at).toISOString() }));
  writeFileSync(file, timed.map((row) => `${JSON.stringify(row)}\n`).join(""));
  return file;
}

const textOf = (row: ConversationRow): string => ("text" in row ? row.text : `${row.tool} ${row.subject}`);

/** Rows of the sub-agent of each call that starts one, in the order of the calls. */
async function agentsOf(home: CliHome, client: HookClient, transcriptPath: string): Promise<string[][]> {
  addSession(home, { id, client, transcriptPath, entries: [] });
  const read = async (...args: string[]): Promise<readonly ConversationRow[]> =>
    ((await home.json(`call conversation.read session=${id}`, ...args)) as unknown as { rows: ConversationRow[] }).rows;
  const calls = (await read()).filter((row) => row.kind === "call" && row.isAgent);
  return Promise.all(calls.map(async (call) => (await read(`agent=${call.id}`)).map(textOf)));
}

const threads = ["b", "c", "e"].map((digit) => `019f0000-0000-7000-8000-00000000000${digit}`) as [
  string,
  string,
  string,
];

/** Words that Codex puts before a task, which it encrypts. */
function assigned(task: string): object {
  const text = `Message Type: NEW_TASK\nTask name: /root/${task}\nSender: /root\nPayload:\n`;
  const content = [
    { type: "input_text", text },
    { type: "encrypted_content", encrypted_content: "gAAAA" },
  ];
  return codexRow(6, "response_item/agent_message", { author: "/root", recipient: `/root/${task}`, content });
}

/** @param parent session that the thread names */
function thread(home: CliHome, of: string, parent: string, rows: readonly object[], answer: string): void {
  const source = { subagent: { thread_spawn: { parent_thread_id: parent, depth: 1 } } };
  write(home, `.codex/sessions/2027/01/02/rollout-2027-01-02T00-00-00-${of}.jsonl`, [
    codexRow(5, "session_meta", { id: of, cwd: "/p", source }),
    ...rows,
    codexRow(7, "event_msg/agent_message", { message: answer }),
  ]);
}

function codexChat(home: CliHome, rows: readonly object[]): string {
  const path = `.codex/sessions/2027/01/01/rollout-2027-01-01T00-00-00-${id}.jsonl`;
  return write(home, path, [codexRow(0, "session_meta", { id, cwd: "/p" }), ...rows]);
}

const spawns = (second: number, call: string, more: object): object =>
  codexRow(second, "response_item/function_call", { name: "spawn_agent", call_id: call, ...more });
const outputs = (second: number, call: string, output: object): object =>
  codexRow(second, "response_item/function_call_output", { call_id: call, output: JSON.stringify(output) });

it("the rows of sub-agents of Codex are read from their own threads, by the ids that their calls have", async () => {
  const home = aCliHome();
  const [first, second, third] = threads;
  thread(home, first, id, [codexRow(6, "event_msg/user_message", { message: "Find all berths." })], "Two berths.");
  thread(home, second, id, [assigned("boats")], "Three boats.");
  // A fork begins with what its chat had done.
  thread(home, third, id, [spawns(2, "c1", { arguments: "{}" }), assigned("masts")], "One mast.");
  const path = codexChat(home, [
    codexRow(1, "event_msg/user_message", { message: "Go." }),
    spawns(2, "c1", { arguments: JSON.stringify({ message: "Find all berths." }) }),
    outputs(3, "c1", { agent_id: first, nickname: "Lovelace" }),
    // Of 0.147: the call is in another namespace, its task encrypted, and another row has the id.
    spawns(4, "c2", {
      namespace: "collaboration",
      arguments: JSON.stringify({ message: "gAAAA", task_name: "boats", fork_turns: "none" }),
    }),
    codexRow(4, "event_msg/sub_agent_activity", {
      event_id: "c2",
      agent_thread_id: second,
      agent_path: "/root/boats",
      kind: "started",
    }),
    outputs(5, "c2", { task_name: "/root/boats" }),
    // Of 0.171.
    spawns(6, "c3", { namespace: "collaboration", arguments: '{"message":"gAAAA","task_name":"masts"}' }),
    codexRow(6, "event_msg/item_completed", {
      item: { type: "SubAgentActivity", id: "c3", kind: "started", agent_thread_id: third, agent_path: "/root/masts" },
    }),
    outputs(7, "c3", { task_name: "/root/masts" }),
  ]);
  expect(await agentsOf(home, "codex", path)).toEqual([
    ["Find all berths.", "Two berths."],
    ["/root/boats", "Three boats."],
    ["/root/masts", "One mast."],
  ]);
});

it("a session that is no sub-agent of the chat is not shown in its calls", async () => {
  const home = aCliHome();
  const [other] = threads;
  thread(home, other, "019f0000-0000-7000-8000-00000000000d", [], "Kept.");
  const path = codexChat(home, [
    spawns(2, "c1", { arguments: "{}" }),
    outputs(3, "c1", { agent_id: other }),
    spawns(4, "c2", { arguments: "{}" }),
    outputs(5, "c2", { agent_id: `x/../${other}` }),
  ]);
  expect(await agentsOf(home, "codex", path)).toEqual([[], []]);
});

it("what stands in the place of a sub-agent's thread, and cannot be read as a file, has no rows", async () => {
  const home = aCliHome();
  const [gone] = threads;
  mkdirSync(join(home.folder, `.codex/sessions/2027/01/02/rollout-2027-01-02T00-00-00-${gone}.jsonl`), {
    recursive: true,
  });
  const path = codexChat(home, [spawns(2, "c1", { arguments: "{}" }), outputs(3, "c1", { agent_id: gone })]);
  expect(await agentsOf(home, "codex", path)).toEqual([[]]);
});

const geminiHead = (session: string, kind: string): object => ({ sessionId: session, projectHash: "0", kind });

it("the rows of sub-agents of Gemini CLI are read from files in the folder of the session, by id or prompt", async () => {
  const home = aCliHome();
  const folder = ".gemini/tmp/boat/chats";
  const agents = ["2", "3", "4"].map((digit) => `0a0e0e5e-0000-4000-8000-00000000000${digit}`);
  const prompts = ["Find boats.", "Find boats.", 'Find all "berths".'];
  for (const [at, agent] of agents.entries())
    write(home, `${folder}/${id}/${agent}.jsonl`, [
      geminiHead(agent, "subagent"),
      { id: "m1", type: "user", content: [{ text: prompts[at] }] },
      { id: "m2", type: "gemini", content: `I am ${at}.` },
    ]);
  // A client may delete a file once it is listed.
  symlinkSync("gone", join(home.folder, folder, id, "0a0e0e5e-0000-4000-8000-000000000001.jsonl"));
  // A call that runs names no sub-agent yet.
  const [, second] = agents;
  const ended = { status: "success", agentId: second };
  const toolCalls = [
    { id: "t1", name: "invoke_agent", args: { prompt: prompts[1] }, ...ended },
    { id: "t2", name: "invoke_agent", args: { prompt: prompts[2] }, status: "executing" },
  ];
  const path = write(home, `${folder}/session-2027-01-01T00-00-${id.slice(0, 8)}.jsonl`, [
    geminiHead(id, "main"),
    { id: "m1", type: "user", content: [{ text: "Go." }] },
    { id: "m2", type: "gemini", content: "", toolCalls },
  ]);
  expect(await agentsOf(home, "gemini", path)).toEqual([
    ["Find boats.", "I am 1."],
    ['Find all "berths".', "I am 2."],
  ]);
});

const uuid = (at: number): string => `00000000-0000-4000-8000-${String(at).padStart(12, "0")}`;

it("the rows of sub-agents of Copilot CLI are picked from the session's file, where theirs are mixed", async () => {
  const home = aCliHome();
  let n = 0;
  const row = (type: string, data: object, agentId?: string): object => {
    n += 1;
    return { type, data, id: uuid(n), parentId: n === 1 ? null : uuid(n - 1), ...(agentId && { agentId }) };
  };
  const starts = (toolCallId: string, prompt: string): object[] => [
    row("tool.execution_start", { toolCallId, toolName: "task", arguments: { description: "Find", prompt } }),
  ];
  const ends = (toolCallId: string, content: string): object =>
    row("tool.execution_complete", { toolCallId, success: true, result: { content } });
  const path = write(home, `.copilot/session-state/${id}/events.jsonl`, [
    row("session.start", { sessionId: id, context: { cwd: "/p" } }),
    row("user.message", { content: "Go." }),
    ...starts("c1", "Find all berths."),
    row("subagent.started", { toolCallId: "c1", agentName: "explore" }, "a1"),
    ...starts("c2", "Find all boats."),
    row("subagent.started", { toolCallId: "c2", agentName: "explore" }, "a2"),
    ends("c2", "Agent started in background with agent_id: a2. You'll be notified."),
    row("user.message", { content: "Find all boats.", source: `agent-${id}` }, "a2"),
    row("user.message", { content: "Find all berths.", source: `agent-${id}` }, "a1"),
    row("tool.execution_start", { toolCallId: "s1", toolName: "bash", arguments: { command: "ls" } }, "a1"),
    row("tool.execution_complete", { toolCallId: "s1", success: true, result: { content: "a" } }, "a1"),
    row("assistant.message", { content: "Three boats." }, "a2"),
    row("assistant.message", { content: "Two berths." }, "a1"),
    ends("c1", "Two berths."),
    row("assistant.message", { content: "Done." }),
  ]);
  expect(await agentsOf(home, "copilot", path)).toEqual([
    ["Find all berths.", "Bash ls", "Two berths."],
    ["Find all boats.", "Three boats."],
  ]);
});
