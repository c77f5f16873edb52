import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import type { ServerResponse } from "node:http";
import { setImmediate as nextTurn } from "node:timers/promises";
import { join } from "node:path";
import { expect, it, onTestFinished, vi } from "vitest";
import {
  HookProgram,
  clientHeader,
  homeHeader,
  missingText,
  valueOf,
  type NextAct,
  type SendEvent,
} from "#src/clients/adapter/hook-program.ts";
import { openCodeHooks } from "#src/clients/opencode/opencode-plugin.ts";
import { hostSocket, prepareSocketFolder } from "#src/platform/host-socket.ts";
import { systemProcesses } from "#src/platform/processes.ts";
import { untilFound } from "#harness/claude/claude-code.ts";
import { RealServer } from "#harness/edge/real-server.ts";
import { childrenOf } from "#harness/machine/process-tree.ts";
import { recording, recordings, RecordedClient } from "#harness/clients/recorded-client.ts";
import { temporaryFolder } from "#harness/machine/git-project.ts";
import { patience } from "#harness/machine/programs.ts";
import { T0, tempRuntime } from "#harness/machine/temp-runtime.ts";
import { limitOf } from "#src/machine/sessions/usage/at-limit.ts";
import * as sessions from "#src/machine/sessions/sessions.ts";

const session = "ses_example0002";
const client = {
  session: {
    get: () => Promise.resolve({ data: { version: "1.18.33" } }),
    promptAsync: (given: object) => Promise.resolve(void done.push(["prompt", given])),
    abort: (given: object) => Promise.resolve(done.push(["abort", given]) && { error: { name: "NotFoundError" } }),
  },
  app: { log: () => Promise.resolve(null) },
  tui: { showToast: (toast: object) => Promise.resolve(void toasts.push(toast)) },
  _client: {
    post: ({ headers: _headers, ...reply }: { headers: object }) => Promise.resolve(void replies.push(reply)),
  },
};
const done: (readonly [name: string, given: object])[] = [];
/** A host that has nothing for the plugin to do. */
const noAct: NextAct = () => new Promise(() => undefined);
const replies: object[] = [];
const toasts: object[] = [];

type Chat = ReturnType<typeof chatOf>;

/** The plugin in a process of `opencode run`. @param isRepeated each event comes twice */
function chatOf(runtime = tempRuntime(), isRepeated = false, nextAct = noAct, isRun = true) {
  const recorded = new RecordedClient(runtime, "opencode");
  const send = (event: string, payload: object): Promise<Record<string, unknown>> => {
    const answer = recorded.report(event, payload);
    if (isRepeated) recorded.report(event, payload);
    return Promise.resolve(answer);
  };
  const hooks = openCodeHooks({ client, directory: "/home/user/project" }, send, nextAct, isRun);
  /** A recorded event with other properties, or one with these alone. */
  const happens = (name: string, changes: object = {}): Promise<void> => {
    const known = recordings("opencode")[`event.${name}`]?.payload ?? { type: name };
    const properties = { ...(known["properties"] as object | undefined), sessionID: session, ...changes };
    return hooks.event({ event: { ...known, properties } });
  };
  const part = (fields: object): Promise<void> =>
    happens("message.part.updated", { part: { sessionID: session, ...fields } });
  const entries = () => recorded.entries(session);
  return { hooks, recorded, entries, happens, part, says: (text: string) => part({ type: "text", text, time }) };
}

const time = { start: 1, end: 2 };

interface Call<Output> {
  readonly i: Record<string, unknown>;
  readonly o: Output;
}

const call = <Output>(name: string): Call<Output> =>
  structuredClone(recording("opencode", name).payload) as unknown as Call<Output>;

async function prompt({ hooks }: Pick<Chat, "hooks">, id = session, message: object = {}): Promise<readonly unknown[]> {
  const { o } = call<{ message: Record<string, unknown>; parts: unknown[] }>("chat.message");
  Object.assign(o.message, message);
  await hooks["chat.message"]({ sessionID: id }, o);
  return o.parts;
}

async function tool({ hooks }: Chat, kind: string, changes: object = {}): Promise<void> {
  const before = call<{ args: unknown }>(`tool.execute.before${kind}`);
  await hooks["tool.execute.before"]({ ...before.i, ...changes }, before.o);
  const after = call<{ output: unknown }>(`tool.execute.after${kind}`);
  await hooks["tool.execute.after"]({ ...after.i, ...changes }, after.o);
}

