import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { once } from "node:events";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { callerEnv, headerOf, valueVariables } from "#src/clients/hook-variables.ts";
import { ShimHookRig, type Ended } from "#harness/machine/shim-hook-rig.ts";

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
const stated: unknown = expect.stringMatching(new RegExp(`^\\d+ \\(sh\\) [A-Z] ${process.pid}( |$)`));

const transports = ["perl", "curl"] as const;

it.each(transports.flatMap((by) => ["/bin/sh", "/bin/bash"].map((shell) => [shell, by] as const)))(
  "[HO70] by %s and %s the host gets the event byte for byte, and its answer is printed as it is; nothing of either is executed",
  async (shell, by) => {
    const rig = new ShimHookRig();
    const PATH = rig.pathOf("cat", by);
    let answer = hostile;
    await rig.host((_request, response) => response.end(answer));
    const large = JSON.stringify({ tool_response: "x\\\"'🧩".repeat(150_000) });
    const inputs = [hostile, large, "no json", "%s", "-n", ""];
    for (const input of inputs) expect(await rig.run(input, { shell, env: { PATH } })).toEqual(answered(hostile));
    expect(rig.posted.map(({ url, body }) => [url, body])).toEqual(
      inputs.map((input) => ["POST /hook/codex/Stop", by === "perl" ? input : `${input}\n`]),
    );
    answer = "";
    const start = { args: ["SessionStart"], env: { PATH, CLAUDECODE: "1" }, shell };
    expect(await rig.run("{}", start)).toEqual(answered(""));
    expect(rig.posted.at(-1)?.url).toBe("POST /hook/claude-code/SessionStart");
    expect(existsSync(join(rig.folder, "bad"))).toBe(false);
  },
);

