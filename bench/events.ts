import { appendFileSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { McpConnection } from "../src/platform/mcp-connection.ts";
import { hostsOf } from "../test/harness/machine/process-tree.ts";
import { ms, sample, timed, type Row } from "./figures.ts";
import { cpuMs } from "./proc.ts";
import { scaled } from "./size.ts";

const rounds = scaled(1_000);
const idleMs = scaled(60_000, 500);
/** From the last call on, until a process counts as idle: by then it has loaded what it works with in the background, and looks less often. */
const settleMs = scaled(25_000);
const warmUp = scaled(20);

/** Hook events as the client delivers them to the MCP process, while a transcript grows; and what an idle process costs. */
export async function benchEvents(folder: string): Promise<Row[]> {
  return [...(await eventRows(folder)), ...(await idleRows(folder))];
}

async function eventRows(folder: string): Promise<Row[]> {
  const cwd = join(folder, "events");
  mkdirSync(cwd, { recursive: true });
  const server = aServer(folder, "events-home", cwd);
  await server.initialize("bench");
  const transcript = join(cwd, "transcript.jsonl");
  writeFileSync(transcript, "");
  const times: number[] = [];
  for (let n = -warmUp; n < rounds; n++) {
    for (const event of ["PreToolUse", "PostToolUse"]) {
      appendFileSync(transcript, `${assistantLine(n, event)}\n`);
      const time = await timed(() => server.request("tools/call", hookCall(event, n, cwd, transcript)));
      if (n >= 0) times.push(time);
    }
  }
  await end(server);
  const { p50, p99, n } = sample(times);
  const group = "hook event in the MCP process";
  return [
    { group, n, name: "p50 / p99", figure: `${ms(p50)} / ${ms(p99)}`, goal: "p99 under 10 ms", isReached: p99 < 10 },
  ];
}

function hookCall(event: string, n: number, cwd: string, transcript: string): Record<string, unknown> {
  const fields = { session_id: "bench", prompt_id: "p1", cwd, transcript_path: transcript };
  const tool = { tool_name: "Bash", tool_use_id: `t${n}`, "tool_input.command": `echo ${n}` };
  return { name: "shim_hook", arguments: { event, ...fields, ...tool } };
}

function assistantLine(n: number, event: string): string {
  const message = {
    id: `m${n}`,
    content: [{ type: "text", text: `Step ${n} at ${event}.` }],
    usage: { input_tokens: n },
  };
  return JSON.stringify({ type: "assistant", uuid: `u${n}${event}`, timestamp: new Date().toISOString(), message });
}

/** A process of a machine that has joined a workspace whose coordinator does not answer. */
async function idleRows(folder: string): Promise<Row[]> {
  const home = join(folder, "idle-home");
  mkdirSync(home, { recursive: true });
  const edge = { url: "http://127.0.0.1:9", workspace: "w", machine: "m", token: "shim_bench" };
  writeFileSync(join(home, "edge.json"), JSON.stringify(edge), { mode: 0o600 });
  const server = aServer(folder, "idle-home", folder);
  await server.initialize("bench");
  await server.callTool("shim_force_checkpoint", { goal: "wait" });
  await pause(settleMs);
  const processes = [server, ...hostsOf(home)];
  const before = cpuMs(processes);
  await pause(idleMs);
  const share = (cpuMs(processes) - before) / idleMs;
  await end(server);
  const figure = `${(100 * share).toFixed(3)} % of a core`;
  const name = `over ${idleMs / 1_000} s, front and host`;
  const n = processes.length;
  return [{ group: "idle joined process", n, name, figure, goal: "under 0.1 %", isReached: share < 0.001 }];
}

function aServer(folder: string, home: string, cwd: string): McpConnection {
  const env = { PATH: process.env["PATH"] ?? "", HOME: folder, SHIM_HOME: join(folder, home) };
  return new McpConnection({ command: process.execPath, args: [join(process.cwd(), "dist/mcp.cjs")], env, cwd });
}

async function end(server: McpConnection): Promise<void> {
  server.process.stdin.end();
  await server.ended;
}
