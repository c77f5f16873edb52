import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import * as installed from "../../../scripts/install-clients.ts";
import { write } from "#harness/machine/git-project.ts";
import type { ChatRig } from "./chat-rig.ts";
import type { ToolCall } from "#harness/claude/scripted-model.ts";

/** How the tests drive a client, with nothing but the stand-in of a model. */
export interface RealClient {
  readonly name: string;
  readonly pinned: installed.PinnedClient;
  /** Program with its arguments. @param session to resume; null: a new one */
  command(prompt: string, session: string | null, modelUrl: string): string[];
  env(modelUrl: string, home: string): Record<string, string>;
  /** SHIM's folder, from the client's home. */
  readonly shimHome?: string;
  /** JSON files below the home: settings, and what a first start writes where it reaches the network. */
  readonly files: Readonly<Record<string, object>>;
  /** Folder below the home that holds the client's conversations. */
  readonly conversations: string;
  shell(command: string): ToolCall;
}

export interface FileClient extends RealClient {
  read(path: string): ToolCall;
  write(path: string, content: string): ToolCall;
  edit(path: string, before: string, after: string): ToolCall;
}

const root = join(import.meta.dirname, "..", "..", "..");
const launcher = join(root, "bin", "shim.mjs");

/** A copy of SHIM that may be lost, in a folder whose name has a blank, a quote and an umlaut. @returns its launcher */
export function copyShim(folder: string): { readonly shim: string; readonly launcher: string } {
  const shim = join(folder, "Jürgen's shim");
  for (const name of ["bin", "dist", "plugin", "package.json"])
    cpSync(join(root, name), join(shim, name), { recursive: true });
  return { shim, launcher: join(shim, "bin", "shim.mjs") };
}

const option = (name: string, value: string | null): string[] => (value === null ? [] : [name, value]);

export const copilot: FileClient = {
  name: "copilot",
  pinned: installed.copilotClient,
  command: (prompt, session) => {
    const allowed = ["--allow-all-tools", "--allow-all-paths", "--no-color"];
    const program = installed.programOf(installed.copilotClient);
    return [program, ...allowed, ...option("--resume", session), "-p", prompt];
  },
  env: (url) => ({
    COPILOT_PROVIDER_BASE_URL: `${url}/v1`,
    COPILOT_MODEL: "scripted",
    COPILOT_OFFLINE: "true",
    COPILOT_AUTO_UPDATE: "false",
  }),
  files: { ".copilot/config.json": {} },
  conversations: ".copilot/session-state",
  shell: (command) => ({ name: "bash", input: { command, description: "scripted", mode: "sync" } }),
  read: (path) => ({ name: "view", input: { path } }),
  write: (path, content) => ({ name: "create", input: { path, file_text: content } }),
  edit: (path, before, after) => ({ name: "edit", input: { path, old_str: before, new_str: after } }),
};

const { NODE_COMPILE_CACHE: cache } = process.env;
/** Clients that Node runs compile megabytes at a start: once for all tests. */
const compiled: Record<string, string> = cache === undefined ? {} : { NODE_COMPILE_CACHE: cache };

/** Qwen Code began as a copy of Gemini CLI. */
const fileTools: Pick<FileClient, "read" | "write"> = {
  read: (path) => ({ name: "read_file", input: { file_path: path } }),
  write: (path, content) => ({ name: "write_file", input: { file_path: path, content } }),
};

export const qwen: FileClient = {
  name: "qwen",
  pinned: installed.qwenClient,
  command: (prompt, session) =>
    [process.execPath, installed.programOf(installed.qwenClient), "--yolo"].concat(option("--resume", session), prompt),
  env: (url) => ({
    OPENAI_BASE_URL: `${url}/v1`,
    OPENAI_API_KEY: "dummy",
    OPENAI_MODEL: "scripted",
    QWEN_CODE_NO_RELAUNCH: "true",
    ...compiled,
  }),
  conversations: ".qwen/projects",
  files: {
    ".qwen/settings.json": {
      $version: 3,
      security: { auth: { selectedType: "openai" } },
      model: { name: "scripted" },
      privacy: { usageStatisticsEnabled: false },
      telemetry: { enabled: false },
      // Each is a request with tools after a turn: it would take a step of the script.
      ui: { enableFollowupSuggestions: false },
      memory: { enableManagedAutoMemory: false },
    },
  },
  shell: (command) => ({ name: "run_shell_command", input: { command, is_background: false } }),
  ...fileTools,
  edit: (path, before, after) => ({ name: "edit", input: { file_path: path, old_string: before, new_string: after } }),
};

const noModels = ".config/opencode/models.json";

export const opencode: FileClient = {
  name: "opencode",
  pinned: installed.openCodeClient,
  command: (prompt, session) => [
    installed.programOf(installed.openCodeClient),
    "run",
    ...option("-s", session),
    prompt,
  ],
  env: (url, home) => ({
    STANDIN_URL: `${url}/v1`,
    // The list of all models that it brings takes a third of a start.
    OPENCODE_MODELS_PATH: join(home, noModels),
    OPENCODE_DISABLE_AUTOUPDATE: "1",
    OPENCODE_DISABLE_MODELS_FETCH: "1",
    OPENCODE_DISABLE_LSP_DOWNLOAD: "1",
  }),
  conversations: ".local/share/opencode",
  files: {
    [noModels]: {},
    // A start without them tries to install them under a lock, which it holds for a minute when it is killed.
    ".config/opencode/node_modules/.package-lock.json": {},
    ".config/opencode/package-lock.json": { packages: { "": { dependencies: { "@opencode-ai/plugin": "*" } } } },
    ".config/opencode/opencode.json": {
      model: "standin/scripted",
      small_model: "standin/scripted",
      autoupdate: false,
      share: "disabled",
      permission: "allow",
      provider: {
        standin: {
          npm: "@ai-sdk/openai-compatible",
          name: "standin",
          options: { baseURL: "{env:STANDIN_URL}", apiKey: "dummy" },
          models: { scripted: { name: "scripted", tool_call: true, limit: { context: 200_000, output: 8_000 } } },
        },
      },
    },
  },
  shell: (command) => ({ name: "bash", input: { command, description: "scripted" } }),
  read: (path) => ({ name: "read", input: { filePath: path } }),
  write: (path, content) => ({ name: "write", input: { filePath: path, content } }),
  edit: (path, before, after) => ({ name: "edit", input: { filePath: path, oldString: before, newString: after } }),
};

