import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { defaults } from "#src/contract/config.ts";
import { HookChannel, type HookReply } from "#src/local-mcp/front/hook-channel.ts";
import { answerHook } from "#src/local-mcp/hooks/answer-hook.ts";
import { drainInto } from "#src/local-mcp/hooks/spool-hook.ts";
import type { DeferredWork } from "#src/local-mcp/hooks/run-hook.ts";
import { hookToolGroups, type HookToolEvent } from "#src/contract/hook-tool.ts";
import * as checkpoints from "#src/local-mcp/checkpoints/checkpoints.ts";
import * as spool from "#src/store/spool.ts";
import * as files from "#src/local-mcp/team/reservation-table.ts";
import { aProject, journalKinds, storedSession } from "#harness/machine/claude.ts";
import { tempRuntime, type TempRuntime } from "#harness/machine/temp-runtime.ts";

const session = "7d1f0c62-2f3c-4f0e-9a6b-0d2a4c1f8b11";
const clientPid = 1_000;

interface Channel {
  readonly deferred: DeferredWork[];
  /** Work for the time after an answer. */
  readonly later: (() => void)[];
  answer(event: HookToolEvent, fields?: Readonly<Record<string, string>>): Promise<HookReply>;
  /** The same, and the work after it. */
  event(event: HookToolEvent, fields?: Readonly<Record<string, string>>): Promise<HookReply>;
}

function aChannel(runtime: TempRuntime, done: (work: DeferredWork) => Promise<void> = async () => {}): Channel {
  runtime.processes.start(clientPid);
  const deferred: DeferredWork[] = [];
  const later: (() => void)[] = [];
  const channel = new HookChannel({
    runtime,
    pid: 2_000,
    clientPid,
    defer: (work) => {
      deferred.push(work);
      return done(work);
    },
    afterAnswer: (work) => void later.push(work),
    pause: () => new Promise(() => {}),
  });
  const answer: Channel["answer"] = (event, fields = {}) =>
    channel.answer({ event, session_id: session, prompt_id: "p1", agent_id: "", ...fields });
  return {
    deferred,
    later,
    answer,
    event: async (event, fields) => {
      const reply = await answer(event, fields);
      for (const work of later.splice(0)) work();
      return reply;
    },
  };
}

const bash = { tool_name: "Bash", tool_use_id: "toolu_1", "tool_input.command": "npm test" };

function rows(runtime: TempRuntime): unknown[] {
  return runtime.store.read((sql) => sql.all("SELECT kind, key, body FROM journal ORDER BY seq"), []);
}

it("[HO30] an event that the MCP process takes is stored as the same event of a hook process is", async () => {
  const [byTool, byProcess] = [tempRuntime(), tempRuntime()];
  const channel = aChannel(byTool);
  byProcess.processes.start(clientPid);
  const tasks = { "tool_input.subject": "Write it", "tool_response.task": '{"id":"1"}' };
  await channel.event("PreToolUse", bash);
  await channel.event("PostToolUse", { ...bash, duration_ms: "18" });
  await channel.event("PostToolUse", { tool_name: "TaskCreate", tool_use_id: "toolu_2", ...tasks });
  await channel.event("PostToolUseFailure", { ...bash, tool_use_id: "toolu_3", error: "Exit code 3" });
  await channel.event("Stop", { last_assistant_message: "All done.", stop_hook_active: "false" });
  const common = { session_id: session, prompt_id: "p1" };
  const call = { tool_name: "Bash", tool_use_id: "toolu_1", tool_input: { command: "npm test" } };
  const task = {
    tool_name: "TaskCreate",
    tool_use_id: "toolu_2",
    tool_input: { subject: "Write it" },
    tool_response: { task: { id: "1" } },
  };
  for (const [event, input] of [
    ["PreToolUse", call],
    ["PostToolUse", { ...call, duration_ms: 18 }],
    ["PostToolUse", task],
    ["PostToolUseFailure", { ...call, tool_use_id: "toolu_3", error: "Exit code 3" }],
    ["Stop", { last_assistant_message: "All done.", stop_hook_active: false }],
  ] as const)
    expect(answerHook(byProcess, event, () => JSON.stringify({ ...common, ...input }), clientPid)).toBe("");
  expect(rows(byTool)).toEqual(rows(byProcess));
  expect(rows(byTool)).toHaveLength(7);
});

