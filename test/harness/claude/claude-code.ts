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

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface Claude {
  readonly pid: number;
  /** Resolves when the process is gone and its output is read to the end. */
  waitForExit(): Promise<Exit>;
  kill(signal: NodeJS.Signals): void;
  readonly output: { readonly stdout: string; readonly stderr: string };
}

export function startClaude(options: ClaudeOptions & { readonly prompt: string }): Claude {
  const args = ["-p", options.prompt, ...commonArgs(options)];
  const { cwd, binary = claudeBinary() } = options;
  return watch(spawn(binary, args, { cwd, env: cleanEnv(options), stdio: ["ignore", "pipe", "pipe"] }));
}

export interface Terminal extends Claude {
  /** Claude Code itself; `pid` and `kill` are those of the terminal around it. */
  claudePid(): Promise<number>;
  type(keys: string): void;
  /** Types a line and, when the screen shows it, sends it off: an early return key is taken for part of a paste. */
  send(line: string): Promise<void>;
  /** Everything shown so far, without control sequences and blanks: the screen is painted in pieces. */
  screen(): string;
  /** Resolves when the screen has shown this text, which has no blanks. */
  shows(text: string): Promise<unknown>;
}

/**
 * Starts Claude Code with its full screen in a pseudo terminal made by script(1); `kill("SIGKILL")` closes the terminal as a
 * closed window does. The first-run dialogs are answered beforehand in the home's .claude.json.
 */
export function startTerminal(options: ClaudeOptions): Terminal {
  skipFirstRunDialogs(options.home, options.cwd);
  const command = [options.binary ?? claudeBinary(), ...commonArgs(options)].map(shellQuote).join(" ");
  const child = spawn("script", ["-qefc", `stty cols 180 rows 50; exec ${command}`, "/dev/null"], {
    cwd: options.cwd,
    env: { ...cleanEnv(options), TERM: "xterm-256color", SHELL: "/bin/sh" },
    stdio: ["pipe", "pipe", "pipe"],
  });
  const claude = watch(child);
  const screen = () => stripVTControlCharacters(claude.output.stdout).replaceAll(/\s/g, "");
  return Object.assign(claude, {
    send: (line: string) => sendLine(child, screen, line),
    claudePid: () => untilFound(() => childrenOf(claude.pid)[0]?.pid, "Claude Code below script(1)"),
    type: (keys: string) => void child.stdin.write(keys),
    screen,
    shows: (text: string) => untilFound(() => screen().includes(text), `"${text}" on the screen`),
  });
}

/** Waits for the prompt, types, waits for the line on the screen and for the rest of its painting, then presses return. */
async function sendLine(child: ChildProcess, screen: () => string, line: string): Promise<void> {
  await untilFound(() => screen().includes(PROMPT_SIGN), "the prompt of Claude Code");
  const before = screen().length;
  child.stdin?.write(line);
  const typed = line.replaceAll(/\s/g, "");
  await untilFound(() => screen().slice(before).includes(typed), `"${line}" on the screen`);
  await pause(PASTE_PAUSE_MS);
  child.stdin?.write("\r");
}

const PROMPT_SIGN = "\u276F";
/** Keys that come closer together are a paste, in which the return key is a new line. Below 100 ms it was seen to fail. */
const PASTE_PAUSE_MS = 300;

export function findChild(pid: number, text: string): Promise<Child> {
  const found = (): Child | undefined => childrenOf(pid).find(({ command }) => command.join(" ").includes(text));
  const commands = () => JSON.stringify(childrenOf(pid).map(({ command }) => command.join(" ").slice(0, 200)));
  return untilFound(found, () => `a child of ${pid} with "${text}" in its command line, which has: ${commands()}`);
}

const LOOK_EVERY_MS = 20;
const LOOK_FOR_MS = 120_000;

export async function untilFound<T>(
  look: () => T | null | undefined | false | Promise<T | null | undefined | false>,
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
function skipFirstRunDialogs(home: string, cwd: string): void {
  const path = join(home, ".claude.json");
  const known: unknown = existsSync(path) ? JSON.parse(readFileSync(path, "utf8")) : {};
  mkdirSync(dirname(path), { recursive: true });
  const customApiKeyResponses = { approved: [DUMMY_KEY.slice(-20)], rejected: [] };
  const projects = { [cwd]: { hasTrustDialogAccepted: true, hasCompletedProjectOnboarding: true } };
  const answers = { hasCompletedOnboarding: true, customApiKeyResponses, projects };
  writeFileSync(path, JSON.stringify({ ...(known as object), ...answers }));
}

export function watch(child: ChildProcess): Claude {
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
  return { pid: child.pid, waitForExit: () => exit, kill: (signal) => void child.kill(signal), output };
}

function shellQuote(part: string): string {
  return `'${part.replaceAll("'", `'\\''`)}'`;
}
