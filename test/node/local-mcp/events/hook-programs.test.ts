import { systemProcesses } from "#src/platform/processes.ts";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { dirname, join } from "node:path";
import * as fc from "fast-check";
import { expect, it, onTestFinished, vi } from "vitest";
import { forAll } from "#harness/properties.ts";
import { foreignLimits, ownLimits, readHookInput, type StdinSource } from "#src/local-mcp/events/hook-stdin.ts";
import { JsonObjectReader } from "#src/platform/json-object-reader.ts";
import { isClaudeCode } from "#src/local-mcp/events/payload.ts";
import type { ServerResponse } from "node:http";
import { createServer } from "node:net";
import { callerEnv, headerOf, valueVariables } from "#src/clients/adapter/hook-program.ts";
import { recordings } from "#harness/clients/recorded-client.ts";
import { RealServer, servedInTest } from "#harness/edge/real-server.ts";
import { temporaryFolder, write } from "#harness/machine/git-project.ts";
import { built } from "#harness/machine/mcp-process.ts";
import { outputOf, patience, type Output } from "#harness/machine/programs.ts";
import { shimHookScript } from "../../../../scripts/programs.ts";

it("an object that comes in any parts is complete at its end, with all of its fields", () => {
  forAll(100, [fc.dictionary(fc.string(), fc.jsonValue()), fc.integer({ min: 1, max: 9 })], (value, size) => {
    const bytes = Buffer.from(`\n ${JSON.stringify(value, null, 1)} \n`);
    const reader = new JsonObjectReader();
    for (let at = 0; at < bytes.length; at += size) reader.push(bytes.subarray(at, at + size));
    expect(reader.isWhole).toBe(true);
    expect(JSON.parse(reader.text())).toEqual(JSON.parse(JSON.stringify(value)));
  });
});

/** A read of stdin, whose parts, timers and signal the test makes. */
function reading(limits = ownLimits) {
  const waiting: ((part: Buffer | null) => void)[] = [];
  const timers = new Map<() => void, number>();
  const signals: (() => void)[] = [];
  const source: StdinSource = {
    nextPart: (take) => void waiting.push(take),
    schedule(work, ms) {
      timers.set(work, ms);
      return () => void timers.delete(work);
    },
    onSignal: (work) => void signals.push(work),
  };
  /** The timer that is over first. */
  const fire = (): void => [...timers].toSorted((a, b) => a[1] - b[1])[0]?.[0]();
  const send = (part: string | Buffer | null): void =>
    waiting.shift()?.(typeof part === "string" ? Buffer.from(part) : part);
  return { read: readHookInput(source, limits), timers, fire, send, end: () => signals[0]?.() };
}

it("input is complete when its object is, also where stdin stays open; other input when it ends", async () => {
  const rig = reading();
  rig.send('{"session_id":"a",');
  rig.send('"prompt":"}"}');
  rig.send(" behind it");
  rig.fire();
  const text = '{"session_id":"a","prompt":"}"} behind it';
  expect(await rig.read).toEqual({ text, isCutOff: false, isOpen: true });
  expect(rig.timers.size).toBe(0);
  const rubbish = reading();
  rubbish.send("no json");
  rubbish.send(null);
  expect(await rubbish.read).toEqual({ text: "no json", isCutOff: false, isOpen: false });
});

it("of input that is too large the fields that are too large are left out", async () => {
  const rig = reading();
  rig.send('{"session_id":"a","tool_response":"');
  for (let n = 0; n < 4; n++) rig.send('{\\"[,'.repeat(1_800_000));
  rig.send('","tool_name":"Read"}');
  rig.send(null);
  expect(await rig.read).toEqual({ text: '{"session_id":"a","tool_name":"Read"}', isCutOff: false, isOpen: false });
  // So is one by which all together become too large.
  const many = reading();
  many.send("{");
  for (const name of ["a", "b", "c"]) many.send(`"${name}":"${"x".repeat(15_000_000)}",`);
  many.send('"d":1}');
  many.send(null);
  expect(Object.keys(JSON.parse((await many.read).text) as object)).toEqual(["a", "b", "d"]);
});