it("[HO62] an input that is no event of a hook changes nothing, and is answered", async () => {
  const runtime = tempRuntime();
  const channel = aChannel(runtime);
  const given = [null, 7, "x", {}, { event: "SessionStart" }, { event: "__proto__" }, { event: "Stop" }];
  const bare = new HookChannel({
    runtime,
    pid: 1,
    clientPid,
    defer: async () => {},
    afterAnswer: () => {},
    pause: async () => {},
  });
  for (const one of given) expect(await bare.answer(one)).toEqual({ content: [] });
  expect(runtime.logged).toHaveLength(given.length);
  expect(runtime.store.exists()).toBe(false);
  expect(await channel.event("Stop")).toEqual({ content: [] });
});

it("[HO30] arguments of other servers' tools come whole; lists and objects that are not JSON are taken as text", async () => {
  const runtime = tempRuntime();
  const channel = aChannel(runtime);
  const call = { tool_name: "mcp__mail__send", tool_use_id: "toolu_9" };
  await channel.event("PreToolUse", { ...call, tool_input: '{"to":"anna","subject":"Invoice 4711"}' });
  await channel.event("PreToolUse", { ...call, tool_use_id: "toolu_10", tool_input: "not json {" });
  const inputs = runtime.store.read(
    (sql) => sql.all<{ body: string }>("SELECT body FROM journal").map(({ body }) => body),
    [],
  );
  expect(inputs[0]).toContain("Invoice 4711");
  expect(inputs[1]).toContain("not json {");
});

it("[HO56] [HO31] a checkpoint that is due is left to the worker, and so is a long transcript", async () => {
  const runtime = tempRuntime();
  const channel = aChannel(runtime);
  const transcript = join(runtime.paths.home, "..", "transcript.jsonl");
  writeFileSync(transcript, `${JSON.stringify({ type: "assistant", message: { content: "x".repeat(300_000) } })}\n`);
  await channel.event("PreToolUse", { ...bash, transcript_path: transcript });
  await channel.event("Stop", { last_assistant_message: "Done." });
  expect(channel.deferred).toEqual([
    { sessionId: session, trigger: null, isTranscriptBehind: true },
    { sessionId: session, trigger: "turn_end", isTranscriptBehind: false },
  ]);
  expect(runtime.store.read((sql) => checkpoints.latestId(sql, session), "none")).toBeNull();
  expect(storedSession(runtime, session).transcriptOffset).toBe(0);
});

it("[HO55] readings and risk are taken after the answer, and with them the checkpoint that tool calls make due", async () => {
  const checkpoint = { ...defaults.checkpoint, everyToolCalls: 2 };
  const runtime = tempRuntime({ config: { ...defaults, checkpoint } });
  const channel = aChannel(runtime);
  const seen: unknown[] = [];
  for (const id of ["toolu_1", "toolu_2"]) {
    await channel.answer("PreToolUse", { ...bash, tool_use_id: id });
    await channel.answer("PostToolUse", { ...bash, tool_use_id: id });
    seen.push([storedSession(runtime, session).readings.toolCalls?.value ?? null, channel.deferred.length]);
    channel.later.splice(0).forEach((work) => work());
    seen.push([storedSession(runtime, session).readings.toolCalls?.value, channel.deferred.length]);
  }
  expect(seen).toEqual([
    [null, 0],
    [1, 1],
    [1, 1],
    [2, 2],
  ]);
  expect(channel.deferred.map(({ trigger }) => trigger)).toEqual(["time", "tools"]);
});

it("[HO55] readings that cannot be stored are logged, and the event stays answered", async () => {
  const runtime = tempRuntime();
  const channel = aChannel(runtime);
  await channel.answer("PostToolUse", bash);
  const write = runtime.store.write.bind(runtime.store);
  runtime.store.write = () => {
    throw new Error("the disk is full");
  };
  channel.later.splice(0).forEach((work) => work());
  runtime.store.write = write;
  expect(runtime.logged).toEqual([expect.stringContaining("the disk is full")]);
  expect(journalKinds(runtime, session)).toEqual(["tool_end"]);
});

