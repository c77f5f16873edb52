import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it, vi } from "vitest";
import { HookChannel, type HookReply } from "#src/local-mcp/events/hook-channel.ts";
import { finishEvent, Settling, type DeferredWork } from "#src/local-mcp/events/after-answer.ts";
import { answerHook } from "#src/local-mcp/events/answer-hook.ts";
import { hookToolGroups, type HookToolEvent } from "#src/contract/hook-tool.ts";
import * as checkpoints from "#src/machine/checkpoints/checkpoints.ts";
import * as spool from "#src/store/spool.ts";
import { aProject, journalKinds, storedSession, rowCount } from "#harness/machine/claude.ts";
import { tempRuntime, type TempRuntime } from "#harness/machine/temp-runtime.ts";
import { reservationReceived, nameProject } from "#harness/team/team-rows.ts";

const session = "7d1f0c62-2f3c-4f0e-9a6b-0d2a4c1f8b11";
const clientPid = 1_000;

type Fields = Readonly<Record<string, string>>;

function aChannel(runtime: TempRuntime, done: (work: DeferredWork) => Promise<unknown> = async () => {}) {
  runtime.processes.start(clientPid);
  const deferred: DeferredWork[] = [];
  const later: (() => void)[] = [];
  const channel = new HookChannel({
    runtime,
    pid: 2_000,
    clientPid,
    finish: (work) => (deferred.push(work), done(work)),
    schedule: (settle) => void later.push(settle),
    pause: () => new Promise(() => {}),
  });
  const answer = (event: HookToolEvent, fields: Fields = {}): Promise<HookReply> =>
    channel.answer({ event, session_id: session, prompt_id: "p1", agent_id: "", ...fields });
  /** The work for the time after an answer. */
  const finish = (): void => later.splice(0).forEach((work) => work());
  const event = async (name: HookToolEvent, fields?: Fields): Promise<HookReply> => {
    const reply = await answer(name, fields);
    finish();
    return reply;
  };
  return { channel, deferred, answer, finish, event };
}

const bash = { tool_name: "Bash", tool_use_id: "toolu_1", "tool_input.command": "npm test" };

function rows(runtime: TempRuntime): unknown[] {
  return runtime.store.read((sql) => sql.all("SELECT kind, key, body FROM journal ORDER BY seq"), []);
}

it("an event that the MCP process takes is stored as the same event of a hook process is", async () => {
  const [byTool, byProcess] = [tempRuntime(), tempRuntime()];
  const { event } = aChannel(byTool);
  byProcess.processes.start(clientPid);
  const ls = { tool_name: "Bash", tool_use_id: "toolu_1", tool_input: { command: "npm test" } };
  const task = { tool_name: "TaskCreate", tool_use_id: "toolu_2" };
  const written = { "tool_input.subject": "Write it", "tool_response.task": '{"id":"1"}' };
  for (const [name, fields, input] of [
    ["PreToolUse", bash, ls],
    ["PostToolUse", { ...bash, duration_ms: "18" }, { ...ls, duration_ms: 18 }],
    [
      "PostToolUse",
      { ...task, ...written },
      { ...task, tool_input: { subject: "Write it" }, tool_response: { task: { id: "1" } } },
    ],
    [
      "PostToolUseFailure",
      { ...bash, tool_use_id: "toolu_3", error: "Exit code 3" },
      { ...ls, tool_use_id: "toolu_3", error: "Exit code 3" },
    ],
    [
      "Stop",
      { last_assistant_message: "All done.", stop_hook_active: "false" },
      { last_assistant_message: "All done." },
    ],
  ] as const) {
    await event(name, fields);
    const text = JSON.stringify({ session_id: session, prompt_id: "p1", stop_hook_active: false, ...input });
    expect(answerHook(byProcess, name, () => text, clientPid)).toBe("");
  }
  expect(rows(byTool)).toEqual(rows(byProcess));
  expect(rows(byTool)).toHaveLength(7);
});

