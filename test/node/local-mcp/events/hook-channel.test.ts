import { setImmediate as nextTurn } from "node:timers/promises";
import { join } from "node:path";
import { expect, it, vi } from "vitest";
import { HookChannel, type HookReply } from "#src/local-mcp/events/hook-channel.ts";
import { Settling, type DeferredWork } from "#src/local-mcp/events/after-answer.ts";
import { answerHook } from "#src/local-mcp/events/answer-hook.ts";
import { type HookToolEvent } from "#src/contract/hook-tool.ts";
import * as journal from "#src/machine/sessions/journal.ts";
import * as spool from "#src/store/spool.ts";
import { aDeadClaude, aProject, journalKinds } from "#harness/machine/claude.ts";
import { patience } from "#harness/machine/programs.ts";
import { tempRuntime, type TempRuntime } from "#harness/machine/temp-runtime.ts";
import { reservationReceived, nameProject } from "#harness/team/team-rig.ts";
import { existsSync } from "node:fs";
import { connect } from "node:net";
import * as sessions from "#src/machine/sessions/sessions.ts";
import { aHost, ask } from "#harness/machine/host-rig.ts";
import { adapterOf } from "#src/clients/adapters.ts";
import { findClientPid } from "#src/local-mcp/events/read-event.ts";
import { statusOf } from "#src/machine/view/status-line.ts";
import { renderStatus } from "#src/machine/view/status-text.ts";
import { isOfForeignCaller } from "#src/local-mcp/events/payload.ts";
import { valueVariables } from "#src/clients/adapter/hook-program.ts";
import { column } from "#harness/store/store-test.ts";
import { makeProject } from "#harness/machine/git-project.ts";
import { recordings } from "#harness/clients/recorded-client.ts";

const session = "7d1f0c62-2f3c-4f0e-9a6b-0d2a4c1f8b11";
const clientPid = 1_000;

/** A caller that waits. */
const stays = new AbortController().signal;

type Fields = Readonly<Record<string, string>>;

function aChannel(
  runtime = tempRuntime(),
  done: (work: DeferredWork) => Promise<unknown> = async () => {},
  pause: () => Promise<void> = () => new Promise(() => {}),
) {
  runtime.processes.start(clientPid);
  const deferred: DeferredWork[] = [];
  const later: (() => void)[] = [];
  const channel = new HookChannel({
    runtime,
    pid: 2_000,
    clientPid,
    settling: new Settling({
      finish: (work) => (deferred.push(work), done(work)),
      schedule: (settle) => void later.push(settle),
      pause,
    }),
  });
  const answer = (event: HookToolEvent, fields: Fields = {}): Promise<HookReply> =>
    channel.answer({ event, session_id: session, prompt_id: "p1", agent_id: "", ...fields }, stays);
  /** The work for the time after an answer. */
  const finish = (): void => later.splice(0).forEach((work) => work());
  const event = async (name: HookToolEvent, fields?: Fields): Promise<HookReply> => {
    const reply = await answer(name, fields);
    finish();
    return reply;
  };
  return { runtime, channel, deferred, answer, finish, event };
}

const bash = { tool_name: "Bash", tool_use_id: "toolu_1", "tool_input.command": "npm test" };
const entries = (runtime: TempRuntime): unknown[] =>
  runtime.store.read((sql) => journal.list(sql, session, 0), []).map(({ entry }) => entry);

it("an event that the MCP process takes is stored as the same event of a hook process is, and of both once", async () => {
  const [byTool, byProcess] = [tempRuntime(), tempRuntime()];
  const { event } = aChannel(byTool);
  byProcess.processes.start(clientPid);
  const ls = { tool_name: "Bash", tool_use_id: "toolu_1", tool_input: { command: "npm test" } };
  const task = { tool_name: "TaskCreate", tool_use_id: "toolu_2" };
  const written = { "tool_input.subject": "Write it", "tool_response.task": '{"id":"1"}' };
  const made = { tool_input: { subject: "Write it" }, tool_response: { task: { id: "1" } } };
  const failed = { tool_use_id: "toolu_3", error: "Exit code 3" };
  const last = { last_assistant_message: "All done." };
  for (const [name, fields, input] of [
    ["PreToolUse", bash, ls],
    ["PostToolUse", { ...bash, duration_ms: "18" }, { ...ls, duration_ms: 18 }],
    ["PostToolUse", { ...task, ...written }, { ...task, ...made }],
    ["PostToolUseFailure", { ...bash, ...failed }, { ...ls, ...failed }],
    ["Stop", { ...last, stop_hook_active: "false" }, last],
  ] as const) {
    await event(name, fields);
    const text = JSON.stringify({ session_id: session, prompt_id: "p1", stop_hook_active: false, ...input });
    for (const runtime of [byProcess, byTool]) expect(answerHook(runtime, name, () => text, clientPid)).toBe("");
  }
  expect(entries(byTool)).toEqual(entries(byProcess));
  expect(entries(byTool)).toHaveLength(7);
});