/** A live chat with its first prompt. */
async function aPrompted(isRepeated = false): Promise<Chat> {
  const chat = chatOf(tempRuntime(), isRepeated);
  await chat.happens("session.created");
  await prompt(chat);
  return chat;
}

it("what the user took back in OpenCode with /undo is taken back with the next prompt, before which it may be redone", async () => {
  const runtime = tempRuntime();
  const chat = chatOf(runtime);
  const takenBack = () => chat.entries().filter(({ kind }) => kind === "taken_back");
  await chat.happens("session.created");
  for (const id of ["msg_a", "msg_b", "msg_c"]) {
    runtime.wait(10_000);
    await prompt(chat, session, { id });
    await chat.happens("session.idle");
  }
  const said = runtime.now();
  for (const messageID of ["msg_c", "msg_c_answer"]) await chat.happens("message.removed", { messageID });
  expect(takenBack()).toEqual([]);
  for (const id of ["msg_d", "msg_e"]) {
    runtime.wait(10_000);
    await prompt(chat, session, { id });
    expect(takenBack()).toEqual([{ kind: "taken_back", said, until: said + 10_000 }]);
  }
});

it.each([
  // As 1.18.33 quotes them: one argument, several, and one before its input.
  ['"say \\"hi\\" now"', 'say "hi" now'],
  ['say "it now"', 'say "it now"'],
  ['"sum up"\na \\" b\n', 'sum up\na \\" b'],
  ["\nfrom its input\n", "from its input"],
])("quotes that `opencode run` puts around a prompt are no words of the user: %j", async (text, words) => {
  const promptOf = async (isRun: boolean) => {
    const { hooks, entries } = chatOf(tempRuntime(), false, noAct, isRun);
    await hooks["chat.message"]({ sessionID: session }, { message: { id: "msg_1" }, parts: [{ type: "text", text }] });
    return entries().flatMap((entry) => (entry.kind === "prompt" ? [entry.text] : []));
  };
  expect(await promptOf(true)).toEqual([words]);
  // Typed in a window, they are the user's own.
  expect(await promptOf(false)).toEqual([text.trim()]);
});

it("a command that the user runs in OpenCode is a deed of the user, and no call of the chat", async () => {
  const chat = await aPrompted();
  await chat.happens("session.idle");
  await chat.part({ type: "text", text: "The following tool was executed by the user", synthetic: true });
  const state = { input: { command: "cat missing" }, time: { start: 1 } };
  await chat.part({ type: "tool", tool: "bash", callID: "01M8", state: { ...state, status: "running" } });
  await chat.part({ type: "tool", tool: "bash", callID: "01M8", state: { ...state, status: "error", error: "no" } });
  await chat.happens("session.idle");
  await chat.happens("session.idle");
  expect(chat.entries().slice(2)).toMatchObject([
    { kind: "turn_end" },
    { kind: "prompt", text: "! cat missing [run by the user]" },
    { kind: "turn_end" },
    { kind: "turn_end" },
  ]);
});

it.each([false, true])("OpenCode's events are recorded, also where each comes a second time: %s", async (isTwice) => {
  const chat = await aPrompted(isTwice);
  await chat.happens("message.part.updated");
  await chat.says("I look first.");
  await tool(chat, "");
  await tool(chat, "-write");
  await chat.part({ type: "tool", tool: "read", state: { status: "error", error: "no such file" }, callID: "c9" });
  await chat.says("All done.");
  await chat.happens("session.idle");
  expect(chat.recorded.session(session)).toMatchObject({ client: "opencode", toolCalls: 3, model: "scripted" });
  expect(chat.entries()).toMatchObject([
    { kind: "start", source: "startup" },
    { kind: "prompt", text: "do the scripted work" },
    { kind: "assistant", text: "I look first." },
    { kind: "tool_start", name: "Bash", input: "sleep 1; echo one" },
    { kind: "tool_end", name: "Bash" },
    { kind: "tool_start", name: "Write" },
    { kind: "tool_end", path: "/home/user/project/final.txt", action: "created" },
    { kind: "tool_error", name: "Read", text: "no such file" },
    { kind: "assistant", text: "All done." },
    { kind: "turn_end" },
  ]);
});