it("of input that is not whole in time, or whose hook is ended, what has come is read", async () => {
  const cut = '{"session_id":"a","cwd":"/p","prompt":"half';
  for (const isEnded of [false, true]) {
    const rig = reading();
    rig.send(cut);
    expect(Math.max(...rig.timers.values())).toBeLessThan(2_000);
    if (isEnded) rig.end();
    rig.fire();
    expect(await rig.read).toEqual({ text: cut, isCutOff: true, isOpen: true });
    // It comes too late.
    rig.send('"}');
    expect(rig.timers.size).toBe(0);
    const silent = reading();
    if (isEnded) silent.end();
    silent.fire();
    expect(await silent.read).toEqual({ text: "", isCutOff: true, isOpen: true });
  }
});

it("in UTF-16 no end of an object is searched, and it is read as text", async () => {
  const text = '{"session_id":"\u227b","prompt":"\\"}"}';
  for (const mark of ["", "\ufeff"])
    for (const isSwapped of [false, true]) {
      const bytes = Buffer.from(mark + text, "utf16le");
      if (isSwapped) bytes.swap16();
      const rig = reading();
      rig.send(bytes.subarray(0, 20));
      rig.send(bytes.subarray(20));
      expect(rig.timers.size).toBe(1);
      rig.send(null);
      expect((await rig.read).text).toBe(mark + text);
    }
});

it("a relative SHIM_HOME is refused by every program, and no hook fails", async () => {
  const env = { ...process.env, SHIM_HOME: "rel/path", NODE_NO_WARNINGS: "1" };
  const options = { env, cwd: temporaryFolder(), timeout: 60_000 };
  const dist = dirname(built.hook);
  const programs = [`${built.hook} UserPromptSubmit`, `${built.hook} PostToolUse`, join(dist, "statusline.cjs")];
  const others = [`${built.launcher} sessions`, built.mcp, join(dist, "mcp-host.cjs")];
  const ran = [...programs, ...others].map(async (program) => {
    const { code, out, err } = await outputOf(spawn(process.execPath, program.split(" "), options), "{}");
    return [code, (out + err).replaceAll("\\", "").includes('SHIM_HOME gives "rel/path"')];
  });
  expect(await Promise.all(ran)).toEqual([0, 0, 0, 2, 1, 1].map((code) => [code, true]));
});

const session = "00000000-0000-4000-8000-000000000001";
const claude = { CLAUDECODE: "1", CLAUDE_CODE_ENTRYPOINT: "cli", CLAUDE_CODE_SESSION_ID: session };
const event = { session_id: session, transcript_path: "/t.jsonl", cwd: "/p", hook_event_name: "PreToolUse" };

it("Claude Code is never refused: after /clear, as a subagent, headless, by the SDK, in VS Code, and an older one started from a chat", () => {
  const next = "00000000-0000-4000-8000-000000000002";
  const cleared = { ...event, session_id: next, transcript_path: `/home/a/.claude/projects/-p/${next}.jsonl` };
  const windows = { ...cleared, transcript_path: `C:\\Users\\a\\.claude\\projects\\p\\${next}.jsonl` };
  const entryPoints = ["cli", "sdk-cli", "sdk-ts", "sdk-py", "claude-vscode", "claude-desktop", "mcp"];
  const surroundings = [{}, { VSCODE_PID: "7", GEMINI_API_KEY: "k" }, { CODEX_HOME: "/c" }, { OPENCODE_CONFIG: "/o" }];
  for (const payload of [event, { ...event, agent_id: "a1", agent_type: "Explore" }, cleared, windows, {}, null, "x"])
    for (const CLAUDE_CODE_ENTRYPOINT of entryPoints)
      for (const more of surroundings)
        for (const CLAUDE_CODE_SESSION_ID of [session, undefined]) {
          const env = { ...claude, ...more, CLAUDE_CODE_ENTRYPOINT, CLAUDE_CODE_SESSION_ID };
          expect(isClaudeCode(env, payload)).toBe(true);
        }
});

