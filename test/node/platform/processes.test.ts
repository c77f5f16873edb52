import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it, onTestFinished, vi } from "vitest";
import { adapterOf } from "#src/clients/adapters.ts";
import { findClientPid } from "#src/local-mcp/events/read-event.ts";
import { clientPidOf, identify, isAlive, isInOtherNamespace, isSameProcess } from "#src/platform/processes.ts";
import { linuxProcesses, portableProcesses, skipShells, systemProcesses } from "#src/platform/processes.ts";
import { unknownStart, type Processes } from "#src/platform/processes.ts";
import { withLock } from "#src/platform/process-lock.ts";
import { oomKills, share, type MemorySource } from "#src/platform/memory.ts";
import { FakeProcesses } from "#harness/machine/temp-runtime.ts";
import { temporaryFolder } from "#harness/machine/git-project.ts";

const unixes: [string, Processes][] = [["ps", portableProcesses("darwin")]];
if (process.platform === "linux") unixes.push(["proc", linuxProcesses()]);

it("a process is known by boot, pid and start; its facts and its parent can be read", () => {
  for (const [name, processes] of unixes) {
    const facts = processes.facts(process.pid);
    expect(facts?.parent, name).toBe(process.ppid);
    expect(facts?.residentBytes, name).toBeGreaterThan(1_000_000);
    const identity = identify(processes, process.pid);
    expect(identity && isAlive(processes, identity), name).toBe(true);
    // Not the parent: ps counts in seconds, and a parent may have started in the same one.
    expect(identity?.start, name).not.toBe(identify(processes, 1)?.start);
    expect(processes.facts(-1), name).toBeNull();
    expect(identify(processes, 2 ** 30), name).toBeNull();
  }
});

it("a process that has ended is not alive, also before its parent has noticed", async () => {
  const child = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"], { stdio: "ignore" });
  const pid = child.pid ?? 0;
  const identities = unixes.map(([, processes]) => ({ processes, identity: identify(processes, pid) }));
  expect(identities.every(({ processes, identity }) => identity && isAlive(processes, identity))).toBe(true);
  child.kill("SIGKILL");
  await once(child, "exit");
  expect(identities.some(({ processes, identity }) => identity && isAlive(processes, identity))).toBe(false);
});

it("the start of a process is the same text for every caller, whatever its language and zone", () => {
  const processes = portableProcesses("darwin");
  const before = identify(processes, process.pid);
  withEnv({ TZ: "Asia/Tokyo", LC_ALL: "de_DE.UTF-8" });
  expect(identify(processes, process.pid)).toEqual(before);
});

/** Until the end of the test. */
function withEnv(env: Readonly<Record<string, string>>): void {
  for (const [name, value] of Object.entries(env)) vi.stubEnv(name, value);
  onTestFinished(() => void vi.unstubAllEnvs());
}

it("where only the number of a process can be asked for, one that is there is alive", () => {
  const processes = portableProcesses("win32");
  expect(processes.facts(process.pid)).toMatchObject({ start: "unknown", residentBytes: null });
  expect(processes.facts(1)).not.toBeNull();
  for (const pid of [0, 2 ** 30]) expect(processes.facts(pid)).toBeNull();
});

it("on Windows the shell of a hook, which ends with it, is not the client", () => {
  const processes = portableProcesses("win32");
  const found = ["codex", "qwen", "opencode", "claude-code"].map((name) => {
    const client = adapterOf(name);
    return client && findClientPid(processes, client, {}, process.ppid);
  });
  expect(found).toEqual([0, 0, process.ppid, process.ppid]);
});

it("two records name the same process where boot, number and start agree, or a start could not be read", () => {
  const process = { boot: "b", pid: 7, start: "100" };
  const changes = [{ boot: "c" }, { pid: 8 }, { start: "200" }, { boot: "c", start: unknownStart }];
  for (const change of [...changes, null, undefined]) {
    const other = change && { ...process, ...change };
    expect([isSameProcess(process, other), isSameProcess(other, process)]).toEqual([false, false]);
  }
  const unread = { ...process, start: unknownStart };
  const unlike = [{ ...process }, unread, process, null];
  const areSame = [process, process, unread, null].map((one, n) => isSameProcess(one, unlike[n]));
  expect(areSame).toEqual([true, true, true, false]);
});

it("behind a launcher the client is the launcher's parent; a number from further up is not believed", () => {
  const processes = new FakeProcesses();
  for (const pid of [10, 20, 30]) processes.start(pid, Math.max(1, pid - 10));
  const clientBy = (SHIM_CLIENT_PID?: string): number => clientPidOf(processes, { SHIM_CLIENT_PID }, 30);
  expect([clientBy(), clientBy("20")]).toEqual([30, 20]);
  for (const stale of ["10", "1", "0", "-1", "x", ""]) expect(clientBy(stale), stale).toBe(30);
});

