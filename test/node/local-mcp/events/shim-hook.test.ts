import { once } from "node:events";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import * as fc from "fast-check";
import { expect, it, onTestFinished, vi } from "vitest";
import { callerEnv, headerOf, valueVariables } from "#src/clients/adapter/hook-variables.ts";
import { ended, ShimHookRig, type Ended } from "#harness/machine/shim-hook-rig.ts";

/** Quotes, line ends, text that a shell would expand, and characters of several bytes. */
const hostile = JSON.stringify({
  prompt: 'it\'s "quoted" \\ $(touch bad) `touch bad` ${HOME} $HOME *\nEOF\n%s %d \\n 🧩 ü \u2028 \u0000',
});

const answered = (out: string): Ended => ({ code: 0, out, err: "" });

/** The program of hooks got the event as it was. */
function passedOn({ code, out, err }: Ended): unknown {
  return { code, err, ...(JSON.parse(out) as object) };
}

/** The line by which the script describes itself, with its parent. */
const stated: unknown = expect.stringMatching(new RegExp(`^\\d+ \\(perl\\) [A-Z] ${process.pid}( |$)`));

it.each(["/bin/sh", "/bin/bash"])(
  "by %s the host gets the event byte for byte, and its answer is printed as it is; nothing of either is executed",
  async (shell) => {
    const rig = new ShimHookRig();
    let answer = hostile;
    await rig.host((_request, response) => response.end(answer));
    const large = JSON.stringify({ tool_response: "x\\\"'🧩".repeat(150_000) });
    const inputs = [hostile, large, "no json", "%s", "-n", ""];
    for (const input of inputs) expect(await rig.run(input, { shell })).toEqual(answered(hostile));
    expect(rig.posted.map(({ url, body }) => [url, body])).toEqual(
      inputs.map((input) => ["POST /hook/codex/Stop", input]),
    );
    answer = "";
    const start = { args: ["SessionStart"], env: { CLAUDECODE: "1" }, shell };
    expect(await rig.run("{}", start)).toEqual(answered(""));
    expect(rig.posted.at(-1)?.url).toBe("POST /hook/claude-code/SessionStart");
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
  expect(callerEnv(host, headers)).toMatchObject({
    ...values,
    PATH: "/usr/bin:/bin",
    HOME: rig.folder,
    USER: "u",
    CLAUDE_CODE_ENTRYPOINT: undefined,
    SHIM_CLIENT_PID: undefined,
  });
  expect(JSON.stringify(headers)).not.toMatch(/secret|messaging/);
  const sent = Object.keys(headers).filter((name) => name.startsWith("shim-env-"));
  const known = valueVariables.map(headerOf);
  expect(known).toEqual(expect.arrayContaining(sent));
  expect(new Set(known).size).toBe(known.length);
});

it("without a host, or without perl, the program gets the event, and its answer is the script's", async () => {
  const args = ["PreToolUse", "--client", "qwen"];
  const rig = new ShimHookRig();
  expect(passedOn(await rig.run(hostile, { args }))).toEqual({
    code: 0,
    err: "",
    args,
    input: hostile,
    SHIM_HOOK_PROCESS: stated,
  });
  const bare = new ShimHookRig({ hasPerl: false });
  await bare.host((_request, response) => response.end("from the host"));
  expect(passedOn(await bare.run(hostile, { args }))).toEqual({ code: 0, err: "", args, input: hostile });
  expect(bare.posted).toEqual([]);
});

it("settings of perl in the environment change nothing", async () => {
  const rig = new ShimHookRig();
  await rig.host((_request, response) => response.end(hostile));
  const env = { PERL5OPT: "-Mnone", PERL_UNICODE: "SDA", LC_ALL: "none" };
  expect(await rig.run(hostile, { env })).toEqual(answered(hostile));
  expect(rig.posted[0]?.body).toBe(hostile);
});

it("a prompt of Qwen Code without text is given to neither, one that holds the same signs is", async () => {
  const rig = new ShimHookRig();
  await rig.host((_, response) => void response.end("{}"));
  const args = ["UserPromptSubmit", "--client", "qwen"];
  const none = JSON.stringify({ session_id: "s", prompt: "" });
  expect([await rig.run(none, { args }), rig.posted]).toEqual([answered(""), []]);
  const quoted = JSON.stringify({ session_id: "s", prompt: 'Why is {"prompt":""} sent?' });
  expect((await rig.run(quoted, { args })).out).toBe("{}");
  await rig.run(`${none}${quoted}`, { args });
  await rig.run(none, { args: ["UserPromptSubmit", "--client", "codex"] });
  expect(rig.posted.map(({ url }) => url)).toEqual([
    "POST /hook/qwen/UserPromptSubmit",
    "POST /hook/qwen/UserPromptSubmit",
    "POST /hook/codex/UserPromptSubmit",
  ]);
});

it("a home that is not absolute, or that would end a header, is left to the program", async () => {
  const rig = new ShimHookRig();
  await rig.host((_request, response) => response.end("from the host"));
  const line = join(rig.folder, "a\nhome");
  mkdirSync(line);
  for (const env of [{ SHIM_HOME: "a home" }, { SHIM_HOME: line }, { COPILOT_HOME: "/a\nx: y" }])
    expect(passedOn(await rig.run(hostile, { env })), JSON.stringify(env)).toMatchObject({ input: hostile });
  expect(rig.posted).toEqual([]);
});

