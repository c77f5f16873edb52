import { readlinkSync, realpathSync } from "node:fs";
import { expect, it, vi } from "vitest";
import type { McpConnection } from "#src/platform/mcp-connection.ts";
import type { Paths } from "#src/platform/paths.ts";
import { isAlive, systemProcesses, type ProcessIdentity } from "#src/platform/processes.ts";
import type { Store } from "#src/store/store.ts";
import {
  answered,
  built,
  integrityOf,
  oldNode,
  sessionOf,
  setting,
  spawnServer,
  startServer,
  storeOf,
  type StartOptions,
} from "#harness/machine/mcp-process.ts";
import { seededRandom } from "#harness/clock/fake-time.ts";
import { familyOf } from "#harness/machine/process-tree.ts";
import { tempHome } from "#harness/store/temp-store.ts";

const starts = setting("SHIM_PROCESS_STARTS", 100);
const random = seededRandom(setting("SHIM_PROCESS_SEED", 1));
const old = oldNode();

interface Way {
  readonly name: string;
  readonly start: StartOptions;
  readonly end: (running: Running) => void;
  /** Of the first process; null: it was killed. */
  readonly code: 0 | null;
  readonly reason: string;
  /** Longest time from the event to the end of the last process, in ms; 1,000 without it. */
  readonly withinMs?: number;
}

interface Running {
  readonly connection: McpConnection;
  /** The first is what the test has started, the last one is the server. */
  readonly family: readonly ProcessIdentity[];
}

/** A client that is a process of its own, so that it can be killed: the server is its child, and reads what it reads. */
const client = `const { spawn } = require("node:child_process");
const server = spawn(process.execPath, process.argv.slice(1), { stdio: ["pipe", "inherit", "inherit"] });
process.stdin.pipe(server.stdin);`;

const viaLauncher = { args: [built.launcher, "mcp"] };
const viaClient = { args: ["-e", client, built.mcp] };

const ways: readonly Way[] = [
  { name: "end of stdin", start: {}, end: endOfStdin, code: 0, reason: "stdin_end" },
  ...signalled("direct", {}),
  ...signalled("through the launcher", viaLauncher),
  { name: "kill -9 of the client", start: viaClient, end: killFirst, code: null, reason: "client_gone" },
  { name: "answers that are not read", start: {}, end: closeStdout, code: 0, reason: "stdin_end", withinMs: 2_000 },
  // The client of this one lives on: it is the test.
  { name: "kill -9 of the front", start: {}, end: killFirst, code: null, reason: "stdin_end" },
];

/** Here two processes stand between client and store, and the first one hands signals on. */
const waysOfOldNode: readonly Way[] = [
  { name: "end of stdin", start: viaLauncher, end: endOfStdin, code: 0, reason: "stdin_end" },
  ...signalled("launcher on an old Node", viaLauncher),
  // A client in Node closes its end of the pipe when its child has died.
  { name: "kill -9 of the launcher", start: viaLauncher, end: killFirst, code: null, reason: "stdin_end" },
];

it(
  `[PR2] ${starts} starts and ends leave no process, nothing strange on stdout, and sessions that are detached`,
  { timeout: 30_000 + starts * 1_000 },
  async () => {
    await eachWay(ways, starts, {});
  },
);

it(
  "[PR2] [PR3] the launcher on an old Node and the server on the pinned one end together",
  { timeout: 120_000 },
  async (test) => {
    if (!old) return test.skip("there is no Node older than 22 on the PATH");
    await eachWay(waysOfOldNode, Math.ceil(starts / 10), { node: old });
  },
);

it("[PR2] a worker ends when its front was killed at any moment of the start", { timeout: 120_000 }, async () => {
  const paths = tempHome();
  const rounds = 40;
  for (let round = 0; round < rounds; round++) {
    const front = spawnServer(paths);
    void front.initialize("start").catch(() => undefined);
    front.process.stdin.write(requests(10));
    await vi.waitUntil(() => familyOf(front.pid).length > 1, { timeout: 5_000, interval: 1 });
    const family = familyOf(front.pid);
    // Up to the moment at which a slow machine has answered, too.
    await new Promise((resolve) => setTimeout(resolve, (round / rounds) * 400));
    front.process.kill("SIGKILL");
    const endedAt = performance.now();
    await untilGone(family);
    expect(performance.now() - endedAt, `round ${round}`).toBeLessThan(3_000);
  }
});