/** Environment and payload of a hook, as each client gave them when it ran a hook of Claude Code's settings. */
const foreign: readonly (readonly [name: string, env: NodeJS.ProcessEnv, payload: object])[] = [
  ["VS Code", { VSCODE_PID: "7" }, { sessionId: "s", hookEventName: "PreToolUse", timestamp: "2026-11-21" }],
  ["Cursor", { CURSOR_VERSION: "2.1", CLAUDE_PROJECT_DIR: "/p" }, { ...event, conversation_id: "c" }],
  ["Codex", { CODEX_MANAGED_BY_NPM: "1" }, { ...event, turn_id: "t" }],
  ...["copilot", "qwen", "gemini"].flatMap((client) =>
    Object.values(recordings(client)).map(({ env, payload }) => [client, env, payload] as const),
  ),
  ["OpenCode", { OPENCODE: "1" }, { sessionID: "s" }],
  ["an unknown client", {}, event],
];

it("other clients are known, also when they were started from a chat of Claude Code", () => {
  const inherited = { ...claude, CLAUDE_CODE_SESSION_ID: "another" };
  for (const [name, env, payload] of foreign) expect([name, isClaudeCode(env, payload)]).toEqual([name, false]);
  for (const [name, env, payload] of foreign.slice(0, -2))
    expect([name, isClaudeCode({ ...inherited, ...env }, payload)]).toEqual([name, false]);
});

it("of another client that has sent nothing the input is not waited for; what it has begun to send is", async () => {
  const silent = reading(foreignLimits);
  expect(Math.min(...silent.timers.values())).toBeLessThanOrEqual(100);
  silent.fire();
  expect(await silent.read).toEqual({ text: "", isCutOff: true, isOpen: true });
  const talking = reading(foreignLimits);
  talking.send('{"session_id":"a",');
  expect([...talking.timers.values()]).toEqual([ownLimits.totalMs]);
  talking.send('"prompt":"b"}');
  talking.send(null);
  expect((await talking.read).isCutOff).toBe(false);
});

/** Quotes, line ends, text that a shell would expand, and characters of several bytes. */
const hostile = JSON.stringify({
  prompt: 'it\'s "quoted" \\ $(touch bad) `touch bad` ${HOME} $HOME *\nEOF\n%s %d \\n 🧩 ü \u2028 \u0000',
});

const answered = (out: string): Output => ({ code: 0, out, err: "" });
const codexStop = ["Stop", "--client", "codex"];

/** What the program of hooks gets, and prints. */
async function given(run: Promise<Output>): Promise<unknown> {
  const { code, out, err } = await run;
  return { code, err, ...(JSON.parse(out) as object) };
}

/** The program got the event as it was. @param more what the script adds */
const asItWas = (args: readonly string[] = codexStop, more: object = {}): object =>
  Object.assign({ code: 0, err: "", args, input: hostile }, more);

/** The line by which the script describes itself, with its parent. */
const stated = {
  SHIM_HOOK_PROCESS: expect.stringMatching(new RegExp(`^\\d+ \\(perl\\) [A-Z] ${process.pid}( |$)`)) as string,
};

const hookProgram = `let input = "";
process.stdin.setEncoding("latin1").on("data", (part) => (input += part)).on("end", () => {
  const { SHIM_HOOK_PROCESS, SHIM_HOOK_WAITED } = process.env;
  const args = process.argv.slice(2);
  const given = { args, input: Buffer.from(input, "latin1").toString(), SHIM_HOOK_PROCESS, SHIM_HOOK_WAITED };
  require("node:fs").writeFileSync(__dirname + "/given.json", JSON.stringify(given));
  process.stdout.on("error", () => undefined).write(JSON.stringify(given));
});
`;

