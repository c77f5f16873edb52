import { once } from "node:events";
import { appendFileSync, existsSync, mkdtempSync, utimesSync, writeFileSync } from "node:fs";
import { createServer, request, type IncomingMessage, type ServerResponse } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text as streamText } from "node:stream/consumers";
import { afterEach, expect, it, onTestFinished, vi } from "vitest";
import { aChat, anotherClaude } from "#harness/machine/claude.ts";
import { servedInTest } from "#harness/edge/real-server.ts";
import { patience } from "#harness/machine/programs.ts";
import { aFrontRig, ask, settled } from "#harness/machine/host-rig.ts";
import { aRequestRig, decided, on, printed, rm, session, undecided } from "#harness/machine/request-rig.ts";
import { tempRuntime } from "#harness/machine/temp-runtime.ts";
import { anAssistantLine, aUserLine } from "#harness/machine/transcripts.ts";
import { hostSocket, prepareSocketFolder } from "#src/platform/host-socket.ts";
import { systemProcesses } from "#src/platform/processes.ts";
import { startMark } from "#src/local-mcp/host-client/reach-host.ts";
import { postEvent } from "#src/local-mcp/events/post-event.ts";
import * as journal from "#src/machine/sessions/journal.ts";
import { listNewest } from "#src/machine/sessions/machine-audit.ts";

afterEach(() => {
  // First: a spy on a fake timer would bring it back.
  vi.restoreAllMocks();
  vi.useRealTimers();
});

const secret = `ghp_${"a1B2".repeat(9)}`;

it.each([
  ["allow", {}, { behavior: "allow" }],
  ["deny", { message: `Not ${secret}.` }, { behavior: "deny", message: "Not [redacted:github-token]." }],
])(
  "a held request that is answered from elsewhere with %s gets that decision as its hook's answer, and the audit log names who gave it",
  async (decision, words, expected) => {
    const { runtime, event, first, answer, listed, waits } = await aRequestRig();
    await event("UserPromptSubmit", { prompt: "clean up" });
    const asked = event("PermissionRequest", rm);
    const shown = await first();
    expect(shown).toMatchObject({
      session,
      tool: "Bash",
      text: "rm -r build\nin /p",
      decisions: ["allow", "deny"],
      reason: null,
    });
    expect(waits()).toBe("permission");
    const value = { request: shown.id, session, tool: "Bash", decision };
    expect(await answer(shown.id, decision, words)).toEqual({ ok: true, value });
    expect(printed(await asked)).toEqual(decided(expected));
    expect([await listed(), waits()]).toEqual([[], undefined]);
    const given = { subject: session.slice(0, 8), actor: "phone Ada's Pixel", detail: { result: `${decision}: sent` } };
    expect(listNewest(runtime, 1)).toMatchObject([{ kind: "request.answered", ...given }]);
  },
);

it("a request is answered once: a second answer is refused, and so is one to a request that never was", async () => {
  const { runtime, held, answer, call } = await aRequestRig();
  const { id, asked } = await held();
  const fleet = await call("page.fleet", {}, "live page");
  expect(fleet["value"]).toMatchObject({ requests: [{ id, client: "Claude Code", tool: "Bash", reason: null }] });
  await answer(id, "deny");
  runtime.wait(2_000);
  const first = { code: "ended", message: `too late, the request ${id} is over: Ada's Pixel had denied it 2 s ago.` };
  expect(await call("requests.answer", { request: id, decision: "allow" }, "phone Bob's")).toMatchObject({
    error: first,
  });
  expect(await answer("zzzz", "allow")).toMatchObject({ error: { code: "not_found" } });
  expect(printed(await asked)).toEqual(decided({ behavior: "deny" }));
  const entries = listNewest(runtime, 9).map(({ actor, detail }) => [actor, (detail as { result: string }).result]);
  expect(entries).toEqual([
    ["phone Bob's", "allow: too late"],
    ["phone Ada's Pixel", "deny: sent"],
  ]);
});

