import { spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { type Claude, cleanEnv, untilFound, watch } from "#harness/claude/claude-code.ts";
import { bash, call, received } from "#harness/claude/claude-rig.ts";
import { WorkerProcess } from "#harness/claude/claude-workers.ts";
import { type ScriptedModel, startScriptedModel, type Step } from "#harness/claude/scripted-model.ts";
import { claudeLimit } from "#harness/claude/usage-limits.ts";
import { longTool } from "#harness/clients/chat-rig.ts";
import {
  addStandinSettings,
  codexEnv,
  codexFlags,
  CodexRig,
  endlessShell,
  shell,
  shimTool,
} from "#harness/clients/codex-rig.ts";
import { built } from "#harness/machine/mcp-process.ts";
import { killEvery } from "#harness/machine/process-tree.ts";
import { claudeBinary } from "../../scripts/install-claude.ts";
import { codexClient, programOf } from "../../scripts/install-clients.ts";

const prompt = "Make the parser accept empty input";

async function aModel(...steps: readonly Step[]): Promise<ScriptedModel> {
  const model = await startScriptedModel({ threads: [{ steps }] });
  onTestFinished(() => model.close());
  return model;
}

function envOf(rig: CodexRig, claude: ScriptedModel): Record<string, string> {
  const env = { SHIM_HOME: rig.paths.home, CLAUDE_CODE_MAX_RETRIES: "0" };
  return { ...cleanEnv({ home: rig.home, modelUrl: claude.url, env }), ...codexEnv(rig.home) };
}

function supervise(rig: CodexRig, claude: ScriptedModel, codex: ScriptedModel): WorkerProcess {
  const other = { client: "codex", program: programOf(codexClient), args: codexFlags(codex.url, {}) };
  const rule = { folder: rig.project, order: [other], mostUsd: null, mostHours: 24 };
  rig.shim("config", "set", "atLimit", JSON.stringify([rule]));
  const args = ["--allowedTools", "Bash,Write,mcp__shim"];
  const own = { folder: rig.project, prompt, program: claudeBinary(), args };
  const fix = { kind: "claude", ...own, env: ["STANDIN_KEY"] };
  writeFileSync(join(rig.paths.home, "supervisor.json"), JSON.stringify({ watch: { fix } }));
  const env = envOf(rig, claude);
  return new WorkerProcess(spawn(process.execPath, [built.launcher, "worker", "supervise", "--json"], { env }));
}

const atLimit = expect.stringMatching(/^Claude Code has reached its usage limit/) as string;

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
  supervisor.kill("SIGTERM");
  expect(await supervisor.ended).toBe(0);
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

const pluginArgs = [
  "--plugin-dir",
  join(import.meta.dirname, "..", "..", "plugin"),
  "--mcp-config",
  '{"mcpServers":{}}',
];

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
