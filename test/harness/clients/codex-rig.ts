import { existsSync, globSync, mkdirSync, readFileSync, writeFileSync, chmodSync } from "node:fs";
import { dirname, join } from "node:path";
import { codexClient, programOf } from "../../../scripts/install-clients.ts";
import type { Step, Steps } from "#harness/claude/scripted-model.ts";
import { aModel, ChatRig, longTool, type ClientRun } from "./chat-rig.ts";
import { runShim } from "./real-clients.ts";
import { trustSource, type TrustSource } from "#src/installer/hook-trust.ts";
import { launch, type ClientHome } from "#harness/machine/client-home.ts";

/** Nothing of the caller's environment; what is not on loopback meets a closed port. */
export function codexEnv(home: string): Record<string, string> {
  const closed = "http://127.0.0.1:9";
  return {
    HOME: home,
    PATH: `${dirname(programOf(codexClient))}:${dirname(process.execPath)}:/usr/bin:/bin`,
    HTTP_PROXY: closed,
    HTTPS_PROXY: closed,
    NO_PROXY: "127.0.0.1,localhost",
    STANDIN_KEY: "none",
  };
}

/** Settings with which Codex asks a stand-in for its model, and the user nothing about the folder. */
export function addStandinSettings(home: string, url: string, folder: string): void {
  const config = join(home, ".codex", "config.toml");
  const settings = [
    'model = "scripted"',
    'model_provider = "standin"',
    'approval_policy = "never"',
    'sandbox_mode = "danger-full-access"',
    "check_for_update_on_startup = false",
    `model_providers.standin = { name = "standin", base_url = "${url}/v1", wire_api = "responses", env_key = "STANDIN_KEY" }`,
    `projects."${folder}" = { trust_level = "trusted" }`,
    "features.plugins = false",
    "features.apps = false",
    "analytics.enabled = false",
  ];
  writeFileSync(config, `${settings.join("\n")}\n${readFileSync(config, "utf8")}`);
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
    const [words, ids] = resumed === undefined ? [["exec"], []] : [["exec", "resume"], [resumed]];
    const flags = ["--json", "--skip-git-repo-check", ...codexFlags(model.url, options.modelName)];
    return this.drive(model, [programOf(codexClient), ...words, ...flags, ...ids, prompt], codexEnv(this.home));
  }

  async executed(prompt: string, options: CodexOptions, resumed?: string): Promise<ClientRun> {
    return this.ended(await this.exec(prompt, options, resumed));
  }

  /** The rollout file of a session; null when there is none. */
  transcript(id: string): string | null {
    const [path = null] = globSync(join(this.home, ".codex", "sessions", "**", `rollout-*-${id}.jsonl`));
    return path !== null && existsSync(path) ? path : null;
  }
}

export function codexFlags(url: string, modelName = "scripted"): string[] {
  const pairs = [
    `model="${modelName}"`,
    'model_provider="standin"',
    `model_providers.standin={name="standin",base_url="${url}/v1",wire_api="responses",env_key="STANDIN_KEY"}`,
    'approval_policy="never"',
    'sandbox_mode="danger-full-access"',
    "analytics.enabled=false",
    "check_for_update_on_startup=false",
  ];
  return [...pairs.flatMap((pair) => ["-c", pair]), "--disable", "plugins", "--disable", "apps"];
}

export function shell(command: string): Step {
  return { tools: [{ name: "exec_command", input: { cmd: command } }] };
}

export const endlessShell = shell(`exec ${longTool}`);

export function shimTool(name: string, input: Readonly<Record<string, unknown>> = {}): Step {
  return { tools: [{ name: `mcp__shim__${name}`, input }] };
}

type Env = Readonly<Record<string, string>>;

/** Puts a stand-in into the folder that answers as the real Codex does. */
export function putCodexInto(bin: string): void {
  mkdirSync(bin, { recursive: true });
  const program = join(import.meta.dirname, "fake-codex-child.ts");
  writeFileSync(join(bin, "codex"), `#!${process.execPath}\nimport(${JSON.stringify(program)});\n`);
  chmodSync(join(bin, "codex"), 0o755);
}

export function putCodexOnPath(home: string): Env {
  const bin = join(home, "codex-bin");
  putCodexInto(bin);
  return { HOME: home, PATH: `${bin}:/usr/bin:/bin` };
}

export function codexSource({ codex: target }: ClientHome, env: Env): TrustSource {
  const source = trustSource(target, launch, env);
  if (!source) throw new Error("Codex's hooks need trust.");
  return source;
}