it("a command that a chat has started answers no request, and writes to no chat", async () => {
  const { held, call, listed } = await aRequestRig();
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

it("a command below the process of a client that has a session is a chat's, also of a client without a variable for it", async () => {
  const { host, held, listed, runtime } = await aRequestRig();
  const { id } = await held();
  const { processes } = runtime;
  const statement = (pid: number, parent: number): string => {
    if (parent === 400) processes.start(parent, 100, "sh");
    const { start } = processes.start(pid, parent, "node");
    return `${pid} (node) S ${parent}${" 0".repeat(17)} ${start}`;
  };
  const asked = async (name: string, input: object, caller: string, by = "command line"): Promise<unknown> => {
    const { body } = await ask(host.socket, "POST", `/call/${name}`, { input, env: {}, by, caller });
    return (JSON.parse(body) as { result: unknown }).result;
  };
  const ofChat = statement(401, 400);
  const refused = { ok: false, error: { code: "not_released" } };
  for (const [name, input] of [
    ["requests.answer", { request: id, decision: "allow" }],
    ["runs.start", { session, text: "hi" }],
    ["phones.offer", { answer: true, for: 86_400_000 }],
    ["config.set", { key: "runs", value: [{ project: "/p" }] }],
    ["config.set", { key: "answers.isEnabled", value: true }],
    ["config.unset", { key: "answers.holdDialogSeconds" }],
    ["config.set", { key: "atLimit", value: [] }],
  ] as const)
    expect([name, await asked(name, input, ofChat)]).toMatchObject([name, refused]);
  const answer = { request: id, decision: "allow" };
  expect(await asked("requests.answer", answer, ofChat, "live page")).toMatchObject(refused);
  for (let pid = 402; pid < 420; pid++) processes.start(pid, pid - 1, "sh");
  expect(await asked("requests.answer", answer, statement(421, 419))).toMatchObject(refused);
  expect(await asked("config.set", { key: "risk.thresholds.memory", value: 0.8 }, ofChat)).toMatchObject({ ok: true });
  expect(await listed()).toHaveLength(1);
  processes.start(500, 1, "sh");
  const { start } = processes.start(501, 500, "node");
  const ofPerson = `501 (node) S 500${" 0".repeat(17)} ${start}`;
  expect(await asked("requests.answer", { request: id, decision: "deny" }, ofPerson)).toMatchObject({ ok: true });
});

it.each([
  ["the call ends", "PostToolUse", { ...rm, tool_use_id: "t1" }, "had allowed it, and the call has run"],
  ["the call fails", "PostToolUseFailure", { tool_name: "Bash", "tool_input.command": "rm -r build" }, "has run"],
  ["the turn ends", "Stop", {}, "had answered it, and the chat has gone on"],
  ["the user writes a prompt", "UserPromptSubmit", { prompt: "no, leave it" }, "had answered it"],
  ["the client starts again", "SessionStart", { source: "clear" }, "its chat is dead or has ended"],
])(
  "the terminal answers first, as %s: the hook ends without a decision, and a later answer is refused, with what was first",
  async (_, name, fields, why) => {
    const { event, held, answer } = await aRequestRig();
    const { id, asked } = await held();
    await event(name, fields);
    expect(await asked).toEqual(undecided);
    const message = expect.stringContaining(why) as string;
    expect(await answer(id, "allow")).toMatchObject({ error: { code: "ended", message } });
  },
);

/** The shell that Claude Code starts for a command. */
const shellOf = (command: string): string =>
  `/bin/zsh -c source /h/shell-snapshots/snapshot.sh && eval '${command.replaceAll("'", `'"'"'`)}' < /dev/null && pwd`;

it("a command that its client is seen to run was allowed in its terminal: the card ends while it runs, and a late no is refused", async () => {
  const { runtime, event, first, listed, answer, waits } = await aRequestRig();
  const { processes } = runtime;
  const command = "echo 'a  b'\nrm -r \"build\"";
  processes.start(200, 100, shellOf(command));
  const asked = event("PermissionRequest", { tool_name: "Bash", tool_input: JSON.stringify({ command }) });
  const { id } = await first();
  processes.start(201, 100, "git ls-files");
  processes.start(202, 100, shellOf("rm -r build-2"));
  vi.advanceTimersByTime(5_000);
  expect([await listed(), waits()]).toMatchObject([[{ id }], "permission"]);
  processes.start(203, 100, shellOf(command));
  const why = "its terminal had allowed it, and its command was seen to run";
  expect(await answer(id, "deny")).toMatchObject({
    error: { code: "ended", message: expect.stringContaining(why) as string },
  });
  expect([await asked, await listed(), waits()]).toEqual([undecided, [], undefined]);
  expect(listNewest(runtime, 1)).toMatchObject([{ detail: { result: "deny: too late" } }]);
  const again = event("PermissionRequest", rm);
  await first();
  processes.start(204, 100, shellOf("rm -r build"));
  vi.advanceTimersByTime(1_000);
  expect([await again, await listed()]).toEqual([undecided, []]);
});

it("of two requests for one command a run shows not which one the terminal has allowed: both stay", async () => {
  const { runtime, event, open } = await aRequestRig();
  for (const more of [{}, { agent_id: "a1" }]) void event("PermissionRequest", { ...rm, ...more });
  await open(2);
  runtime.processes.start(200, 100, shellOf("rm -r build"));
  vi.advanceTimersByTime(5_000);
  await open(2);
});

it("the model's next call shows that the dialog is over, and a call beside it does not", async () => {
  const { runtime, event, held, listed } = await aRequestRig();
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
  const { event, open, answer } = await aRequestRig();
  const asked = [event("PermissionRequest", rm), event("PermissionRequest", { ...rm, agent_id: "a1" })];
  const [one, two] = await open(2);
  await answer(two?.id, "deny");
  await answer(one?.id, "allow");
  expect((await Promise.all(asked)).map(printed)).toEqual(["allow", "deny"].map((behavior) => decided({ behavior })));
});

it("a request that is not answered ends without a decision after nine and a half minutes, before its client gives the hook up", async () => {
  const { runtime, held, answer, listed } = await aRequestRig();
  const { id, endsInMs, asked } = await held();
  expect(endsInMs).toBe(570_000);
  runtime.wait(570_000);
  vi.advanceTimersByTime(570_000);
  expect(await asked).toEqual(undecided);
  expect(await listed()).toEqual([]);
  const message = expect.stringContaining("its time was up") as string;
  expect(await answer(id, "allow")).toMatchObject({ error: { code: "ended", message } });
});

it("a caller that waits no more ends its request: it cancels the call, or its connection closes", async () => {
  const { front, held, open, answer } = await aRequestRig();
  const { id } = await held();
  front.send({ jsonrpc: "2.0", method: "notifications/cancelled", params: { requestId: 2 } });
  await open(0);
  const message = expect.stringContaining("its client had stopped asking") as string;
  expect(await answer(id, "deny")).toMatchObject({ error: { code: "ended", message } });
  await held();
  front.connection.destroy();
  await open(0);
});

it("while answers are off nothing is held or shown, and the chat waits for its permission all the same", async () => {
  const { runtime, event, call, answer, waits } = await aRequestRig({ config: {} });
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
  const { event, listed } = await aRequestRig({ env: { CLAUDE_CODE_ENTRYPOINT: "sdk-cli" } });
  expect(await event("PermissionRequest", rm)).toEqual(undecided);
  expect(await listed()).toEqual([]);
});

it("what SHIM itself has its user asked is shown, and only the terminal can answer it", async () => {
  const { runtime, claude: first } = aChat({ config: { effects: { guard: "on" }, ...on } });
  first.start();
  first.prompt("release it");
  first.use("Bash", { command: "git push origin main" });
  first.kill();
  const next = anotherClaude(runtime, first);
  next.start();
  next.prompt("go on");
  const { event, first: shown, answer } = await aRequestRig({ runtime, clientPid: next.pid });
  const push = { session_id: next.session, tool_name: "Bash", cwd: next.cwd };
  const command = "git push origin main";
  const guarded = await event("PreToolUse", { ...push, tool_use_id: "t9", "tool_input.command": command });
  expect(printed(guarded)).toMatchObject({ hookSpecificOutput: { permissionDecision: "ask" } });
  expect(await event("PermissionRequest", { ...push, tool_input: JSON.stringify({ command }) })).toEqual(undecided);
  const { id, decisions, reason } = await shown();
  expect([decisions, reason]).toEqual([[], expect.stringContaining("SHIM itself")]);
  expect(await answer(id, "allow")).toMatchObject({ error: { code: "not_released" } });
});

it("a host that ends answers no held hook: its front asks the next host, where the request is open again", async () => {
  const { runtime, host, front, held } = await aRequestRig();
  let isAnswered = false;
  void (await held()).asked.then(() => (isAnswered = true));
  host.host.stop();
  await host.ended;
  await front.closed;
  await vi.waitUntil(() => runtime.permissions.list(runtime.now()).length === 0, patience);
  expect(isAnswered).toBe(false);
  const next = await aRequestRig({ runtime: tempRuntime({ beside: runtime, config: on }), isRestart: true });
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

it("a start that has gone on for as long as a hook waits is not waited for", async () => {
  const { home } = tempRuntime().paths;
  prepareSocketFolder(home, hostSocket(home, systemProcesses.boot()));
  const begun = Date.now() / 1_000 - 5;
  writeFileSync(startMark(home), String(process.ppid));
  utimesSync(startMark(home), begun, begun);
  await expect(posted(home)).rejects.toThrow("no host has started");
  expect(existsSync(startMark(home))).toBe(true);
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
  const rig = await aRequestRig({ config });
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
  expect(await off.first()).toMatchObject({ decisions: [], text: "ls /\nin /p" });
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
  const { runtime, event, call } = await aRequestRig();
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

it("with answers from elsewhere off the chat waits no more once its command is seen to run, or its transcript has the refusal", async () => {
  const { runtime, event, listed, waits } = await aRequestRig({ config: {} });
  const path = join(mkdtempSync(join(tmpdir(), "shim-asks-")), "t.jsonl");
  writeFileSync(path, "");
  const about = { transcript_path: path };
  await event("UserPromptSubmit", { prompt: "clean up", ...about });
  await event("PreToolUse", { ...rm, tool_use_id: "t1", ...about });
  expect(printed(await event("PermissionRequest", { ...rm, ...about }))).toEqual({});
  expect([await listed(), waits()]).toEqual([[], "permission"]);
  await vi.advanceTimersByTimeAsync(1_000);
  expect(waits()).toBe("permission");
  runtime.processes.start(204, 100, shellOf("rm -r build"));
  await vi.advanceTimersByTimeAsync(1_000);
  expect(waits()).toBeUndefined();
  await event("PermissionRequest", { ...rm, agent_id: "a1", ...about });
  await event("PreToolUse", { tool_name: "Bash", tool_use_id: "t2", "tool_input.command": "make", ...about });
  await event("PermissionRequest", { tool_name: "Bash", tool_input: JSON.stringify({ command: "make" }), ...about });
  expect(waits()).toBe("permission");
  const timestamp = new Date(runtime.now() + 500).toISOString();
  runtime.wait(1_000);
  appendFileSync(path, `${aUserLine("[Request interrupted by user for tool use]", { timestamp })}\n`);
  await vi.advanceTimersByTimeAsync(1_000);
  expect(waits()).toBeUndefined();
});

it.each([
  ["prompt", "idle_prompt", []],
  ["permission", "permission_prompt", ["I wait."]],
])(
  "a chat that waits for its user's %s, by %s, is read on each second only for an answer",
  async (what, type, read) => {
    const { runtime, event, waits } = await aRequestRig({ config: {} });
    const path = join(mkdtempSync(join(tmpdir(), "shim-waits-")), "t.jsonl");
    writeFileSync(path, "");
    const about = { transcript_path: path };
    await event("UserPromptSubmit", { prompt: "clean up", ...about });
    await event("Notification", { message: "waits", notification_type: type, ...about });
    const second = async (): Promise<void> => {
      runtime.wait(1_000);
      await vi.advanceTimersByTimeAsync(1_000);
    };
    await second();
    expect(waits()).toBe(what);
    const timestamp = new Date(runtime.now()).toISOString();
    appendFileSync(path, `${anAssistantLine({ content: [{ type: "text", text: "I wait." }] }, { timestamp })}\n`);
    await second();
    const answers = runtime.store.read((sql) => journal.newest(sql, session, ["assistant"], 10), []);
    expect(answers.map(({ entry }) => entry.kind === "assistant" && entry.text)).toEqual(read);
  },
);
