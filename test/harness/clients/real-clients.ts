import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  copilotClient,
  geminiClient,
  openCodeClient,
  programOf,
  qwenClient,
  type PinnedClient,
} from "../../../scripts/install-clients.ts";
import { write } from "#harness/machine/git-project.ts";
import type { ToolCall } from "./model-formats.ts";

/** How the tests drive a client, with nothing but the stand-in of a model. */
export interface RealClient {
  readonly name: string;
  readonly pinned: PinnedClient;
  command(prompt: string, session: string | null): string[];
  /** Program with its arguments, by which a slash command of SHIM's runs in the session. */
  slashCommand(name: string, words: string, session: string): string[];
  env(modelUrl: string): Record<string, string>;
  /** In the client's home, beside SHIM's. */
  readonly settings: { readonly file: string; readonly content: object };
  /** JSON files below the home that a first start writes where it reaches the network. */
  readonly installed?: Readonly<Record<string, object>>;
  /** Folder below the home that holds the client's conversations. */
  readonly conversations: string;
  shell(command: string): ToolCall;
  read(path: string): ToolCall;
  write(path: string, content: string): ToolCall;
  edit(path: string, before: string, after: string): ToolCall;
}

const launcher = join(import.meta.dirname, "..", "..", "..", "bin", "shim.mjs");

function option(name: string, value: string | null): string[] {
  return value === null ? [] : [name, value];
}

export const copilot: RealClient = {
  name: "copilot",
  pinned: copilotClient,
  command: (prompt, session) => {
    const allowed = [programOf(copilotClient), "--allow-all-tools", "--allow-all-paths", "--no-color"];
    return [...allowed, ...option("--resume", session), "-p", prompt];
  },
  // Without a screen it takes none.
  slashCommand: (name, words, session) =>
    copilot.command("", session).slice(0, -2).concat("-i", `/shim ${name} ${words}`.trim()),
  env: (url) => ({
    COPILOT_PROVIDER_BASE_URL: `${url}/v1`,
    COPILOT_MODEL: "scripted",
    COPILOT_OFFLINE: "true",
    COPILOT_AUTO_UPDATE: "false",
  }),
  settings: { file: ".copilot/config.json", content: {} },
  conversations: ".copilot/session-state",
  shell: (command) => ({ name: "bash", input: { command, description: "scripted", mode: "sync" } }),
  read: (path) => ({ name: "view", input: { path } }),
  write: (path, content) => ({ name: "create", input: { path, file_text: content } }),
  edit: (path, before, after) => ({ name: "edit", input: { path, old_str: before, new_str: after } }),
};

/** Qwen Code began as a copy of Gemini CLI. */
const fileTools: Pick<RealClient, "read" | "write"> = {
  read: (path) => ({ name: "read_file", input: { file_path: path } }),
  write: (path, content) => ({ name: "write_file", input: { file_path: path, content } }),
};

export const qwen: RealClient = {
  name: "qwen",
  pinned: qwenClient,
  command: (prompt, session) =>
    [process.execPath, programOf(qwenClient), "--yolo"].concat(option("--resume", session), prompt),
  slashCommand: (name, words, session) => qwen.command(`/shim:${name} ${words}`.trim(), session),
  env: (url) => ({
    OPENAI_BASE_URL: `${url}/v1`,
    OPENAI_API_KEY: "dummy",
    OPENAI_MODEL: "scripted",
    QWEN_CODE_NO_RELAUNCH: "true",
  }),
  conversations: ".qwen/projects",
  settings: {
    file: ".qwen/settings.json",
    content: {
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

export const opencode: RealClient = {
  name: "opencode",
  pinned: openCodeClient,
  command: (prompt, session) => [programOf(openCodeClient), "run", ...option("-s", session), prompt],
  slashCommand: (name, words, session) =>
    opencode.command("", session).slice(0, -1).concat("--command", `shim:${name}`, words),
  env: (url) => ({
    STANDIN_URL: `${url}/v1`,
    OPENCODE_DISABLE_AUTOUPDATE: "1",
    OPENCODE_DISABLE_MODELS_FETCH: "1",
    OPENCODE_DISABLE_LSP_DOWNLOAD: "1",
  }),
  conversations: ".local/share/opencode",
  // A start without them tries to install them under a lock, which it holds for a minute when it is killed.
  installed: {
    ".config/opencode/node_modules/.package-lock.json": {},
    ".config/opencode/package-lock.json": { packages: { "": { dependencies: { "@opencode-ai/plugin": "*" } } } },
  },
  settings: {
    file: ".config/opencode/opencode.json",
    content: {
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

export const gemini: RealClient = {
  name: "gemini",
  pinned: geminiClient,
  command: (prompt, session) => {
    const model = [process.execPath, programOf(geminiClient), "-y", "-m", "gemini-2.5-pro"];
    return [...model, ...option("--resume", session), "-p", prompt];
  },
  slashCommand: (name, words, session) => gemini.command(`/shim ${name} ${words}`.trim(), session),
  env: (url) => ({
    GEMINI_API_KEY: "dummy",
    GOOGLE_GEMINI_BASE_URL: url,
    GEMINI_CLI_TRUST_WORKSPACE: "true",
    GEMINI_CLI_NO_RELAUNCH: "true",
  }),
  conversations: ".gemini/tmp",
  settings: {
    file: ".gemini/settings.json",
    content: {
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

/** All but Codex, which has a rig of its own. */
export const otherClients: readonly RealClient[] = [copilot, opencode, qwen, gemini];

export const noModel = "http://127.0.0.1:9";

/** What is not on loopback meets a closed port. */
export const loopbackOnly = { HTTP_PROXY: noModel, HTTPS_PROXY: noModel, NO_PROXY: "127.0.0.1,localhost" };

export function environmentOf(
  client: RealClient,
  { home, shimHome, modelUrl }: { readonly home: string; readonly shimHome: string; readonly modelUrl: string },
): Record<string, string> {
  const own = { HOME: home, PATH: process.env["PATH"] ?? "", SHIM_HOME: shimHome };
  return { ...own, ...loopbackOnly, ...client.env(modelUrl) };
}

/** Writes the client's settings into a home, and sets SHIM up as a user does. */
export function connectClient(client: RealClient, env: Readonly<Record<string, string>>): void {
  const files = { [client.settings.file]: client.settings.content, ...client.installed };
  const texts = Object.entries(files).map(([file, content]) => [file, JSON.stringify(content)]);
  write(env["HOME"] ?? "", Object.fromEntries(texts) as Record<string, string>);
  runShim(["init", "--client", client.name, "--yes", "--no-link"], { env });
}

/** A program on a PATH, which answers `--version` by itself: SHIM waits five seconds for that, and a busy client starts in more. */
export function putProgram(folder: string, name: string, { version, path }: { version: string; path: string }): void {
  mkdirSync(folder, { recursive: true });
  const text = `#!/bin/sh\n[ "$*" = --version ] && exec echo ${version}\nexec '${path}' "$@"\n`;
  writeFileSync(join(folder, name), text, { mode: 0o755 });
}

export function runShim(
  args: readonly string[],
  options: { readonly env: Readonly<Record<string, string>>; readonly cwd?: string },
): string {
  return execFileSync(process.execPath, [launcher, ...args], { ...options, encoding: "utf8" });
}
