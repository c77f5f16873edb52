import { appendFileSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, it } from "vitest";
import { statusOf } from "#src/machine/view/status-line.ts";
import { defaults } from "#src/contract/config.ts";
import { refreshIfDue } from "#src/local-mcp/host/refresh.ts";
import { catchUp } from "#src/machine/sessions/transcripts/record-transcript.ts";
import type { Grouping, UsageLine } from "#src/contract/machine/usage.ts";
import { importTranscript } from "#src/machine/sessions/transcripts/import-transcript.ts";
import { emptyLine, usageBy } from "#src/machine/sessions/usage/ledger.ts";
import { aChatAtWork, aLiveClaude, Claude } from "#harness/machine/claude.ts";
import { RecordedClient } from "#harness/clients/recorded-client.ts";
import { temporaryFolder } from "#harness/machine/git-project.ts";
import { connect } from "#harness/machine/mcp-process.ts";
import { tempRuntime, T0, type TempRuntime } from "#harness/machine/temp-runtime.ts";
import { anAssistantLine, aTranscript, aUserLine } from "#harness/machine/transcripts.ts";

/** One response in a line of its own. */
function said(id: string, output: number, overrides: Record<string, unknown> = {}): string {
  const cache = { cache_creation_input_tokens: 20, cache_read_input_tokens: 1_000 };
  const usage = { input_tokens: 100, ...cache, output_tokens: output };
  return anAssistantLine({ id, usage }, { requestId: `req_${id}`, ...overrides });
}

function lines(runtime: TempRuntime, by: Grouping = "session", usage = defaults.usage, since?: number): UsageLine[] {
  return runtime.store.read((sql) => usageBy(sql, { by, since: since ?? null }, usage), []);
}

it("each response counts once into session, day, project and model, with its last line", () => {
  const { runtime, claude } = aChatAtWork();
  // The client repeats a response over several lines; what was counted never falls.
  claude.transcribe(said("m1", 1), said("m1", 50), said("m2", 7));
  claude.use("Bash");
  claude.transcribe(said("m2", 30));
  claude.use("Bash");
  claude.transcribe(said("m2", 8));
  claude.stop();
  const expected = { responses: 2, input: 200, output: 80, cacheRead: 2_000, cacheWrite: 40 };
  expect(lines(runtime)).toEqual([{ ...emptyLine, ...expected, key: claude.session, unpricedTokens: 2_320 }]);
  expect(lines(runtime, "project")).toMatchObject([{ key: claude.cwd, ...expected }]);
  expect(lines(runtime, "model")).toMatchObject([{ key: "claude-opus-5-5", ...expected }]);
  expect(lines(runtime, "day")).toMatchObject([{ key: new Date(T0).toISOString().slice(0, 10), ...expected }]);
  const since = (hours: number) => lines(runtime, "day", defaults.usage, T0 + hours * 3_600_000).length;
  expect([since(1), since(2)]).toEqual([1, 0]);
});

it("a replay of the transcript and a resumed session that repeats it count nothing twice", () => {
  const { runtime, claude } = aChatAtWork();
  claude.transcribe(said("m1", 50));
  claude.stop();
  runtime.store.write((sql) => {
    sql.run("UPDATE sessions SET transcriptOffset = 0");
    catchUp(sql, runtime.now(), claude.session);
  });
  claude.kill();
  const resumed = new Claude(runtime, { pid: 1_001, session: `c${claude.session.slice(1)}`, cwd: claude.cwd });
  resumed.transcribe(said("m1", 50), said("m3", 10));
  resumed.start("resume");
  resumed.prompt("go on");
  const first = { key: claude.session, responses: 1, output: 50 };
  expect(lines(runtime)).toMatchObject([first, { key: resumed.session, responses: 1, output: 10 }]);
});