it.each(transports)(
  "[HO71] by %s the host gets what only the caller knows: its process, its home, and the variables that an answer may depend on",
  async (by) => {
    const rig = new ShimHookRig();
    const PATH = rig.pathOf("cat", by);
    await rig.host((_request, response) => response.end());
    const values = { CLAUDECODE: "1", SHIM_TASK: "", COPILOT_HOME: "/Jürgen's 🧩/$(x)" };
    await rig.run("{}", { env: { PATH, ...values, GEMINI_CWD: "/secret", CLAUDE_CODE_MESSAGING_TOKEN: "t" } });
    const headers = rig.posted[0]?.headers ?? {};
    expect(headers["shim-home"]).toBe(`=${rig.home}`);
    expect(String(headers["shim-process"]).split(" ")[3]).toBe(String(process.pid));
    const host = { CLAUDE_CODE_ENTRYPOINT: "of another chat", USER: "u" };
    expect(callerEnv(host, headers)).toMatchObject({
      ...values,
      PATH,
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
  },
);

it("[HO73] without a host, or without perl and curl, the program gets the event, and its answer is the script's", async () => {
  const rig = new ShimHookRig();
  const args = ["PreToolUse", "--client", "qwen"];
  expect(passedOn(await rig.run(hostile, { args }))).toMatchObject({ code: 0, args, input: hostile });
  await rig.host((_request, response) => response.end("from the host"));
  const withoutBoth = { args, env: { PATH: rig.pathOf("cat", "timeout") } };
  expect(passedOn(await rig.run(hostile, withoutBoth))).toEqual({
    code: 0,
    err: "",
    args,
    input: `${hostile}\n`,
    SHIM_HOOK_PROCESS: stated,
  });
  const withoutAny = { args, env: { PATH: rig.pathOf() } };
  expect(passedOn(await rig.run(hostile, withoutAny))).toMatchObject({ args, input: hostile });
  expect(rig.posted).toEqual([]);
});

it("[HO73] where perl cannot run the program gets the event", async () => {
  const rig = new ShimHookRig();
  await rig.host((_, response) => void response.end("{}"));
  const PATH = rig.pathOf("cat");
  writeFileSync(join(PATH, "perl"), "#!/bin/sh\nexit 2\n", { mode: 0o755 });
  expect(passedOn(await rig.run(hostile, { env: { PATH } }))).toMatchObject({ code: 0, input: hostile });
  expect(rig.posted).toEqual([]);
});

it("[HO77] a prompt of Qwen Code without text is given to neither, one that holds the same signs is", async () => {
  const rig = new ShimHookRig();
  await rig.host((_, response) => void response.end("{}"));
  const args = ["UserPromptSubmit", "--client", "qwen"];
  const empty = await rig.run(JSON.stringify({ session_id: "s", prompt: "" }), { args });
  expect([empty, rig.posted]).toEqual([{ code: 0, out: "", err: "" }, []]);
  const quoted = JSON.stringify({ session_id: "s", prompt: 'Why is {"prompt":""} sent?' });
  expect((await rig.run(quoted, { args })).out).toBe("{}");
  await rig.run(JSON.stringify({ session_id: "s", prompt: "" }), { args: ["UserPromptSubmit", "--client", "codex"] });
  expect(rig.posted.map(({ url }) => url)).toEqual([
    "POST /hook/qwen/UserPromptSubmit",
    "POST /hook/codex/UserPromptSubmit",
  ]);
});

it("[HO73] a home that is not absolute, or that would end a header, is left to the program", async () => {
  const rig = new ShimHookRig();
  await rig.host((_request, response) => response.end("from the host"));
  const line = join(rig.folder, "a\nhome");
  mkdirSync(line);
  for (const env of [{ SHIM_HOME: "a home" }, { SHIM_HOME: line }, { COPILOT_HOME: "/a\nx: y" }])
    expect(passedOn(await rig.run(hostile, { env })), JSON.stringify(env)).toMatchObject({ input: hostile });
  expect(rig.posted).toEqual([]);
});

it.each(transports)(
  "[HO73] by %s an answer with another status than 200, and one that breaks off, is not printed: the program answers",
  async (by) => {
    for (const status of [204, 302, 404, 409, 413, 500, 503]) {
      const rig = new ShimHookRig();
      await rig.host((_request, response) => response.writeHead(status, { location: "/" }).end("of the host 200"));
      const env = { PATH: rig.pathOf("cat", by) };
      expect(passedOn(await rig.run(hostile, { env })), String(status)).toMatchObject({
        code: 0,
        input: `${hostile}\n`,
      });
    }
    const rig = new ShimHookRig();
    await rig.host((_request, response) => {
      response.writeHead(200, { "content-length": 100 }).write("half 200");
      response.destroy();
    });
    const env = { PATH: rig.pathOf("cat", by) };
    expect(passedOn(await rig.run(hostile, { env }))).toMatchObject({ code: 0, input: `${hostile}\n` });
  },
);

async function hangs(by: string, ...args: readonly string[]): Promise<void> {
  const rig = new ShimHookRig();
  const env = { PATH: rig.pathOf("cat", by) };
  const server = createServer().listen(join(rig.home, "host.sock"));
  await once(server, "listening");
  onTestFinished(() => void server.close());
  expect(passedOn(await rig.run(hostile, { args, env }))).toMatchObject({
    code: 0,
    err: "",
    args,
    input: `${hostile}\n`,
    SHIM_HOOK_PROCESS: stated,
    SHIM_HOOK_WAITED: "1",
  });
}

it.each(transports)("[HO73] by %s: to a host that hangs the program is preferred", (by) =>
  hangs(by, "Stop", "--client", "codex"),
);

it("[HO73] to a host that hangs the program is preferred at a start, which may take longer @night", () =>
  hangs("perl", "SessionStart", "--client", "codex"));

it("[HO65] the program answers another client that runs hooks of Claude Code, before its input ends", async () => {
  const rig = new ShimHookRig();
  await rig.host((_request, response) => response.end("from the host"));
  const env = { PATH: rig.pathOf("cat") };
  const ran = rig.run("{}", { args: ["Stop"], env });
  expect(passedOn(await ran)).toMatchObject({ args: ["Stop", "--client", "claude-code"], input: "{}" });
  expect(rig.posted).toEqual([]);
});

it("[HO40] of a client whose input was never seen to end the script takes what has come after six seconds @night", async () => {
  const rig = new ShimHookRig();
  await rig.host((_request, response) => response.end("{}"));
  const env = { PATH: `${rig.pathOf("timeout")}:/usr/bin:/bin` };
  expect(await rig.run(null, { args: ["Stop", "--client", "unknown"], env })).toEqual(answered("{}"));
  expect(rig.posted.map(({ url }) => url)).toEqual(["POST /hook/unknown/Stop"]);
});
