import { existsSync, readlinkSync, realpathSync, writeFileSync } from "node:fs";
import { join } from "node:path";
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
import { familyOf, hostsOf, killEvery } from "#harness/machine/process-tree.ts";
import { tempHome } from "#harness/store/temp-store.ts";

const starts = setting("SHIM_PROCESS_STARTS", 32);
const random = seededRandom(setting("SHIM_PROCESS_SEED", 1));
const old = oldNode();

interface Way {
  readonly name: string;
  readonly start: StartOptions;
  readonly end: (running: Running) => void;
  /** Of the first process; null: it was killed. */
  readonly code: 0 | null;
  readonly reason: string;
}

interface Running {
  readonly connection: McpConnection;
  /** The first is what the test has started, the last one is the front. */
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
  { name: "answers that are not read", start: {}, end: closeStdout, code: 0, reason: "stdin_end" },
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
  `${starts} starts and ends leave no process, nothing strange on stdout, and sessions that are detached @night`,
  { timeout: 240_000 + starts * 1_000 },
  async () => {
    await eachWay(ways, starts, {});
  },
);

it("the launcher on an old Node and the server on the pinned one end together", { timeout: 240_000 }, async (test) => {
  if (!old) return test.skip("there is no Node older than 22 on the PATH");
  await eachWay(waysOfOldNode, Math.ceil(starts / 10), { node: old });
});

/** Steps of a start, each after the one before it. */
const steps: Readonly<Record<string, (front: McpConnection, paths: Paths) => Promise<unknown>>> = {
  "as its host begins": () => Promise.resolve(),
  "as the store is made": (_, { home }) => vi.waitUntil(() => existsSync(join(home, "shim.db")), polling),
  "as it answers": (front) => front.initialize("start"),
};

it.each(Object.keys(steps))("a front that is killed in the start leaves a host for the next one: %s", async (last) => {
  const paths = tempHome();
  const front = spawnServer(paths);
  front.process.stdin.write(requests(10));
  await vi.waitUntil(() => hostsOf(paths.home).length > 0, polling);
  await steps[last]?.(front, paths);
  front.process.kill("SIGKILL");
  await front.ended;
  const next = await startServer(paths);
  await answered(next, "shim_force_checkpoint", { goal: "next" });
  // A second host that a slow start caused ends when it finds that the first one has the lock.
  await vi.waitFor(() => expect(hostsOf(paths.home)).toHaveLength(1), polling);
});

it("a server whose client died ends by itself, although another process holds the pipe open", async () => {
  const paths = tempHome();
  const holding = `(cat; exec sleep 60) | "$0" "$1"`;
  const connection = await startServer(paths, { node: "/bin/sh", args: ["-c", holding, process.execPath, built.mcp] });
  const { session } = await answered(connection, "shim_force_checkpoint", { goal: "orphan" });
  const family = withoutHosts(familyOf(connection.pid), paths);
  const server = family.filter(({ pid }) => readlinkSync(`/proc/${pid}/exe`) === realpathSync(process.execPath));
  expect(server).toHaveLength(1);
  connection.process.kill("SIGKILL");
  await untilGone(server);
  killEvery(family.filter((one) => isAlive(systemProcesses, one)));
  await connection.ended;
  expect(sessionOf(storeOf(paths), session)).toMatchObject({ endedAt: null, detachedAt: expect.any(Number) });
  expect([connection.stray, connection.errors]).toEqual([[], ""]);
});

/** Spins for ever at this signal, in one regular expression. */
const spinner = `process.on("SIGUSR2", () => new RegExp("^(?:a+)+$").test("a".repeat(60) + "!"));`;

it("a front that is busy for ever ends when its client dies @night", { timeout: 240_000 }, async () => {
  const paths = tempHome();
  const preload = join(paths.home, "..", "spinner.cjs");
  writeFileSync(preload, spinner);
  const connection = await startServer(paths, { ...viaClient, env: { NODE_OPTIONS: `--require ${preload}` } });
  await answered(connection, "shim_force_checkpoint", { goal: "orphan" });
  const family = withoutHosts(familyOf(connection.pid), paths);
  process.kill(family[1]?.pid ?? 0, "SIGUSR2");
  connection.process.kill("SIGKILL");
  await vi.waitUntil(() => !family.some((one) => isAlive(systemProcesses, one)), { timeout: 120_000, interval: 50 });
});

/** A host stays for the next chat. */
function withoutHosts(family: readonly ProcessIdentity[], { home }: Paths): ProcessIdentity[] {
  const hosts = new Set(hostsOf(home).map(({ pid }) => pid));
  return family.filter(({ pid }) => !hosts.has(pid));
}

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
  const running = { connection, family: withoutHosts(familyOf(connection.pid), paths) };
  way.end(running);
  const { code, signal } = await connection.ended;
  await untilGone(running.family).catch(() => expect.fail(`${where}: a process is left`));
  await vi
    .waitUntil(() => sessionOf(store, session).detachedAt !== null, polling)
    .catch(() => expect.fail(`${where}: not detached`));
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

/** The timeout is for what hangs. */
const polling = { timeout: 120_000, interval: 5 };

async function untilGone(family: readonly ProcessIdentity[]): Promise<void> {
  await vi.waitUntil(() => !family.some((one) => isAlive(systemProcesses, one)), polling);
}
