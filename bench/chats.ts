import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { McpConnection } from "../src/platform/mcp-connection.ts";
import { hostsOf, killEvery } from "../test/harness/machine/process-tree.ts";
import type { Row } from "./figures.ts";
import { scaled } from "./size.ts";

const counts = [1, 5, 15].slice(0, scaled(3));
/** The readings of the first minute are over, and what was loaded for the handshake is collected. */
const settleMs = scaled(75_000);
const watchMs = scaled(30_000, 500);
const maxBytes: Readonly<Record<number, number>> = { 1: 90e6, 15: 300e6 };

/** Memory and wake-ups of idle chats of one machine that have saved once: their fronts and the host. */
export async function benchChats(folder: string): Promise<Row[]> {
  const rows: Row[] = [];
  for (const count of counts) {
    const home = join(folder, `chats-${count}`);
    const env = { PATH: process.env["PATH"] ?? "", HOME: folder, SHIM_HOME: home, CLAUDECODE: "1" };
    const chats = Array.from(
      { length: count },
      () => new McpConnection({ command: process.execPath, args: [resolve("dist/mcp.cjs")], env, cwd: folder }),
    );
    for (const [n, chat] of chats.entries()) {
      await chat.initialize("bench");
      await chat.callTool("shim_force_checkpoint", { goal: `chat ${n}` });
    }
    await pause(settleMs);
    const pids = [...chats, ...hostsOf(home)].map(({ pid }) => pid);
    const before = wakeUps(pids);
    await pause(watchMs);
    const perSecond = (wakeUps(pids) - before) / (watchMs / 1_000);
    const bytes = pids.reduce((total, pid) => total + proportionalOf(pid), 0);
    const max = maxBytes[count];
    const name = `${count} idle ${count === 1 ? "chat" : "chats"}`;
    rows.push({
      group: "machine",
      n: pids.length,
      name: `${name}: memory, what processes share counted in parts`,
      figure: `${(bytes / 1e6).toFixed(0)} MB`,
      ...(max === undefined ? {} : { goal: `at most ${max / 1e6} MB`, isReached: bytes <= max }),
    });
    rows.push({
      group: "machine",
      n: pids.length,
      name: `${name}: wake-ups of all threads`,
      figure: `${perSecond.toFixed(2)} a second`,
      goal: "under 0.5",
      isReached: perSecond < 0.5,
    });
    for (const chat of chats) chat.process.kill("SIGKILL");
    killEvery(hostsOf(home));
  }
  return rows;
}

/** proc(5): "Pss". */
function proportionalOf(pid: number): number {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8");
  return Number(/^Pss:\s+(\d+) kB/m.exec(text)?.[1]) * 1_024;
}

/** proc(5): a thread that wakes up has left the processor of its own accord before. */
function wakeUps(pids: readonly number[]): number {
  const statuses = pids.flatMap((pid) =>
    readdirSync(`/proc/${pid}/task`).map((task) => readFileSync(`/proc/${pid}/task/${task}/status`, "utf8")),
  );
  return statuses.reduce((total, text) => total + Number(/^voluntary_ctxt_switches:\s+(\d+)/m.exec(text)?.[1]), 0);
}