it.runIf(process.platform === "linux")("a process has the words of its children, by any of its threads", async () => {
  const script =
    "const { Worker } = require('node:worker_threads'); new Worker(`require('node:child_process').spawn('sleep', ['611']).once('spawn', () => console.log('go'))`, { eval: true })";
  const parent = spawn(process.execPath, ["-e", script], { stdio: ["ignore", "pipe", "ignore"], detached: true });
  onTestFinished(() => void process.kill(-parent.pid!, "SIGKILL"));
  await once(parent.stdout, "data");
  expect([...systemProcesses.children(parent.pid!).values()]).toEqual(["sleep 611 "]);
  expect(systemProcesses.children(2 ** 30)).toEqual(new Map());
});

it.runIf(process.platform === "linux")("a folder has the processes that work in it or below it", async () => {
  const folder = temporaryFolder();
  const inside = join(folder, "inside");
  mkdirSync(inside);
  const child = spawn("sleep", ["612"], { cwd: inside, stdio: "ignore" });
  onTestFinished(() => void child.kill("SIGKILL"));
  await once(child, "spawn");
  const paths = [folder, `${folder}/in`];
  const found = paths.map((path) => systemProcesses.inFolder(path));
  expect(found).toEqual([new Map([[child.pid, "sleep 612 "]]), new Map()]);
});

it("a process of another pid namespace is out of sight, one of an earlier boot is gone", () => {
  const processes = {
    boot: () => "boot-1 pid:[1]",
    facts: () => null,
    children: () => new Map<never, never>(),
    inFolder: () => null,
  };
  const of = (boot: string): boolean => isInOtherNamespace(processes, { boot, pid: 1, start: "1" });
  expect([of("boot-1 pid:[1]"), of("boot-1 pid:[2]"), of("boot-0 pid:[1]")]).toEqual([false, true, false]);
  expect(linuxProcesses().boot()).toMatch(/^[0-9a-f-]{36} pid:\[\d+\]$/);
});

it("a process that is there but whose start cannot be read counts as alive", () => {
  const identity = { boot: "unknown", pid: process.pid, start: "Fri Nov 20 10:00:00 2026" };
  withEnv({ PATH: "/nonexistent" });
  expect(isAlive(portableProcesses("darwin"), identity)).toBe(true);
  expect(isAlive(portableProcesses("darwin"), { ...identity, pid: 2 ** 22 + 1 })).toBe(false);
});

const fail = (): Promise<never> => Promise.reject(new Error("body"));
const never = new AbortController().signal;
const lockPath = (): string => join(temporaryFolder(), "lock");

/** Of a process that has ended. */
const GONE = JSON.stringify({ boot: systemProcesses.boot(), pid: process.pid, start: "another start" });

it("a lock lets one at a time in", async () => {
  const path = lockPath();
  let inside = 0;
  let most = 0;
  const runs = Array.from({ length: 8 }, () =>
    withLock(path, systemProcesses, never, async () => {
      most = Math.max(most, ++inside);
      await new Promise(setImmediate);
      inside--;
    }),
  );
  await Promise.all(runs);
  expect({ most, left: readdirSync(join(path, "..")) }).toEqual({ most: 1, left: [] });
});

it("a lock of a process that is gone, or that says nothing of its owner, is broken, also where the breaker died", async () => {
  for (const content of [GONE, "", "no json", '{"boot":1}']) {
    const path = lockPath();
    writeFileSync(path, content);
    if (content === GONE) writeFileSync(`${path}.break`, GONE);
    expect(await withLock(path, systemProcesses, never, () => Promise.resolve("in"))).toBe("in");
    expect(readdirSync(join(path, ".."))).toEqual([]);
  }
  const blind: Processes = { boot: () => "boot", facts: () => null, children: () => new Map(), inFolder: () => null };
  expect(await withLock(lockPath(), blind, never, () => Promise.resolve("in"))).toBe("in");
});

it("a lock of a living owner is waited for until the caller is stopped and is left alone; one that can never be broken is given up", async () => {
  const path = lockPath();
  const owner = JSON.stringify(identify(systemProcesses, process.pid));
  writeFileSync(path, owner);
  const unbreakable = lockPath();
  for (let depth = 0; depth < 10; depth++) writeFileSync(unbreakable + ".break".repeat(depth), GONE);
  // Another process has broken it, and has it, once this one has seen that its owner is gone.
  const taken = lockPath();
  writeFileSync(taken, GONE);
  let asked = 0;
  const facts: Processes["facts"] = (pid) => {
    if ((asked += 1) === 2) writeFileSync(taken, owner);
    return systemProcesses.facts(pid);
  };
  for (const one of [path, unbreakable, taken]) {
    const processes = one === taken ? { ...systemProcesses, facts } : systemProcesses;
    const locked = withLock(one, processes, AbortSignal.timeout(100), fail);
    await expect(locked).rejects.toThrow(/another shim process/);
  }
  expect([path, taken].map((one) => readFileSync(one, "utf8"))).toEqual([owner, owner]);
});

