import { once } from "node:events";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createServer, request, type IncomingMessage, type ServerResponse } from "node:http";
import { text as streamText } from "node:stream/consumers";
import { afterEach, expect, it, onTestFinished, vi } from "vitest";
import { aChat, anotherClaude } from "#harness/machine/claude.ts";
import { servedInTest } from "#harness/edge/real-server.ts";
import { patience } from "#harness/machine/programs.ts";
import { aFront, aFrontRig, aHost, ask, settled } from "#harness/machine/host-rig.ts";
import { tempRuntime } from "#harness/machine/temp-runtime.ts";
import { hostSocket, prepareSocketFolder } from "#src/platform/host-socket.ts";
import { systemProcesses } from "#src/platform/processes.ts";
import { startMark } from "#src/local-mcp/host-client/reach-host.ts";
import type { MachineOutput } from "#src/contract/machine/operations.ts";
import { postEvent } from "#src/local-mcp/events/post-event.ts";
import { answerHook } from "#src/local-mcp/events/answer-hook.ts";
import { listNewest } from "#src/machine/sessions/machine-audit.ts";
import * as sessions from "#src/machine/sessions/sessions.ts";

const session = "7d1f0c62-2f3c-4f0e-9a6b-0d2a4c1f8b11";
const on: Record<string, unknown> = { answers: { isEnabled: true } };
const undecided = { content: [{ type: "text", text: "{}" }] };
const rm = { tool_name: "Bash", tool_input: JSON.stringify({ command: "rm -r build", description: "Clean" }) };

afterEach(() => {
  // First: a spy on a fake timer would bring it back.
  vi.restoreAllMocks();
  vi.useRealTimers();
});

type Called = Record<string, unknown>;
type Shown = MachineOutput<"requests.list">["requests"][number];

/** A host with the front of one chat of Claude Code, and what a person does from elsewhere. */
async function aRig({
  config = on,
  env = {},
  isRestart = false,
  clientPid = 100,
  runtime = tempRuntime({ config: { ...config } }),
} = {}) {
  const host = await aHost(runtime, ["setTimeout"]);
  const front = await aFront(host, { pid: 901, clientPid, env, isRestart });
  /** A prompt comes by a process of its own. */
  const event = async (name: string, more: object = {}): Promise<object> => {
    const fields = { session_id: session, cwd: "/p", ...more };
    if (name !== "UserPromptSubmit") return front.call("shim_hook", { event: name, ...fields });
    const text = answerHook(runtime, name, () => JSON.stringify(fields), clientPid);
    return { content: text === "" ? [] : [{ type: "text", text }] };
  };
  const call = async (name: string, input: object, by = "phone Ada's Pixel", callerEnv = {}): Promise<Called> => {
    const { body } = await ask(host.socket, "POST", `/call/${name}`, { input, env: callerEnv, by });
    return (JSON.parse(body) as { result: Called }).result;
  };
  const answer = (id: string | undefined, decision: string, more: object = {}): Promise<Called> =>
    call("requests.answer", { request: id, decision, ...more });
  const listed = async (): Promise<readonly Shown[]> =>
    ((await call("requests.list", {}))["value"] as { requests: readonly Shown[] }).requests;
  /** Resolves once the host shows so many. */
  const open = async (count: number): Promise<readonly Shown[]> => {
    for (;;) {
      const all = await listed();
      if (all.length === count) return all;
    }
  };
  const first = async (): Promise<Shown> => (await open(1))[0] as Shown;
  /** A request that is held. */
  const held = async () => {
    const asked = event("PermissionRequest", rm);
    return { ...(await first()), asked };
  };
  const waits = (): unknown => runtime.store.read((sql) => sessions.get(sql, session), null)?.waiting?.for;
  return { runtime, host, front, event, call, answer, listed, open, first, held, waits };
}

const printed = (reply: object): unknown => JSON.parse((reply as typeof undecided).content[0]?.text ?? "");

function decided(decision: object): object {
  return { hookSpecificOutput: { hookEventName: "PermissionRequest", decision } };
}

const secret = `ghp_${"a1B2".repeat(9)}`;

