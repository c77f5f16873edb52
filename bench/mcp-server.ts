import { spawn, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { Client } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import { build } from "esbuild";
import { CLAUDE_VERSION, claudeBinary } from "../scripts/install-claude.ts";
import { hookToolGroups, isHookToolEvent } from "../src/contract/hook-tool.ts";
import { hookEvents } from "../src/contract/hooks.ts";
import { serverCommand, setClaudeHooks, statusLineCommand } from "../src/installer/entries.ts";
import { startClaude, type ClaudeOptions } from "../test/harness/claude/claude-code.ts";
import { startScriptedModel, type Step } from "../test/harness/claude/scripted-model.ts";
import { hostsOf, killEvery } from "#harness/machine/process-tree.ts";
import { sample, scaled, timed, needed, range } from "./measure.ts";

const rounds = scaled(40);
const warmUp = scaled(3, 0);
/** Turns of the chat of a round, which a new host serves. */
const turns = 5;
const initialize = {
  id: 1,
  method: "initialize",
  params: { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "bench", version: "1" } },
};
const startEvents = ["PreToolUse", "PostToolUse", "Stop"] as const;
/** Ways of an event to the host: the program, and the script that clients are given. */
const byProgram = [process.execPath, "dist/hook.cjs"] as const;
const byScript = ["/bin/sh", "-c", '(. "$0") 2>/dev/null; exit 0', "dist/shim-hook", process.execPath] as const;

/** p50 in ms of whole processes, and of servers from their spawn to the answer to `initialize`; all in turn, all on this Node. */
export async function start() {
  const folder = tmpdir();
  const env = { PATH: process.env["PATH"] ?? "", HOME: folder, SHIM_HOME: join(folder, "start"), CLAUDECODE: "1" };
  const empty = await emptyServer();
  const times: Record<string, number[]> = {};
  for (let round = -warmUp; round < rounds; round++) {
    const keep = (name: string, time: number): void => void (round < 0 || (times[name] ??= []).push(time));
    keep("empty", await answered([empty], env));
    keep("host", await answered(["dist/mcp.cjs"], env));
    hook(byScript, "SessionStart", `${round}`, env);
    for (let turn = 1; turn <= turns; turn++) {
      const name = turn === 1 ? "first script" : "script";
      for (const event of startEvents) {
        // Beside what is compared with it: after the death of a host it takes up to a quarter more.
        keep("node", await timed(() => spawnSync(process.execPath, ["-e", "0"], { env })));
        keep(`${name} ${event}`, await timed(() => hook(byScript, event, `${round}.${turn}`, env)));
      }
    }
    for (const event of startEvents)
      keep(`program ${event}`, await timed(() => hook(byProgram, event, `${round}.${turns}`, env)));
    keep("status line", await timed(() => statusLine(env)));
    // The first command of a host loads the operations there.
    for (const name of ["first sessions", "sessions"]) keep(name, await timed(() => shim(["sessions"], env)));
    keep("help", await timed(() => shim(["--help"], env)));
    killEvery(hostsOf(env.SHIM_HOME));
    keep("alone", await answered(["dist/mcp.cjs"], env));
  }
  killEvery(hostsOf(env.SHIM_HOME));
  const p50 = (name: string): number => sample(times[name]).p50;
  const slowest = (way: string): number => Math.max(...startEvents.map((event) => p50(`${way} ${event}`)));
  return {
    node: p50("node"),
    empty: p50("empty"),
    host: p50("host"),
    alone: p50("alone"),
    statusLine: p50("status line"),
    firstSessions: p50("first sessions"),
    sessions: p50("sessions"),
    help: p50("help"),
    first: slowest("first script"),
    script: slowest("script"),
    program: slowest("program"),
  };
}

