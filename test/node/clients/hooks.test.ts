import { appendFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { adapterOf } from "#src/clients/adapters.ts";
import { dueNotifications } from "#src/local-mcp/notify/due-notifications.ts";
import { statusOf } from "#src/machine/view/status-line.ts";
import * as journal from "#src/machine/sessions/journal.ts";
import { add as addNews } from "#src/machine/sessions/news.ts";
import * as sessions from "#src/machine/sessions/sessions.ts";
import { refresh } from "#src/machine/sessions/signals/observe.ts";
import { limitOf } from "#src/machine/sessions/usage/at-limit.ts";
import { RecordedClient } from "#harness/clients/recorded-client.ts";
import { aLiveClaude } from "#harness/machine/claude.ts";
import { T0, temporaryFolder } from "#harness/machine/git-project.ts";
import { tempRuntime, type TempRuntime } from "#harness/machine/temp-runtime.ts";
import { anApiErrorLine } from "#harness/machine/transcripts.ts";
import { reportEnd } from "#harness/machine/report-end.ts";

const session = "00000000-0000-4000-8000-000000000001";
const parent = "00000000-0000-4000-8000-000000000008";
const own = { session_id: session, transcript_path: undefined };
const path = "/home/user/project/final.txt";

const request = "do the scripted work";
const exited0 = { output: "one-2", exitCode: 0 };

const begun = (printed: object): object[] => [
  { kind: "start", source: "startup" },
  { kind: "prompt", text: request },
  { kind: "tool_start", name: "Bash", input: expect.stringContaining("echo one") as string },
  { kind: "tool_end", name: "Bash", ...printed },
];
const edits = [
  { kind: "tool_start", name: "Write" },
  { kind: "tool_end", name: "Write", path, action: "created" },
  { kind: "tool_start", name: "Edit" },
  { kind: "tool_end", name: "Edit", path, action: "edited" },
];
const said = [{ kind: "assistant", text: "FINAL-TEXT-DONE" }, { kind: "turn_end" }];
const transcriptPath = `/home/user/.copilot/session-state/${session}/events.jsonl`;

const turn = "SessionStart UserPromptSubmit PreToolUse PostToolUse";
const edited = "PreToolUse-write PostToolUse-write PreToolUse-edit PostToolUse-edit";
const ofGemini =
  "SessionStart BeforeAgent BeforeTool AfterTool BeforeTool-write AfterTool-write BeforeTool-edit AfterTool-edit";
const failed = { kind: "tool_error", name: "Bash", text: "Exit code 3" };

it.each<[client: string, events: string, about: object, entries: readonly object[]]>([
  ["codex", `${turn} Stop`, { toolCalls: 1, title: request }, [...begun({ output: "one-2" }), ...said]],
  ["copilot", turn, { toolCalls: 1, transcriptPath }, begun(exited0)],
  [
    "qwen",
    `${turn} ${edited} PostToolUseFailure Stop`,
    { toolCalls: 4, toolErrors: 1, model: "scripted" },
    [...begun({ ...exited0, id: "call_example0003" }), ...edits, failed, ...said],
  ],
  [
    "gemini",
    `${ofGemini} AfterAgent SessionEnd`,
    { toolCalls: 3, ending: { how: "ended", reason: "exit" } },
    [...begun({ output: "one" }), ...edits, ...said, { kind: "end", reason: "exit" }],
  ],
])("events of %s are recorded with the words and calls of the chat", (client, events, about, entries) => {
  const chat = new RecordedClient(tempRuntime(), client).sendEach(events, own);
  expect(chat.session(session)).toMatchObject({ client, ...about });
  expect(chat.entries(session)).toMatchObject(entries);
});

it("a patch of Codex is a call for each of its files", () => {
  const chat = new RecordedClient(tempRuntime(), "codex");
  const patch =
    "*** Begin Patch\n*** Add File: new.txt\n+hello\n*** Update File: src/old.ts\n@@\n-a\n+b\n*** End Patch\n";
  chat.sendEach("PreToolUse-edit PostToolUse-edit", { session_id: session, tool_input: { command: patch } });
  expect(chat.entries(session).filter(({ kind }) => kind === "tool_end")).toMatchObject([
    { name: "Write", path: "/home/user/project/new.txt", action: "created" },
    { name: "Edit", path: "/home/user/project/src/old.ts", action: "edited" },
  ]);
});

it("Codex: the task of a subagent is no request of the user, and its transcript not the chat's", () => {
  const chat = new RecordedClient(tempRuntime(), "codex");
  chat.send("UserPromptSubmit", { session_id: parent, agent_id: "a1" });
  expect([chat.send("SubagentStart"), chat.session(parent)]).toEqual([{}, null]);
  chat.send("PreToolUse-in-subagent");
  expect(chat.session(parent)).toMatchObject({ transcriptPath: null });
  expect(chat.entries(parent)).toMatchObject([{ kind: "tool_start", name: "Bash (subagent)" }]);
});

// Seen with Qwen Code 0.24.4: the request comes before the call, and a notification of a permission after it.
it("Qwen Code: a question waits for an answer, not for leave, and the user's own words to it are kept", () => {
  const runtime = tempRuntime();
  const file = join(temporaryFolder(), "chat.jsonl");
  writeFileSync(file, "");
  const about = { ...own, transcript_path: file };
  const chat = new RecordedClient(runtime, "qwen").sendEach("SessionStart UserPromptSubmit", about);
  const question = { question: "Which database?", header: "Database", options: [] };
  const input = { tool_name: "ask_user_question", tool_input: { questions: [question] }, tool_call_id: "call_4" };
  const call = { ...about, ...input };
  chat.report("PermissionRequest", { ...call, hook_event_name: "PermissionRequest" });
  chat.send("Notification", { ...about, notification_type: "permission_prompt" });
  expect(chat.life(session)?.asks?.for).toBe("dialog");
  chat.send("PreToolUse", call);
  chat.send("Notification", { ...about, notification_type: "permission_prompt" });
  expect(chat.life(session)?.asks?.for).toBe("dialog");
  chat.send("PostToolUse", { ...call, tool_response: { llmContent: "" } });
  const answers = [{ question: question.question, answer: "MariaDB on port nine" }];
  const shown = { type: "ask_user_question_answers", answers };
  const toolCallResult = { callId: "call_4", status: "success", resultDisplay: shown };
  const timestamp = new Date(runtime.now()).toISOString();
  const row = {
    uuid: "row",
    sessionId: session,
    timestamp,
    type: "tool_result",
    message: { parts: [] },
    toolCallResult,
  };
  appendFileSync(file, `${JSON.stringify(row)}\n`);
  chat.send("Stop", about);
  expect(chat.entries(session)).toContainEqual({ kind: "answers", answers });
});

it("Gemini CLI: the user's answer to a question stands in its transcript by the question's place", () => {
  const runtime = tempRuntime();
  const file = join(temporaryFolder(), "chat.jsonl");
  writeFileSync(file, "");
  const about = { ...own, transcript_path: file };
  const chat = new RecordedClient(runtime, "gemini").sendEach("SessionStart BeforeAgent", about);
  const args = { questions: [{ question: "Which database?", header: "Database" }] };
  const asked = { ...about, tool_name: "ask_user", tool_input: args };
  chat.send("BeforeTool", asked);
  chat.report("Notification", { ...about, hook_event_name: "Notification", notification_type: "ToolPermission" });
  expect(chat.life(session)?.asks?.for).toBe("dialog");
  const response = { output: '{"answers":{"0":"MariaDB on port nine"}}' };
  const result = [{ functionResponse: { id: "ask_1", name: "ask_user", response } }];
  const timestamp = new Date(runtime.now()).toISOString();
  const call = { id: "ask_1", name: "ask_user", args, result, status: "success", timestamp };
  appendFileSync(file, `${JSON.stringify({ id: "row", timestamp, type: "gemini", content: "", toolCalls: [call] })}\n`);
  chat.send("AfterTool", { ...asked, tool_response: { llmContent: response.output } });
  chat.send("AfterAgent", about);
  const answers = [{ question: "Which database?", answer: "MariaDB on port nine" }];
  expect(chat.entries(session)).toContainEqual({ kind: "answers", answers });
});

it("another client's payload is refused", () => {
  const runtime = tempRuntime();
  expect(new RecordedClient(runtime, "codex").report("Stop", { sessionId: "s1" })).toEqual({});
  expect(runtime.logged.at(-1)).toContain("input is not what Codex sends");
});

const calling = { qwen: "SessionStart UserPromptSubmit PreToolUse", gemini: "SessionStart BeforeAgent BeforeTool" };

/** The next process of a client that was killed in the middle of a call. */
function afterDeath(client: string, events = calling.qwen): RecordedClient {
  const runtime = tempRuntime();
  const chat = new RecordedClient(runtime, client).sendEach(events, own);
  runtime.processes.kill(chat.pid);
  return new RecordedClient(runtime, client, 2_001);
}

it("the brief and a refusal stand where the client reads them", () => {
  const additionalContext: unknown = expect.stringContaining(request);
  const other = { ...own, session_id: "s2" };
  expect(afterDeath("copilot").send("SessionStart", other)).toEqual({ additionalContext });
  const context = { hookEventName: "SessionStart", additionalContext };
  expect(afterDeath("gemini", calling.gemini).send("SessionStart", other)["hookSpecificOutput"]).toEqual(context);
  const refusal = { hookEventName: "PreToolUse", permissionDecision: "deny", permissionDecisionReason: "no" } as const;
  const refused = { hookSpecificOutput: refusal };
  const news = { decision: "block", reason: "news" } as const;
  for (const [client, event, answer, expected] of [
    ["copilot", "PreToolUse", refused, { ...refusal, ...refused }],
    ["copilot", "PreToolUse", {}, {}],
    ["copilot", "Stop", news, news],
    ["gemini", "BeforeTool", refused, { decision: "deny", reason: "no" }],
    ["gemini", "AfterAgent", news, { decision: "deny", reason: "news" }],
  ] as const)
    expect([client, event, adapterOf(client)?.answer(event, answer)]).toEqual([client, event, expected]);
});

it("Qwen Code's report of tool results is no request, and brings no second brief", () => {
  const next = afterDeath("qwen");
  const other = { ...own, session_id: "s2" };
  expect(next.send("SessionStart", other)["hookSpecificOutput"]).toMatchObject({
    additionalContext: expect.stringContaining(request),
  });
  next.send("UserPromptSubmit", other);
  expect(next.send("UserPromptSubmit", { ...other, prompt: "" })).toEqual({});
  expect(next.entries("s2").filter(({ kind }) => kind === "prompt")).toHaveLength(1);
});

it.each(["SessionStart-resume UserPromptSubmit", "UserPromptSubmit SessionStart-resume"])(
  "a resumed chat gets once how it died, with the first of %s",
  (events) => {
    const resumed = afterDeath("copilot");
    const [first = "", second = ""] = events.split(" ");
    const context = expect.stringContaining("in mid-turn, running Bash");
    expect(resumed.send(first, own)).toEqual({ additionalContext: context });
    for (const name of [second, "UserPromptSubmit"])
      expect(resumed.send(name, { ...own, prompt: "go on" })).toEqual({});
  },
);

it("Qwen Code's notice of a login is no question, its compaction is kept", () => {
  const chat = new RecordedClient(tempRuntime(), "qwen").sendEach("SessionStart Notification", own);
  expect(chat.life(session)?.asks).toBeNull();
  chat.sendEach("PreCompact PostCompact SessionStart-compact", own);
  expect(chat.entries(session).map(({ kind }) => kind)).toEqual(["start", "compacting", "compacted", "start"]);
});

it("the end of a session that Qwen Code never began leaves no session", () => {
  const chat = new RecordedClient(tempRuntime(), "qwen");
  const end = { cwd: "/p", reason: "prompt_input_exit" };
  chat.report("SessionEnd", { ...end, session_id: "never-begun", transcript_path: "" });
  expect(chat.session("never-begun")).toBeNull();
  chat.send("SessionStart", { ...own, session_id: "begun" });
  chat.report("SessionEnd", { ...end, session_id: "begun", transcript_path: "/t/begun.jsonl" });
  expect(chat.session("begun")).toMatchObject({ ending: { how: "ended" } });
});

it("a headless run of Qwen Code that is gone after its turn was closed; one in the middle of a call was killed", () => {
  const runtime = tempRuntime();
  const start = (pid: number, id: string, events = ""): RecordedClient =>
    new RecordedClient(runtime, "qwen", pid).sendEach(calling.qwen + events, { ...own, session_id: id });
  start(2_001, "done", " PostToolUse Stop");
  runtime.processes.kill(2_001);
  start(2_002, "killed");
  runtime.processes.kill(2_002);
  const next = start(2_003, "next");
  expect(next.session("done")).toMatchObject({ ending: { how: "closed", isOpen: false } });
  expect(next.session("killed")).toMatchObject({ ending: { how: "died", reason: "gone" } });
  expect(next.claim("killed")).toBe("offered");
});

it.each(["codex", "qwen", "copilot"] as const)(
  "what its user writes elsewhere comes to a chat of %s at the end of its turn where that can go on, else with the next prompt",
  (client) => {
    const runtime = tempRuntime();
    const chat = new RecordedClient(runtime, client).sendEach("SessionStart UserPromptSubmit", own);
    const message = { kind: "user_message", by: "live page", text: "Commit first." } as const;
    runtime.store.write((sql) => addNews(sql, runtime.now(), session, "user:1", message));
    const end = JSON.stringify(chat.send("Stop", own));
    const next = JSON.stringify(chat.send("UserPromptSubmit", { ...own, prompt: "and now the tests" }));
    const goesOn = ["codex", "qwen"].includes(client);
    expect([end.includes("Commit first."), next.includes("Commit first.")]).toEqual([goesOn, !goesOn]);
    if (goesOn) expect(end).toContain('"decision":"block"');
  },
);

it("a chat of a client without an event of its end is over when its MCP process saw the client end it after a turn", () => {
  const runtime = tempRuntime();
  const turn = (pid: number, id: string, reason: string): void => {
    const changes = { ...own, session_id: id, last_assistant_message: "Shall I do the tests now?" };
    new RecordedClient(runtime, "qwen", pid).sendEach("SessionStart UserPromptSubmit Stop", changes);
    runtime.store.write((sql) => reportEnd(sql, runtime, id, reason));
  };
  turn(2_001, "killed", "client_gone");
  runtime.clock.now += 1_000;
  turn(2_002, "ended", "stdin_end");
  for (const pid of [2_001, 2_002]) runtime.processes.kill(pid);
  const next = new RecordedClient(runtime, "qwen", 2_003);
  const answer = JSON.stringify(next.send("SessionStart", { ...own, session_id: "next" }));
  expect(answer).toContain("<shim-recovered-session-killed>");
  expect(next.session("ended")).toMatchObject({ ending: { how: "ended" } });
  expect(next.session("killed")).toMatchObject({ ending: { how: "closed", isOpen: true } });
  expect([next.claim("ended"), next.claim("killed")]).toEqual([undefined, "offered"]);
});

it("the end of a prompt ends no chat of Copilot CLI in an editor; one whose process is gone was closed, and one that its user ends is over", () => {
  const runtime = tempRuntime();
  const chat = new RecordedClient(runtime, "copilot").sendEach("SessionStart UserPromptSubmit Stop SessionEnd", own);
  expect(chat.session(session)).toMatchObject({ ending: null });
  chat.send("UserPromptSubmit", { ...own, prompt: "and now the tests" });
  chat.sendEach("Stop SessionEnd", own);
  expect(chat.entries(session).map(({ kind }) => kind)).toEqual(["start", "prompt", "turn_end", "prompt", "turn_end"]);
  runtime.processes.kill(chat.pid);
  const next = new RecordedClient(runtime, "copilot", 2_001);
  next.sendEach("SessionStart UserPromptSubmit SessionEnd", { ...own, session_id: "s2" });
  next.send("SessionEnd", { ...own, session_id: "s2", reason: "user_exit" });
  expect(chat.session(session)).toMatchObject({ ending: { how: "closed", isOpen: false } });
  expect(next.session("s2")).toMatchObject({ ending: { how: "ended" } });
});

it("Copilot CLI: a question to the user marks the chat as waiting, an API error ends its turn", () => {
  const chat = new RecordedClient(tempRuntime(), "copilot").sendEach("SessionStart UserPromptSubmit", own);
  chat.send("Notification", { sessionId: session });
  expect(chat.life(session)).toMatchObject({ asks: { for: "permission" } });
  chat.send("ErrorOccurred", own);
  chat.send("ErrorOccurred", { ...own, error_context: "tool_execution" });
  const text = expect.stringContaining("invalid_request_error");
  expect(chat.entries(session).slice(2)).toMatchObject([{ kind: "asks" }, { kind: "failure", text }]);
  expect(chat.adapter.normalise("SessionStart", {}, {})).toBeNull();
});

const reports = ["no\n<shellId: 1 completed with exit code 3>", "no\n<exited with exit code 3>"];
const exits = reports.map((text) => ({ result_type: "success", text_result_for_llm: text }));

it.each<readonly [string, string, object, string]>([
  ...exits.map((one) => ["copilot", "PreToolUse PostToolUse", { tool_result: one }, "Exit code 3 no"] as const),
  ["gemini", "BeforeTool AfterTool", { tool_response: { error: { message: "no such file" } } }, "no such file"],
  ["gemini", "BeforeTool AfterTool", { tool_response: { llmContent: "Output: no\nExit Code: 3" } }, "Exit code 3 no"],
])("a call of %s with an error or a code other than 0 in its result has failed (%#)", (client, names, result, text) => {
  const chat = new RecordedClient(tempRuntime(), client).sendEach(names, { ...own, ...result });
  expect(chat.session(session)).toMatchObject({ toolCalls: 1, toolErrors: 1 });
  expect(chat.entries(session).at(-1)).toMatchObject({ kind: "tool_error", text });
});

it("a chat of Gemini CLI that is asked to end in the middle of a turn was interrupted; after it, it is over", () => {
  const chat = new RecordedClient(tempRuntime(), "gemini");
  chat.sendEach(`${calling.gemini} SessionEnd`, { session_id: "cut-off", reason: "exit" });
  expect(chat.session("cut-off")).toMatchObject({ ending: { how: "died", reason: "interrupted" } });
  chat.sendEach("SessionStart BeforeAgent AfterAgent SessionEnd", { session_id: "done", reason: "exit" });
  expect(chat.session("done")).toMatchObject({ ending: { how: "ended" } });
});

it.each([
  "AfterAgent SessionEnd SessionEnd SessionEnd",
  "SessionEnd AfterAgent SessionEnd SessionEnd",
  "SessionEnd SessionEnd SessionEnd AfterAgent",
])("a turn that is cancelled and a Gemini CLI that is quit by Ctrl-C end the chat, when the hooks are %s", (order) => {
  const chat = new RecordedClient(tempRuntime(), "gemini").sendEach(`${calling.gemini} ${order}`, own);
  expect(chat.session(session)).toMatchObject({ ending: { how: "ended", reason: "exit" } });
});

it("after a tool that the user cancelled, which only the transcript says, the end of Gemini CLI is that of the chat", () => {
  const transcript = join(temporaryFolder(), "session.jsonl");
  const write = (type: string, content: unknown, second: number): void => {
    const timestamp = new Date(T0 + second * 1_000).toISOString();
    appendFileSync(transcript, `${JSON.stringify({ id: `row-${second}`, timestamp, type, content })}\n`);
  };
  write("user", [{ text: request }], 1);
  const given = { ...own, transcript_path: transcript };
  const chat = new RecordedClient(tempRuntime(), "gemini").sendEach(calling.gemini, given);
  write("info", "Request cancelled.", 2);
  write("gemini", "", 3);
  chat.sendEach("AfterTool SessionEnd SessionEnd", given);
  expect(chat.session(session)).toMatchObject({ ending: { how: "ended", reason: "exit" } });
});

it("calls without an id are paired by name, input and order, in parallel and one after the other", () => {
  const chat = new RecordedClient(tempRuntime(), "claude-code");
  const send = (event: string, command: string) =>
    chat.report(event, { session_id: "s1", tool_name: "Bash", tool_input: { command } });
  for (const command of ["make", "make", "test"]) send("PreToolUse", command);
  for (const command of ["test", "make", "make"]) send("PostToolUse", command);
  send("PreToolUse", "make");
  const ids = chat.entries("s1").map((entry) => ("id" in entry ? entry.id : ""));
  const [first, second, other, ...rest] = ids;
  expect(new Set([first, second, other]).size).toBe(3);
  expect(rest.slice(0, 3)).toEqual([other, first, second]);
  expect(ids.slice(0, 6)).not.toContain(rest[3]);
});

const hourMs = 3_600_000;

/** A machine on which Gemini CLI can go on. */
function aRuntime(): TempRuntime {
  const PATH = temporaryFolder();
  writeFileSync(join(PATH, "gemini"), "#!/bin/sh\n", { mode: 0o755 });
  return tempRuntime({ env: { PATH } });
}

const due = (runtime: TempRuntime) => runtime.store.read((sql) => dueNotifications(sql, runtime), []);

/** A prompt whose request the API has refused, as the client's transcript says. */
function refused(client: string, ...rows: readonly object[]) {
  const runtime = aRuntime();
  const transcript = join(temporaryFolder(), "transcript.jsonl");
  const own = { session_id: session, transcript_path: transcript };
  writeFileSync(transcript, "");
  const prompt = client === "gemini" ? "BeforeAgent" : "UserPromptSubmit";
  const chat = new RecordedClient(runtime, client).sendEach(`SessionStart ${prompt}`, own);
  for (const row of rows) appendFileSync(transcript, `${JSON.stringify({ timestamp, ...row })}\n`);
  /** The texts of the notifications, after the timer of the host has read the transcript. */
  const notified = (): string[] => {
    refresh(runtime, chat.session(session)!, {});
    return due(runtime).map(({ text }) => text);
  };
  /** What the user reads with the next prompt. */
  const next = (): unknown => chat.send("UserPromptSubmit", { ...own, prompt: "go on" })["systemMessage"];
  return { runtime, notified, next };
}

const timestamp = new Date(T0).toISOString();

function codexRows(kind: unknown, limits: object | null = null): object[] {
  const tokens = { type: "token_count", info: null, rate_limits: limits };
  const end = { type: "task_complete", last_agent_message: null, error: { message: "no", codex_error_info: kind } };
  return [tokens, end].map((payload) => ({ type: "event_msg", payload }));
}

function aWindow(percent: number, resetsInMs: number): object {
  return { used_percent: percent, window_minutes: 300, resets_at: (T0 + resetsInMs) / 1_000 };
}

function qwenRow(statusCode: number): object {
  const uiEvent = { "event.name": "qwen-code.api_error", error_message: "no", status_code: statusCode };
  return { uuid: "q1", type: "system", subtype: "ui_telemetry", systemPayload: { uiEvent } };
}

it.each<[string, object[]]>([
  ["codex", codexRows("usage_limit_exceeded")],
  ["qwen", [qwenRow(402)]],
])("a chat of %s at its limit gets a notification, and the line with its next prompt", (client, rows) => {
  const { notified, next } = refused(client, ...rows);
  expect(notified()).toMatchObject([expect.stringMatching(/reached a usage limit; Go on now: .*--in gemini`$/)]);
  expect(next()).toMatch(/^SHIM: Go on now: `.*resume 00000000 --in gemini`$/);
  expect(notified()).toEqual([]);
});

const throttled = { errorType: "rate_limit", errorCode: "rate_limited", statusCode: 429 };

it.each<[string, object[]]>([
  ["codex", codexRows({ response_too_many_failed_attempts: { http_status_code: 429 } })],
  ["copilot", [{ type: "session.error", id: "e1", data: { message: "no", ...throttled } }]],
  ["qwen", [qwenRow(429)]],
  ["gemini", [{ type: "error", id: "g1", content: "exhausted your daily quota" }]],
])("a short throttling, and words without a code, are no limit of %s", (client, rows) => {
  expect(refused(client, ...rows).notified()).toEqual([]);
});

const limitNow = (runtime: TempRuntime, id = session): unknown =>
  runtime.store.read((sql) => limitOf(sql, sessions.get(sql, id)!), null);

it("the fuller of Codex's windows says when its limit ends, and then there is none", () => {
  const limits = { primary: aWindow(100, 2 * hourMs), secondary: aWindow(80, 100 * hourMs) };
  const { runtime, notified } = refused("codex", ...codexRows("usage_limit_exceeded", limits));
  expect(notified()).toMatchObject([expect.stringContaining("the limit ends at")]);
  expect(limitNow(runtime)).toMatchObject({ resetsAtMs: T0 + 2 * hourMs });
  runtime.wait(2 * hourMs);
  expect(notified()).toEqual([]);
  const failure = { kind: "failure", text: "no", limit: { resetsAtMs: null } } as const;
  runtime.store.write((sql) => journal.append(sql, session, runtime.now(), "later", failure));
  expect(limitNow(runtime)).toMatchObject({ resetsAtMs: null });
});

it("Claude Code's row says that a limit was reached, and when it ends; its event and a throttling do not", () => {
  const runtime = aRuntime();
  const claude = aLiveClaude(runtime, "fix the parser");
  const fail = (fields: object): void => {
    const about = { uuid: crypto.randomUUID(), timestamp: new Date(runtime.now()).toISOString() };
    const row = anApiErrorLine("no", { error: "rate_limit", ...about, ...fields });
    appendFileSync(claude.transcript, `${row}\n`);
    claude.tell("StopFailure", { error: "rate_limit", last_assistant_message: "no" });
  };
  fail({ apiErrorIsTransient: true });
  expect(claude.prompt("go on").systemMessage).toBeUndefined();
  const resetsAt = Math.floor(runtime.now() / 1_000) + 3_600;
  const info = { status: "rejected", resetsAt, rateLimitType: "five_hour" };
  fail({ apiError: "usage_limit_reached", apiErrorParams: { rate_limit_info: info } });
  expect(limitNow(runtime, claude.session)).toMatchObject({ resetsAtMs: resetsAt * 1_000 });
  const ends = new Date(resetsAt * 1_000);
  const goOn = `the limit ends at ${ends.getHours()}:${String(ends.getMinutes()).padStart(2, "0")}. Go on now: `;
  const { notices } = statusOf(runtime, JSON.stringify({ session_id: claude.session }));
  expect(notices).toEqual([expect.stringContaining(goOn)]);
  const text = expect.stringContaining(`"fix the parser" reached a usage limit; ${goOn}`) as string;
  expect(due(runtime)).toMatchObject([{ event: "usage_limit", text }]);
  expect(claude.prompt("go on").systemMessage).toMatch(new RegExp(`^SHIM: ${goOn}\`.*--in gemini\`$`));
  expect(due(runtime)).toEqual([]);
  runtime.wait(hourMs);
  expect(claude.prompt("go on").systemMessage).toBeUndefined();
});
