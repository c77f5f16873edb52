import { globSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { codexClient, programOf } from "../../../scripts/install-clients.ts";
import type { Step, Steps } from "#harness/claude/scripted-model.ts";
import { aModel, ChatRig, longTool, type ClientRun } from "./chat-rig.ts";
import { loopbackOnly, runShim } from "./real-clients.ts";

/** Nothing of the caller's environment. */
export function codexEnv(home: string): Record<string, string> {
  const path = [dirname(programOf(codexClient)), dirname(process.execPath), "/usr/bin", "/bin"];
  return { HOME: home, PATH: path.join(":"), ...loopbackOnly, STANDIN_KEY: "none" };
}

/** With these Codex asks a stand-in for its model. */
function standinSettings(url: string, modelName = "scripted"): string[] {
  return [
    `model="${modelName}"`,
    'model_provider="standin"',
    `model_providers.standin={name="standin",base_url="${url}/v1",wire_api="responses",env_key="STANDIN_KEY"}`,
    'approval_policy="never"',
    'sandbox_mode="danger-full-access"',
    "check_for_update_on_startup=false",
    "features.plugins=false",
    "features.apps=false",
    "analytics.enabled=false",
  ];
}

export function addStandinSettings(home: string, url: string, folder: string): void {
  const config = join(home, ".codex", "config.toml");
  const settings = [...standinSettings(url), `projects."${folder}"={trust_level="trusted"}`];
  writeFileSync(config, `${settings.join("\n")}\n${readFileSync(config, "utf8")}`);
}

export function codexFlags(url: string, modelName?: string): string[] {
  return standinSettings(url, modelName).flatMap((setting) => ["-c", setting]);
}

/** Program with its arguments. @param session to resume; null: a new one */
export function codexCommand(prompt: string, session: string | null, flags: readonly string[]): string[] {
  const [words, ids] = session === null ? [["exec"], []] : [["exec", "resume"], [session]];
  return [programOf(codexClient), ...words, "--json", "--skip-git-repo-check", ...flags, ...ids, prompt];
}

interface CodexOptions {
  readonly steps: Steps;
  /** Which tools Codex offers depends on the model's name; one that it does not know gets the shell and MCP tools. */
  readonly modelName?: string;
}

export class CodexRig extends ChatRig {
  constructor() {
    // Codex hands no variable on to an MCP server, so SHIM is in its usual folder.
    super((home) => join(home, ".local", "share", "shim"));
    // As a user does it who has never started Codex.
    mkdirSync(join(this.home, ".codex"));
    this.shim("init", "--client", "codex", "--yes", "--no-link");
  }

  shim(...args: string[]): string {
    return runShim(args, { cwd: this.project, env: codexEnv(this.home) });
  }

  async exec(prompt: string, options: CodexOptions, resumed?: string): Promise<ClientRun> {
    const model = await aModel({ steps: options.steps });
    const words = codexCommand(prompt, resumed ?? null, codexFlags(model.url, options.modelName));
    return this.drive(model, words, codexEnv(this.home));
  }

  async executed(prompt: string, options: CodexOptions, resumed?: string): Promise<ClientRun> {
    return this.ended(await this.exec(prompt, options, resumed));
  }

  /** The rollout file of a session; null when there is none. */
  transcript(id: string): string | null {
    return globSync(join(this.home, ".codex", "sessions", "**", `rollout-*-${id}.jsonl`))[0] ?? null;
  }
}

export function shell(command: string): Step {
  return { tools: [{ name: "exec_command", input: { cmd: command } }] };
}

export const endlessShell = shell(`exec ${longTool}`);

export function shimTool(name: string, input: Readonly<Record<string, unknown>> = {}): Step {
  return { tools: [{ name: `mcp__shim__${name}`, input }] };
}