it.each([
  ["allow", {}, { behavior: "allow" }],
  ["deny", { message: `Not ${secret}.` }, { behavior: "deny", message: "Not [redacted:github-token]." }],
])(
  "a held request that is answered from elsewhere with %s gets that decision as its hook's answer, and the audit log names who gave it",
  async (decision, words, expected) => {
    const { runtime, event, first, answer, listed, waits } = await aRig();
    await event("UserPromptSubmit", { prompt: "clean up" });
    const asked = event("PermissionRequest", rm);
    const shown = await first();
    expect(shown).toMatchObject({ session, tool: "Bash", text: "rm -r build\nin /p", canAnswer: true, reason: null });
    expect(waits()).toBe("permission");
    const value = { request: shown.id, session, tool: "Bash", decision };
    expect(await answer(shown.id, decision, words)).toEqual({ ok: true, value });
    expect(printed(await asked)).toEqual(decided(expected));
    expect([await listed(), waits()]).toEqual([[], undefined]);
    const given = { subject: session.slice(0, 8), actor: "phone Ada's Pixel", detail: { result: decision } };
    expect(listNewest(runtime, 1)).toMatchObject([{ kind: "request.answered", ...given }]);
  },
);

it("a request is answered once: a second answer is refused, and so is one to a request that never was", async () => {
  const { runtime, held, answer, call } = await aRig();
  const { id, asked } = await held();
  const fleet = await call("page.fleet", {}, "live page");
  expect(fleet["value"]).toMatchObject({ requests: [{ id, client: "Claude Code", tool: "Bash", canAnswer: true }] });
  await answer(id, "deny");
  expect(await answer(id, "allow")).toMatchObject({ error: { code: "ended" } });
  expect(await answer("zzzz", "allow")).toMatchObject({ error: { code: "not_found" } });
  expect(printed(await asked)).toEqual(decided({ behavior: "deny" }));
  expect(listNewest(runtime, 9)).toHaveLength(1);
});

it("a command that a chat has started answers no request, and writes to no chat", async () => {
  const { held, call, listed } = await aRig();
  const { id } = await held();
  const refused = { ok: false, error: { code: "not_released" } };
  for (const variable of ["CLAUDE_CODE_SESSION_ID", "CODEX_SESSION_ID"]) {
    const env = { [variable]: "s" };
    const answer = { request: id, decision: "allow" };
    expect(await call("requests.answer", answer, "command line", env)).toMatchObject(refused);
    const message = { session, text: "Do it." };
    expect(await call("requests.message", message, "command line", env)).toMatchObject(refused);
  }
  expect(await listed()).toHaveLength(1);
});

it.each([
  ["the call ends", "PostToolUse", { ...rm, tool_use_id: "t1" }],
  ["the call fails", "PostToolUseFailure", { tool_name: "Bash", "tool_input.command": "rm -r build" }],
  ["the turn ends", "Stop", {}],
  ["the user writes a prompt", "UserPromptSubmit", { prompt: "no, leave it" }],
])(
  "the terminal answers first, as %s: the hook ends without a decision, and a later answer is refused",
  async (_, name, fields) => {
    const { event, held, answer } = await aRig();
    const { id, asked } = await held();
    await event(name, fields);
    expect(await asked).toEqual(undecided);
    expect(await answer(id, "allow")).toMatchObject({ error: { code: "ended" } });
  },
);

it("the model's next call shows that the dialog is over, and a call beside it does not", async () => {
  const { runtime, event, held, listed } = await aRig();
  const { asked } = await held();
  const other = { tool_name: "Read", tool_use_id: "t2", "tool_input.file_path": "/p/a" };
  await event("PreToolUse", other);
  await event("PostToolUse", other);
  await event("PreToolUse", { ...other, agent_id: "a1" });
  expect(await listed()).toHaveLength(1);
  runtime.wait(3_000);
  await event("PreToolUse", { ...other, agent_id: "a1", tool_use_id: "t3" });
  expect(await listed()).toHaveLength(1);
  await event("PreToolUse", { ...other, tool_use_id: "t4" });
  expect(await asked).toEqual(undecided);
});

it("of two requests at once each has its own answer", async () => {
  const { event, open, answer } = await aRig();
  const asked = [event("PermissionRequest", rm), event("PermissionRequest", { ...rm, agent_id: "a1" })];
  const [one, two] = await open(2);
  await answer(two?.id, "deny");
  await answer(one?.id, "allow");
  expect((await Promise.all(asked)).map(printed)).toEqual(["allow", "deny"].map((behavior) => decided({ behavior })));
});