it("a subagent's calls are the chat's; what it is asked is no request, and it gets no brief", async () => {
  const chat = await aPrompted();
  await chat.happens("session.created", { sessionID: "ses_child", info: { id: "ses_child", parentID: session } });
  expect(await prompt(chat, "ses_child")).toHaveLength(1);
  await tool(chat, "", { sessionID: "ses_child" });
  for (let time = 0; time < 2; time++) await chat.happens("session.idle", { sessionID: "ses_child" });
  expect(chat.entries().map(({ kind }) => kind)).toEqual(["start", "prompt", "tool_start", "tool_end"]);
  expect(chat.entries().at(-1)).toMatchObject({ name: "Bash (subagent)" });
});

it("the last words of a sub-agent of OpenCode come with the end of its call", async () => {
  const chat = await aPrompted();
  const output = '<task id="ses_b" state="completed">\n<task_result>\nThe pier is full.\n</task_result>\n</task>';
  const task = { tool: "task", sessionID: session, callID: "call_task", args: { description: "look" } };
  await chat.hooks["tool.execute.before"](task, { args: task.args });
  await chat.hooks["tool.execute.after"](task, { output, metadata: { sessionId: "ses_b" } });
  expect(chat.entries().at(-1)).toEqual({ kind: "subagent_end", id: "ses_b", text: "The pier is full." });
  await chat.hooks["tool.execute.after"](
    { ...task, callID: "call_b" },
    { output: output.replace("completed", "running") },
  );
  expect(chat.entries().at(-1)).toMatchObject({ kind: "tool_end", id: "call_b" });
});

it("what the summary of a compaction lacks comes with the next prompt, and the summary is none of the chat's words", async () => {
  const chat = await aPrompted();
  await chat.happens("session.idle");
  await chat.hooks["experimental.session.compacting"]({ sessionID: session });
  await chat.says("## Goal: build");
  await chat.part({ type: "text", text: "Continue if you have next steps", synthetic: true, time });
  await chat.happens("session.compacted");
  await chat.happens("session.idle");
  expect(chat.entries().slice(3)).toMatchObject([
    { kind: "compacting", trigger: "auto" },
    { kind: "compacted", summary: "## Goal: build" },
  ]);
  const given = (await prompt(chat, session, { id: "msg_b" })) as { readonly text: string }[];
  expect(given.at(-1)?.text).toMatch(/^SHIM: this conversation was compacted\.[^]*do the scripted work/);
});

it("a command that ends with a code other than 0 has failed; an API error ends the turn, an interruption by the user does not; a question waits", async () => {
  const chat = await aPrompted();
  const { i } = call("tool.execute.after");
  await chat.hooks["tool.execute.after"](i, { output: "no such file", metadata: { exit: 3 } });
  await chat.happens("session.error", { error: { name: "MessageAbortedError" } });
  await chat.happens("session.error", { error: overloaded });
  const failure = { kind: "failure", text: "overloaded" };
  expect(chat.entries().slice(2)).toMatchObject([{ kind: "tool_error", text: "Exit code 3\nno such file" }, failure]);
  await chat.happens("permission.asked");
  await nextTurn();
  expect(chat.recorded.life(session)).toMatchObject({ asks: { for: "permission" } });
});

const overloaded = { name: "APIError", data: { message: "overloaded" } };

it("a question of OpenCode waits for the user's answer, which is kept", async () => {
  const chat = await aPrompted();
  const args = { questions: [{ question: "Which database?", options: [] }] };
  const asked = { sessionID: session, tool: "question", callID: "call_3", args };
  await chat.hooks["tool.execute.before"](asked, { args });
  await chat.happens("question.asked");
  expect(chat.recorded.life(session)?.asks?.for).toBe("dialog");
  const metadata = { answers: [["MariaDB on port nine"]] };
  await chat.hooks["tool.execute.after"](asked, { output: "answered", metadata });
  const answers = [{ question: "Which database?", answer: "MariaDB on port nine" }];
  expect(chat.entries().at(-1)).toEqual({ kind: "answers", answers });
  expect(chat.recorded.life(session)?.asks).toBeNull();
});