/** The program of the status line. */
const lineProgram = 'process.stdin.on("data", (part) => console.log(`of the program: ${part}`));\n';

interface HookStart {
  readonly args?: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
  readonly shell?: string;
  /** A handle that the client has closed, in the shell's words. */
  readonly closed?: "<&-" | ">&-";
}

/** The script in a folder with blanks, beside a stand-in for the program, and a home that has no host yet. */
class ShimHookRig {
  readonly folder = join(temporaryFolder(), "shim hook");
  readonly home = join(this.folder, "a home");
  readonly given = join(this.folder, "given.json");
  #host: RealServer | null = null;

  /** @param isTimed absent: a second of the script passes with a SIGALRM of the test alone, however loaded the machine is */
  constructor({ hasPerl = true, isTimed = false } = {}) {
    mkdirSync(this.home, { recursive: true });
    const script = isTimed ? shimHookScript() : shimHookScript().replaceAll("alarm 1", "alarm 3600");
    const own = hasPerl ? script : script.replaceAll("/usr/bin/perl", "/nonexistent/perl");
    write(this.folder, { "shim-hook": own, "hook.cjs": hookProgram, "statusline.cjs": lineProgram });
  }

  async host(answer: RealServer["answer"]): Promise<void> {
    this.#host = Object.assign(await RealServer.listen(join(this.home, "host.sock")), { answer });
  }

  get posted(): RealServer["seen"] {
    return this.#host?.seen ?? [];
  }

  /** The script as a client starts it, in a process group of its own. */
  start(options: HookStart = {}): ChildProcess & { readonly stdin: NodeJS.WritableStream } {
    const { args = codexStop, env = {}, shell = "/bin/sh", closed } = options;
    const script = [join(this.folder, "shim-hook"), process.execPath, ...args];
    const child = spawn(shell, closed ? ["-c", `exec "$0" "$@" ${closed}`, shell, ...script] : script, {
      env: { PATH: "/usr/bin:/bin", HOME: this.folder, SHIM_HOME: this.home, ...env },
      cwd: this.folder,
      detached: true,
    });
    child.stdin.on("error", () => undefined);
    onTestFinished(() => void child.kill("SIGKILL"));
    return child;
  }

  run(input: string | Buffer, options: HookStart = {}): Promise<Output> {
    return outputOf(this.start(options), input);
  }
}

it.each(["/bin/sh", "/bin/bash"])(
  "by %s the host gets the event byte for byte, and its answer is printed as it is; nothing of either is executed",
  async (shell) => {
    const rig = new ShimHookRig();
    let answer = hostile;
    await rig.host((_request, response) => response.end(answer));
    const large = JSON.stringify({ tool_response: "x\\\"'🧩".repeat(150_000) });
    const inputs = [hostile, large, "no json", "%s", "-n", ""];
    for (const input of inputs) expect(await rig.run(input, { shell })).toEqual(answered(hostile));
    const asked = inputs.map((body) => ({ method: "POST", url: "/hook/codex/Stop", body }));
    expect(rig.posted).toMatchObject(asked);
    answer = "";
    expect(await rig.run("{}", { args: ["SessionStart"], env: { CLAUDECODE: "1" }, shell })).toEqual(answered(""));
    expect(rig.posted.at(-1)).toMatchObject({ method: "POST", url: "/hook/claude-code/SessionStart" });
    expect(existsSync(join(rig.folder, "bad"))).toBe(false);
  },
);

