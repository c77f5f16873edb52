import { spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { claudeBinary } from "../../scripts/install-claude.ts";
import { codexClient, programOf } from "../../scripts/install-clients.ts";
import { adapterOf } from "#src/clients/adapters.ts";
import { git } from "#harness/machine/git-project.ts";
import { connectClient, environmentOf, gemini, qwen, type RealClient } from "#harness/clients/real-clients.ts";
import { cleanEnv, startTerminal, untilFound, watch, type Claude } from "#harness/claude/claude-code.ts";
import { bash, call, received } from "#harness/claude/claude-rig.ts";
import { WorkerProcess } from "#harness/claude/claude-workers.ts";
import { startScriptedModel, type ScriptedModel, type Step } from "#harness/claude/scripted-model.ts";
import { claudeLimit, codexLimit } from "#harness/claude/usage-limits.ts";
import { longTool } from "#harness/clients/chat-rig.ts";
import {
  codexEnv,
  codexFlags,
  CodexRig,
  endlessShell,
  shell,
  shimTool,
  addStandinSettings,
} from "#harness/clients/codex-rig.ts";
import { built } from "#harness/machine/mcp-process.ts";
import { killEvery } from "#harness/machine/process-tree.ts";

const prompt = "Make the parser accept empty input";
const atLimit = expect.stringMatching(/^Claude Code has reached its usage limit/) as string;

async function aModel(...steps: readonly Step[]): Promise<ScriptedModel> {
  const model = await startScriptedModel({ threads: [{ steps }] });
  onTestFinished(() => model.close());
  return model;
}

function envOf(rig: CodexRig, claude: ScriptedModel): Record<string, string> {
  const env = { SHIM_HOME: rig.paths.home, CLAUDE_CODE_MAX_RETRIES: "0" };
  return { ...cleanEnv({ home: rig.home, modelUrl: claude.url, env }), ...codexEnv(rig.home) };
}

/** The rule of the project for usage limits. */
function setRule(rig: CodexRig, order: readonly (object | string)[], more: object = {}): void {
  const rule = { folder: rig.project, order, mostUsd: null, mostHours: 24, ...more };
  rig.shim("config", "set", "atLimit", JSON.stringify([rule]));
}

function supervise(rig: CodexRig, claude: ScriptedModel, codex: ScriptedModel): WorkerProcess {
  setRule(rig, [{ client: "codex", program: programOf(codexClient), args: codexFlags(codex.url, {}) }]);
  return superviseOnly(rig, claude);
}

function superviseOnly(rig: CodexRig, claude: ScriptedModel): WorkerProcess {
  const args = ["--allowedTools", "Bash,Write,mcp__shim"];
  const own = { folder: rig.project, prompt, program: claudeBinary(), args };
  const fix = { kind: "claude", ...own, env: ["STANDIN_KEY"] };
  writeFileSync(join(rig.paths.home, "supervisor.json"), JSON.stringify({ watch: { fix } }));
  const env = envOf(rig, claude);
  return new WorkerProcess(spawn(process.execPath, [built.launcher, "worker", "supervise", "--json"], { env }));
}

it("Claude Code dies at its usage limit, Codex continues with files, goal and task, and Claude Code takes over again @night", async () => {
  const rig = new CodexRig();
  rig.shim("task", "submit", "fix", "--payload", '{"text":"the parser"}');
  const claude = await aModel(
    call("mcp__shim__shim_next", { types: ["fix"] }),
    call("Write", { file_path: rig.path("parser.ts"), content: "export const parse = null;\n" }),
    { ...bash("echo tested"), text: "The fault is in one.ts." },
    { ...claudeLimit, times: 1 },
    { text: "It accepts it now." },
  );
  const codex = await aModel(
    // The dead chat's task is free once it is attested dead, which may come after the first call of the next one.
    shimTool("shim_next", { types: ["fix"], waitMs: 20_000 }),
    { ...shell("echo 'export {};' > lexer.ts"), text: "The lexer was missing." },
    endlessShell,
  );
  const supervisor = supervise(rig, claude, codex);
  expect(await supervisor.until("started", 2)).toMatchObject({
    how: expect.stringMatching(/^Codex, session/) as string,
  });
  const isAtTool = () => rig.processes().find(({ command }) => command.join(" ") === longTool);
  await untilFound(isAtTool, "the tool of Codex");
  const [first, second] = rig.sessions();
  const handed = received(codex, 0);
  for (const text of [
    `<shim-recovered-session-${first!.id.slice(0, 8)}>`,
    ` ago: ${prompt}`,
    "why it died: usage_limit",
    "its task 1 (fix) was not finished",
    "- parser.ts (created): unchanged since the checkpoint",
    "The fault is in one.ts.",
  ])
    expect(handed).toContain(text);
  expect(received(codex, 1).slice(handed.length)).toContain("Taken task 1 (fix");
  const program = rig.processes().find(({ command: [path] }) => path === programOf(codexClient));
  process.kill(program!.pid, "SIGKILL");
  const died = await supervisor.until("ended");
  expect(died).toMatchObject({ phase: "due", reason: atLimit, againInMs: expect.any(Number) });
  // The user does not wait for the reset.
  rig.shim("worker", "supervise", "retry", "fix");
  expect(await supervisor.until("ended", 2)).toMatchObject({ phase: "finished" });
  const back = received(claude, -1);
  for (const text of [
    `<shim-recovered-session-${second!.id.slice(0, 8)}>`,
    ` ago: ${prompt}`,
    "its task 1 (fix) was not finished",
    "- parser.ts",
    "- lexer.ts",
    "The lexer was missing.",
  ])
    expect(back).toContain(text);
  const [, , third] = rig.sessions();
  expect(rig.sessions()).toMatchObject([
    { client: "claude-code", recovery: "recovered", recoveryBy: second!.id },
    { client: "codex", recovery: "recovered", recoveryBy: third!.id },
    { client: "claude-code", recovery: null, endReason: expect.any(String) },
  ]);
  const why = "Codex, because a usage limit was reached; 0.00 USD spent for this limit so far";
  expect(rig.shim("sessions", "show", first!.id)).toContain(`taken by session ${second!.id}: ${why}`);
  expect(rig.shim("sessions", "show", second!.id)).toContain(`continues session ${first!.id} of Claude Code: ${why}`);
  expect(rig.shim("sessions", "show", second!.id)).toContain(`taken by session ${third!.id}`);
  expect(rig.shim("sessions", "show", third!.id)).toContain(`continues session ${second!.id} of Codex`);
  supervisor.kill("SIGTERM");
  expect(await supervisor.ended).toBe(0);
});

it("the real Claude Code with another model, then Codex, both at their limits: each once, and then the supervisor waits @night", async () => {
  const rig = new CodexRig();
  const claude = await aModel(claudeLimit);
  const codex = await aModel(codexLimit);
  const other = { client: "codex", program: programOf(codexClient), args: codexFlags(codex.url, {}) };
  setRule(rig, [{ model: "haiku" }, other]);
  const supervisor = superviseOnly(rig, claude);
  expect(await supervisor.until("ended")).toMatchObject({
    phase: "due",
    reason: atLimit,
    againInMs: expect.any(Number),
  });
  const titles = supervisor.named("started").map(({ how }) => String(how).replace(/,.*/, ""));
  expect(titles).toEqual(["a new session", "Claude Code with the model haiku", "Codex"]);
  const models = claude.requests.filter(({ kind }) => kind === "loop").map(({ body }) => String(body?.["model"]));
  expect(new Set(models.map((model) => model.includes("haiku")))).toEqual(new Set([false, true]));
  expect(codex.requests.some(({ kind }) => kind === "loop")).toBe(true);
  supervisor.kill("SIGTERM");
  expect(await supervisor.ended).toBe(0);
});

it("usage of Codex without a price ends it, where the rule has a ceiling of money @night", async () => {
  const rig = new CodexRig();
  const claude = await aModel(claudeLimit);
  const codex = await aModel(shell("echo one"), endlessShell);
  const other = { client: "codex", program: programOf(codexClient), args: codexFlags(codex.url, {}) };
  setRule(rig, [other], { mostUsd: 5 });
  const supervisor = superviseOnly(rig, claude);
  expect(await supervisor.until("ended")).toMatchObject({
    phase: "stopped",
    reason: expect.stringMatching(/at most 5\.00 USD, and \d+ tokens have no price/) as string,
  });
  supervisor.kill("SIGTERM");
  expect(await supervisor.ended).toBe(0);
});

/** Codex works on after Claude Code's limit, until it is ended. */
async function withCodexAtWork(): Promise<{ rig: CodexRig; claude: ScriptedModel; codex: ScriptedModel }> {
  const rig = new CodexRig();
  const claude = await aModel(claudeLimit);
  const codex = await aModel(endlessShell, { text: "Done." });
  return { rig, claude, codex };
}

function toolOf(rig: CodexRig): ReturnType<CodexRig["processes"]>[number] | undefined {
  return rig.processes().find(({ command }) => command.join(" ") === longTool);
}

it("kill -9 of the supervisor while Codex works: the next one ends it and continues that session, with one successor each @night", async () => {
  const { rig, claude, codex } = await withCodexAtWork();
  const first = supervise(rig, claude, codex);
  const tool = await untilFound(() => toolOf(rig), "the tool of Codex");
  first.kill("SIGKILL");
  await first.ended;
  const next = supervise(rig, claude, codex);
  expect(await next.until("ended")).toMatchObject({ phase: "finished" });
  expect(rig.processes().some(({ pid }) => pid === tool.pid)).toBe(false);
  const sessions = rig.sessions();
  expect(sessions.map(({ client }) => client)).toEqual(["claude-code", "codex", "codex"]);
  expect(sessions.map(({ recoveryBy }) => recoveryBy)).toEqual([sessions[1]!.id, sessions[2]!.id, null]);
  next.kill("SIGTERM");
  expect(await next.ended).toBe(0);
});

it("Enter in the terminal of the supervisor ends the Codex that the rule has started @night", async () => {
  const { rig, claude, codex } = await withCodexAtWork();
  supervise(rig, claude, codex).kill("SIGKILL");
  const line = `exec '${process.execPath}' '${built.launcher}' worker supervise`;
  const child = spawn("script", ["-qefc", line, "/dev/null"], { cwd: rig.project, env: envOf(rig, claude) });
  onTestFinished(() => void child.kill("SIGKILL"));
  const terminal = watch(child);
  await untilFound(() => toolOf(rig), "the tool of Codex");
  expect(terminal.output.stdout).toContain("Press Enter to stop what the rules");
  child.stdin.write("\r");
  await untilFound(() => terminal.output.stdout.includes("you stopped the rule"), "the end of the rule");
  await untilFound(() => toolOf(rig) === undefined, "the end of Codex's tool");
  child.stdin.write("\u0003");
  await terminal.waitForExit();
});

/** A program of its own, as it stands on a PATH. */
function wrapped(rig: CodexRig, name: string, words: readonly string[]): string {
  const path = join(rig.root, name);
  writeFileSync(path, `#!/bin/sh\nexec ${words.map((word) => `'${word}'`).join(" ")} "$@"\n`, { mode: 0o755 });
  return path;
}

interface Other {
  readonly name: "codex" | "qwen" | "gemini";
  /** Makes a file of its own. */
  readonly step: Step;
  /** @returns what the settings say, and its variables */
  setUp(rig: CodexRig, url: string): { readonly program: string; readonly args: string[]; readonly env: object };
}

const makesFile = "echo 'export {};' > lexer.ts";

const codexOther: Other = {
  name: "codex",
  step: shell(makesFile),
  setUp: (_rig, url) => ({ program: programOf(codexClient), args: codexFlags(url, {}), env: {} }),
};

function other(name: "qwen" | "gemini", client: RealClient): Other {
  return {
    name,
    step: { tools: [client.shell(makesFile)] },
    setUp: (rig, url) => {
      const env = client.env(url);
      connectClient(client, environmentOf(client, { home: rig.home, shimHome: rig.paths.home, modelUrl: url }));
      const words = client.command("", null).filter((word) => word !== "" && word !== "-p");
      return { program: wrapped(rig, name, words), args: [], env };
    },
  };
}

const others = [codexOther, other("qwen", qwen), other("gemini", gemini)].map((one) => [one.name, one] as const);

it.each(others)("a task that Claude Code leaves at its limit is done by the real %s @night", async (name, client) => {
  const rig = new CodexRig();
  rig.shim("task", "submit", "fix", "--payload", '{"text":"Make the parser accept empty input"}');
  const write = call("Write", { file_path: "parser.ts", content: "export const parse = null;\n" });
  const claude = await aModel({ ...write, text: "The fault is in one.ts." }, claudeLimit);
  const model = await aModel(client.step, { text: 'It is done.\n{"shim":"done","result":{"files":1}}' });
  const { env: variables, ...own } = client.setUp(rig, model.url);
  setRule(rig, [{ client: name, ...own }]);
  const fix = { claude: { program: claudeBinary(), allowedTools: ["Write"], env: ["STANDIN_KEY"] } };
  const settings = join(rig.root, "worker.json");
  writeFileSync(settings, JSON.stringify({ types: { fix: { ...fix, repository: rig.project } } }));
  const env = { ...envOf(rig, claude), ...variables };
  const args = [built.launcher, "worker", "--config", settings, "--once", "--json"];
  const worker = new WorkerProcess(spawn(process.execPath, args, { cwd: rig.project, env }));
  expect([await worker.ended, worker.named("ended")]).toMatchObject([0, [{ end: "done", state: "done" }]]);
  const [first, second, ...more] = rig.sessions();
  expect([first?.client, second?.client, more]).toEqual(["claude-code", name, []]);
  const handed = received(model, 0);
  for (const text of [
    "Do task 1 (fix):",
    `<shim-recovered-session-${first!.id.slice(0, 8)}>`,
    "- parser.ts (created)",
    "The fault is in one.ts.",
  ])
    expect(handed).toContain(text);
  expect(worker.named("progress").map(({ note }) => note)).toContain(
    `Claude Code has reached its usage limit; ${adapterOf(name)?.title} continues`,
  );
  const { result } = JSON.parse(rig.shim("task", "show", "1", "--json")) as {
    result: { branch: string; output: object };
  };
  expect(result.output).toMatchObject({
    value: { files: 1 },
    session: second!.id,
    client: adapterOf(name)?.title,
    tokens: expect.any(Number),
  });
  expect(git(rig.project, "ls-tree", "--name-only", result.branch).split("\n")).toEqual(
    expect.arrayContaining(["lexer.ts", "parser.ts"]),
  );
});

/** Codex with its screen in a pseudo terminal, as `shim resume` of the user starts it. */
function resumeInTerminal(rig: CodexRig, env: Record<string, string>, id: string): Claude {
  const line = `stty cols 150 rows 40; exec '${process.execPath}' '${built.launcher}' resume --in codex ${id}`;
  const terminal = { ...env, TERM: "xterm-256color", SHELL: "/bin/sh" };
  const child = spawn("script", ["-qefc", line, "/dev/null"], { cwd: rig.project, env: terminal });
  // Codex asks a terminal where its cursor is.
  child.stdout.on("data", (text: Buffer) => void (text.includes("\u001B[6n") && child.stdin.write("\u001B[1;1R")));
  onTestFinished(() => void child.kill("SIGKILL"));
  return watch(child);
}

it("`shim resume --in codex` gives Codex what Claude Code had at its limit, also without a supervisor @night", async () => {
  const rig = new CodexRig();
  const write = call("Write", { file_path: rig.path("parser.ts"), content: "export const parse = null;\n" });
  const claude = await aModel(write, claudeLimit);
  const codex = await aModel({ text: "I go on." });
  const env = envOf(rig, claude);
  const ended = spawn(claudeBinary(), ["-p", prompt, "--allowedTools", "Write", ...pluginArgs], {
    cwd: rig.project,
    env,
  });
  expect((await watch(ended).waitForExit()).code).toBe(1);
  const [first] = rig.sessions();
  addStandinSettings(rig.home, codex.url, rig.project);
  const terminal = resumeInTerminal(rig, env, first!.id);
  // Codex's screen starts a daemon, which outlives it.
  onTestFinished(() => killEvery(rig.processes().filter(({ command }) => command.includes("app-server"))));
  await untilFound(() => codex.requests.some(({ kind }) => kind === "loop"), "a request of Codex").catch(
    (error: unknown) => {
      throw new Error(`${String(error)} ${JSON.stringify(terminal.output).slice(-3000)}`);
    },
  );
  for (const text of [
    `<shim-recovered-session-${first!.id.slice(0, 8)}>`,
    ` ago: ${prompt}`,
    "why it died: usage_limit",
    "parser.ts (created)",
  ])
    expect(received(codex, 0)).toContain(text);
  const second = await untilFound(() => rig.sessions()[1], "the session of Codex");
  expect(second).toMatchObject({ client: "codex" });
  await rig.last(second.id, "turn_end");
  expect(rig.session(first!.id).recoveryBy).toBe(second.id);
  expect(rig.stored(second.id).journal.map(({ entry }) => entry)).toContainEqual({ kind: "prompt", text: "continue" });
  terminal.kill("SIGKILL");
  await terminal.waitForExit();
});

it("a chat of Claude Code that is open at its limit continues in the real Codex @night", async () => {
  const rig = new CodexRig();
  const claude = await aModel(claudeLimit);
  const codex = await aModel({ text: "I go on." });
  const env = envOf(rig, claude);
  const pluginDir = join(import.meta.dirname, "..", "..", "plugin");
  const open = startTerminal({ home: rig.home, cwd: rig.project, modelUrl: claude.url, pluginDir, env });
  onTestFinished(() => open.kill("SIGKILL"));
  await open.send(prompt);
  const first = await untilFound(() => rig.sessions()[0], "the session of Claude Code");
  await rig.last(first.id, "failure");
  addStandinSettings(rig.home, codex.url, rig.project);
  const terminal = resumeInTerminal(rig, env, first.id);
  onTestFinished(() => killEvery(rig.processes().filter(({ command }) => command.includes("app-server"))));
  await untilFound(() => codex.requests.some(({ kind }) => kind === "loop"), "a request of Codex");
  expect(received(codex, 0)).toContain(` ago: ${prompt}`);
  const second = await untilFound(() => rig.sessions()[1], "the session of Codex");
  await rig.last(second.id, "turn_end");
  expect(rig.session(first.id)).toMatchObject({ recoveryBy: second.id, endedAt: null });
  terminal.kill("SIGKILL");
  await terminal.waitForExit();
});

const pluginArgs = [
  "--plugin-dir",
  join(import.meta.dirname, "..", "..", "plugin"),
  "--mcp-config",
  '{"mcpServers":{}}',
];