it("a request that is not answered ends without a decision after nine and a half minutes, before its client gives the hook up", async () => {
  const { runtime, held, answer, listed } = await aRig();
  const { id, endsInMs, asked } = await held();
  expect(endsInMs).toBe(570_000);
  runtime.wait(570_000);
  vi.advanceTimersByTime(570_000);
  expect(await asked).toEqual(undecided);
  expect(await listed()).toEqual([]);
  expect(await answer(id, "allow")).toMatchObject({ error: { code: "ended" } });
});

it("a caller that waits no more ends its request: it cancels the call, or its connection closes", async () => {
  const { front, held, open } = await aRig();
  await held();
  front.send({ jsonrpc: "2.0", method: "notifications/cancelled", params: { requestId: 2 } });
  await open(0);
  await held();
  front.connection.destroy();
  await open(0);
});

it("while answers are off nothing is held or shown, and the chat waits for its permission all the same", async () => {
  const { runtime, event, call, answer, waits } = await aRig({ config: {} });
  expect(await event("PermissionRequest", rm)).toEqual(undecided);
  expect(waits()).toBe("permission");
  expect(await call("requests.list", {})).toEqual({ ok: true, value: { isOn: false, requests: [] } });
  expect((await call("page.fleet", {}, "live page"))["value"]).not.toHaveProperty("requests");
  const off = { ok: false, error: { code: "switched_off" } };
  expect(await answer("a", "allow")).toMatchObject(off);
  expect(await call("requests.message", { session, text: "hello" })).toMatchObject(off);
  expect(listNewest(runtime, 9)).toEqual([]);
});

it("a run without a user is not held", async () => {
  const { event, listed } = await aRig({ env: { CLAUDE_CODE_ENTRYPOINT: "sdk-cli" } });
  expect(await event("PermissionRequest", rm)).toEqual(undecided);
  expect(await listed()).toEqual([]);
});

it("what SHIM itself has its user asked is shown, and only the terminal can answer it, as it does a question", async () => {
  const { runtime, claude: first } = aChat({ config: { effects: { guard: "on" }, ...on } });
  first.start();
  first.prompt("release it");
  first.use("Bash", { command: "git push origin main" });
  first.kill();
  const next = anotherClaude(runtime, first);
  next.start();
  next.prompt("go on");
  const { event, first: shown, listed, answer } = await aRig({ runtime, clientPid: next.pid });
  const push = { session_id: next.session, tool_name: "Bash", cwd: next.cwd };
  const command = "git push origin main";
  const guarded = await event("PreToolUse", { ...push, tool_use_id: "t9", "tool_input.command": command });
  expect(printed(guarded)).toMatchObject({ hookSpecificOutput: { permissionDecision: "ask" } });
  expect(await event("PermissionRequest", { ...push, tool_input: JSON.stringify({ command }) })).toEqual(undecided);
  const { id, canAnswer, reason } = await shown();
  expect([canAnswer, reason]).toEqual([false, expect.stringContaining("SHIM itself")]);
  expect(await answer(id, "allow")).toMatchObject({ error: { code: "not_released" } });
  const tool_input = JSON.stringify({ questions: [{ question: "Which?" }] });
  expect(await event("PermissionRequest", { tool_name: "AskUserQuestion", tool_input })).toEqual(undecided);
  expect((await listed()).at(-1)).toMatchObject({ tool: "AskUserQuestion", canAnswer: false });
});