it("a message that side chains repeat, with another request id or none, counts once", () => {
  const { runtime, claude } = aChatAtWork();
  claude.transcribe(said("m1", 50));
  claude.use("Bash");
  const folder = join(dirname(claude.transcript), claude.session, "subagents");
  mkdirSync(folder, { recursive: true });
  for (const [name, requestId] of [
    ["aside_question-1", "req_other"],
    ["acompact-2", undefined],
  ] as const) {
    const rows = [said("m1", 50, { requestId, isSidechain: true }), said(name, 5, { requestId, isSidechain: true })];
    appendFileSync(join(folder, `agent-${name}.jsonl`), aTranscript(...rows));
  }
  claude.stop();
  claude.end();
  expect(lines(runtime)).toMatchObject([{ responses: 3, output: 60 }]);
});

it("the timer reads on in the transcripts that sub-agents have of their own, once", async () => {
  const { runtime, claude } = aChatAtWork();
  const { chat } = await connect(runtime, { clientPid: claude.pid });
  const file = join(dirname(claude.transcript), claude.session, "subagents", "agent-a1.jsonl");
  mkdirSync(dirname(file), { recursive: true });
  for (const response of ["", said("s1", 40, { isSidechain: true }), "", said("s2", 5, { isSidechain: true })]) {
    if (response) appendFileSync(file, aTranscript(response));
    runtime.wait(16_000);
    refreshIfDue(chat, claude.session);
  }
  expect(lines(runtime)).toMatchObject([{ responses: 2, output: 45 }]);
});

/** Rows of one answer of a sub-agent, as each client writes it, with 60 tokens of input and 5 of output. */
const subagents: readonly (readonly [client: string, prompt: string, path: string, rows: readonly object[]])[] = [
  [
    "qwen",
    "UserPromptSubmit",
    "subagents/{id}/agent-general-1.jsonl",
    [
      {
        uuid: "u1",
        parentUuid: null,
        sessionId: "{id}",
        agentId: "general-1",
        isSidechain: true,
        type: "assistant",
        message: { parts: [{ functionCall: { id: "c1", name: "run_shell_command", args: { command: "ls" } } }] },
        usageMetadata: { promptTokenCount: 100, candidatesTokenCount: 5, cachedContentTokenCount: 40 },
      },
      // Of 0.24.4, which writes no status there.
      {
        uuid: "u2",
        parentUuid: "u1",
        sessionId: "{id}",
        agentId: "general-1",
        isSidechain: true,
        type: "tool_result",
        message: { parts: [{ functionResponse: { id: "c1", name: "run_shell_command", response: { output: "a" } } }] },
        toolCallResult: { callId: "c1", durationMs: 9 },
      },
    ],
  ],
  [
    "gemini",
    "BeforeAgent",
    "chats/{id}/4892868b-c0fc-4465-a310-abf0fe839a51.jsonl",
    [
      { sessionId: "4892868b-c0fc-4465-a310-abf0fe839a51", projectHash: "0", kind: "subagent" },
      { id: "m1", type: "gemini", content: "", tokens: { input: 100, output: 5, cached: 40, thoughts: 0 } },
      { id: "m1", type: "gemini", content: "a", tokens: { input: 100, output: 5, cached: 40, thoughts: 0 } },
    ],
  ],
  [
    "copilot",
    "UserPromptSubmit",
    "chats/chat.jsonl",
    [
      {
        type: "session.usage_record",
        id: "00000000-0000-4000-8000-000000000009",
        agentId: "a1",
        parentId: null,
        data: { usage: { model: "scripted", inputTokens: 100, outputTokens: 5, cacheReadTokens: 40 } },
      },
    ],
  ],
];

