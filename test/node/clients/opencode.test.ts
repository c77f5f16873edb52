import { once } from "node:events";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type RequestListener } from "node:http";
import { setImmediate as nextTurn } from "node:timers/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished, vi } from "vitest";
import { HookProgram, clientHeader, homeHeader, valueOf } from "#src/clients/adapter/hook-program.ts";
import { openCodeHooks, type OpenCodeHooks } from "#src/clients/opencode/opencode-plugin.ts";
import { hostSocket, prepareSocketFolder } from "#src/platform/host-socket.ts";
import { systemProcesses } from "#src/platform/processes.ts";
import { untilFound } from "#harness/claude/claude-code.ts";
import { childrenOf, type Child } from "#harness/machine/process-tree.ts";
import { recording, RecordedClient } from "#harness/clients/recorded-client.ts";
import { tempRuntime, type TempRuntime } from "#harness/machine/temp-runtime.ts";

const session = "ses_example0002";
const client = {
  session: { get: () => Promise.resolve({ data: { version: "1.18.33" } }) },
  app: { log: () => Promise.resolve(null) },
  tui: { showToast: (toast: object) => Promise.resolve(void toasts.push(toast)) },
  postSessionIdPermissionsPermissionId: (reply: object) => Promise.resolve(void replies.push(reply)),
};
const replies: object[] = [];
const toasts: object[] = [];

interface Chat {
  readonly hooks: OpenCodeHooks;
  readonly recorded: RecordedClient;
}

/** The plugin in a process of OpenCode. @param isRepeated each event comes twice */
function chatOf(runtime: TempRuntime, pid = 2_000, isRepeated = false): Chat {
  const recorded = new RecordedClient(runtime, "opencode", pid);
  const send = (event: string, payload: object): Promise<Record<string, unknown>> => {
    const answer = recorded.report(event, payload);
    if (isRepeated) recorded.report(event, payload);
    return Promise.resolve(answer);
  };
  return { hooks: openCodeHooks({ client, directory: "/home/user/project" }, send), recorded };
}

function event(name: string, changes: object = {}): { event: Record<string, unknown> } {
  const payload = structuredClone(recording("opencode", name).payload) as { properties: object };
  return { event: { ...payload, properties: { ...payload.properties, ...changes } } };
}

interface Call<Output> {
  readonly i: Record<string, unknown>;
  readonly o: Output;
}

function call<Output>(name: string): Call<Output> {
  return structuredClone(recording("opencode", name).payload) as unknown as Call<Output>;
}

async function prompt({ hooks }: Chat, id = session, messageId?: string): Promise<readonly unknown[]> {
  const { o } = call<{ message: Record<string, unknown>; parts: unknown[] }>("chat.message");
  if (messageId !== undefined) o.message["id"] = messageId;
  await hooks["chat.message"]({ sessionID: id }, o);
  return o.parts;
}

async function tool({ hooks }: Chat, kind: string, changes: object = {}): Promise<void> {
  const before = call<{ args: unknown }>(`tool.execute.before${kind}`);
  await hooks["tool.execute.before"]({ ...before.i, ...changes }, before.o);
  const after = call<{ output: unknown }>(`tool.execute.after${kind}`);
  await hooks["tool.execute.after"]({ ...after.i, ...changes }, after.o);
}