it("OpenCode shows the line while it waits for the end of its limit, and at an account without credit", async () => {
  const PATH = temporaryFolder();
  writeFileSync(join(PATH, "gemini"), "#!/bin/sh\n", { mode: 0o755 });
  const runtime = tempRuntime({ env: { PATH } });
  const chat = chatOf(runtime);
  const limit = (): unknown => runtime.store.read((sql) => limitOf(sql, sessions.get(sql, session)!), null);
  const retry = { type: "retry", attempt: 1, message: "no", next: T0 + 7_200_000 };
  toasts.length = 0;
  await prompt(chat);
  await chat.happens("session.status", { status: retry });
  expect([toasts, limit()]).toEqual([[], null]);
  await chat.happens("session.status", { status: { ...retry, action: { reason: "account_rate_limit" } } });
  const message = expect.stringMatching(/^SHIM: the limit ends at .*--in gemini`$/) as string;
  expect(toasts).toMatchObject([{ body: { message } }]);
  expect(limit()).toMatchObject({ resetsAtMs: retry.next });
  runtime.wait(7_200_000);
  await chat.happens("session.idle");
  expect(limit()).toBeNull();
  await prompt(chat, session, { id: "second" });
  await chat.happens("session.error", { error: { name: "APIError", data: { message: "no", statusCode: 402 } } });
  expect(toasts).toHaveLength(2);
  expect(limit()).toMatchObject({ resetsAtMs: null });
});

/** The plugin, and what it asks the host for a person, whose answer the test gives. */
function askingPlugin() {
  replies.length = 0;
  const sent: { payload: object; gone: AbortSignal | undefined; decide: (decision: object) => void }[] = [];
  const send: SendEvent = (name, payload, gone) => {
    if (name !== "PermissionRequest") return Promise.resolve({});
    const { promise, resolve } = Promise.withResolvers<Record<string, unknown>>();
    sent.push({ payload, gone, decide: (decision) => resolve({ hookSpecificOutput: { decision } }) });
    return promise;
  };
  const hooks = openCodeHooks({ client, directory: "/p" }, send, noAct);
  const happens = (type: string, id: string, properties: object): Promise<void> =>
    hooks.event({ event: { type, properties: { id, sessionID: session, ...properties } } });
  return { sent, happens };
}

it("a dialog's decision from elsewhere is given to OpenCode, unless its user was faster; other events do not wait for it", async () => {
  const { sent, happens } = askingPlugin();
  const asked = (id: string, properties: object) => happens("permission.asked", id, properties);
  const rm = { permission: "bash", patterns: ["rm *"], metadata: { command: "rm a" }, always: ["rm *"] };
  await asked("per_1", rm);
  await asked("per_2", { permission: "edit", patterns: ["a.ts"], metadata: { filepath: "/p/a.ts", diff: "-a\n+b" } });
  await asked("per_3", { permission: "webfetch", patterns: ["https://example.com"], metadata: {} });
  await asked("per_4", rm);
  await happens("session.idle", "", {});
  await vi.waitUntil(() => sent.length === 4, patience);
  const rules = [{ toolName: "bash", ruleContent: "rm *" }];
  const always = [{ type: "addRules", behavior: "allow", rules }];
  expect(sent.map(({ payload }) => payload)).toMatchObject([
    { session_id: session, tool_name: "bash", tool_input: { command: "rm a" }, permission_suggestions: always },
    { tool_name: "edit", tool_input: { filePath: "/p/a.ts", diff: "-a\n+b" }, permission_suggestions: [] },
    { tool_name: "webfetch", tool_input: { patterns: ["https://example.com"] } },
    {},
  ]);
  await happens("permission.replied", "", { requestID: "per_3", reply: "once" });
  expect(sent.map(({ gone }) => gone?.aborted)).toEqual([false, false, true, false]);
  const decisions = [
    { behavior: "allow" },
    { behavior: "deny", message: "Not now." },
    { behavior: "allow" },
    { behavior: "allow", rules: always },
  ];
  for (const [at, decision] of decisions.entries()) sent[at]?.decide(decision);
  await vi.waitUntil(() => replies.length === 3, patience);
  const url = "/permission/{requestID}/reply";
  expect(replies).toEqual([
    { url, path: { requestID: "per_1" }, body: { reply: "once" } },
    { url, path: { requestID: "per_2" }, body: { reply: "reject", message: "Not now." } },
    { url, path: { requestID: "per_4" }, body: { reply: "always" } },
  ]);
});

it("a question of OpenCode gets its answers from elsewhere, or is rejected, unless its user was faster", async () => {
  const { sent, happens } = askingPlugin();
  const questions = [{ question: "Which?", options: [{ label: "A" }, { label: "B" }], multiple: true }];
  for (const id of ["que_1", "que_2", "que_3", "que_4"]) await happens("question.asked", id, { questions });
  await vi.waitUntil(() => sent.length === 4, patience);
  expect(sent[0]?.payload).toMatchObject({ tool_name: "question", tool_input: { questions } });
  await happens("question.replied", "", { requestID: "que_3" });
  await happens("question.rejected", "", { requestID: "que_4" });
  expect(sent.map(({ gone }) => gone?.aborted)).toEqual([false, false, true, true]);
  sent[0]?.decide({ behavior: "allow", input: { questions }, answers: [["A", "own words"]] });
  sent[1]?.decide({ behavior: "deny", message: "Later." });
  await vi.waitUntil(() => replies.length === 2, patience);
  expect(replies).toEqual([
    { url: "/question/{requestID}/reply", path: { requestID: "que_1" }, body: { answers: [["A", "own words"]] } },
    { url: "/question/{requestID}/reject", path: { requestID: "que_2" }, body: {} },
  ]);
});

it("the plugin does what the user asks for from elsewhere: a prompt with the agent and model of the last one, and a stop", async () => {
  const acts: Record<string, unknown>[] = [
    { none: true },
    { number: 1, act: { prompt: '"and the docs"' } },
    { number: 2, act: { stop: true } },
  ];
  const asked: unknown[] = [];
  const nextAct: NextAct = (...given) => {
    asked.push([...given, ...done.map(([name]) => name)]);
    const act = acts.shift();
    return act === undefined ? new Promise(() => undefined) : Promise.resolve(act);
  };
  const { entries, hooks } = chatOf(tempRuntime(), false, nextAct);
  await prompt({ hooks });
  await expect.poll(() => asked.length, patience).toBe(4);
  const { agent, model } = call<{ message: Record<string, unknown> }>("chat.message").o.message;
  const path = { id: session };
  const body = { agent, model, variant: undefined, parts: [{ type: "text", text: '"and the docs"' }] };
  expect(done.splice(0)).toEqual([
    ["prompt", { path, body }],
    ["abort", { path }],
  ]);
  // What came of an act is reported once OpenCode has answered.
  expect(asked).toEqual([
    [session, undefined],
    [session, undefined],
    [session, { number: 1, isTaken: true }, "prompt"],
    [session, { number: 2, isTaken: false }, "prompt", "abort"],
  ]);
  // What the user wrote, with its quotes.
  await hooks["chat.message"]({ sessionID: session }, { message: { id: "msg_2" }, parts: [...body.parts] });
  const texts = entries().flatMap((entry) => (entry.kind === "prompt" ? [entry.text] : []));
  expect(texts).toEqual(["do the scripted work", '"and the docs"']);
});

it("a refusal reaches OpenCode as the call's error, a failing hook does not", async () => {
  const deny = { permissionDecision: "deny", permissionDecisionReason: "src/a.ts is reserved" };
  const refusing = openCodeHooks(
    { client, directory: "/p" },
    () => Promise.resolve({ hookSpecificOutput: deny }),
    noAct,
  );
  const before = refusing["tool.execute.before"]({ sessionID: session, tool: "edit", callID: "c1" }, { args: {} });
  await expect(before).rejects.toThrow("src/a.ts is reserved");
  const failing = openCodeHooks({ client, directory: "/p" }, () => Promise.reject(new Error("gone")), noAct);
  await failing["tool.execute.before"]({ sessionID: session, tool: "edit", callID: "c1" }, { args: {} });
  await failing["tool.execute.after"]({ sessionID: session, tool: "edit", callID: "c1" }, { output: "ok" });
  expect(await prompt({ hooks: failing })).toHaveLength(1);
});

/** Of a hook process that answers: no speed of the machine decides. */
const limits = { event: 60_000, start: 60_000 };

/** A home of OpenCode's process, and a program of hooks that writes down what it gets. */
function aHome(eventMs = limits.event, command?: readonly string[]) {
  const home = join(temporaryFolder(), "a home");
  mkdirSync(home);
  onTestFinished(() => void vi.unstubAllEnvs());
  vi.stubEnv("SHIM_HOME", home);
  const [notes, script] = [join(home, "started"), join(home, "hook.sh")];
  writeFileSync(notes, "");
  writeFileSync(script, `echo "$* \${SHIM_HOOK_WAITED-}" >> '${notes}'; cat > /dev/null; echo '{"by":"program"}'\n`);
  const program = new HookProgram(command ?? ["/bin/sh", script], "opencode", { ...limits, event: eventMs });
  const reports: string[] = [];
  const send = (event: string, payload = {}): Promise<unknown> =>
    program.send(event, payload, (text) => void reports.push(text));
  return { home, send, started: () => readFileSync(notes, "utf8").split("\n").slice(0, -1), reports };
}

async function aHost(home: string, answer: RealServer["answer"]): Promise<RealServer> {
  const socket = hostSocket(home, systemProcesses.boot());
  prepareSocketFolder(home, socket);
  return Object.assign(await RealServer.listen(socket), { answer });
}

it("the plugin sends each event to the host, with what says who sends it, and starts no process", async () => {
  const { home, send, started, reports } = aHome();
  const host = await aHost(home, ({ url }, response) => response.end(url.endsWith("Stop") ? "" : '{"by":"host"}'));
  const payload = { prompt: "ü\u2028" };
  expect([await send("UserPromptSubmit", payload), await send("Stop", payload)]).toEqual([{ by: "host" }, {}]);
  const got = host.seen.map(({ url, headers, body }) => {
    const pid = Number.parseInt(String(headers[clientHeader]), 10);
    return [url, [pid, valueOf(headers, homeHeader), body]];
  });
  const paths = ["/hook/opencode/UserPromptSubmit", "/hook/opencode/Stop"];
  expect(got).toEqual(paths.map((path) => [path, [process.pid, home, JSON.stringify(payload)]]));
  expect([started(), reports]).toEqual([[], []]);
});

const failing: Readonly<Record<string, readonly [RealServer["answer"] | null, waited: string]>> = {
  "that is not there": [null, ""],
  "that refuses it": [(_request, response) => response.writeHead(409).end("no"), ""],
  "whose answer breaks off": [(_request, response) => response.write("half", () => response.destroy()), ""],
  "that hangs": [() => undefined, "1"],
};

it.each(Object.entries(failing))(
  "an event for a host %s has a hook process, which knows whether the host was waited for",
  async (_kind, [answer, waited]) => {
    const { home, send, started, reports } = aHome(waited ? 50 : limits.event);
    if (answer) await aHost(home, answer);
    expect(await send("SessionStart")).toEqual({ by: "program" });
    expect([started(), reports]).toEqual([[`SessionStart --client opencode ${waited}`], []]);
  },
);

it("a permission request is waited for as long as a host holds it, in a client that does not show that the host does so", async () => {
  const { home, send, started } = aHome(50);
  const held: ServerResponse[] = [];
  await aHost(home, ({ url }, response) => void (url.endsWith("PermissionRequest") && held.push(response)));
  const asked = send("PermissionRequest");
  // By then another event was given up.
  expect(await send("SessionStart")).toEqual({ by: "program" });
  await vi.waitUntil(() => held.length === 1, patience);
  held[0]?.end('{"by":"host"}');
  expect(await asked).toEqual({ by: "host" });
  expect(started()).toEqual(["SessionStart --client opencode 1"]);
});

it("a chat whose SHIM goes while it is open gets the words for its user, not the trace of Node", async () => {
  const gone = "/nonexistent/hook.cjs";
  for (const node of [process.execPath, "/nonexistent/node"]) {
    const { send, reports } = aHome(limits.event, [node, gone]);
    expect(await send("UserPromptSubmit")).toEqual({});
    expect(reports).toEqual([missingText(gone, node)]);
  }
});

it("a hook that hangs is ended and reported", async () => {
  const { send, reports } = aHome(200, ["bash", "-c", "exec sleep 611"]);
  expect(await send("Stop")).toEqual({});
  expect(reports).toEqual(["SHIM's hook did not answer at Stop."]);
  await untilFound(() => !childrenOf(process.pid).some(({ command }) => command.includes("611")), "the hook's end");
});
