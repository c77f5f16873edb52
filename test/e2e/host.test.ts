import { execFileSync, spawn } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, it, onTestFinished, vi } from "vitest";
import { temporaryFolder } from "#harness/machine/git-project.ts";
import { answered, built, envOf, integrityOf, nextStepOf, spawnServer } from "#harness/machine/mcp-process.ts";
import { startServer, storeOf } from "#harness/machine/mcp-process.ts";
import { MachineHome, patience } from "#harness/machine/programs.ts";
import { prompt, prompts } from "#harness/machine/prompt-hook.ts";
import { hostsOf, killEvery, killHosts, servingHost, readOrNull } from "#harness/machine/process-tree.ts";
import { remount, smallDisk } from "#harness/store/small-disk.ts";
import { column, tempHome } from "#harness/store/store-test.ts";
import { HostStatus } from "#src/contract/machine/installation.ts";
import { hostLock } from "#src/platform/host-socket.ts";
import type { McpConnection, Message } from "#harness/machine/mcp-connection.ts";
import { type Paths, pathsIn } from "#src/platform/paths.ts";
import { isAlive, systemProcesses } from "#src/platform/processes.ts";
import * as spool from "#src/store/spool.ts";

function toolEnd(server: McpConnection, id: string): Promise<Message> {
  const tool = { session_id: "s1", prompt_id: "p1", tool_name: "Bash", tool_use_id: id, "tool_input.command": id };
  return server.request("tools/call", { name: "shim_hook", arguments: { event: "PostToolUse", ...tool } });
}

function storedEnds(paths: Paths): unknown[] {
  return storeOf(paths).read((sql) => column(sql, "SELECT key FROM journal WHERE kind = 'tool_end' ORDER BY seq"), []);
}

const dist = dirname(built.mcp);

/** Starts the built host of a home, and waits until it can be found. It is killed with the test. */
async function startHost(paths: Paths): Promise<void> {
  mkdirSync(paths.home, { recursive: true, mode: 0o700 });
  const env = envOf(paths, { CLAUDE_CODE_ENTRYPOINT: "sdk-cli", SHIM_TASK: "of another chat" });
  const child = spawn(process.execPath, [join(dist, "mcp-host.cjs")], { env, stdio: "ignore" });
  onTestFinished(() => void child.kill("SIGKILL"));
  await vi.waitUntil(() => existsSync(join(paths.home, "host.sock")), patience);
}

/** A copy of the built programs, with another time of its build. @returns its `mcp.cjs` */
function otherBuild(laterMs: number): string {
  const folder = temporaryFolder();
  const time = /\b1[78]\d{11}\b/.exec(readFileSync(join(dist, "mcp-main.cjs"), "utf8"))?.[0];
  if (time === undefined) throw new Error("the build has no time");
  cpSync(dist, join(folder, "dist"), { recursive: true });
  for (const name of ["node_modules", "package.json"]) symlinkSync(join(dirname(dist), name), join(folder, name));
  const programs = readdirSync(dist, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".cjs"));
  for (const name of programs) {
    const path = join(folder, "dist", name);
    writeFileSync(path, readFileSync(path, "utf8").replaceAll(time, String(Number(time) + laterMs)));
  }
  return join(folder, "dist", "mcp.cjs");
}

it("twenty clients that start at once share one host @night", async () => {
  const machine = new MachineHome();
  const { paths } = machine;
  const servers = Array.from({ length: 20 }, () => spawnServer(paths));
  await Promise.all(servers.map((server) => server.initialize("crowd")));
  const saved = await Promise.all(
    servers.map((server, n) => answered(server, "shim_force_checkpoint", { goal: `chat ${n}`, nextStep: `step ${n}` })),
  );
  // A second host that a slow start caused may still be about to find that the first one has the lock.
  const { host } = await machine.ask("call", "host.status");
  expect(HostStatus.parse(host).chats.filter(({ isConnected }) => isConnected)).toHaveLength(20);
  const store = storeOf(paths);
  saved.forEach(({ checkpoint }, n) => expect(nextStepOf(store, String(checkpoint))).toBe(`step ${n}`));
});

it("a command that changes something ends a host that is stopped, says so, and is done by the next one @night", async () => {
  const machine = new MachineHome();
  expect(await machine.ask("pause")).toBeDefined();
  const first = servingHost(machine.paths.home);
  process.kill(first.pid, "SIGSTOP");
  const { code, err } = await machine.shim("pause");
  expect([code, err]).toEqual([0, expect.stringContaining("did not answer for five seconds, and was ended")]);
  expect(isAlive(systemProcesses, first)).toBe(false);
  await vi.waitFor(() => expect(hostsOf(machine.paths.home)).toHaveLength(1), patience);
});

it("a home that is copied while its host lives is another home: both go on, each with its own host @night", async () => {
  const paths = tempHome();
  const server = await startServer(paths);
  const saved = await answered(server, "shim_force_checkpoint", { goal: "copied", nextStep: "before the copy" });
  const copy = pathsIn(join(tempHome().home));
  mkdirSync(dirname(copy.home), { recursive: true });
  execFileSync("cp", ["-a", paths.home, copy.home]);
  const there = await startServer(copy);
  const savedThere = await answered(there, "shim_force_checkpoint", { goal: "the copy", nextStep: "in the copy" });
  expect(await toolEnd(server, "t1")).toEqual({ content: [] });
  const [store, storeThere] = [storeOf(paths), storeOf(copy)];
  expect(nextStepOf(storeThere, String(saved["checkpoint"]))).toBe("before the copy");
  expect(nextStepOf(storeThere, String(savedThere["checkpoint"]))).toBe("in the copy");
  expect(nextStepOf(store, String(savedThere["checkpoint"]))).toBeNull();
  expect([integrityOf(store), integrityOf(storeThere), storedEnds(paths)]).toEqual([["ok"], ["ok"], ["end:t1"]]);
  const counts = (): number[] => [hostsOf(paths.home).length, hostsOf(copy.home).length];
  await vi.waitFor(() => expect(counts()).toEqual([1, 1]), patience);
});

