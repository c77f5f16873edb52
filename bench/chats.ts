import { join, resolve } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { McpConnection } from "../src/platform/mcp-connection.ts";
import { hostsOf, killEvery } from "../test/harness/machine/process-tree.ts";
import type { Row } from "./figures.ts";
import { memoryOf, wakeUps } from "./proc.ts";
import { scaled } from "./size.ts";

const counts = [1, 5, 15].slice(0, scaled(3));
const firstMs = scaled(60_000, 500);
/** What was loaded for the handshake is collected then. */
const settleMs = scaled(15_000);
const watchMs = scaled(30_000, 500);
const maxBytes: Readonly<Record<number, number>> = { 1: 90e6, 15: 220e6 };

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
    const pids = [...chats, ...hostsOf(home)];
    const first = await wakeUpRate(pids, firstMs);
    await pause(settleMs);
    const later = await wakeUpRate(pids, watchMs);
    const { proportional: bytes } = memoryOf(pids);
    const max = maxBytes[count];
    const name = `${count} idle ${count === 1 ? "chat" : "chats"}`;
    rows.push({
      group: "machine",
      n: pids.length,
      name: `${name}: memory, what processes share counted in parts`,
      figure: `${(bytes / 1e6).toFixed(0)} MB`,
      ...(max === undefined ? {} : { goal: `at most ${max / 1e6} MB`, isReached: bytes <= max }),
    });
    for (const [when, perSecond] of [
      ["in their first minute", first],
      ["later", later],
    ] as const)
      rows.push({
        group: "machine",
        n: pids.length,
        name: `${name}: wake-ups of all threads ${when}`,
        figure: `${perSecond.toFixed(2)} a second`,
        goal: "under 0.5",
        isReached: perSecond < 0.5,
      });
    for (const chat of chats) chat.process.kill("SIGKILL");
    killEvery(hostsOf(home));
  }
  return rows;
}

async function wakeUpRate(processes: readonly { readonly pid: number }[], ms: number): Promise<number> {
  const before = wakeUps(processes);
  await pause(ms);
  return (wakeUps(processes) - before) / (ms / 1_000);
}