it("the host gets what only the caller knows: its process, its home, and the variables that an answer may depend on", async () => {
  const rig = new ShimHookRig();
  await rig.host((_request, response) => response.end());
  const values = { CLAUDECODE: "1", SHIM_TASK: "", COPILOT_HOME: "/Jürgen's 🧩/$(x)" };
  await rig.run("{}", { env: { ...values, GEMINI_CWD: "/secret", CLAUDE_CODE_MESSAGING_TOKEN: "t" } });
  const headers = rig.posted[0]?.headers ?? {};
  expect(headers["shim-home"]).toBe(`=${rig.home}`);
  expect(String(headers["shim-process"]).split(" ")[3]).toBe(String(process.pid));
  const host = { CLAUDE_CODE_ENTRYPOINT: "of another chat", USER: "u" };
  const more = { PATH: "/usr/bin:/bin", HOME: rig.folder, USER: "u" };
  const unset = { CLAUDE_CODE_ENTRYPOINT: undefined, SHIM_CLIENT_PID: undefined };
  expect(callerEnv(host, headers)).toMatchObject({ ...values, ...more, ...unset });
  expect(JSON.stringify(headers)).not.toMatch(/secret|messaging/);
  const known = valueVariables.map(headerOf);
  expect(known).toEqual(expect.arrayContaining(Object.keys(headers).filter((name) => name.startsWith("shim-env-"))));
  expect(new Set(known).size).toBe(known.length);
});

it("without a host, or without perl, the program gets the event, and its answer is the script's", async () => {
  const args = ["PreToolUse", "--client", "qwen"];
  const rig = new ShimHookRig();
  expect(await given(rig.run(hostile, { args }))).toEqual(asItWas(args, stated));
  const bare = new ShimHookRig({ hasPerl: false });
  await bare.host((_request, response) => response.end("from the host"));
  expect(await given(bare.run(hostile, { args }))).toEqual(asItWas(args));
  expect(bare.posted).toEqual([]);
});

it("a home that is not absolute, or that would end a header, is left to the program", async () => {
  const rig = new ShimHookRig();
  await rig.host((_request, response) => response.end("from the host"));
  const line = join(rig.folder, "a\nhome");
  mkdirSync(line);
  for (const env of [{ SHIM_HOME: "a home" }, { SHIM_HOME: line }, { COPILOT_HOME: "/a\nx: y" }])
    expect(await given(rig.run(hostile, { env })), JSON.stringify(env)).toMatchObject(asItWas());
  expect(rig.posted).toEqual([]);
});

it("an answer with another status than 200, and one that breaks off, is not printed: the program answers", async () => {
  for (const status of [204, 302, 404, 409, 413, 500, 503]) {
    const rig = new ShimHookRig();
    await rig.host((_request, response) => response.writeHead(status, { location: "/" }).end("of the host 200"));
    expect(await given(rig.run(hostile)), String(status)).toMatchObject(asItWas());
  }
  const rig = new ShimHookRig();
  await rig.host((_request, response) => {
    response.writeHead(200, { "content-length": 100 }).write("half 200", () => response.destroy());
  });
  expect(await given(rig.run(hostile))).toMatchObject(asItWas());
});

const line = ["StatusLine"];

it("the status line is the host's answer, whatever started the script; without one, or without perl, it is its own program's", async () => {
  const [rig, alone, bare] = [new ShimHookRig(), new ShimHookRig(), new ShimHookRig({ hasPerl: false })];
  for (const one of [rig, bare]) await one.host((_request, response) => response.end("SHIM: saved\n"));
  expect(await rig.run("{}", { args: line })).toEqual(answered("SHIM: saved\n"));
  expect(rig.posted).toMatchObject([{ method: "POST", url: "/hook/claude-code/StatusLine", body: "{}" }]);
  for (const one of [alone, bare])
    expect(await one.run("{}", { args: line })).toEqual(answered("of the program: {}\n"));
  expect([bare.posted, [rig, alone, bare].some(({ given: path }) => existsSync(path))]).toEqual([[], false]);
});

