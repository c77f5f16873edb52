import { existsSync, mkdtempSync, readdirSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished, vi } from "vitest";
import { addDemo } from "../../demo/chat-command.ts";
import type { DemoResult } from "../../demo/chat-demo.ts";
import { McpConnection } from "#src/platform/mcp-connection.ts";
import { runProgram } from "#src/cli/commands/program.ts";
import type { Io } from "#src/cli/io.ts";
import { aCliHome, type CliHome, holding } from "#harness/machine/cli-home.ts";
import { processesIn } from "#harness/machine/process-tree.ts";
import { launchSources, sourceEnv, sources } from "#harness/machine/source-programs.ts";

const timeout = 240_000;

it("a chat that is killed in mid-tool comes back whole, and nothing is left @night", { timeout }, async () => {
  const home = aCliHome();
  const { io, root } = aStage(home);
  const around = {
    CLAUDE_CODE_SESSION_ID: "the one outside",
    CLAUDE_PID: "1",
    SHIM_CLIENT_PID: "1",
    GIT_DIR: "/nowhere",
  };
  const env = { ...io.env, ...around, SHIM_HOME: home.paths.home };
  const ran = await runDemo(home, { ...io, env }, "--json");
  const result = ran.json() as unknown as DemoResult;
  expect(result.checks.filter(({ isBack }) => !isBack)).toEqual([]);
  expect(ran.code).toBe(0);
  const checked = result.checks.map(({ what }) => what);
  expect(checked).toEqual(expect.arrayContaining(["goal", "running tool", "files of the snapshot", "no process left"]));
  expect(result.worked).toEqual({ requests: 2, tools: 8, failed: 1 });
  const { saves, ...times } = result.times;
  expect(saves).toHaveLength(5);
  expect(Math.min(...saves, ...Object.values(times))).toBeGreaterThan(0);
  expect(ran.err).toContain("kill -9 of the client");
  expect([readdirSync(root), processesIn(root), existsSync(home.paths.home)]).toEqual([[], [], false]);
});

it(
  "what does not come back is named, the exit code is 1, and a package says that it has no team @night",
  { timeout },
  async () => {
    const home = aCliHome();
    const { io } = aStage(home);
    expect(await runDemo(home, { ...io, launch: { ...io.launch, hookScript: withoutBrief(home) } })).toMatchObject({
      code: 1,
      out: holding(
        /^ {2}LOST {2}goal +expected: - goal \(; /m,
        /^ {2}back {2}files of the snapshot /m,
        /^15 of 20 did not come back\.$/m,
        /^A team of workers is not shown: .*`npm run demo` in a clone has it\.$/m,
        /a save through MCP +[\d.]+ ms \(median of 5/,
      ),
    });
  },
);

it("a demo that is interrupted leaves no process and no file @night", { timeout }, async () => {
  const home = aCliHome();
  const { io, root } = aStage(home);
  const stop = new AbortController();
  const running = runDemo(home, { ...io, interrupted: () => stop.signal }, "--json");
  await vi.waitUntil(() => processesIn(root).length > 1, { timeout: 120_000, interval: 5 });
  stop.abort();
  const ran = await running;
  expect(ran.json()).toMatchObject({ error: { code: "interrupted" } });
  expect(ran.code).toBe(1);
  expect(readdirSync(root)).toEqual([]);
  expect(processesIn(root)).toEqual([]);
});

it(
  "a hook that fails in the work before the kill ends the demo with its reason, and nothing is left @night",
  { timeout },
  async () => {
    const home = aCliHome();
    const { io, root } = aStage(home);
    const hookScript = join(home.folder, "broken-hook.mjs");
    writeFileSync(hookScript, `console.error("no store"); process.exit(3);\n`);
    const ran = await runDemo(home, { ...io, launch: { ...io.launch, hookScript } }, "--json");
    expect(ran.json()).toMatchObject({ error: { message: expect.stringContaining("hook ended with 3: no store") } });
    expect([ran.code, readdirSync(root), processesIn(root)]).toEqual([1, [], []]);
  },
);

it("says that git is missing @night", async () => {
  const home = aCliHome();
  const { io, root } = aStage(home);
  expect((await runDemo(home, { ...io, env: { ...io.env, PATH: home.folder } }, "--json")).json()).toMatchObject({
    error: { code: "git_missing", message: expect.stringContaining("Install git.") },
  });
  expect(readdirSync(root)).toEqual([]);
});

/** Runs `shim demo` as the launcher does. */
async function runDemo(home: CliHome, overrides: Partial<Io>, ...options: string[]) {
  const io = home.io(overrides);
  const code = await runProgram(["demo", ...options], io, addDemo);
  return { code, out: io.out, err: io.err, json: () => JSON.parse(io.out) as Record<string, unknown> };
}

interface Stage {
  readonly io: Pick<Io, "env" | "launch" | "now" | "interrupted">;
  /** Where the demo makes its temporary folder. */
  readonly root: string;
}

function aStage(home: CliHome): Stage {
  const root = realpathSync(mkdtempSync(join(tmpdir(), "shim-stage-")));
  onTestFinished(() => rmSync(root, { recursive: true, force: true }));
  vi.stubEnv("TMPDIR", root);
  onTestFinished(() => void vi.unstubAllEnvs());
  const launch = launchSources(home.folder);
  return { root, io: { env: sourceEnv(home.folder), launch, now: Date.now, interrupted: neverInterrupted } };
}

function neverInterrupted(): AbortSignal {
  return new AbortController().signal;
}

/** A hook program that says nothing at a start, and does its work otherwise. */
function withoutBrief(home: CliHome): string {
  const script = join(home.folder, "no-brief.mjs");
  writeFileSync(script, `if (process.argv[2] !== "SessionStart") await import(${JSON.stringify(sources.hook)});\n`);
  return script;
}

it("the connection keeps what is no protocol, passes on errors, and fails what a dead server did not answer @night", async () => {
  const cwd = realpathSync(mkdtempSync(join(tmpdir(), "shim-connection-")));
  onTestFinished(() => rmSync(cwd, { recursive: true, force: true }));
  const { env } = process;
  const answers = `const lines = require("node:readline").createInterface({ input: process.stdin });
    console.log("not json"); console.log("[1]"); console.error("some trouble");
    lines.on("line", (line) => {
      const { id, method } = JSON.parse(line);
      if (method === "die") process.exit(7);
      console.log(JSON.stringify({ jsonrpc: "2.0", id: 99, result: {} }));
      console.log(JSON.stringify({ jsonrpc: "2.0", id, error: { code: -1, message: "refused" } }));
    });`;
  const connection = new McpConnection({ command: process.execPath, args: ["-e", answers], env, cwd });
  await expect(connection.request("x")).rejects.toThrow('x: {"code":-1,"message":"refused"}');
  expect(connection.stray).toEqual(["not json", "[1]"]);
  await expect(connection.request("die")).rejects.toThrow(/has ended \(exit code 7\)\. some trouble/);
  await expect(connection.request("x")).rejects.toThrow(/has ended/);
  expect(await connection.ended).toEqual({ code: 7, signal: null });
  const none = new McpConnection({ command: join(cwd, "missing"), args: [], env, cwd });
  await expect(none.request("x")).rejects.toThrow(/ENOENT/);
});
