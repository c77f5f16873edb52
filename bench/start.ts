import { spawn, spawnSync } from "node:child_process";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { hostsOf, killEvery } from "../test/harness/machine/process-tree.ts";
import { sample, scaled, timed } from "./measure.ts";
import { emptyServer } from "./stdio-client.ts";

const rounds = scaled(40);
const warmUp = scaled(3, 0);
const initialize = {
  id: 1,
  method: "initialize",
  params: { protocolVersion: "2025-11-25", capabilities: {}, clientInfo: { name: "bench", version: "1" } },
};
const hookEvents = ["PreToolUse", "PostToolUse", "Stop"] as const;
/** Ways of an event to the host: the program, and the script that clients are given. */
const byProgram = [process.execPath, "dist/hook.cjs"] as const;
const byScript = ["/bin/sh", "dist/shim-hook", process.execPath] as const;

/** p50 in ms of whole processes, and of servers from their spawn to the answer to `initialize`; all in turn, all on this Node. */
export async function start() {
  const folder = tmpdir();
  const env = { PATH: process.env["PATH"] ?? "", HOME: folder, SHIM_HOME: join(folder, "start"), CLAUDECODE: "1" };
  const empty = await emptyServer();
  const times: Record<string, number[]> = {};
  for (let round = -warmUp; round < rounds; round++) {
    const keep = (name: string, time: number): void => void (round < 0 || (times[name] ??= []).push(time));
    keep("node", await timed(() => spawnSync(process.execPath, ["-e", "0"], { env })));
    keep("empty", await answered([empty], env));
    keep("host", await answered(["dist/mcp.cjs"], env));
    for (const event of hookEvents) {
      keep(`script ${event}`, await timed(() => hook(byScript, event, round, env)));
      keep(`program ${event}`, await timed(() => hook(byProgram, event, round, env)));
    }
    keep("status line", await timed(() => statusLine(env)));
    killEvery(hostsOf(env.SHIM_HOME));
    keep("alone", await answered(["dist/mcp.cjs"], env));
  }
  killEvery(hostsOf(env.SHIM_HOME));
  const p50 = (name: string): number => sample(times[name]).p50;
  const slowest = (way: string): number => Math.max(...hookEvents.map((event) => p50(`${way} ${event}`)));
  return {
    node: p50("node"),
    empty: p50("empty"),
    host: p50("host"),
    alone: p50("alone"),
    statusLine: p50("status line"),
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

function hook([program, ...args]: Command, event: string, round: number, env: NodeJS.ProcessEnv): void {
  const input = JSON.stringify({
    session_id: "bench-session",
    cwd: "/",
    hook_event_name: event,
    prompt_id: `p${round}`,
    tool_name: "Bash",
    tool_use_id: `t${round}`,
    tool_input: { command: "npm test -- parser" },
    tool_response: { stdout: "ok ".repeat(500), stderr: "" },
    last_assistant_message: `Round ${round} is done; the next step is the lexer.`,
  });
  const done = spawnSync(program, [...args, event, "--client", "claude-code"], { env, input, encoding: "utf8" });
  if (done.status !== 0 || done.stderr) throw new Error(`hook ${event}: ${done.stderr}`);
}

/** As Claude Code runs it, while a host serves the chat. */
function statusLine(env: NodeJS.ProcessEnv): void {
  const input = JSON.stringify({ session_id: "bench-session", cwd: "/", model: { id: "m", display_name: "M" } });
  const done = spawnSync(process.execPath, ["bin/shim.mjs", "statusline"], { env, input, encoding: "utf8" });
  if (done.status !== 0 || done.stdout === "") throw new Error(`the status line: ${done.stderr}`);
}