it("a lock passes on the failure of the file system and of the body, and is free after it", async () => {
  const path = lockPath();
  await expect(withLock(path, systemProcesses, never, fail)).rejects.toThrow("body");
  expect(existsSync(path)).toBe(false);
  await expect(withLock(join(path, "no folder", "lock"), systemProcesses, never, fail)).rejects.toThrow(/ENOENT/);
});

/** A Linux machine that is a quarter full, with the files given. */
function aMachine(files: Record<string, string> = {}, overrides: Partial<MemorySource> = {}): MemorySource {
  const all: Record<string, string> = {
    "/proc/meminfo": "MemTotal:       1000 kB\nMemFree:         100 kB\nMemAvailable:    750 kB\n",
    "/proc/self/cgroup": "0::/\n",
    ...files,
  };
  return {
    platform: "linux",
    file: (path) => all[path] ?? null,
    freePercent: () => null,
    freeBytes: () => 1,
    totalBytes: () => 4,
    ...overrides,
  };
}

const group = (path: string, max: string, current: string, stat = ""): Record<string, string> => ({
  [`/sys/fs/cgroup${path}/memory.max`]: `${max}\n`,
  [`/sys/fs/cgroup${path}/memory.current`]: `${current}\n`,
  [`/sys/fs/cgroup${path}/memory.stat`]: stat,
});

const events = (count: number): string => `low 0\noom 9\noom_kill ${count}\noom_group_kill 0\n`;

it("the share of memory in use: the fullest group that limits it, without file cache, by each system's own measure", () => {
  const own = { "/proc/self/cgroup": "1:name=systemd:/x\n0::/user.slice/app.scope\n" };
  const upper = group("/user.slice", "1000", "600");
  for (const [machine, used] of [
    [aMachine(), 0.25],
    [aMachine({ ...own, ...upper, ...group("/user.slice/app.scope", "max", "900") }), 0.6],
    [aMachine({ ...own, ...upper, ...group("/user.slice/app.scope", "1000", "900") }), 0.9],
    [aMachine({ ...own, ...group("/user.slice", "1000", "100") }), 0.25],
    [aMachine(group("", "1000", "900", "inactive_file_x 9\nanon 300\ninactive_file 500\n")), 0.4],
    [aMachine(group("", "1000", "5000")), 1],
    [aMachine(group("", "0", "0")), 0.25],
    [aMachine({ "/proc/meminfo": "MemTotal: x\n" }), null],
    [aMachine({ "/proc/meminfo": "MemTotal: 0 kB\nMemAvailable: 0 kB\n" }), null],
    [aMachine({}, { platform: "darwin", freePercent: () => 30 }), 0.7],
    [aMachine({}, { platform: "darwin" }), null],
    [aMachine({}, { platform: "win32" }), 0.75],
  ] as const)
    expect(share(machine)).toBe(used);
  const here = share() ?? 0;
  expect(here >= 0 && here <= 1).toBe(true);
});

it("out-of-memory kills are those of the widest group that counts them; without one the count is not known", () => {
  const own = { "/proc/self/cgroup": "0::/user.slice/app.scope\n" };
  const upper = { "/sys/fs/cgroup/user.slice/memory.events": events(3) };
  const lower = { "/sys/fs/cgroup/user.slice/app.scope/memory.events": events(1) };
  expect(oomKills(aMachine({ ...own, ...upper, ...lower }))).toBe(3);
  expect(oomKills(aMachine({ ...own, ...lower }))).toBe(1);
  const root = { "/sys/fs/cgroup/memory.events": events(1) };
  for (const unknown of [
    aMachine(),
    aMachine({ "/proc/self/cgroup": "4:memory:/a\n" }),
    aMachine({ "/proc/self/cgroup": "0::/../other\n", ...root }),
    aMachine(root, { platform: "win32" }),
  ])
    expect(oomKills(unknown)).toBeNull();
});

it("the client of a hook is found behind its shells, and a shell without a parent is the client", () => {
  const processes = new FakeProcesses();
  processes.start(10, 1, "codex");
  processes.start(11, 10, "sh");
  processes.start(12, 11, "/bin/bash");
  expect([10, 11, 12].map((pid) => skipShells(processes, pid))).toEqual([10, 10, 10]);
  processes.start(20, 1, "zsh");
  expect([20, 99].map((pid) => skipShells(processes, pid))).toEqual([20, 99]);
});