it("OpenCode's events are recorded under its name, with the words of both", async () => {
  const chat = chatOf(tempRuntime());
  await chat.hooks.event(event("event.session.created"));
  await prompt(chat);
  const said = { part: { type: "text", text: "I look first.", sessionID: session, time: { start: 1, end: 2 } } };
  await chat.hooks.event(event("event.message.part.updated"));
  await chat.hooks.event(event("event.message.part.updated", said));
  await tool(chat, "");
  await tool(chat, "-write");
  const failed = { type: "tool", tool: "read", callID: "c9", state: { status: "error", error: "no such file" } };
  await chat.hooks.event(event("event.message.part.updated", { part: failed }));
  const last = { part: { type: "text", text: "All done.", sessionID: session, time: { end: 3 } } };
  await chat.hooks.event(event("event.message.part.updated", last));
  await chat.hooks.event(event("event.session.idle"));
  expect(chat.recorded.session(session)).toMatchObject({ client: "opencode", toolCalls: 3, model: "scripted" });
  expect(chat.recorded.entries(session)).toMatchObject([
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
  const chat = chatOf(tempRuntime());
  await chat.hooks.event(event("event.session.created"));
  await prompt(chat);
  const child = { sessionID: "ses_child", info: { id: "ses_child", parentID: session } };
  await chat.hooks.event(event("event.session.created", child));
  expect(await prompt(chat, "ses_child")).toHaveLength(1);
  await tool(chat, "", { sessionID: "ses_child" });
  await chat.hooks.event(event("event.session.idle", { sessionID: "ses_child" }));
  await chat.hooks.event(event("event.session.idle", { sessionID: "ses_child" }));
  expect(chat.recorded.entries(session).map(({ kind }) => kind)).toEqual(["start", "prompt", "tool_start", "tool_end"]);
  expect(chat.recorded.entries(session).at(-1)).toMatchObject({ name: "Bash (subagent)" });
});

it("a compaction is asked to keep the prompts", async () => {
  const chat = chatOf(tempRuntime());
  await chat.hooks.event(event("event.session.created"));
  await prompt(chat);
  const { o } = call<{ context: string[] }>("experimental.session.compacting");
  await chat.hooks["experimental.session.compacting"]({ sessionID: session }, o);
  await chat.hooks.event(event("event.session.compacted", { sessionID: session }));
  expect(o.context).toEqual([expect.stringContaining("do the scripted work")]);
  expect(chat.recorded.entries(session).slice(2)).toMatchObject([
    { kind: "compacting", trigger: "auto" },
    { kind: "start", source: "compact" },
    { kind: "given_back" },
    // OpenCode's event brings no summary.
    { kind: "compacted", summary: "" },
  ]);
});

it("an API error ends the turn, an interruption by the user does not; a question waits", async () => {
  const chat = chatOf(tempRuntime());
  await prompt(chat);
  const failed = (error: object): { event: Record<string, unknown> } => ({
    event: { type: "session.error", properties: { sessionID: session, error } },
  });
  await chat.hooks.event(failed({ name: "MessageAbortedError" }));
  await chat.hooks.event(failed({ name: "APIError", data: { message: "overloaded" } }));
  expect(chat.recorded.entries(session).slice(2)).toMatchObject([{ kind: "failure", text: "overloaded" }]);
  await chat.hooks.event({ event: { type: "permission.asked", properties: { sessionID: session } } });
  await nextTurn();
  expect(chat.recorded.session(session)).toMatchObject({ waiting: { for: "permission" } });
});

it("a dialog's decision from elsewhere is given to OpenCode, unless its user was faster; other events do not wait for it", async () => {
  const sent: { event: string; payload: object; gone: AbortSignal | undefined; answer: (given: object) => void }[] = [];
  const hooks = openCodeHooks({ client, directory: "/p" }, (name, payload, gone) => {
    if (name !== "PermissionRequest") return Promise.resolve({});
    return new Promise((resolve) => void sent.push({ event: name, payload, gone, answer: resolve as () => void }));
  });
  const asked = (id: string, properties: object) =>
    hooks.event({ event: { type: "permission.asked", properties: { id, sessionID: session, ...properties } } });
  await asked("per_1", { permission: "bash", patterns: ["rm *"], metadata: { command: "rm a" } });
  await asked("per_2", { permission: "edit", patterns: ["a.ts"], metadata: { filepath: "/p/a.ts", diff: "-a\n+b" } });
  await asked("per_3", { permission: "webfetch", patterns: ["https://example.com"], metadata: {} });
  await hooks.event({ event: { type: "session.idle", properties: { sessionID: session } } });
  await vi.waitUntil(() => sent.length === 3);
  expect(sent.map(({ payload }) => payload)).toMatchObject([
    { session_id: session, tool_name: "bash", tool_input: { command: "rm a" } },
    { tool_name: "edit", tool_input: { filePath: "/p/a.ts", diff: "-a\n+b" } },
    { tool_name: "webfetch", tool_input: { patterns: ["https://example.com"] } },
  ]);
  await hooks.event({
    event: { type: "permission.replied", properties: { sessionID: session, requestID: "per_3", reply: "once" } },
  });
  expect(sent.map(({ gone }) => gone?.aborted)).toEqual([false, false, true]);
  for (const [at, behavior] of ["allow", "deny", "allow"].entries())
    sent[at]?.answer({ hookSpecificOutput: { decision: { behavior } } });
  await vi.waitUntil(() => replies.length === 2);
  expect(replies).toEqual([
    { path: { id: session, permissionID: "per_1" }, body: { response: "once" } },
    { path: { id: session, permissionID: "per_2" }, body: { response: "reject" } },
  ]);
});

it("a refusal reaches OpenCode as the call's error, a failing hook does not", async () => {
  const deny = { permissionDecision: "deny", permissionDecisionReason: "src/a.ts is reserved" };
  const refusing = openCodeHooks({ client, directory: "/p" }, () => Promise.resolve({ hookSpecificOutput: deny }));
  const before = refusing["tool.execute.before"]({ sessionID: session, tool: "edit", callID: "c1" }, { args: {} });
  await expect(before).rejects.toThrow("src/a.ts is reserved");
  const failing = openCodeHooks({ client, directory: "/p" }, () => Promise.reject(new Error("gone")));
  await failing["tool.execute.before"]({ sessionID: session, tool: "edit", callID: "c1" }, { args: {} });
  await failing["tool.execute.after"]({ sessionID: session, tool: "edit", callID: "c1" }, { output: "ok" });
  expect(await prompt({ hooks: failing, recorded: new RecordedClient(tempRuntime(), "opencode") })).toHaveLength(1);
});

it("a command that ends with a code other than 0 has failed", async () => {
  const chat = chatOf(tempRuntime());
  await prompt(chat);
  const { i } = call("tool.execute.after");
  await chat.hooks["tool.execute.after"](i, { output: "no such file", metadata: { exit: 3 } });
  expect(chat.recorded.entries(session).at(-1)).toMatchObject({
    kind: "tool_error",
    text: "Exit code 3\nno such file",
  });
});

async function wholeChat(isRepeated: boolean): Promise<unknown> {
  const chat = chatOf(tempRuntime(), 2_000, isRepeated);
  const part = (fields: object): Promise<void> =>
    chat.hooks.event(event("event.message.part.updated", { part: { sessionID: session, ...fields } }));
  const { hooks } = chat;
  await hooks.event(event("event.session.created"));
  for (const turn of [1, 2]) {
    await prompt(chat, session, `prompt_${turn}`);
    await part({ type: "text", text: "I look first.", time: { end: 1 } });
    await tool(chat, "", { callID: `shell_${turn}` });
    await tool(chat, "-write", { callID: `write_${turn}` });
    await part({
      type: "tool",
      tool: "read",
      callID: `read_${turn}`,
      state: { status: "error", error: "no such file" },
    });
    await hooks.event({ event: { type: "permission.asked", properties: { sessionID: session } } });
    await hooks["experimental.session.compacting"]({ sessionID: session }, { context: [] });
    await hooks.event(event("event.session.compacted", { sessionID: session }));
    const error = { name: "APIError", data: { message: "overloaded" } };
    await hooks.event({ event: { type: "session.error", properties: { sessionID: session, error } } });
    await part({ type: "text", text: "All done.", time: { end: 2 } });
    await hooks.event(event("event.session.idle"));
  }
  const { toolCalls, toolErrors, title, waiting } = chat.recorded.session(session) ?? {};
  return { entries: chat.recorded.entries(session), toolCalls, toolErrors, title, waiting };
}

it("each event of the plugin that comes a second time counts once @night", async () => {
  const once = await wholeChat(false);
  expect(once).toMatchObject({ toolCalls: 6, toolErrors: 2 });
  expect(await wholeChat(true)).toEqual(once);
});

/** Of a hook process that answers: no speed of the machine decides. */
const limits = { eventMs: 60_000, startMs: 60_000 };

/** A home of OpenCode's process, and a program of hooks that writes down what it gets. */
function aHome(eventMs = limits.eventMs): {
  home: string;
  program: HookProgram;
  started: () => string[];
  reports: string[];
} {
  const folder = mkdtempSync(join(tmpdir(), "shim plugin-"));
  onTestFinished(() => {
    vi.unstubAllEnvs();
    rmSync(folder, { recursive: true, force: true });
  });
  const home = join(folder, "a home");
  mkdirSync(home);
  vi.stubEnv("SHIM_HOME", home);
  const notes = join(folder, "started");
  const script = join(folder, "hook.sh");
  writeFileSync(notes, "");
  writeFileSync(script, `echo "$* \${SHIM_HOOK_WAITED-}" >> '${notes}'; cat > /dev/null; echo '{"by":"program"}'\n`);
  const program = new HookProgram(["/bin/sh", script], "opencode", { ...limits, eventMs });
  return { home, program, started: () => readFileSync(notes, "utf8").split("\n").slice(0, -1), reports: [] };
}

async function aHost(home: string, answer: RequestListener): Promise<void> {
  const socket = hostSocket(home, systemProcesses.boot());
  prepareSocketFolder(home, socket);
  const server = createServer(answer).listen(socket);
  await once(server, "listening");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
}

it("the plugin sends each event to the host, with what says who sends it, and starts no process", async () => {
  const { home, program, started, reports } = aHome();
  const got: unknown[] = [];
  await aHost(home, (request, response) => {
    let body = "";
    request.setEncoding("utf8").on("data", (part: string) => (body += part));
    request.on("end", () => {
      const pid = Number.parseInt(String(request.headers[clientHeader]), 10);
      got.push([request.url, pid, valueOf(request.headers, homeHeader), body]);
      response.end(request.url?.endsWith("Stop") ? "" : '{"by":"host"}');
    });
  });
  const send = (event: string): Promise<unknown> =>
    program.send(event, { prompt: "ü\u2028" }, (text) => void reports.push(text));
  expect(await send("UserPromptSubmit")).toEqual({ by: "host" });
  expect(await send("Stop")).toEqual({});
  expect(got).toEqual(
    ["UserPromptSubmit", "Stop"].map((event) => [
      `/hook/opencode/${event}`,
      process.pid,
      home,
      JSON.stringify({ prompt: "ü\u2028" }),
    ]),
  );
  expect([started(), reports]).toEqual([[], []]);
});

const failing: Readonly<Record<string, readonly [RequestListener | null, waited: string]>> = {
  "that is not there": [null, ""],
  "that refuses it": [(_request, response) => response.writeHead(409).end("no"), ""],
  "whose answer breaks off": [(_request, response) => response.write("half", () => response.destroy()), ""],
  "that hangs": [() => undefined, "1"],
};

it.each(Object.entries(failing))(
  "an event for a host %s has a hook process, which knows whether the host was waited for",
  async (_kind, [answer, waited]) => {
    const { home, program, started, reports } = aHome(waited ? 5_000 : limits.eventMs);
    if (answer) await aHost(home, answer);
    expect(await program.send("Stop", {}, (text) => void reports.push(text))).toEqual({ by: "program" });
    expect(started()).toEqual([`Stop --client opencode ${waited}`]);
    expect(reports).toEqual([]);
  },
);

const isOther = ({ command }: Child): boolean => !command.includes("611");

it("a hook that hangs is ended and reported", async () => {
  aHome();
  const reports: string[] = [];
  const program = new HookProgram(["bash", "-c", "exec sleep 611"], "opencode", { ...limits, eventMs: 200 });
  expect(await program.send("Stop", {}, (message) => reports.push(message))).toEqual({});
  expect(reports).toEqual([expect.stringMatching(/^SHIM's hook did not answer at Stop: /)]);
  await untilFound(() => childrenOf(process.pid).every(isOther), "the end of the hooks");
});