it("where no host can be started the chat learns the host's own reason, also on a full disk", async (test) => {
  const paths = tempHome();
  mkdirSync(hostLock(paths.home, systemProcesses.boot()), { recursive: true });
  await expect(startServer(paths)).rejects.toThrow(/cannot be started \(.*host-.*\.lock/);
  const disk = smallDisk(test, 1);
  const full = pathsIn(join(disk, "home"));
  mkdirSync(full.home);
  execFileSync("sh", ["-c", "cat /dev/zero > fill || true"], { cwd: disk, stdio: "ignore" });
  await expect(startServer(full)).rejects.toThrow(/cannot be started \(.*the disk is full; free/);
});

it("a chat of an installation whose parts are deleted learns which one is missing, and starts no host after the other", async () => {
  const paths = tempHome();
  const program = otherBuild(0);
  rmSync(join(dirname(program), "parts"), { recursive: true });
  await expect(startServer(paths, { args: [program] })).rejects.toThrow(
    /cannot be started \(.*mcp-host\.cjs: .*\/parts\//,
  );
  const log = readFileSync(join(paths.home, "host.log"), "utf8");
  expect(log.match(/Cannot find module/g)?.length).toBeLessThan(5);
});

it("in a home that became read-only a chat and its events learn the reason, and it works when it can be written @night", async (test) => {
  const disk = smallDisk(test, 20);
  const paths = pathsIn(join(disk, "home"));
  const first = await startServer(paths);
  await answered(first, "shim_force_checkpoint", { goal: "kept" });
  first.process.kill("SIGKILL");
  await first.ended;
  await killHosts(paths.home);
  // A disk that a process still writes to stays as it is.
  await vi.waitFor(() => remount(disk, "ro"), patience);
  const server = spawnServer(paths);
  await expect(server.initialize("e2e")).rejects.toThrow(/host cannot be started .*(read-only|EROFS)/);
  expect(prompt(paths)).toMatchObject({ status: 0, stdout: expect.stringMatching(/cannot save.*(read-only|EROFS)/) });
  remount(disk, "rw");
  await server.initialize("e2e");
  expect(await toolEnd(server, "t1")).toEqual({ content: [] });
  expect(storedEnds(paths)).toEqual(["end:t1"]);
});

function isBuild(pid: number, program: string): boolean {
  return (readOrNull(`/proc/${pid}/cmdline`) ?? "").includes(dirname(program));
}

it("an upgrade and a downgrade while chats live lose no event: the newer build's host serves both", async () => {
  const paths = tempHome();
  const [older, newer] = [otherBuild(-1_000), otherBuild(1_000)];
  const ids: string[] = [];
  const over = new AbortController();
  const work = async (server: McpConnection, name: string): Promise<void> => {
    for (let n = 0; !over.signal.aborted; n++) {
      expect(await toolEnd(server, `${name}-${n}`)).toEqual({ content: [] });
      ids.push(`end:${name}-${n}`);
    }
  };
  const hostIs = (program: string): Promise<boolean> =>
    vi.waitUntil(() => hostsOf(paths.home).some(({ pid }) => isBuild(pid, program)), patience);
  const more = (count: number): Promise<boolean> => {
    const target = ids.length + count;
    return vi.waitUntil(() => ids.length > target, patience);
  };
  const one = await startServer(paths, { args: [older] });
  const working = [work(one, "older")];
  await hostIs(older);
  const two = await startServer(paths, { args: [newer] });
  working.push(work(two, "newer"));
  await hostIs(newer);
  await more(20);
  // Either front starts the next host: that of the older one is asked to hand over.
  for (let round = 0; round < 2; round++) {
    killEvery(hostsOf(paths.home));
    await hostIs(newer);
    await more(20);
  }
  over.abort();
  await Promise.all(working);
  await vi.waitUntil(() => spool.isEmpty(paths.spool), patience);
  expect(storedEnds(paths)).toHaveLength(ids.length);
  expect(new Set(storedEnds(paths))).toEqual(new Set(ids));
});

it("where no host can be started events wait in the spool, redacted, and the user reads it; the next host records each once @night", async () => {
  const paths = tempHome();
  // No database, so that a host cannot take its lock.
  const lock = hostLock(paths.home, systemProcesses.boot());
  mkdirSync(lock, { recursive: true });
  for (const n of [1, 2])
    expect(prompt(paths, n).stdout).toMatch(/SHIM cannot save: .*host[.-].* Events wait in the spool until it can\./);
  await vi.waitUntil(() => hostsOf(paths.home).length === 0, patience);
  const waiting = readdirSync(paths.spool).map((name) => readFileSync(join(paths.spool, name), "utf8"));
  expect(waiting).toHaveLength(2);
  expect(waiting.join("")).not.toContain("0aB0aB");
  expect(existsSync(paths.database)).toBe(false);
  rmSync(lock, { recursive: true });
  await startHost(paths);
  expect(prompts(paths)).toHaveLength(2);
  expect(readdirSync(paths.spool)).toEqual([]);
});
