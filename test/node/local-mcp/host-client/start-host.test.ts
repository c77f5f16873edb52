import { existsSync, mkdirSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it, onTestFinished, vi } from "vitest";
import { startHost, startMark } from "#src/local-mcp/host-client/start-host.ts";
import { tempHome } from "#harness/store/temp-store.ts";

const polling = { timeout: 120_000, interval: 5 };

/** Writes its number, and stays. */
const program = `require("node:fs").appendFileSync("started", process.pid + "\\n"); setInterval(() => {}, 1e6);`;

function aHome() {
  const { home } = tempHome();
  mkdirSync(home, { recursive: true, mode: 0o700 });
  const file = join(home, "host.cjs");
  writeFileSync(file, program);
  const pids = (): number[] => {
    const path = join(home, "started");
    return existsSync(path) ? readFileSync(path, "utf8").split("\n").filter(Boolean).map(Number) : [];
  };
  onTestFinished(() => {
    for (const pid of pids().filter(isRunning)) process.kill(pid, "SIGKILL");
  });
  const start = (): void => startHost({ home, socket: join(home, "h.sock"), program: file, env: process.env });
  return { home, start, pids };
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

async function startedAndKilled() {
  const one = aHome();
  for (let n = 0; n < 3; n++) one.start();
  await vi.waitUntil(() => one.pids().length > 0, polling);
  const [first = 0] = one.pids();
  await vi.waitUntil(() => readFileSync(startMark(one.home), "utf8") === `${first}\n`, polling);
  process.kill(first, "SIGKILL");
  await vi.waitUntil(() => !isRunning(first), polling);
  return one;
}

it("a host that was killed in its start is followed by another at once", async () => {
  const { start, pids } = await startedAndKilled();
  // Removes the mark, then starts.
  for (let n = 0; n < 2; n++) start();
  await vi.waitUntil(() => pids().length === 2, polling);
});

it("after a host that ended by itself in its start the next one has to wait", async () => {
  const { home, start, pids } = await startedAndKilled();
  truncateSync(startMark(home));
  for (let n = 0; n < 2; n++) start();
  expect([existsSync(startMark(home)), pids().length]).toEqual([true, 1]);
});