it("an input that is no event of a hook changes nothing, and is answered", async () => {
  const { runtime, channel, event } = aChannel();
  const given = [null, 7, "x", {}, { event: "SessionStart" }, { event: "__proto__" }, { event: "Stop" }];
  for (const one of given) expect(await channel.answer(one, stays)).toEqual({ content: [] });
  expect(runtime.logged).toHaveLength(given.length);
  expect(runtime.store.exists()).toBe(false);
  expect(await event("Stop")).toEqual({ content: [] });
});

it("an edit of a reserved file is refused, also while events wait in the spool, and in a patch of several files", async () => {
  const { runtime, event } = aChannel();
  const project = aProject();
  nameProject(runtime, project);
  reservationReceived(runtime, { resource: "file:parser/a.ts", checkout: project });
  const call = { tool_name: "Edit", cwd: project, "tool_input.file_path": join(project, "a.ts") };
  for (const tool_use_id of ["toolu_4", "toolu_5"]) {
    const { content } = await event("PreToolUse", { ...call, tool_use_id });
    expect(JSON.parse(content[0]?.text ?? "")).toMatchObject({ hookSpecificOutput: { permissionDecision: "deny" } });
    spool.append(runtime.paths.spool, { at: 1, event: "Stop", client: null, input: {} });
  }
  const command = "*** Begin Patch\n*** Update File: b.ts\n*** Update File: a.ts\n*** End Patch\n";
  const patch = { cwd: project, turn_id: "t", tool_name: "apply_patch", tool_input: { command } };
  expect(byHook(runtime, "PreToolUse", patch, clientPid, "codex")).toContain('"permissionDecision":"deny"');
});

it("a risky tool is answered only when its checkpoint and its files are saved, or the time for that is over", async () => {
  const options = { config: { checkpoint: { beforeTools: ["Bash"] } } };
  const runtime = tempRuntime(options);
  const { promise, resolve } = Promise.withResolvers<void>();
  const { event, deferred } = aChannel(runtime, () => promise);
  let isAnswered = false;
  const answered = event("PreToolUse", bash).then(() => (isAnswered = true));
  await nextTurn();
  expect([isAnswered, deferred[0]?.trigger]).toEqual([false, "before_tool"]);
  resolve();
  expect(await answered).toBe(true);
  const hanging = aChannel(
    tempRuntime(options),
    () => new Promise(() => {}),
    async () => {},
  );
  expect(await hanging.event("PreToolUse", bash)).toEqual({ content: [] });
});

it("what two events of a chat leave is done once, with the checkpoint that is due for the first", async () => {
  const { answer, finish, deferred } = aChannel();
  for (const event of ["Stop", "Notification"] as const) await answer(event);
  finish();
  expect(deferred).toMatchObject([{ event: "Notification", trigger: expect.any(String) as string }]);
});

it("of a session that another process owned the owner is sought again with the next event", async () => {
  const { runtime, event } = aChannel();
  const begin = (pid: number): string => byHook(runtime, "SessionStart", { source: "resume" }, pid);
  // The client 400 is behind the wrapper of the channel; 500 is no ancestor of it.
  const tree = [[400], [clientPid, 400], [2_000, clientPid], [500]] as const;
  for (const [pid, parent] of tree) runtime.processes.start(pid, parent);
  begin(500);
  await event("Notification", { message: "waits" });
  runtime.processes.kill(500);
  begin(400);
  await event("PostToolUse", bash);
  expect(runtime.store.read((sql) => sessions.get(sql, session), null)).toMatchObject({ owner: { pid: 400 } });
  expect(journalKinds(runtime, session)).toContain("tool_end");
});