it.each(subagents)(
  "the tokens of a sub-agent of %s count once, and its calls have their outcome",
  (client, prompt, path, rows) => {
    const runtime = tempRuntime();
    const chat = new RecordedClient(runtime, client);
    const id = "00000000-0000-4000-8000-000000000001";
    const folder = temporaryFolder();
    const own = { session_id: id, sessionId: id, transcript_path: join(folder, "chats/chat.jsonl") };
    mkdirSync(join(folder, "chats"));
    writeFileSync(own.transcript_path, "");
    chat.send("SessionStart", own);
    chat.send(prompt, own);
    const file = join(folder, path.replace("{id}", id));
    mkdirSync(dirname(file), { recursive: true });
    const written = rows.map((row) => ({ ...row, timestamp: new Date(runtime.now() + 1).toISOString() }));
    appendFileSync(file, written.map((row) => `${JSON.stringify(row).replaceAll("{id}", id)}\n`).join(""));
    for (const words of ["and the docs", "and the tests"]) {
      runtime.wait(20_000);
      chat.send(prompt, { ...own, prompt: words });
    }
    expect(lines(runtime)).toMatchObject([{ responses: 1, input: 60, cacheRead: 40, output: 5 }]);
    expect(chat.entries(id).filter(({ kind }) => kind === "tool_error")).toEqual([]);
  },
);

it("the tokens of a sub-agent of Codex count once, by the thread that the event of its end names", () => {
  const runtime = tempRuntime();
  const chat = new RecordedClient(runtime, "codex");
  const [id, thread] = ["00000000-0000-4000-8000-000000000008", "00000000-0000-4000-8000-000000000010"];
  const file = join(temporaryFolder(), `rollout-${thread}.jsonl`);
  const used = (response: string, of: string): void => {
    const usage = { input_tokens: 100, cached_input_tokens: 40, output_tokens: 5 };
    const payload = { thread_id: of, session_id: id, response_id: response, usage };
    const timestamp = new Date(runtime.now()).toISOString();
    appendFileSync(file, `${JSON.stringify({ timestamp, type: "token_usage_record", payload })}\n`);
  };
  chat.sendEach("SessionStart UserPromptSubmit", { session_id: id, transcript_path: undefined });
  const ends = (): void =>
    void chat.send("SubagentStop", { session_id: id, agent_id: thread, agent_transcript_path: file });
  // A fork begins with rows of the chat that started it.
  used("r1", id);
  used("r2", thread);
  ends();
  ends();
  expect(lines(runtime)).toMatchObject([{ responses: 1, input: 60, cacheRead: 40, output: 5 }]);
  used("r3", thread);
  ends();
  expect(lines(runtime)).toMatchObject([{ responses: 2, input: 120, output: 10 }]);
  chat.send("SubagentStop", { session_id: id, agent_id: thread, agent_transcript_path: join(file, "gone") });
  expect(lines(runtime)).toMatchObject([{ responses: 2 }]);
});

it("the tokens of sub-agents that Codex took along when it died count once, those of their own sub-agents with them", () => {
  const runtime = tempRuntime();
  const chat = new RecordedClient(runtime, "codex");
  const [id, thread, deeper, other] = [8, 10, 11, 12].map((n) => `00000000-0000-4000-8000-0000000000${n}`);
  const day = join(temporaryFolder(), "sessions/2026/11/21");
  mkdirSync(join(day, "../22"), { recursive: true });
  mkdirSync(day);
  const fileOf = (of: string, name: string): string => join(day, `${name}-${of}.jsonl`);
  const row = (type: string, payload: object): string =>
    `${JSON.stringify({ timestamp: new Date(runtime.now()).toISOString(), type, payload })}\n`;
  const begins = (path: string, of: string, parent?: string): void => {
    const source = { subagent: { thread_spawn: { parent_thread_id: parent } } };
    const usage = { input_tokens: 100, cached_input_tokens: 40, output_tokens: 5 };
    writeFileSync(path, row("session_meta", { id: of, cwd: "/p", ...(parent === undefined ? {} : { source }) }));
    if (parent === undefined) return;
    appendFileSync(path, row("token_usage_record", { thread_id: of, response_id: of, usage }));
  };
  const own = fileOf(id!, "rollout-2026-11-21T12-00-00");
  chat.sendEach("SessionStart UserPromptSubmit", { session_id: id, transcript_path: own });
  begins(own, id!);
  begins(fileOf(thread!, "rollout-2026-11-21T12-00-01"), thread!, id);
  begins(fileOf(deeper!, "../22/rollout-2026-11-22T00-00-01"), deeper!, thread);
  begins(fileOf(other!, "rollout-2026-11-21T12-00-02"), other!, "00000000-0000-4000-8000-000000000099");
  for (let times = 0; times < 2; times += 1) runtime.store.write((sql) => catchUp(sql, runtime.now(), id!));
  expect(lines(runtime)).toMatchObject([{ key: id, responses: 2, input: 120, cacheRead: 80, output: 10 }]);
});