/** Starts a server, ends its stdin after its first answer, and waits for its end. @returns ms to that answer */
function answered(args: string[], env: NodeJS.ProcessEnv): Promise<number> {
  return new Promise((resolve, reject) => {
    const startedAt = performance.now();
    const child = spawn(process.execPath, args, { env, stdio: ["pipe", "pipe", "ignore"] });
    let time: number | null = null;
    createInterface(child.stdout).once("line", () => {
      time = performance.now() - startedAt;
      child.stdin.end();
    });
    child.once("exit", () => (time === null ? reject(new Error(`${args.join(" ")} did not answer`)) : resolve(time)));
    child.stdin.write(`${JSON.stringify({ jsonrpc: "2.0", ...initialize })}\n`);
  });
}

type Command = readonly [program: string, ...args: string[]];

/** One event by the script that clients are given. */
export function hookOnce(event: string, turn: string, env: NodeJS.ProcessEnv): void {
  hook(byScript, event, turn, env);
}

function hook([program, ...args]: Command, event: string, turn: string, env: NodeJS.ProcessEnv): void {
  const input = JSON.stringify({
    session_id: "bench-session",
    cwd: "/",
    hook_event_name: event,
    prompt_id: `p${turn}`,
    tool_name: "Bash",
    tool_use_id: `t${turn}`,
    tool_input: { command: "npm test -- parser" },
    tool_response: { stdout: "ok ".repeat(500), stderr: "" },
    last_assistant_message: `Turn ${turn} is done; the next step is the lexer.`,
  });
  const done = spawnSync(program, [...args, event, "--client", "claude-code"], { env, input, encoding: "utf8" });
  if (done.status !== 0 || done.stderr) throw new Error(`hook ${event}: ${done.stderr}`);
}

/** As Claude Code runs it, while a host serves the chat. */
function statusLine(env: NodeJS.ProcessEnv): void {
  const input = JSON.stringify({ session_id: "bench-session", cwd: "/", model: { id: "m", display_name: "M" } });
  const command = statusLineCommand(launch, "linux") ?? "";
  const done = spawnSync("/bin/sh", ["-c", command], { env, input, encoding: "utf8" });
  if (done.status !== 0 || done.stdout === "") throw new Error(`the status line: ${done.stderr}`);
}

function shim(args: readonly string[], env: NodeJS.ProcessEnv): void {
  const { status, stderr } = spawnSync(process.execPath, ["bin/shim.mjs", ...args], { env, encoding: "utf8" });
  if (status !== 0) throw new Error(`shim ${args.join(" ")}: ${stderr}`);
}

/** Built as SHIM's own programs are. @returns its path */
export async function emptyServer(): Promise<string> {
  const outfile = join(tmpdir(), "empty-server.mjs");
  const entryPoints = ["bench/empty-server.ts"];
  await build({ entryPoints, outfile, bundle: true, platform: "node", format: "esm", target: "node22.16" });
  return outfile;
}

export interface Stdio {
  readonly pid: number;
  /** @throws when the tool answers with an error */
  call(name: string, args: Record<string, unknown>): Promise<Record<string, unknown>>;
  close(): Promise<void>;
}

/** A real MCP client on a server process of the same Node. */
export async function connect(args: readonly string[], env: Record<string, string>): Promise<Stdio> {
  const transport = new StdioClientTransport({
    command: process.execPath,
    args: [...args],
    env: { PATH: process.env["PATH"] ?? "", ...env },
    stderr: "ignore",
  });
  const client = new Client({ name: "bench", version: "1" });
  await client.connect(transport);
  return {
    pid: transport.pid ?? 0,
    call: async (name, given) => {
      const result = await client.callTool({ name, arguments: given });
      if (result.isError) throw new Error(`${name}: ${JSON.stringify(result.content)}`);
      return (result.structuredContent ?? {}) as Record<string, unknown>;
    },
    close: () => client.close(),
  };
}

const callRounds = scaled(5);
const calls = scaled(30, 4);
/** Calls that fill caches: the first `sleep` lets the servers connect. */
const warmUpCalls = 3;

