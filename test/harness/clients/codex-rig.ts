import { execFileSync, spawn } from "node:child_process";
import { existsSync, globSync, mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { onTestFinished } from "vitest";
import { codexClient, programOf } from "../../../scripts/install-clients.ts";
import { watch, type Claude } from "#harness/claude/claude-code.ts";
import { startScriptedModel, type ScriptedModel, type Step } from "#harness/claude/scripted-model.ts";
import { ChatRig, fail, longTool } from "./chat-rig.ts";

const launcher = join(import.meta.dirname, "..", "..", "..", "bin", "shim.mjs");

/** One run of Codex and the model that it talks to. */
export interface CodexChat {
  readonly codex: Claude;
  readonly model: ScriptedModel;
}

interface CodexOptions {
  readonly steps: readonly Step[];
  /** Which tools Codex offers depends on the model's name; one that it does not know gets the shell and MCP tools. */
  readonly modelName?: string;
  /** `key=value` of Codex's configuration. */
  readonly settings?: readonly string[];
}

/** A machine with the real Codex, in which `shim init` has set SHIM up. */
export class CodexRig extends ChatRig {
  constructor() {
    // Codex hands no variable on to an MCP server, so SHIM is in its usual folder.
    super((home) => join(home, ".local", "share", "shim"));
    mkdirSync(join(this.home, ".codex"));
    this.shim("init", "--client", "codex", "--yes", "--no-link");
  }

  get program(): string {
    return programOf(codexClient);
  }

  /** Nothing of the caller's environment; what is not on loopback meets a closed port. */
  get env(): Record<string, string> {
    const closed = "http://127.0.0.1:9";
    return {
      HOME: this.home,
      PATH: `${dirname(this.program)}:${dirname(process.execPath)}:/usr/bin:/bin`,
      HTTP_PROXY: closed,
      HTTPS_PROXY: closed,
      NO_PROXY: "127.0.0.1,localhost",
      STANDIN_KEY: "none",
    };
  }

  /** Runs SHIM's command in this home, and gives what it prints. */
  shim(...args: string[]): string {
    return execFileSync(process.execPath, [launcher, ...args], { cwd: this.project, env: this.env, encoding: "utf8" });
  }

  async exec(prompt: string, options: CodexOptions, resumed?: string): Promise<CodexChat> {
    const model = await startScriptedModel({ threads: [{ steps: options.steps }] });
    onTestFinished(() => model.close());
    const words = resumed === undefined ? ["exec"] : ["exec", "resume"];
    const ids = resumed === undefined ? [] : [resumed];
    const args = [...words, "--json", "--skip-git-repo-check", ...flags(model.url, options), ...ids, prompt];
    const child = spawn(this.program, args, {
      cwd: this.project,
      env: this.env,
      stdio: ["ignore", "pipe", "pipe"],
    });
    return { model, codex: watch(child) };
  }

  /** `codex exec` from its start to its end, which must be a good one. */
  async executed(prompt: string, options: CodexOptions, resumed?: string): Promise<CodexChat> {
    const chat = await this.exec(prompt, options, resumed);
    const exit = await chat.codex.waitForExit();
    if (exit.code !== 0) fail(`codex ended with ${JSON.stringify(exit)}: ${JSON.stringify(chat.codex.output)}`);
    return chat;
  }

  /** The rollout file of a session; null when there is none. */
  transcript(id: string): string | null {
    const [path = null] = globSync(join(this.home, ".codex", "sessions", "**", `rollout-*-${id}.jsonl`));
    return path !== null && existsSync(path) ? path : null;
  }
}

function flags(url: string, { modelName = "scripted", settings = [] }: CodexOptions): string[] {
  const pairs = [
    `model="${modelName}"`,
    'model_provider="standin"',
    `model_providers.standin={name="standin",base_url="${url}/v1",wire_api="responses",env_key="STANDIN_KEY"}`,
    'approval_policy="never"',
    'sandbox_mode="danger-full-access"',
    "analytics.enabled=false",
    "check_for_update_on_startup=false",
    ...settings,
  ];
  return [...pairs.flatMap((pair) => ["-c", pair]), "--disable", "plugins", "--disable", "apps"];
}

export function shell(command: string): Step {
  return { tools: [{ name: "exec_command", input: { cmd: command } }] };
}

/** A tool call that still runs when the test kills the client. */
export const endlessShell = shell(`exec ${longTool}`);

export function shimTool(name: string, input: Readonly<Record<string, unknown>> = {}): Step {
  return { tools: [{ name: `mcp__shim__${name}`, input }] };
}
