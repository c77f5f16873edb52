import { spawn } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { claudeBinary } from "../../scripts/install-claude.ts";
import { codexClient, programOf } from "../../scripts/install-clients.ts";
import { cleanEnv, skipFirstRunDialogs, untilFound, watch, type Claude } from "#harness/claude/claude-code.ts";
import { call, received } from "#harness/claude/claude-rig.ts";
import { startScriptedModel, type ScriptedModel, type Step } from "#harness/claude/scripted-model.ts";
import { codexEnv, CodexRig, addStandinSettings } from "#harness/clients/codex-rig.ts";
import {
  connectClient,
  copilot,
  environmentOf,
  gemini,
  opencode,
  qwen,
  type RealClient,
} from "#harness/clients/real-clients.ts";
import { git } from "#harness/machine/git-project.ts";
import { built } from "#harness/machine/mcp-process.ts";
import { killEvery } from "#harness/machine/process-tree.ts";

async function aModel(...steps: readonly Step[]): Promise<ScriptedModel> {
  const model = await startScriptedModel({ threads: [{ steps }] });
  onTestFinished(() => model.close());
  return model;
}

const pluginArgs = [
  "--plugin-dir",
  join(import.meta.dirname, "..", "..", "plugin"),
  "--mcp-config",
  '{"mcpServers":{}}',
];

function envOf(rig: CodexRig, claude: ScriptedModel): Record<string, string> {
  const env = { SHIM_HOME: rig.paths.home, CLAUDE_CODE_MAX_RETRIES: "0" };
  const all = { ...cleanEnv({ home: rig.home, modelUrl: claude.url, env }), ...codexEnv(rig.home) };
  return { ...all, PATH: `${join(rig.root, "bin")}:${all["PATH"]}` };
}

async function told(rig: CodexRig, env: Record<string, string>, prompt: string, ...more: string[]): Promise<void> {
  const args = ["-p", prompt, "--allowedTools", "Write", ...pluginArgs, ...more];
  const claude = watch(spawn(claudeBinary(), args, { cwd: rig.project, env, stdio: ["ignore", "pipe", "pipe"] }));
  expect([(await claude.waitForExit()).code, claude.output.stderr]).toEqual([0, ""]);
}

/** A chat of the real Claude Code with two prompts, each of which makes a file. */
async function twoPrompts(rig: CodexRig): Promise<string> {
  const write = (name: string): Step => call("Write", { file_path: rig.path(name), content: "export {};\n" });
  const claude = await aModel(write("parser.ts"), { text: "It parses." }, write("lexer.ts"), { text: "It lexes." });
  const env = envOf(rig, claude);
  await told(rig, env, "Make the parser");
  const [session] = rig.sessions();
  await told(rig, env, "Make the lexer", "--resume", session!.id);
  expect(rig.sessions()).toHaveLength(1);
  return session!.id;
}

/** A program of its own, as it stands on a PATH. */
function onPath(rig: CodexRig, name: string, words: readonly string[]): void {
  mkdirSync(join(rig.root, "bin"), { recursive: true });
  const line = words.map((word) => `'${word}'`).join(" ");
  writeFileSync(join(rig.root, "bin", name), `#!/bin/sh\nexec ${line} "$@"\n`, { mode: 0o755 });
}

/** The command in a pseudo terminal, as a user types it. */
function inTerminal(rig: CodexRig, env: Record<string, string>, command: string): Claude {
  const line = `stty cols 150 rows 40; exec '${process.execPath}' '${built.launcher}' ${command}`;
  const terminal = { ...env, TERM: "xterm-256color", SHELL: "/bin/sh" };
  const child = spawn("script", ["-qefc", line, "/dev/null"], { cwd: rig.project, env: terminal });
  // Codex asks a terminal where its cursor is.
  child.stdout.on("data", (text: Buffer) => void (text.includes("\u001B[6n") && child.stdin.write("\u001B[1;1R")));
  onTestFinished(() => void child.kill("SIGKILL"));
  return watch(child);
}

interface Target {
  /** @returns variables of the client */
  setUp(rig: CodexRig, model: ScriptedModel, folder: string): Record<string, string>;
}

const claudeTarget: Target = {
  setUp(rig, model, folder) {
    onPath(rig, "claude", [claudeBinary(), ...pluginArgs]);
    skipFirstRunDialogs(rig.home, folder);
    return { ANTHROPIC_BASE_URL: model.url };
  },
};

const codexTarget: Target = {
  setUp(rig, { url }, folder) {
    addStandinSettings(rig.home, url, folder);
    onPath(rig, "codex", [programOf(codexClient)]);
    return {};
  },
};

function other(client: RealClient): Target {
  return {
    setUp(rig, { url }, folder) {
      connectClient(client, environmentOf(client, { home: rig.home, shimHome: rig.paths.home, modelUrl: url }));
      if (client === copilot)
        writeFileSync(join(rig.home, client.settings.file), JSON.stringify({ trusted_folders: [folder] }));
      onPath(
        rig,
        client.name,
        client.command("", null).filter((word) => !["", "-p", "run"].includes(word)),
      );
      return client.env(url);
    },
  };
}

const targets = [
  ["claude-code", claudeTarget],
  ["codex", codexTarget],
  ["qwen", other(qwen)],
  ["gemini", other(gemini)],
  ["copilot", other(copilot)],
  ["opencode", other(opencode)],
] as const;

it.each(targets)(
  "a chat of the real Claude Code is forked at its second prompt into the real %s @night",
  async (name, target) => {
    const rig = new CodexRig();
    const id = await twoPrompts(rig);
    const folder = join(rig.paths.home, "work", `fork-${id.slice(0, 8)}-1`, "project");
    const model = await aModel({ text: "I go on in the fork." });
    const env = { ...envOf(rig, model), ...target.setUp(rig, model, folder) };
    const terminal = inTerminal(rig, env, `fork ${id} --at "Make the lex" --in ${name}`);
    // Codex's screen starts a daemon, which outlives it.
    onTestFinished(() => killEvery(rig.processes().filter(({ command }) => command.includes("app-server"))));
    const isAsked = () => model.requests.some(({ kind }) => kind === "loop");
    await untilFound(isAsked, () => `a request of ${name}: ${JSON.stringify(terminal.output).slice(-3_000)}`);
    for (const text of [
      `SHIM: this chat is a fork of session ${id.slice(0, 8)} at its prompt 2 of 2, sent `,
      " ago: Make the parser",
      ' ago: (after "It parses.") Make the lexer',
      "- parser.ts (created): ",
      `project: ${folder}`,
    ])
      expect(received(model, 0)).toContain(text);
    expect(received(model, 0)).not.toContain("It lexes.");
    expect([existsSync(join(folder, "parser.ts")), existsSync(join(folder, "lexer.ts"))]).toEqual([true, false]);
    expect(git(folder, "status", "--porcelain")).toBe("?? parser.ts\n");
    expect([git(rig.project, "branch", "--show-current").trim(), existsSync(rig.path("lexer.ts"))]).toEqual([
      "main",
      true,
    ]);
    const forked = await untilFound(() => rig.sessions()[1], `the session of ${name}`);
    await rig.last(forked.id, "turn_end");
    expect(rig.session(forked.id)).toMatchObject({ client: name, project: folder });
    expect(rig.session(id)).toMatchObject({ recovery: null, recoveryBy: null });
    terminal.kill("SIGKILL");
    await terminal.waitForExit();
  },
);
