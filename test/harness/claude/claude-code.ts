import { spawn, type ChildProcess } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { stripVTControlCharacters } from "node:util";
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
export type Terminal = ReturnType<typeof startTerminal>;

export function startClaude(options: ClaudeOptions & { readonly prompt: string }): Claude {
  const args = ["-p", options.prompt, ...commonArgs(options)];
  const { cwd, binary = claudeBinary() } = options;
  return watch(spawn(binary, args, { cwd, env: cleanEnv(options), stdio: ["ignore", "pipe", "pipe"] }));
}

/**
 * Starts Claude Code with its full screen in a pseudo terminal made by script(1); `kill("SIGKILL")` closes the terminal as a
 * closed window does. The first-run dialogs are answered beforehand in the home's .claude.json.
 */
export function startTerminal(options: ClaudeOptions) {
  skipFirstRunDialogs(options.home, options.cwd);
  const words = [options.binary ?? claudeBinary(), ...commonArgs(options)];
  const command = words.map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(" ");
  const child = spawn("script", ["-qefc", `stty cols 180 rows 50; exec ${command}`, "/dev/null"], {
    cwd: options.cwd,
    env: { ...cleanEnv(options), TERM: "xterm-256color", SHELL: "/bin/sh" },
    stdio: ["pipe", "pipe", "pipe"],
  });
  const claude = watch(child);
  /** Everything shown so far, without control sequences and blanks: the screen is painted in pieces. */
  const screen = (): string => stripVTControlCharacters(claude.output.stdout).replaceAll(/\s/g, "");
  /** @param text without blanks */
  const shows = (text: string, from = 0): Promise<unknown> =>
    untilFound(() => screen().slice(from).includes(text), `"${text}" on the screen`);
  const type = (keys: string): void => void child.stdin.write(keys);
  /** Types a line and, when the screen shows it, sends it off: an early return key is taken for part of a paste. */
  const send = async (line: string): Promise<void> => {
    await shows(PROMPT_SIGN);
    const before = screen().length;
    type(line);
    await shows(line.replaceAll(/\s/g, ""), before);
    await pause(PASTE_PAUSE_MS);
    type("\r");
  };
  /** Claude Code itself; `pid` and `kill` are those of the terminal around it. */
  const claudePid = () => untilFound(() => childrenOf(claude.pid)[0]?.pid, "Claude Code below script(1)");
  return Object.assign(claude, { screen, shows: (text: string) => shows(text), type, send, claudePid });
}

const PROMPT_SIGN = "\u276F";
/** Keys that come closer together are a paste, in which the return key is a new line. Below 100 ms it was seen to fail. */
export const PASTE_PAUSE_MS = 300;

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

function commonArgs(options: ClaudeOptions): string[] {
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