it("the status line has the time of its reader, whose clock the script gives", async () => {
  const rig = new ShimHookRig();
  await rig.host((_request, response) => response.end());
  for (const TZ of ["UTC0", "XYZ-5:45", "XYZ-13", "XYZ+12"]) await rig.run("{}", { args: line, env: { TZ } });
  expect(rig.posted.map(({ headers }) => headers["shim-zone"])).toEqual(["0", "345", "780", "-720"]);
});

it("a status line that its client ends while the host is asked starts no program", async () => {
  const rig = new ShimHookRig();
  const isAsked = new Promise<void>((resolve) => void rig.host(() => resolve()));
  const child = rig.start({ args: line });
  child.stdin.write("{}");
  await isAsked;
  process.kill(-(child.pid ?? 0), "SIGTERM");
  expect(await outputOf(child, null)).toEqual(answered(""));
});

/** A host that takes a connection and answers nothing. */
async function hangingHost(): Promise<ShimHookRig> {
  const rig = new ShimHookRig({ isTimed: true });
  await servedInTest(createServer(), join(rig.home, "host.sock"));
  return rig;
}

it("the program is preferred to a host that hangs, and gets the whole of an event that the host does not read", async () => {
  const rig = await hangingHost();
  expect(await given(rig.run(hostile))).toEqual(asItWas(codexStop, { ...stated, SHIM_HOOK_WAITED: "1" }));
  const large = JSON.stringify({ tool_response: "x".repeat(3_000_000) });
  await rig.run(large);
  expect(JSON.parse(readFileSync(rig.given, "utf8"))).toMatchObject({ input: large, SHIM_HOOK_WAITED: "1" });
});

it("what has come of an object that does not get whole is given to the host in time", async () => {
  const rig = new ShimHookRig({ isTimed: true });
  await rig.host((_request, response) => response.end("{}"));
  const child = rig.start();
  child.stdin.write('{"prompt":"half');
  expect(await outputOf(child, null)).toEqual(answered("{}"));
  expect(rig.posted.map(({ body }) => body)).toEqual(['{"prompt":"half']);
});

it("a signal to the group of the client ends the hook, and what was read is given to the program", async () => {
  for (const signal of ["SIGTERM", "SIGHUP", "SIGINT"] as const) {
    const hanging = await hangingHost();
    const asked = new ShimHookRig();
    const isAsked = new Promise<void>((resolve) => void asked.host(() => resolve()));
    for (const rig of [hanging, asked]) {
      const input = rig === asked ? hostile : '{"prompt":"half';
      const child = rig.start();
      child.stdin.write(input);
      // A script that waits has read what there was.
      await (rig === asked ? isAsked : vi.waitUntil(() => isPolling(child.pid), patience));
      process.kill(-(child.pid ?? 0), signal);
      expect((await outputOf(child, null)).code).toBe(0);
      expect(JSON.parse(readFileSync(rig.given, "utf8"))).toMatchObject({ input, SHIM_HOOK_WAITED: "1" });
    }
  }
});

/** Whether a process waits in select(2), on x64 or arm64. */
const isPolling = (pid: number | undefined): boolean =>
  /^(?:23|270|72) /.test(readFileSync(`/proc/${pid}/syscall`, "utf8"));

it("a client that reads no answer, and one that has closed stdin or stdout, gets the hook ended and its event kept", async () => {
  const rig = new ShimHookRig({ isTimed: true });
  await rig.host((_request, response) => response.end("x".repeat(1_000_000)));
  const unread = rig.start();
  unread.stdin.end(hostile);
  expect(await once(unread, "exit")).toEqual([0, null]);
  const deaf = rig.start();
  deaf.stdout?.destroy();
  deaf.stdin.end(hostile);
  expect(await once(deaf, "exit")).toEqual([0, null]);
  expect(await rig.run(hostile, { closed: ">&-" })).toEqual(answered(""));
  await rig.run(hostile, { closed: "<&-" });
  expect(rig.posted.map(({ body }) => body)).toEqual([hostile, hostile, hostile, ""]);
});

