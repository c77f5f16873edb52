import { spawn, type ChildProcess } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { childrenOf, type Child } from "#harness/machine/process-tree.ts";
import { claudeBinary } from "../../../scripts/install-claude.ts";

export interface ClaudeOptions {
  readonly modelUrl: string;
  /** An empty folder of the test's own, used as HOME: the developer's Claude Code is never touched. */
  readonly home: string;
  readonly cwd: string;
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly settings?: object;
  /** `{ name: { command, args, env } }`; the only servers that Claude Code then starts, but for those of a plugin. */
  readonly mcpServers?: Readonly<Record<string, object>>;
  readonly pluginDir?: string;
  readonly binary?: string;
}

export type Exit = Readonly<{ code: number | null; signal: NodeJS.Signals | null }>;

export type Claude = ReturnType<typeof watch>;

export function startClaude(options: ClaudeOptions & { readonly prompt: string }): Claude {
  const args = ["-p", options.prompt, ...commonArgs(options)];
  const { cwd, binary = claudeBinary() } = options;
  return watch(spawn(binary, args, { cwd, env: cleanEnv(options), stdio: ["ignore", "pipe", "pipe"] }));
}

export function findChild(pid: number, text: string): Promise<Child> {
  const found = (): Child | undefined => childrenOf(pid).find(({ command }) => command.join(" ").includes(text));
  const commands = () => JSON.stringify(childrenOf(pid).map(({ command }) => command.join(" ").slice(0, 200)));
  return untilFound(found, () => `a child of ${pid} with "${text}" in its command line, which has: ${commands()}`);
}

const LOOK_EVERY_MS = 20;
const LOOK_FOR_MS = 120_000;

type Found<T> = T | null | undefined | false;

export async function untilFound<T>(
  look: () => Found<T> | Promise<Found<T>>,
  what: string | (() => string),
): Promise<T> {
  const deadline = performance.now() + LOOK_FOR_MS;
  for (;;) {
    const found = await look();
    if (found !== null && found !== undefined && found !== false) return found;
    if (performance.now() > deadline)
      throw new Error(`Waited ${LOOK_FOR_MS} ms without finding ${typeof what === "string" ? what : what()}.`);
    await pause(LOOK_EVERY_MS);
  }
}

/** Path of a session's transcript below the home: the project's folder is the working folder with every other sign as a dash. */
export function transcriptPath(home: string, cwd: string, session: string): string {
  return join(home, ".claude", "projects", cwd.replaceAll(/[^a-zA-Z0-9]/g, "-"), `${session}.jsonl`);
}

/** Arguments of each start. */
export function commonArgs(options: ClaudeOptions): string[] {
  const args = ["--mcp-config", JSON.stringify({ mcpServers: options.mcpServers ?? {} })];
  if (options.settings) args.push("--settings", JSON.stringify(options.settings));
  // The strict mode would switch a plugin's own servers off.
  if (options.pluginDir === undefined) args.push("--strict-mcp-config");
  else args.push("--plugin-dir", options.pluginDir);
  return [...args, ...(options.args ?? [])];
}

/** Nothing of the caller's environment but PATH: it may itself run below a Claude Code or hold a real key. */
export function cleanEnv(options: Pick<ClaudeOptions, "home" | "modelUrl" | "env">): Record<string, string> {
  const scratch = join(options.home, "tmp");
  mkdirSync(scratch, { recursive: true });
  return {
    HOME: options.home,
    CLAUDE_CODE_TMPDIR: scratch,
    PATH: process.env["PATH"] ?? "",
    ANTHROPIC_BASE_URL: options.modelUrl,
    ANTHROPIC_API_KEY: DUMMY_KEY,
    CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
    DISABLE_AUTOUPDATER: "1",
    // MCP tools would otherwise be offered by name only, and the model would have to load them first.
    ENABLE_TOOL_SEARCH: "false",
    ...options.env,
  };
}

const DUMMY_KEY = "sk-ant-no-real-key-of-the-tests";

/** Without these, a full screen Claude Code in a new home asks for a theme, for trust in the folder and for leave to use the key. */
export function skipFirstRunDialogs(home: string, cwd: string): void {
  const path = join(home, ".claude.json");
  const known: unknown = existsSync(path) ? JSON.parse(readFileSync(path, "utf8")) : {};
  mkdirSync(dirname(path), { recursive: true });
  const customApiKeyResponses = { approved: [DUMMY_KEY.slice(-20)], rejected: [] };
  const projects = { [cwd]: { hasTrustDialogAccepted: true, hasCompletedProjectOnboarding: true } };
  const answers = { hasCompletedOnboarding: true, customApiKeyResponses, projects };
  writeFileSync(path, JSON.stringify({ ...(known as object), ...answers }));
}

export function watch(child: ChildProcess) {
  const output = { stdout: "", stderr: "" };
  child.stdout?.setEncoding("utf8").on("data", (text: string) => (output.stdout += text));
  child.stderr?.setEncoding("utf8").on("data", (text: string) => (output.stderr += text));
  const exit = new Promise<Exit>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code, signal) => resolve({ code, signal }));
  });
  // A caller that waits sees the failure; a test that only kills must not die of an unhandled rejection.
  exit.catch(() => undefined);
  if (child.pid === undefined) throw new Error(`Could not start ${child.spawnfile}.`);
  /** Resolves when the process is gone and its output is read to the end. */
  const waitForExit = (): Promise<Exit> => exit;
  return { pid: child.pid, waitForExit, kill: (signal: NodeJS.Signals) => void child.kill(signal), output };
}