it("an input that is no event of a hook changes nothing, and is answered", async () => {
  const runtime = tempRuntime();
  const { channel, event } = aChannel(runtime);
  const given = [null, 7, "x", {}, { event: "SessionStart" }, { event: "__proto__" }, { event: "Stop" }];
  for (const one of given) expect(await channel.answer(one)).toEqual({ content: [] });
  expect(runtime.logged).toHaveLength(given.length);
  expect(runtime.store.exists()).toBe(false);
  expect(await event("Stop")).toEqual({ content: [] });
});

it("arguments of other servers' tools come whole; lists and objects that are not JSON are taken as text", async () => {
  const runtime = tempRuntime();
  const { event } = aChannel(runtime);
  const texts = ['{"to":"anna","subject":"Invoice 4711"}', "not json {"];
  for (const [n, tool_input] of texts.entries())
    await event("PreToolUse", { tool_name: "mcp__mail__send", tool_use_id: `toolu_${n}`, tool_input });
  const stored = rows(runtime).map((row) => JSON.stringify(row));
  expect(stored[0]).toContain("Invoice 4711");
  expect(stored[1]).toContain("not json {");
});

it("a checkpoint that is due is left for after the answer, and so is a long transcript", async () => {
  const runtime = tempRuntime();
  const { event, deferred } = aChannel(runtime);
  const transcript = join(runtime.paths.home, "..", "transcript.jsonl");
  writeFileSync(transcript, `${JSON.stringify({ type: "assistant", message: { content: "x".repeat(300_000) } })}\n`);
  await event("PreToolUse", { ...bash, transcript_path: transcript });
  await event("Stop", { last_assistant_message: "Done." });
  expect(deferred).toEqual([
    { event: "PreToolUse", sessionId: session, trigger: null, isTranscriptBehind: true },
    { event: "Stop", sessionId: session, trigger: "turn_end", isTranscriptBehind: false },
  ]);
  expect(rowCount(runtime, "checkpoints")).toBe(0);
  expect(storedSession(runtime, session).transcriptOffset).toBe(0);
});

it("readings and risk are taken after the answer, and with them the checkpoint that tool calls make due", async () => {
  const runtime = tempRuntime({ config: { checkpoint: { everyToolCalls: 2 } } });
  const { answer, finish } = aChannel(runtime, (work) => finishEvent(runtime, work));
  const counted = (): number | undefined => storedSession(runtime, session).readings.toolCalls?.value;
  const seen: unknown[] = [];
  for (const id of ["toolu_1", "toolu_2", "toolu_3"]) {
    await answer("PreToolUse", { ...bash, tool_use_id: id });
    await answer("PostToolUse", { ...bash, tool_use_id: id });
    seen.push(counted());
    finish();
    seen.push(counted());
  }
  expect(seen).toEqual([undefined, 1, 1, 2, 2, 3]);
  const saved = runtime.store.read((sql) => checkpoints.search(sql, { session }), []);
  expect(saved.map(({ trigger }) => trigger).toReversed()).toEqual(["time", "tools"]);
});

it("readings that cannot be stored are logged, and the event stays answered", async () => {
  const runtime = tempRuntime();
  const { answer, finish } = aChannel(runtime, (work) => finishEvent(runtime, work));
  await answer("PostToolUse", bash);
  const write = vi.spyOn(runtime.store, "write").mockImplementation(() => {
    throw new Error("the disk is full");
  });
  finish();
  write.mockRestore();
  expect(runtime.logged).toEqual([expect.stringContaining("the disk is full")]);
  expect(journalKinds(runtime, session)).toEqual(["tool_end"]);
});