/** The script of a client with the number 100, behind two shells, that posts to a host. */
async function aScript(runtime: TempRuntime = tempRuntime()) {
  await aHost(runtime);
  const link = join(runtime.paths.home, "host.sock");
  await vi.waitUntil(() => existsSync(link), patience);
  runtime.processes.start(100, 1, "codex");
  runtime.processes.start(101, 100, "bash");
  const { start } = runtime.processes.start(102, 101, "sh");
  const stat = `102 (sh) S 101${" 0".repeat(17)} ${start}`;
  const own = { "shim-home": `=${runtime.paths.home}`, "shim-process": stat, "shim-env-home": "=/home/user" };
  const post = (client: string, event: string, fields: object = {}, headers: object = {}) =>
    ask(link, "POST", `/hook/${client}/${event}`, payload(event, fields), { ...own, ...headers });
  const stored = (id = session) => runtime.store.read((sql) => sessions.get(sql, id), null);
  return { runtime, link, own, post, stored };
}

function payload(event: string, fields: object = {}): object {
  return { session_id: session, hook_event_name: event, cwd: "/p", ...fields };
}

/** What a process of hooks of the client answers. */
const byHook = (runtime: TempRuntime, event: string, fields: object, pid: number, client = "claude-code"): string =>
  answerHook(runtime, event, () => JSON.stringify(payload(event, fields)), pid, adapterOf(client) ?? undefined);

const nothing = { status: 200, body: "" };

it("a posted event is stored for the client behind the shells of the script", async () => {
  const { runtime, post, stored } = await aScript();
  const start = { source: "startup", turn_id: "t", transcript_path: "/x/sessions/rollout-1.jsonl" };
  expect(await post("codex", "SessionStart", start)).toEqual(nothing);
  expect(await post("codex", "UserPromptSubmit", { prompt: "one" })).toEqual(nothing);
  expect(stored()).toMatchObject({ client: "codex", owner: { pid: 100 } });
  expect(journalKinds(runtime, session)).toContain("prompt");
  expect(runtime.logged).toEqual([]);
});

it("the host knows another client that runs Claude Code's hooks by the caller's variables, not by its own", async () => {
  const runtime = tempRuntime();
  const { post, stored } = await aScript({ ...runtime, env: { ...runtime.env, CLAUDECODE: "1" } });
  expect(await post("claude-code", "Stop")).toEqual(nothing);
  expect(stored()).toBeNull();
  const own = { "shim-env-claudecode": "=1", "shim-env-claude-pid": "=100" };
  expect(await post("claude-code", "Stop", {}, own)).toEqual(nothing);
  expect(stored()).toMatchObject({ owner: { pid: 100 } });
});

it("a host that began in the run of a task gives the brief to another chat all the same", async () => {
  const runtime = tempRuntime();
  const { cwd } = aDeadClaude(runtime);
  const { post } = await aScript({ ...runtime, env: { SHIM_TASK: "7" } });
  expect((await post("codex", "SessionStart", { source: "startup", cwd })).body).toContain("fix the parser");
});

const measured = (tokens: number) => ({
  model: { id: "claude-opus-5-5" },
  context_window: { context_window_size: 200_000, current_usage: { input_tokens: tokens } },
});

it("the status line that a script asks for is its chat's, whose readings are stored; of a caller that has gone nothing is", async () => {
  const { runtime, link, own, post, stored } = await aScript();
  const claude = { ...own, "shim-env-claudecode": "=1", "shim-env-claude-pid": "=100" };
  await post("claude-code", "UserPromptSubmit", { prompt: "one" }, claude);
  runtime.store.write((sql) => sessions.markSaved(sql, runtime.now(), session, null));
  const { body } = await post("claude-code", "StatusLine", measured(100_000), { ...own, "shim-zone": "-720" });
  expect(body).toBe(renderStatus(statusOf(runtime, JSON.stringify(payload("StatusLine"))), runtime.now(), -720));
  expect(body).toMatch(/^SHIM: saved at .* \| risk /);
  const isHalf = { readings: { contextFill: { value: 0.5, source: "measured" } } };
  expect(stored()).toMatchObject(isHalf);
  await leave(link, own, "claude-code/StatusLine", payload("StatusLine", measured(150_000)));
  await post("claude-code", "Stop", {}, claude);
  expect(stored()).toMatchObject(isHalf);
  expect(runtime.logged).toEqual([]);
});