it("the text says all that a call would do, without secrets, in at most 2,000 characters, and says what is cut", async () => {
  const { event, open } = await aRig();
  for (const [tool_name, input] of Object.entries({
    Edit: { file_path: "/p/a.ts", old_string: "let a = 1;", new_string: `let a = "${secret}";` },
    Bash: { command: "make", description: "Builds it", dangerouslyDisableSandbox: true },
    WebFetch: { url: "https://example.com/x", prompt: "Read it" },
    mcp__db__query: { sql: "drop table users" },
    Write: { file_path: "/p/b", content: "word ".repeat(1_000) },
  }))
    void event("PermissionRequest", { tool_name, tool_input: JSON.stringify(input) });
  const [edited, built, fetched, queried, written] = (await open(5)).map(({ text }) => text);
  expect(edited).toMatch(/^\/p\/a\.ts\n- let a = 1;\n\+ let a = "/);
  expect(edited).not.toContain(secret);
  expect(built).toBe('make\n{"dangerouslyDisableSandbox":true}\nin /p');
  expect([fetched, queried]).toEqual(["https://example.com/x\nRead it", '{"sql":"drop table users"}']);
  expect(written).toMatch(/ \[cut, [\d,]+ more characters\]$/);
  expect(written?.length).toBeLessThan(2_050);
});

it("a host that ends answers no held hook: its front asks the next host, where the request is open again", async () => {
  const { runtime, host, front, held } = await aRig();
  let isAnswered = false;
  void (await held()).asked.then(() => (isAnswered = true));
  host.host.stop();
  await host.ended;
  await front.closed;
  await vi.waitUntil(() => runtime.permissions.list(runtime.now()).length === 0, patience);
  expect(isAnswered).toBe(false);
  const next = await aRig({ runtime: tempRuntime({ beside: runtime, config: on }), isRestart: true });
  const { id, asked } = await next.held();
  await next.answer(id, "allow");
  expect(printed(await asked)).toEqual(decided({ behavior: "allow" }));
});

/** A front whose client sends a hook to be held. */
async function aHeldHook(more: object = {}) {
  const rig = aFrontRig();
  await rig.hosts[0]?.greet();
  const params = { name: "shim_hook", arguments: { event: "PermissionRequest", ...more } };
  const hook = { jsonrpc: "2.0", id: 7, method: "tools/call", params };
  await rig.say(hook);
  return { rig, hook };
}

it("a held hook is sent again to the next host, ends without a decision where two hosts have died with it, and is no sign of a hang", async () => {
  const { rig, hook } = await aHeldHook();
  for (let n = 0; n < 5; n++) {
    rig.hosts[0]?.answerPings();
    await rig.pass(2_500);
  }
  expect(rig.ended).toEqual([]);
  await rig.hosts[0]?.die();
  await rig.hosts[1]?.greet();
  expect(rig.hosts[1]?.received()).toEqual([hook]);
  await rig.hosts[1]?.die();
  await settled();
  expect(rig.heard()).toEqual([{ jsonrpc: "2.0", id: 7, result: undecided }]);
});

it("a held hook of megabytes holds back no other message of its client", async () => {
  const { rig } = await aHeldHook({ tool_input: "x".repeat(5_000_000) });
  const next = { jsonrpc: "2.0", id: 8, method: "ping" };
  await rig.say(next);
  expect(rig.hosts[0]?.received().at(-1)).toEqual(next);
});

/** The program of hooks, and a host that holds its event. */
async function aProgram() {
  const { home } = tempRuntime().paths;
  const socket = hostSocket(home, systemProcesses.boot());
  prepareSocketFolder(home, socket);
  const { promise: held, resolve } = Promise.withResolvers<ServerResponse>();
  const hold = (response: ServerResponse): void => (response.writeProcessing(), resolve(response));
  await servedInTest(
    createServer((asked, response) => void asked.resume().on("end", () => hold(response))),
    socket,
  );
  return { answer: posted(home), host: await held };
}

function posted(home: string): Promise<string> {
  const launch = { node: process.execPath, script: "/none", hookScript: "/none/dist/hook.cjs" };
  const sent = { client: "claude-code", event: "PermissionRequest", input: "{}", process: "1 (x) S 1" };
  return postEvent({ home, launch, env: {} }, sent, new AbortController().signal);
}

it("for a minute after a start that failed the program of hooks starts no host, and waits for none", async () => {
  const { home } = tempRuntime().paths;
  prepareSocketFolder(home, hostSocket(home, systemProcesses.boot()));
  writeFileSync(join(home, "host.failed"), "");
  await expect(posted(home)).rejects.toThrow("no host has started");
  expect(existsSync(startMark(home))).toBe(false);
});

it("the program of hooks waits for a held event as well, and answers without a decision where its host dies", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  const timers = vi.spyOn(globalThis, "setTimeout");
  const waits = await aProgram();
  await vi.waitUntil(() => timers.mock.calls.some(([, ms]) => ms === 590_000), patience);
  vi.advanceTimersByTime(580_000);
  waits.host.end("the answer");
  expect(await waits.answer).toBe("the answer");
  const dies = await aProgram();
  await vi.waitUntil(() => timers.mock.calls.filter(([, ms]) => ms === 590_000).length === 2, patience);
  dies.host.destroy();
  expect(await dies.answer).toBe("{}");
});

