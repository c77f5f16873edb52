import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import {
  copilotClient,
  geminiClient,
  openCodeClient,
  programOf,
  qwenClient,
  type PinnedClient,
} from "../../../scripts/install-clients.ts";
import type { ToolCall } from "./wire-format.ts";

/** How the tests drive a client without a screen, with nothing but the stand-in of a model. */
export interface RealClient {
  readonly name: string;
  readonly pinned: PinnedClient;
  /** Program with its arguments. @param session to resume; null: a new one */
  command(prompt: string, session: string | null): string[];
  env(modelUrl: string): Record<string, string>;
  /** Settings in the client's home, beside SHIM's. */
  settings(modelUrl: string): { readonly file: string; readonly content: object };
  /** Calls of the client's own tools. */
  shell(command: string): ToolCall;
  write(path: string, content: string): ToolCall;
}

const launcher = join(import.meta.dirname, "..", "..", "..", "bin", "shim.mjs");

export const copilot: RealClient = {
  name: "copilot",
  pinned: copilotClient,
  command: (prompt, session) => [
    programOf(copilotClient),
    "--allow-all-tools",
    "--allow-all-paths",
    "--no-color",
    ...(session === null ? [] : ["--resume", session]),
    "-p",
    prompt,
  ],
  env: (url) => ({
    COPILOT_PROVIDER_BASE_URL: `${url}/v1`,
    COPILOT_MODEL: "scripted",
    COPILOT_OFFLINE: "true",
    COPILOT_AUTO_UPDATE: "false",
  }),
  settings: () => ({ file: ".copilot/config.json", content: {} }),
  shell: (command) => ({ name: "bash", input: { command, description: "scripted", mode: "sync" } }),
  write: (path, content) => ({ name: "create", input: { path, file_text: content } }),
};

export const qwen: RealClient = {
  name: "qwen",
  pinned: qwenClient,
  command: (prompt, session) => [
    process.execPath,
    programOf(qwenClient),
    "--yolo",
    ...(session === null ? [] : ["--resume", session]),
    prompt,
  ],
  env: (url) => ({
    OPENAI_BASE_URL: `${url}/v1`,
    OPENAI_API_KEY: "dummy",
    OPENAI_MODEL: "scripted",
    QWEN_CODE_NO_RELAUNCH: "true",
  }),
  settings: () => ({
    file: ".qwen/settings.json",
    content: {
      $version: 3,
      security: { auth: { selectedType: "openai" } },
      model: { name: "scripted" },
      privacy: { usageStatisticsEnabled: false },
      telemetry: { enabled: false },
    },
  }),
  shell: (command) => ({ name: "run_shell_command", input: { command, is_background: false } }),
  write: (path, content) => ({ name: "write_file", input: { file_path: path, content } }),
};

export const opencode: RealClient = {
  name: "opencode",
  pinned: openCodeClient,
  command: (prompt, session) => [
    programOf(openCodeClient),
    "run",
    ...(session === null ? [] : ["-s", session]),
    prompt,
  ],
  env: () => ({
    OPENCODE_DISABLE_AUTOUPDATE: "1",
    OPENCODE_DISABLE_MODELS_FETCH: "1",
    OPENCODE_DISABLE_LSP_DOWNLOAD: "1",
    npm_config_fetch_retries: "0",
  }),
  settings: (url) => ({
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
          options: { baseURL: `${url}/v1`, apiKey: "dummy" },
          models: { scripted: { name: "scripted", tool_call: true, limit: { context: 200_000, output: 8_000 } } },
        },
      },
    },
  }),
  shell: (command) => ({ name: "bash", input: { command, description: "scripted" } }),
  write: (path, content) => ({ name: "write", input: { filePath: path, content } }),
};

export const gemini: RealClient = {
  name: "gemini",
  pinned: geminiClient,
  command: (prompt, session) => [
    process.execPath,
    programOf(geminiClient),
    "-y",
    "-m",
    "gemini-2.5-pro",
    ...(session === null ? [] : ["--resume", session]),
    "-p",
    prompt,
  ],
  env: (url) => ({
    GEMINI_API_KEY: "dummy",
    GOOGLE_GEMINI_BASE_URL: url,
    GEMINI_CLI_TRUST_WORKSPACE: "true",
    GEMINI_CLI_NO_RELAUNCH: "true",
  }),
  settings: () => ({
    file: ".gemini/settings.json",
    content: {
      security: { auth: { selectedType: "gemini-api-key" }, folderTrust: { enabled: false } },
      privacy: { usageStatisticsEnabled: false },
      general: { enableAutoUpdate: false },
    },
  }),
  shell: (command) => ({ name: "run_shell_command", input: { command } }),
  write: (path, content) => ({ name: "write_file", input: { file_path: path, content } }),
};

/** Writes the client's settings into a home, and sets SHIM up as a user does. */
export function connectClient(client: RealClient, env: Readonly<Record<string, string>>, modelUrl: string): void {
  const { file, content } = client.settings(modelUrl);
  const path = join(env["HOME"] ?? "", file);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, JSON.stringify(content));
  execFileSync(process.execPath, [launcher, "init", "--client", client.name, "--yes", "--no-link"], { env });
}