export const gemini: FileClient = {
  name: "gemini",
  pinned: installed.geminiClient,
  command: (prompt, session) => {
    const model = [process.execPath, installed.programOf(installed.geminiClient), "-y", "-m", "gemini-2.5-pro"];
    return [...model, ...option("--resume", session), "-p", prompt];
  },
  env: (url) => ({
    GEMINI_API_KEY: "dummy",
    GOOGLE_GEMINI_BASE_URL: url,
    GEMINI_CLI_TRUST_WORKSPACE: "true",
    GEMINI_CLI_NO_RELAUNCH: "true",
    ...compiled,
  }),
  conversations: ".gemini/tmp",
  files: {
    ".gemini/settings.json": {
      security: { auth: { selectedType: "gemini-api-key" }, folderTrust: { enabled: false } },
      privacy: { usageStatisticsEnabled: false },
      general: { enableAutoUpdate: false },
    },
  },
  shell: (command) => ({ name: "run_shell_command", input: { command } }),
  ...fileTools,
  edit: (path, before, after) => ({
    name: "replace",
    input: { file_path: path, instruction: "as asked", old_string: before, new_string: after },
  }),
};

/** With these Codex asks a stand-in for its model. */
export function codexSettings(url: string, modelName: string): string[] {
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

export function codexFlags(url: string, modelName = "scripted"): string[] {
  return codexSettings(url, modelName).flatMap((setting) => ["-c", setting]);
}

/** @param modelName decides which tools Codex offers: to one that it does not know the shell and MCP tools */
export function codexWith(modelName: string): RealClient {
  return {
    name: "codex",
    pinned: installed.codexClient,
    command: (prompt, session, url) => {
      const [words, ids] = session === null ? [["exec"], []] : [["exec", "resume"], [session]];
      const flags = ["--json", "--skip-git-repo-check", ...codexFlags(url, modelName)];
      return [installed.programOf(installed.codexClient), ...words, ...flags, ...ids, prompt];
    },
    env: () => {
      const path = [dirname(installed.programOf(installed.codexClient)), dirname(process.execPath), "/usr/bin", "/bin"];
      return { PATH: path.join(":"), STANDIN_KEY: "none" };
    },
    // It hands no variable on to an MCP server, so SHIM is in its usual folder.
    shimHome: ".local/share/shim",
    files: {},
    conversations: ".codex/sessions",
    shell: (command) => ({ name: "exec_command", input: { cmd: command } }),
  };
}

export const codex = codexWith("scripted");

/** All but Codex. */
export const otherClients: readonly FileClient[] = [copilot, opencode, qwen, gemini];

export const noModel = "http://127.0.0.1:9";

/** What is not on loopback meets a closed port. */
const loopbackOnly = { HTTP_PROXY: noModel, HTTPS_PROXY: noModel, NO_PROXY: "127.0.0.1,localhost" };

type Homes = Pick<ChatRig, "home" | "paths">;

export function environmentOf(client: RealClient, { home, paths }: Homes, url: string): Record<string, string> {
  const own = { HOME: home, PATH: process.env["PATH"] ?? "", SHIM_HOME: paths.home };
  return { ...own, ...loopbackOnly, ...client.env(url, home) };
}

/** Writes the client's files into a home, and sets SHIM up as a user does. */
export function connectClient(client: RealClient, env: Readonly<Record<string, string>>): void {
  const { HOME: home = "" } = env;
  mkdirSync(dirname(join(home, client.conversations)), { recursive: true });
  const texts = Object.entries(client.files).map(([file, content]) => [file, JSON.stringify(content)]);
  write(home, Object.fromEntries(texts) as Record<string, string>);
  runShim(["init", "--client", client.name, "--yes", "--no-link"], { env });
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

interface PutProgram {
  readonly version: string;
  /** Program with the arguments of every start. */
  readonly words: readonly string[];
  /** Variables that it gets whoever starts it. */
  readonly env?: Readonly<Record<string, string>>;
}

/** A program on a PATH, which answers `--version` by itself: SHIM waits five seconds for that, and a busy client starts in more. */
export function putProgram(folder: string, name: string, { version, words, env = {} }: PutProgram): void {
  mkdirSync(folder, { recursive: true });
  const own = Object.entries(env).map(([variable, value]) => `export ${variable}=${quoted(value)}\n`);
  const start = `exec ${words.map(quoted).join(" ")} "$@"`;
  const text = `#!/bin/sh\n[ "$*" = --version ] && exec echo ${quoted(version)}\n${own.join("")}${start}\n`;
  writeFileSync(join(folder, name), text, { mode: 0o755 });
}

type Place = Readonly<{ env: Readonly<Record<string, string>>; cwd?: string }>;

export function runShim(args: readonly string[], options: Place): string {
  const { status, stdout, stderr } = spawnSync(process.execPath, [launcher, ...args], { ...options, encoding: "utf8" });
  if (status !== 0) throw new Error(`shim ${args.join(" ")} ended with ${status}: ${stdout}${stderr}`);
  return stdout;
}