/** A caller that has gone with its last byte. */
async function leave(link: string, own: object, path: string, event: object): Promise<void> {
  const body = JSON.stringify(event);
  const headers = Object.entries({ host: "shim", ...own, "content-length": body.length });
  const head = headers.map(([name, value]) => `${name}: ${value}\r\n`).join("");
  const connection = connect(link);
  connection.end(`POST /hook/${path} HTTP/1.1\r\n${head}\r\n${body}`);
  await new Promise((resolve) => connection.once("close", resolve).resume());
}

it("a risky tool of a client that posts is answered when its files are saved", async () => {
  const { project } = makeProject({ "a.txt": "one\n" });
  const { runtime, post } = await aScript(tempRuntime({ config: { checkpoint: { beforeTools: ["Bash"] } } }));
  const call = { tool_name: "Bash", tool_use_id: "t1", tool_input: { command: "make" }, turn_id: "t", cwd: project };
  await post("codex", "PreToolUse", call, { "shim-env-path": `=${process.env["PATH"]}` });
  expect(runtime.store.read((sql) => column(sql, "SELECT state FROM snapshots"), [])).toEqual(["done"]);
});

it("a stranger, an unknown client and a body that is too long are refused, and nothing is stored", async () => {
  const { own, post, stored } = await aScript();
  const fields = own["shim-process"].split(" ");
  const strangers = [fields.with(3, "1"), [...fields.slice(0, -1), "7"], fields.with(0, "103"), ["none"]];
  for (const headers of [...strangers.map((one) => ({ "shim-process": one.join(" ") })), { "shim-home": "=/another" }])
    expect(await post("codex", "Stop", {}, headers)).toMatchObject({ status: 409 });
  expect(await post("unknown", "Stop")).toMatchObject({ status: 404 });
  const large = post("codex", "Stop", { text: "x".repeat(33_000_000) }).catch(() => ({ status: 413 }));
  expect(await large).toMatchObject({ status: 413 });
  expect(stored()).toBeNull();
});

it("the event of a caller that has gone with its last byte waits in the spool, and comes with the next event", async () => {
  const { link, own, post, stored } = await aScript();
  await leave(link, own, "codex/Stop", payload("Stop", { session_id: "another" }));
  await post("codex", "UserPromptSubmit");
  expect([stored("another"), stored()]).toEqual([expect.anything(), expect.anything()]);
});

const sent: ReadonlySet<string> = new Set(valueVariables);
/** Of the machine, and none: the host's own are right. */
const ofMachine: ReadonlySet<string> = new Set(["SHIM_HOME", "SHIM_WORKSPACE_KEY", "USERPROFILE", ""]);

/** The names of the variables that are read from it. */
function watched(env: NodeJS.ProcessEnv, read: Set<string>): NodeJS.ProcessEnv {
  return new Proxy(env, {
    // A program that is started gets all of them.
    ownKeys: () => [],
    get(target, name) {
      if (typeof name === "string") read.add(name);
      return target[String(name)];
    },
  });
}

it("an answer depends on no variable that the script does not send", () => {
  const read = new Set<string>();
  const claude = { CLAUDECODE: "1", CLAUDE_CODE_ENTRYPOINT: "cli" };
  for (const [name, recorded, own] of [
    ...["codex", "copilot", "qwen", "gemini"].map((one) => [one, one, {}] as const),
    ["claude-code", "qwen", claude] as const,
  ]) {
    const adapter = adapterOf(name);
    if (!adapter) throw new Error(`no adapter is named ${name}`);
    const runtime = tempRuntime();
    runtime.processes.start(2_000);
    const cwd = aProject();
    for (const [event, { env, payload }] of Object.entries(recordings(recorded))) {
      const watchedEnv = watched({ HOME: "/home/user", ...env, ...own }, read);
      const input = JSON.stringify({ ...payload, cwd, ...(own === claude ? { timestamp: undefined } : {}) });
      isOfForeignCaller({ client: name, input, env: watchedEnv });
      const pid = findClientPid(runtime.processes, adapter, watchedEnv, 2_000);
      answerHook({ ...runtime, env: watchedEnv }, event.split("-")[0] ?? "", () => input, pid, adapter);
      statusOf({ ...runtime, env: watchedEnv }, input);
    }
  }
  expect(read).toContain("CLAUDE_CODE_ENTRYPOINT");
  expect([...read].filter((name) => !sent.has(name) && !ofMachine.has(name))).toEqual([]);
});