/** A host that says it holds the event. */
async function aHeldEvent() {
  const rig = new ShimHookRig();
  const { promise: held, resolve } = Promise.withResolvers<ServerResponse>();
  await rig.host((_asked, response) => (response.writeProcessing(), resolve(response)));
  const child = rig.start({ args: ["PermissionRequest"], env: { CLAUDECODE: "1" } });
  const output = outputOf(child, hostile);
  const response = await held;
  await vi.waitUntil(() => isPolling(child.pid), patience);
  return { rig, child, output, response };
}

it("a host that says it holds the event is waited for beyond the time of other events, and its answer is the script's", async () => {
  const { child, output, response } = await aHeldEvent();
  // Each is one second of the script's own clock.
  for (let second = 0; second < 5; second++) {
    child.kill("SIGALRM");
    await vi.waitUntil(() => isPolling(child.pid), patience);
  }
  response.end('{"decision":"x"}');
  expect(await output).toEqual(answered('{"decision":"x"}'));
});

it("a held event whose host dies, or whose client ends it, is answered without a decision, and the program is not started", async () => {
  const [died, ended] = [await aHeldEvent(), await aHeldEvent()];
  died.response.socket?.end();
  ended.child.kill("SIGTERM");
  for (const { rig, output } of [died, ended]) {
    expect(await output).toEqual(answered("{}"));
    expect(existsSync(rig.given)).toBe(false);
  }
});

it("a program that hangs does not stay behind", async () => {
  const rig = new ShimHookRig({ isTimed: true });
  const script = join(rig.folder, "shim-hook");
  write(rig.folder, {
    "shim-hook": readFileSync(script, "utf8").replace(": 30);", ": 1);"),
    "hook.cjs": 'require("node:fs").writeFileSync(__dirname + "/pid", String(process.pid)); for (;;);\n',
  });
  expect((await rig.run(hostile)).out).toBe("");
  const pid = Number(readFileSync(join(rig.folder, "pid"), "utf8"));
  await vi.waitUntil(() => systemProcesses.facts(pid) === null, patience);
});

it("a script whose shell the client has ended gives the event to the program and ends", async () => {
  const rig = new ShimHookRig({ isTimed: true });
  const isAsked = new Promise<void>((resolve) => void rig.host(() => resolve()));
  const [script, waited] = [join(rig.folder, "shim-hook"), join(rig.folder, "waited")];
  // What it prints is read by nobody any more.
  const program = `require("node:fs").writeFileSync(${JSON.stringify(waited)}, process.env.SHIM_HOOK_WAITED);\n`;
  write(rig.folder, { "hook.cjs": program });
  const child = spawn("/bin/sh", ["-c", '(. "$0"); exit 0', script, process.execPath, ...codexStop], {
    env: { PATH: "/usr/bin:/bin", HOME: rig.folder, SHIM_HOME: rig.home },
  });
  child.stdin.end(hostile);
  await isAsked;
  child.kill("SIGTERM");
  await outputOf(child, null);
  await vi.waitUntil(() => existsSync(waited) && readFileSync(waited, "utf8") === "1", patience);
});

it.runIf(process.platform === "linux")(
  "in a home where no folder can be made a program ends, and says what is lost",
  async () => {
    const env = { PATH: "/usr/bin:/bin", HOME: "/proc/home", SHIM_HOME: "/proc/home/shim", CLAUDECODE: "1" };
    const input = JSON.stringify({ session_id: "a", cwd: "/tmp", prompt: "fix it" });
    const { code, out } = await outputOf(spawn(process.execPath, [built.hook, "UserPromptSubmit"], { env }), input);
    expect([code, out]).toEqual([0, expect.stringMatching(/SHIM cannot save: ENOENT.*\/proc\/home'. Events are lost/)]);
  },
);