it("the tokens of an imported session and of its sub-agents count once, by the days of their answers", async () => {
  const runtime = tempRuntime();
  const folder = temporaryFolder();
  const [session, timestamp] = ["5f0e0e5e-0000-4000-8000-000000000001", "2023-11-01T10:00:00.000Z"];
  const [path, agents] = [join(folder, `${session}.jsonl`), join(folder, session, "subagents")];
  mkdirSync(agents, { recursive: true });
  const answer = (id: string): string => said(id, 5, { sessionId: session, timestamp });
  writeFileSync(path, aTranscript(aUserLine("Mend it.", { sessionId: session, timestamp }), answer("msg_1")));
  writeFileSync(join(agents, "agent-a1.jsonl"), aTranscript(answer("msg_2")));
  for (let times = 0; times < 2; times += 1)
    expect(await importTranscript(runtime, { path, folder })).toMatchObject({ ok: true });
  expect(lines(runtime, "day")).toMatchObject([{ key: "2023-11-01", responses: 2, input: 200, output: 10 }]);
});

/** The client redraws its status line. */
function redraw(runtime: TempRuntime, { session }: Claude, costUsd: number): void {
  const input = { session_id: session, model: { id: "claude-opus-5-5" }, cost: { total_cost_usd: costUsd } };
  statusOf(runtime, JSON.stringify(input));
}

it("of the client's running cost only what is new counts; a late and a repeated line change nothing", () => {
  const { runtime, claude } = aChatAtWork();
  for (const cost of [0, 0.5, 0.5, 1.25, 0.5, 1.25]) redraw(runtime, claude, cost);
  expect(lines(runtime)).toMatchObject([{ key: claude.session, clientCostUsd: 1.25 }]);
  // A client that resumes the session counts from 0.
  claude.kill();
  const resumed = new Claude(runtime, { pid: 1_001, session: claude.session, cwd: claude.cwd });
  resumed.start("resume");
  for (const cost of [0.25, 0.75]) redraw(runtime, resumed, cost);
  // Of a session that is new to SHIM, but was begun before, no earlier cost counts.
  const older = new Claude(runtime, { pid: 1_002, session: "e0487890", cwd: claude.cwd });
  older.start("resume");
  for (const cost of [5, 5.5]) redraw(runtime, older, cost);
  expect(lines(runtime)).toMatchObject([{ key: claude.session, clientCostUsd: 1.75 }, { clientCostUsd: 0.5 }]);
});

it("the client's own cost of a session goes before an estimate by the user's prices; a model without a price is named as such", () => {
  const runtime = tempRuntime();
  const prices = { "claude-opus-5-5": { input: 10, output: 50, cacheRead: 1, cacheWrite: 12.5 } };
  const [priced, silent] = [aLiveClaude(runtime), aLiveClaude(runtime, "fix it", { pid: 3_000, session: "e0487890" })];
  for (const [at, claude] of [priced, silent].entries()) {
    claude.transcribe(said(`m${at}`, 100));
    claude.stop();
  }
  redraw(runtime, priced, 0.4);
  const estimate = (100 * 10 + 100 * 50 + 1_000 * 1 + 20 * 12.5) / 1_000_000;
  expect(lines(runtime, "session", { prices, pricesAsOf: null })).toMatchObject([
    { key: priced.session, clientCostUsd: 0.4, estimatedCostUsd: 0, unpricedTokens: 0 },
    { key: silent.session, clientCostUsd: 0, estimatedCostUsd: estimate, unpricedTokens: 0 },
  ]);
  expect(lines(runtime)).toMatchObject([{ unpricedTokens: 0 }, { unpricedTokens: 1_220 }]);
});