/** The script of a client, as `shim-hook` posts for it. */
async function aScript(config: Record<string, unknown>, client = "claude-code") {
  const rig = await aRig({ config });
  const { runtime, host } = rig;
  runtime.processes.start(300, 1, "claude");
  runtime.processes.start(301, 300, "sh");
  const { start } = runtime.processes.start(302, 301, "sh");
  const stat = `302 (sh) S 301${" 0".repeat(17)} ${start}`;
  const env = { "shim-env-claudecode": "=1", "shim-env-claude-pid": "=300" };
  const headers = { "shim-home": `=${runtime.paths.home}`, "shim-process": stat, ...env };
  const turn = client === "codex" ? { turn_id: "t" } : {};
  const body = { session_id: "s-posted", cwd: "/p", ...turn, tool_name: "Bash", tool_input: { command: "ls /" } };
  const heard: string[] = [];
  const sent = request({ socketPath: host.socket, method: "POST", path: `/hook/${client}/PermissionRequest`, headers });
  onTestFinished(() => void sent.destroy());
  sent.on("information", ({ statusCode }) => void heard.push(String(statusCode)));
  const response = once(sent, "response") as Promise<IncomingMessage[]>;
  const text = response.then(([one]) => streamText(one!)).catch(() => "");
  sent.end(JSON.stringify(body));
  return { ...rig, sent, heard, text };
}

it("a posted request is held as well: the host says so at once, and ends it when its script is gone", async () => {
  const one = await aScript(on);
  const { id } = await one.first();
  await one.answer(id, "allow");
  expect([JSON.parse(await one.text), one.heard]).toEqual([decided({ behavior: "allow" }), ["102"]]);
  vi.useRealTimers();
  const gone = await aScript(on);
  await gone.first();
  gone.sent.destroy();
  await gone.open(0);
});

it("a client whose dialog waits for its hook is held only as long as the setting says, and as the client waits", async () => {
  const off = await aScript(on, "codex");
  expect(await off.text).toBe("");
  expect(await off.first()).toMatchObject({ canAnswer: false, text: "ls /\nin /p" });
  for (const [client, holdDialogSeconds, heldMs] of [
    ["codex", 20, 20_000],
    ["qwen", 20, 20_000],
    ["qwen", 570, 55_000],
  ] as const) {
    vi.useRealTimers();
    const held = await aScript({ answers: { isEnabled: true, holdDialogSeconds } }, client);
    const { id, endsInMs } = await held.first();
    expect([client, endsInMs]).toEqual([client, heldMs]);
    await held.answer(id, "deny", { message: "no" });
    expect(JSON.parse(await held.text)).toEqual(decided({ behavior: "deny", message: "no" }));
  }
});

it("a message from elsewhere comes to a chat in the user's words, once: at the end of its turn, or with the next prompt", async () => {
  const { runtime, event, call } = await aRig();
  await event("UserPromptSubmit", { prompt: "clean up" });
  const sent = await call("requests.message", { session, text: `Commit first.\nThen push ${secret}.` });
  expect(sent).toEqual({ ok: true, value: { session, comes: "stop" } });
  expect(listNewest(runtime, 1)).toMatchObject([{ kind: "message.sent", actor: "phone Ada's Pixel" }]);
  const { reason } = printed(await event("Stop", { stop_hook_active: "false" })) as { reason: string };
  expect(reason).toMatch(/your user writes from Ada's Pixel[^]*Commit first\.\nThen push \[redacted:github-token\]\./);
  expect(await event("Stop", { stop_hook_active: "true" })).toEqual({ content: [] });
  const later = await call("requests.message", { session, text: "Go on." }, "live page");
  expect(later).toMatchObject({ value: { comes: "prompt" } });
  const prompted = await event("UserPromptSubmit", { prompt: "and?" });
  expect(JSON.stringify(printed(prompted))).toContain("your user writes from the live page");
  expect(await event("UserPromptSubmit", { prompt: "again" })).toEqual({ content: [] });
  runtime.processes.kill(100);
  expect(await call("requests.message", { session, text: "hello" })).toMatchObject({ error: { code: "ended" } });
});