it("an event comes after those that wait in the spool", async () => {
  const runtime = tempRuntime();
  const { event } = aChannel(runtime);
  const input = { session_id: session, prompt_id: "p1", prompt: "fix the parser" };
  const entry = { at: runtime.now(), event: "UserPromptSubmit", client: null, input };
  spool.append(runtime.paths.spool, entry);
  expect(await event("PreToolUse", bash)).toEqual({ content: [] });
  expect(journalKinds(runtime, session)).toEqual(["prompt", "tool_start"]);
});

it("an edit of a reserved file is refused, also while events wait in the spool", async () => {
  const runtime = tempRuntime();
  const { event } = aChannel(runtime);
  const project = aProject();
  nameProject(runtime, project);
  reservationReceived(runtime, { resource: "file:parser/a.ts", checkout: project });
  const call = { tool_name: "Edit", cwd: project, "tool_input.file_path": join(project, "a.ts") };
  for (const tool_use_id of ["toolu_4", "toolu_5"]) {
    const { content } = await event("PreToolUse", { ...call, tool_use_id });
    const printed: unknown = JSON.parse(content[0]?.text ?? "");
    expect(printed).toMatchObject({ hookSpecificOutput: { permissionDecision: "deny" } });
    spool.append(runtime.paths.spool, { at: 1, event: "Stop", client: null, input: {} });
  }
});

it("a risky tool is answered only when its checkpoint and its files are saved", async () => {
  const runtime = tempRuntime({ config: { checkpoint: { beforeTools: ["Bash"] } } });
  const { promise, resolve } = Promise.withResolvers<void>();
  const { event, deferred } = aChannel(runtime, () => promise);
  let isAnswered = false;
  const answered = event("PreToolUse", bash).then(() => (isAnswered = true));
  await Promise.resolve();
  expect([isAnswered, deferred[0]?.trigger]).toEqual([false, "before_tool"]);
  resolve();
  expect(await answered).toBe(true);
});

it("a compaction is answered with nothing that the client could print", async () => {
  const { event } = aChannel(tempRuntime());
  expect(await event("PreCompact", { trigger: "auto" })).toEqual({ content: [] });
  expect(await event("PostCompact", { trigger: "auto", compact_summary: "short" })).toEqual({ content: [] });
});

it("the client waits for no event longer than the time limit of its hook, and passes single fields", () => {
  const events = ["PreToolUse", "PostToolUse", "Stop", "PostCompact"] as const;
  const handlers = events.flatMap((event) => hookToolGroups(event, "shim")).flatMap(({ hooks }) => hooks);
  expect(handlers.map(({ timeout }) => timeout)).toEqual(handlers.map(() => 5));
  expect(handlers.flatMap(({ input }) => Object.values(input))).not.toContain("${tool_response}");
  const groups = hookToolGroups("PreToolUse", "shim");
  expect(groups.map(({ matcher }) => matcher)).toEqual(["^(?!mcp__|Agent$)", "^(?:mcp__|Agent$)"]);
  expect(groups.map(({ hooks }) => hooks.map(({ input }) => "tool_input" in input))).toEqual([[false], [true]]);
});

it("the readings of several events are taken once, and what an event makes due with them at once", () => {
  const [finished, scheduled]: [DeferredWork[], [() => void, boolean][]] = [[], []];
  const settling = new Settling({
    finish: (work) => void finished.push(work),
    schedule: (settle, isDue) => void scheduled.push([settle, isDue]),
  });
  const work = { sessionId: "a", event: "PostToolUse", trigger: null, isTranscriptBehind: false } as const;
  settling.add(work);
  settling.add({ ...work, sessionId: "b" });
  settling.add({ ...work, event: "PreToolUse", isTranscriptBehind: true });
  settling.add({ ...work, event: "Stop", trigger: "turn_end" });
  expect(scheduled.map(([, isDue]) => isDue)).toEqual([false, false, true]);
  for (const [settle] of scheduled.toReversed()) settle();
  expect(finished).toEqual([
    { ...work, trigger: "turn_end", isTranscriptBehind: true },
    { ...work, sessionId: "b" },
  ]);
});