it("[HO56] events behind the spool wait in it, and are applied in their order by the worker", async () => {
  const runtime = tempRuntime();
  const channel = aChannel(runtime);
  const entry = { session_id: session, prompt_id: "p1", prompt: "fix the parser" };
  spool.append(runtime.paths.spool, {
    at: runtime.now(),
    event: "UserPromptSubmit",
    clientPid,
    clientStart: null,
    input: entry,
  });
  expect(await channel.event("PreToolUse", bash)).toEqual({ content: [] });
  expect(journalKinds(runtime, session)).toEqual([]);
  drainInto(runtime);
  expect(journalKinds(runtime, session)).toEqual(["prompt", "tool_start"]);
});

it("[HO32] an edit of a reserved file is refused, also while events wait in the spool", async () => {
  const runtime = tempRuntime();
  const channel = aChannel(runtime);
  const project = aProject();
  mkdirSync(join(project, "src"), { recursive: true });
  runtime.store.write((sql) => {
    sql.run("INSERT INTO team_projects (workspace, root, project, at) VALUES ('w', ?, 'p', 1)", project);
    const by = { holder: "another", holderName: "Another", machine: "m", checkout: project, since: 1 };
    files.upsert(sql, 1, { resource: "file:p/src/a.ts", workspace: "w", ...by });
  });
  const edit = {
    tool_name: "Edit",
    tool_use_id: "toolu_4",
    cwd: project,
    "tool_input.file_path": join(project, "src", "a.ts"),
  };
  const refused = async (): Promise<string> => (await channel.event("PreToolUse", edit)).content[0]?.text ?? "";
  expect(JSON.parse(await refused())).toMatchObject({ hookSpecificOutput: { permissionDecision: "deny" } });
  spool.append(runtime.paths.spool, { at: 1, event: "Stop", clientPid, clientStart: null, input: {} });
  expect(JSON.parse(await refused())).toMatchObject({ hookSpecificOutput: { permissionDecision: "deny" } });
});

it("[HO33] a risky tool is answered only when its checkpoint and its files are saved", async () => {
  const checkpoint = { ...defaults.checkpoint, beforeTools: ["Bash"] };
  const runtime = tempRuntime({ config: { ...defaults, checkpoint } });
  const { promise, resolve } = Promise.withResolvers<void>();
  const channel = aChannel(runtime, () => promise);
  let isAnswered = false;
  const answered = channel.event("PreToolUse", bash).then(() => (isAnswered = true));
  await Promise.resolve();
  expect([isAnswered, channel.deferred[0]?.trigger]).toEqual([false, "before_tool"]);
  resolve();
  await answered;
  expect(isAnswered).toBe(true);
});

it("[HO12] a compaction is answered with nothing that the client could print", async () => {
  const runtime = tempRuntime();
  const channel = aChannel(runtime);
  expect(await channel.event("PreCompact", { trigger: "auto" })).toEqual({ content: [] });
  expect(await channel.event("PostCompact", { trigger: "auto", compact_summary: "short" })).toEqual({ content: [] });
});

it("[HO34] the client waits for no event longer than the time limit of its hook, and passes single fields", () => {
  const events = ["PreToolUse", "PostToolUse", "Stop", "PostCompact"] as const;
  const handlers = events.flatMap((event) => hookToolGroups(event, "shim")).flatMap(({ hooks }) => hooks);
  expect(handlers.map(({ timeout }) => timeout)).toEqual(handlers.map(() => 5));
  expect(handlers.flatMap(({ input }) => Object.values(input))).not.toContain("${tool_response}");
  const groups = hookToolGroups("PreToolUse", "shim");
  expect(groups.map(({ matcher }) => matcher)).toEqual(["^(?!mcp__)", "^mcp__"]);
  expect(groups.map(({ hooks }) => hooks.map(({ input }) => "tool_input" in input))).toEqual([[false], [true]]);
});