it("an answer with another status than 200, and one that breaks off, is not printed: the program answers", async () => {
  for (const status of [204, 302, 404, 409, 413, 500, 503]) {
    const rig = new ShimHookRig();
    await rig.host((_request, response) => response.writeHead(status, { location: "/" }).end("of the host 200"));
    expect(passedOn(await rig.run(hostile)), String(status)).toMatchObject({ code: 0, input: hostile });
  }
  const rig = new ShimHookRig();
  await rig.host((_request, response) => {
    response.writeHead(200, { "content-length": 100 }).write("half 200");
    response.destroy();
  });
  expect(passedOn(await rig.run(hostile))).toMatchObject({ code: 0, input: hostile });
});

/** A host that takes a connection and answers nothing. */
async function hangingHost(): Promise<ShimHookRig> {
  const rig = new ShimHookRig();
  const server = createServer().listen(join(rig.home, "host.sock"));
  await once(server, "listening");
  onTestFinished(() => void server.close());
  return rig;
}

async function hangs(...args: readonly string[]): Promise<void> {
  const rig = await hangingHost();
  expect(passedOn(await rig.run(hostile, { args }))).toEqual({
    code: 0,
    err: "",
    args,
    input: hostile,
    SHIM_HOOK_PROCESS: stated,
    SHIM_HOOK_WAITED: "1",
  });
}

it("a host that hangs the program is preferred", () => hangs("Stop", "--client", "codex"));

it("a host that hangs the program is preferred at a start, which may take longer @night", () =>
  hangs("SessionStart", "--client", "codex"));

it("a large event is passed on whole by a host that does not read it", async () => {
  const rig = await hangingHost();
  const large = JSON.stringify({ tool_response: "x".repeat(3_000_000) });
  await rig.run(large);
  expect(JSON.parse(readFileSync(rig.given, "utf8"))).toMatchObject({ input: large, SHIM_HOOK_WAITED: "1" });
});

it("the program answers another client that runs hooks of Claude Code, before its input ends", async () => {
  const rig = new ShimHookRig();
  await rig.host((_request, response) => response.end("from the host"));
  const ran = rig.run("{}", { args: ["Stop"] });
  expect(passedOn(await ran)).toMatchObject({ args: ["Stop", "--client", "claude-code"], input: "{}" });
  expect(rig.posted).toEqual([]);
});

const clients = ["claude-code", "codex", "copilot", "opencode", "qwen", "gemini"];
/** The script is of Claude Code's own hooks. */
const env = { CLAUDECODE: "1" };

it.each(clients)("of %s an event is answered when its object is whole, while its stdin is open", async (client) => {
  const rig = new ShimHookRig();
  await rig.host((_request, response) => response.end("{}"));
  const object = '{"prompt":"a \\" { 🧩 \\\\","more":[{}]}';
  const inputs = [
    object,
    `\ufeff${object}`,
    `\0${object}\0`,
    `${object} it's "{`,
    `${object}\n${object}`,
    `log: ${object}`,
  ];
  for (const input of inputs) {
    const child = rig.start({ args: ["UserPromptSubmit", "--client", client], env });
    child.stdin.write(input);
    expect(await ended(child), input).toEqual(answered("{}"));
  }
  expect(rig.posted.map(({ body }) => body)).toEqual(inputs);
});

it("any object is seen to be whole @night", async () => {
  const rig = new ShimHookRig();
  await rig.host((_request, response) => response.end("{}"));
  const given = fc.tuple(fc.dictionary(fc.string(), fc.jsonValue()), fc.integer({ min: 0, max: 1_000 }));
  await fc.assert(
    fc.asyncProperty(given, async ([object, at]) => {
      const text = JSON.stringify({ ...object, pad: '\\"{}'.repeat(at * 9) });
      const child = rig.start();
      child.stdin.write(text);
      expect(await ended(child)).toEqual(answered("{}"));
      expect(rig.posted.at(-1)?.body).toBe(text);
    }),
    { numRuns: 60 },
  );
});

it("what has come of an object that does not get whole is given to the host in time", async () => {
  const rig = new ShimHookRig();
  await rig.host((_request, response) => response.end("{}"));
  const child = rig.start();
  child.stdin.write('{"prompt":"half');
  expect(await ended(child)).toEqual(answered("{}"));
  expect(rig.posted.map(({ body }) => body)).toEqual(['{"prompt":"half']);
});

it.each(["SIGTERM", "SIGHUP", "SIGINT"] as const)(
  "%s to the group of the client ends the hook, and what was read is given to the program",
  async (signal) => {
    const hanging = await hangingHost();
    const asked = new ShimHookRig();
    const isAsked = new Promise<void>((resolve) => void asked.host(() => resolve()));
    for (const rig of [hanging, asked]) {
      const child = rig.start();
      child.stdin.write(rig === asked ? hostile : '{"prompt":"half');
      if (rig === asked) await isAsked;
      // A script that waits has read what there was.
      else await vi.waitUntil(() => isPolling(child.pid));
      process.kill(-(child.pid ?? 0), signal);
      expect((await ended(child)).code).toBe(0);
      const given = JSON.parse(readFileSync(rig.given, "utf8")) as object;
      expect(given).toMatchObject({ input: rig === asked ? hostile : '{"prompt":"half', SHIM_HOOK_WAITED: "1" });
    }
  },
);

/** Whether a process waits in select(2), on x64 or arm64. */
function isPolling(pid: number | undefined): boolean {
  return /^(?:23|270|72) /.test(readFileSync(`/proc/${pid}/syscall`, "utf8"));
}

it("a client that reads no answer, and one that has closed stdin or stdout, gets the hook ended and its event kept", async () => {
  const rig = new ShimHookRig();
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