type Setting = Pick<ClaudeOptions, "pluginDir" | "mcpServers" | "settings">;

/** One tool call as the user has it, from the model's answer to the client's next request: p50 in ms. */
export async function toolCall() {
  needed(claudeBinary);
  const settings = {
    none: {},
    empty: hooksOf([await emptyServer(), "hooks"]),
    shim: { pluginDir: join(clone, "plugin") },
    script: commandHooks("linux"),
    node: commandHooks("win32"),
  } satisfies Record<string, Setting>;
  const times: Record<keyof typeof settings, number[]> = { none: [], empty: [], shim: [], script: [], node: [] };
  for (let round = 0; round < callRounds; round++)
    for (const name of ["none", "empty", "shim", "script", "node"] as const)
      times[name].push(...(await oneSession(settings[name])));
  const p50 = (name: keyof typeof settings): number => sample(times[name]).p50;
  return { none: p50("none"), empty: p50("empty"), shim: p50("shim"), script: p50("script"), node: p50("node") };
}

/** Each event is a call of a tool of this server: no process for an event. */
export function hooksOf(args: readonly string[]): Setting {
  const hooks = Object.fromEntries(
    hookEvents.filter(isHookToolEvent).map((event) => [event, hookToolGroups(event, "shim")]),
  );
  return { mcpServers: { shim: { type: "stdio", command: process.execPath, args } }, settings: { hooks } };
}

const clone = join(import.meta.dirname, "..");
const launch = {
  node: process.execPath,
  script: join(clone, "bin", "shim.mjs"),
  hookScript: join(clone, "dist", "hook.cjs"),
};

/** What `init` writes: the script, or on Windows a process of Node for each event. */
function commandHooks(platform: NodeJS.Platform): Setting {
  const settings = {};
  setClaudeHooks(settings, launch, { server: null, version: CLAUDE_VERSION, platform });
  return { mcpServers: { shim: { type: "stdio", ...serverCommand(launch) } }, settings };
}

function bash(command: string): Step {
  return { tools: [{ name: "Bash", input: { command } }] };
}

interface SessionOptions {
  readonly calls?: number;
  readonly env?: Readonly<Record<string, string>>;
  /** Called with SHIM's folder once the client has ended. */
  readonly ended?: (home: string) => Promise<void>;
}

/** @returns the times of its calls, in ms */
export async function oneSession(setting: Setting, options: SessionOptions = {}): Promise<number[]> {
  const root = mkdtempSync(join(tmpdir(), "tool-call-"));
  const [home, cwd] = [join(root, "home"), join(root, "project")];
  mkdirSync(home);
  mkdirSync(cwd);
  writeFileSync(join(cwd, "one.ts"), "export {};\n");
  const at: number[] = [];
  const steps = [bash("sleep 1"), ...range(options.calls ?? calls, (n) => bash(`echo ${n}`)), { text: "Done." }];
  const model = await startScriptedModel({ steps, onRequest: () => void at.push(performance.now()) });
  const client = { modelUrl: model.url, home, cwd, ...setting, args: ["--allowedTools", "Bash"] };
  // A machine on which SHIM has run before has its compiled code.
  const env = {
    SHIM_HOME: join(root, "shim"),
    XDG_CACHE_HOME: join(tmpdir(), "cache"),
    PATH: `${join(process.execPath, "..")}:${process.env["PATH"]}`,
    ...options.env,
  };
  const claude = startClaude({ ...client, env, prompt: "count" });
  const { code } = await claude.waitForExit();
  await model.close();
  await options.ended?.(env.SHIM_HOME);
  rmSync(root, { recursive: true, force: true, maxRetries: 5 });
  if (code !== 0) throw new Error(`Claude Code ended with ${code}: ${JSON.stringify(claude.output)}`);
  return at.slice(1 + warmUpCalls).map((time, n) => time - (at[n + warmUpCalls] ?? NaN));
}
