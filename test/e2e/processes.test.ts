import { readlinkSync, realpathSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it, vi } from "vitest";
import { patience } from "#harness/machine/programs.ts";
import type { McpConnection } from "#harness/machine/mcp-connection.ts";
import type { Paths } from "#src/platform/paths.ts";
import { isAlive, systemProcesses, type ProcessIdentity } from "#src/platform/processes.ts";
import { answered, built, integrityOf, setting } from "#harness/machine/mcp-process.ts";
import { startServer, storeOf, type StartOptions } from "#harness/machine/mcp-process.ts";
import { storedSession } from "#harness/machine/claude.ts";
import { familyOf, hostsOf, killEvery } from "#harness/machine/process-tree.ts";
import { tempHome } from "#harness/store/store-test.ts";

/** `npm run stress -- processes --starts 1000` */
const starts = setting("SHIM_PROCESS_STARTS", 24);

/** A client that is a process of its own, so that it can be killed: the server is its child, and reads what it reads. */
const client = `const { spawn } = require("node:child_process");
const server = spawn(process.execPath, process.argv.slice(1), { stdio: ["pipe", "inherit", "inherit"] });
process.stdin.pipe(server.stdin);`;
const viaClient = { args: ["-e", client, built.mcp] };

interface Way {
  readonly start: StartOptions;
  readonly end: (server: McpConnection) => void;
  /** Of the first process; null: it was killed. */
  readonly code: 0 | null;
  readonly reason: string;
}

const signals = ["SIGTERM", "SIGINT", "SIGHUP"] as const;

function signalled(how: string, start: StartOptions): Record<string, Way> {
  const ways = signals.flatMap((signal) =>
    [1, 2].map((times) => {
      const end = ({ process }: McpConnection): void => {
        for (let n = 0; n < times; n++) process.kill(signal);
      };
      return [`${signal} ${times} times, ${how}`, { start, end, code: 0, reason: signal.toLowerCase() }] as const;
    }),
  );
  return Object.fromEntries(ways);
}

const kill = ({ process }: McpConnection): void => void process.kill("SIGKILL");

const ways: Readonly<Record<string, Way>> = {
  "end of stdin": { start: {}, end: ({ process }) => process.stdin.end(), code: 0, reason: "stdin_end" },
  ...signalled("direct", {}),
  ...signalled("through the launcher", { args: [built.launcher, "mcp"] }),
  "kill -9 of the client": { start: viaClient, end: kill, code: null, reason: "client_gone" },
  "answers that are not read": { start: {}, end: closeStdout, code: 0, reason: "stdin_end" },
  // The client of this one lives on: it is the test.
  "kill -9 of the front": { start: {}, end: kill, code: null, reason: "stdin_end" },
};

function closeStdout({ process }: McpConnection): void {
  for (let id = 100; id < 140; id++) process.stdin.write(`{"jsonrpc":"2.0","id":${id},"method":"tools/list"}\n`);
  process.stdout.destroy();
}

/** A host stays for the next chat. */
function familyWithoutHosts({ pid }: McpConnection, { home }: Paths): ProcessIdentity[] {
  const hosts = new Set(hostsOf(home).map((host) => host.pid));
  return familyOf(pid).filter((one) => !hosts.has(one.pid));
}

async function untilGone(family: readonly ProcessIdentity[]): Promise<void> {
  await vi.waitUntil(() => !family.some((one) => isAlive(systemProcesses, one)), patience);
}

it(
  `${starts} starts and ends leave no process, nothing but the protocol on stdout, and sessions that are detached @night`,
  { timeout: 240_000 + starts * 1_000 },
  async () => {
    const paths = tempHome();
    const store = storeOf(paths);
    for (let n = 0; n < starts; n++) {
      const [name = "", way] = Object.entries(ways)[n % Object.keys(ways).length] ?? [];
      if (!way) throw new Error("there is a way");
      const server = await startServer(paths, way.start);
      const { session } = await answered(server, "shim_force_checkpoint", { goal: `start ${n}` });
      const family = familyWithoutHosts(server, paths);
      way.end(server);
      const { code, signal } = await server.ended;
      await untilGone(family).catch(() => expect.fail(`${name}: a process is left`));
      await vi
        .waitUntil(() => storedSession({ store }, String(session)).ending !== null, patience)
        .catch(() => expect.fail(`${name}: not detached`));
      expect([code, signal], name).toEqual(way.code === null ? [null, "SIGKILL"] : [way.code, null]);
      expect([server.stray, server.errors], name).toEqual([[], ""]);
      const { ending } = storedSession({ store }, String(session));
      expect(ending, name).toMatchObject({ how: "detached", reason: way.reason });
    }
    expect(integrityOf(store)).toEqual(["ok"]);
  },
);

it("a server whose client died ends by itself, although another process holds the pipe open @night", async () => {
  const paths = tempHome();
  const holding = `(cat; exec sleep 60) | "$0" "$1"`;
  const connection = await startServer(paths, { node: "/bin/sh", args: ["-c", holding, process.execPath, built.mcp] });
  const { session } = await answered(connection, "shim_force_checkpoint", { goal: "orphan" });
  const family = familyWithoutHosts(connection, paths);
  const server = family.filter(({ pid }) => readlinkSync(`/proc/${pid}/exe`) === realpathSync(process.execPath));
  expect(server).toHaveLength(1);
  connection.process.kill("SIGKILL");
  await untilGone(server);
  killEvery(family.filter((one) => isAlive(systemProcesses, one)));
  await connection.ended;
  expect(storedSession({ store: storeOf(paths) }, String(session)).ending?.signs.front).toBeDefined();
});

/** Spins for ever at this signal, in one regular expression. */
const spinner = `process.on("SIGUSR2", () => new RegExp("^(?:a+)+$").test("a".repeat(60) + "!"));`;

it("a front that is busy for ever ends when its client dies @night", async () => {
  const paths = tempHome();
  const preload = join(paths.home, "..", "spinner.cjs");
  writeFileSync(preload, spinner);
  const connection = await startServer(paths, { ...viaClient, env: { NODE_OPTIONS: `--require ${preload}` } });
  await answered(connection, "shim_force_checkpoint", { goal: "orphan" });
  const family = familyWithoutHosts(connection, paths);
  process.kill(family[1]?.pid ?? 0, "SIGUSR2");
  connection.process.kill("SIGKILL");
  await untilGone(family);
});
