import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { expect, it } from "vitest";
import type { Io } from "../../src/cli/io.ts";
import { writeEdge } from "../../src/local-mcp/authority.ts";
import { aCliHome, type CliHome } from "../support/cli-home.ts";
import { EdgeRuntime } from "../support/edge-runtime.ts";

type Ran = ReturnType<CliHome["shim"]>;

/** A machine whose commands run in real time until `stop` is aborted. */
class Desk {
  readonly home = aCliHome();
  readonly stop = new AbortController();
  readonly real: Partial<Io> = {
    interrupted: () => this.stop.signal,
    wait: (ms, signal) => pause(ms, undefined, { signal }).catch(() => undefined),
  };

  constructor() {
    this.home.alive.add(process.pid);
  }

  /** Runs JavaScript while the lease is held; `file` in it is the path of a file to tell by. */
  run(options: readonly string[], script: string): Ran {
    const text = `const { writeFileSync } = require("node:fs"); const file = ${JSON.stringify(this.file)}; ${script}`;
    return this.home.shimWith(this.real, "lease", "run", "db", ...options, "--", process.execPath, "-e", text);
  }

  get file(): string {
    return join(this.home.folder, "told");
  }

  async told(): Promise<string> {
    while (!existsSync(this.file) || readFileSync(this.file, "utf8") === "") await pause(20);
    return readFileSync(this.file, "utf8");
  }

  async held(): Promise<{ holder: string; token: number }[]> {
    const listed = (await this.home.shim("lease", "list", "--json")).json() as {
      leases: { holder: string; token: number }[];
    };
    return listed.leases;
  }

  async chats(): Promise<string[]> {
    const { chats } = (await this.home.shim("chats", "--json")).json() as { chats: { status: string }[] };
    return chats.map(({ status }) => status);
  }
}

const forever = 'process.on("SIGTERM", () => process.exit(9)); writeFileSync(file, "1"); setInterval(() => 0, 1000);';
/** With a process of its own that does not heed TERM; both pids are told. */
const stubborn = `const { spawn } = require("node:child_process");
  const deaf = spawn(process.execPath, ["-e", 'process.on("SIGTERM", () => 0); console.log("up"); setInterval(() => 0, 1000)']);
  deaf.stdout.once("data", () => writeFileSync(file, String(deaf.pid)));`;

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0) && !/\) Z/.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return false;
  }
}

it("[CL33] a command runs with the token of its lease, its exit code is passed on, and the lease is given back", async () => {
  const desk = new Desk();
  const script = "writeFileSync(file, process.env.SHIM_LEASE_TOKEN); setTimeout(() => process.exit(7), 400);";
  const running = desk.run(["--json"], script);
  const token = Number(await desk.told());
  expect(await desk.held()).toMatchObject([{ token, holder: expect.stringMatching(/^run-/) as string }]);
  const ran = await running;
  expect([ran.code, ran.json()]).toEqual([7, { resource: "db", token, exitCode: 7 }]);
  expect([await desk.held(), await desk.chats()]).toEqual([[], ["offline"]]);
});

it("[CL33] a lease that is not free in time is answered with 75, and the command is not started", async () => {
  const desk = new Desk();
  const running = desk.run([], 'writeFileSync(file, "1"); setTimeout(() => 0, 1_500);');
  await desk.told();
  for (const options of [[], ["--wait", "0.4s"]]) {
    const late = await desk.run(options, 'writeFileSync(file, "wrong");');
    expect([options, late.code]).toEqual([options, 75]);
    expect(late.err).toMatch(/db/);
  }
  const next = await desk.run(["--wait", "30s"], 'writeFileSync(file, "2");');
  expect([(await running).code, next.code, await desk.told()]).toEqual([0, 0, "2"]);
});

it("[CL33] a command whose lease is lost is ended with all of its processes, and answered with 76", async () => {
  const desk = new Desk();
  const running = desk.run(["--ttl", "2s"], stubborn);
  const deaf = Number(await desk.told());
  const before = Date.now();
  await desk.home.shim("lease", "force-release", "db", "--reason", "test");
  const ran = await running;
  expect([ran.code, isAlive(deaf)]).toEqual([76, false]);
  expect(ran.err).toContain("the lease on db was lost");
  // KILL, since one of them does not heed TERM.
  expect(Date.now() - before).toBeGreaterThan(4_900);
});

it("[CL33] Ctrl-C ends the command and gives the lease back; before the lease is got it starts nothing", async () => {
  const desk = new Desk();
  const running = desk.run([], forever);
  await desk.told();
  const waiting = desk.run(["--wait", "1h"], 'writeFileSync(file, "wrong");');
  await pause(100);
  desk.stop.abort();
  expect([(await running).code, (await waiting).code]).toEqual([9, 130]);
  expect([await desk.told(), await desk.held(), await desk.chats()]).toEqual(["1", [], ["offline", "offline"]]);
});

it("[CL33] what cannot be started, and what is no duration, is said", async () => {
  const desk = new Desk();
  const none = await desk.home.shimWith(desk.real, "lease", "run", "db", "--", "no-such-program");
  expect([none.code, none.err]).toEqual([127, expect.stringContaining("no program no-such-program")]);
  expect(await desk.held()).toEqual([]);
  for (const wrong of [
    ["--ttl", "0s"],
    ["--wait", "2h"],
    ["--ttl", "x"],
  ]) {
    const refused = await desk.home.shim("lease", "run", "db", ...wrong, "--", "true");
    expect([refused.code, refused.err]).toEqual([2, expect.stringMatching(/from [01]s to 1h/)]);
  }
});

it("[CL33] on the edge it is the same: token, exit code, 75, 76 and what is left", async () => {
  const runtime = await EdgeRuntime.open();
  const desk = new Desk();
  const { token } = await runtime.call("tokens.create", { machine: "m1", scope: "work" });
  const { url, workspace, adminToken } = runtime;
  writeEdge(desk.home.paths.home, { url, workspace, machine: "m1", token, adminToken });
  const running = desk.run(["--ttl", "2s"], `${stubborn} setTimeout(() => process.exit(0), 60_000);`);
  const deaf = Number(await desk.told());
  expect(await desk.held()).toMatchObject([{ holder: expect.stringMatching(/^run-m1-/) as string }]);
  expect((await desk.run(["--wait", "0.3s"], "")).code).toBe(75);
  await pause(2_500);
  expect(await desk.held()).toHaveLength(1);
  await desk.home.shim("lease", "force-release", "db", "--reason", "test");
  expect([(await running).code, isAlive(deaf)]).toEqual([76, false]);
  const script = "process.exit(Number(process.env.SHIM_LEASE_TOKEN) > 0 ? 5 : 6)";
  expect((await desk.run(["--wait", "10s"], script)).code).toBe(5);
  expect(await desk.held()).toEqual([]);
  expect(new Set(await desk.chats())).toEqual(new Set(["offline"]));
});
