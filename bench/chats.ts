import { readdirSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { isRunning } from "../src/platform/processes.ts";
import { McpConnection } from "#harness/machine/mcp-connection.ts";
import { hostsOf, killEvery } from "#harness/machine/process-tree.ts";
import { scaled } from "./measure.ts";

const firstMs = scaled(60_000, 500);
/** What was loaded for the handshake is collected then. */
const settleMs = scaled(15_000);
const watchMs = scaled(30_000, 500);

/** Idle chats of one machine that have saved once: memory in MB and wake-ups a second of their fronts and the host. */
export async function chats() {
  const one = await idle(1);
  const many = await idle(scaled(15, 2));
  return { chats: many.chats, megabytes: many.megabytes, ofOne: one.megabytes, first: many.first, later: many.later };
}

async function idle(count: number) {
  const home = join(tmpdir(), `chats-${count}`);
  const env = { PATH: process.env["PATH"] ?? "", HOME: tmpdir(), SHIM_HOME: home, CLAUDECODE: "1" };
  const fronts = Array.from(
    { length: count },
    () => new McpConnection({ command: process.execPath, args: [resolve("dist/mcp.cjs")], env, cwd: tmpdir() }),
  );
  for (const [n, chat] of fronts.entries()) {
    await chat.initialize("bench");
    await chat.callTool("shim_force_checkpoint", { goal: `chat ${n}` });
  }
  const processes = [...fronts, ...hostsOf(home)];
  const first = await wakeUpRate(processes, firstMs);
  await pause(settleMs);
  const later = await wakeUpRate(processes, watchMs);
  const megabytes = memoryOf(processes) / 1e6;
  for (const chat of fronts) chat.process.kill("SIGKILL");
  killEvery(hostsOf(home));
  return { chats: count, megabytes, first, later };
}

type Processes = readonly { readonly pid: number }[];

async function wakeUpRate(processes: Processes, forMs: number): Promise<number> {
  const before = processes.map(wakeUps);
  await pause(forMs);
  // Of two hosts that began at once one has ended.
  const added = processes.map((one, at) => (isRunning(one.pid) ? wakeUps(one) - (before[at] ?? 0) : 0));
  return added.reduce((total, count) => total + count, 0) / (forMs / 1_000);
}

/** proc(5): a thread that wakes up has left the processor of its own accord before. */
function wakeUps({ pid }: Processes[number]): number {
  if (!isRunning(pid)) return 0;
  const tasks = readdirSync(`/proc/${pid}/task`).map((task) => `/proc/${pid}/task/${task}/status`);
  const switches = /^voluntary_ctxt_switches:\s+(\d+)/m;
  return tasks.reduce((total, path) => total + Number(switches.exec(readFileSync(path, "utf8"))?.[1]), 0);
}

/** In bytes; what processes share is counted in parts: proc(5), "Pss". */
function memoryOf(processes: Processes): number {
  const running = processes.filter(({ pid }) => isRunning(pid));
  const all = running.map(({ pid }) => readFileSync(`/proc/${pid}/smaps_rollup`, "utf8"));
  return all.reduce((total, text) => total + Number(/^Pss:\s+(\d+) kB/m.exec(text)?.[1]) * 1_024, 0);
}