it("[PR2] a server whose client died ends by itself, although another process holds the pipe open", async () => {
  const paths = tempHome();
  const holding = `(cat; exec sleep 60) | "$0" "$1"`;
  const connection = await startServer(paths, { node: "/bin/sh", args: ["-c", holding, process.execPath, built.mcp] });
  const { session } = await answered(connection, "shim_force_checkpoint", { goal: "orphan" });
  const family = familyOf(connection.pid);
  const server = family.filter(({ pid }) => readlinkSync(`/proc/${pid}/exe`) === realpathSync(process.execPath));
  // The front and its worker.
  expect(server).toHaveLength(2);
  const endedAt = performance.now();
  connection.process.kill("SIGKILL");
  await untilGone(server);
  // It looks every two seconds.
  expect(performance.now() - endedAt).toBeLessThan(3_000);
  for (const { pid } of family.filter((one) => isAlive(systemProcesses, one))) process.kill(pid, "SIGKILL");
  await connection.ended;
  expect(sessionOf(storeOf(paths), session)).toMatchObject({ endedAt: null, detachedAt: expect.any(Number) });
  expect([connection.stray, connection.errors]).toEqual([[], ""]);
});

/** Two at a time, as chats come and go. */
async function eachWay(list: readonly Way[], count: number, more: StartOptions): Promise<void> {
  const paths = tempHome();
  const store = storeOf(paths);
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < count) {
      const n = next++;
      const way = list[n % list.length];
      if (way) await liveAndEnd(paths, store, way, { ...way.start, ...more }, n);
    }
  };
  await Promise.all([worker(), worker()]);
  expect(integrityOf(store)).toEqual(["ok"]);
}

async function liveAndEnd(paths: Paths, store: Store, way: Way, start: StartOptions, n: number): Promise<void> {
  const where = `${way.name}, start ${n}`;
  const connection = spawnServer(paths, start);
  await connection.initialize("processes");
  const { session } = await answered(connection, "shim_force_checkpoint", { goal: `start ${n}` });
  const running = { connection, family: familyOf(connection.pid) };
  const endedAt = performance.now();
  way.end(running);
  const { code, signal } = await connection.ended;
  await untilGone(running.family);
  expect(performance.now() - endedAt, where).toBeLessThan(way.withinMs ?? 1_000);
  expect([code, signal], where).toEqual(way.code === null ? [null, "SIGKILL"] : [way.code, null]);
  expect([connection.stray, connection.errors], where).toEqual([[], ""]);
  const { endedAt: endMark, detachedAt, detachReason } = sessionOf(store, session);
  expect([endMark, detachReason, typeof detachedAt], where).toEqual([null, way.reason, "number"]);
}

function signalled(how: string, start: StartOptions): Way[] {
  return (["SIGTERM", "SIGINT", "SIGHUP"] as const).flatMap((signal) => {
    const common = { start, code: 0 as const, reason: signal.toLowerCase() };
    const once = (running: Running): void => void running.connection.process.kill(signal);
    const twice = (running: Running): void => {
      once(running);
      setTimeout(() => once(running), 20 * random());
    };
    return [
      { ...common, name: `${signal}, ${how}`, end: once },
      { ...common, name: `${signal} twice, ${how}`, end: twice },
    ];
  });
}

function endOfStdin({ connection }: Running): void {
  connection.process.stdin.end();
}

/** Many are under way. */
function closeStdout({ connection }: Running): void {
  connection.process.stdin.write(requests(40));
  connection.process.stdout.destroy();
}

function requests(count: number): string {
  const ids = Array.from({ length: count }, (_, n) => n + 100);
  return ids.map((id) => `{"jsonrpc":"2.0","id":${id},"method":"tools/list"}\n`).join("");
}

function killFirst({ connection }: Running): void {
  connection.process.kill("SIGKILL");
}

async function untilGone(family: readonly ProcessIdentity[]): Promise<void> {
  await vi.waitUntil(() => !family.some((one) => isAlive(systemProcesses, one)), { timeout: 5_000, interval: 5 });
}
