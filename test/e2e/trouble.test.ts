import { execFileSync, spawn } from "node:child_process";
import { chmodSync, chownSync, readFileSync, readdirSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, it, vi } from "vitest";
import { temporaryFolder } from "#harness/machine/git-project.ts";
import {
  answered,
  built,
  envOf,
  integrityOf,
  spawnServer,
  startServer,
  storeOf,
} from "#harness/machine/mcp-process.ts";
import { killHosts, servingHost, hostsOf } from "#harness/machine/process-tree.ts";
import { failingDisk, lacking, MachineHome, outputOf, patience } from "#harness/machine/programs.ts";
import { prompt, prompts } from "#harness/machine/prompt-hook.ts";
import { smallDisk } from "#harness/store/small-disk.ts";
import { tempHome } from "#harness/store/store-test.ts";
import { pathsIn } from "#src/platform/paths.ts";
import * as spool from "#src/store/spool.ts";
import { isAlive, systemProcesses } from "#src/platform/processes.ts";

const shown = (text: string) => ({ status: 0, stdout: expect.stringContaining(text) as string });
const saved = { status: 0, stdout: expect.not.stringContaining("cannot save") as string };

function fill(disk: string): void {
  execFileSync("sh", ["-c", "cat /dev/zero > fill || true"], { cwd: disk, stdio: "ignore" });
}

it("on a full disk the host lives on, each prompt is stored or says that the disk is full, and with room again the next one is stored", async (test) => {
  const disk = smallDisk(test, 16);
  const paths = pathsIn(join(disk, "home"));
  const server = await startServer(paths);
  await answered(server, "shim_force_checkpoint", { goal: "kept" });
  const host = servingHost(paths.home);
  expect(prompt(paths, 1)).toMatchObject(saved);
  fill(disk);
  // The log of the store may have room for some.
  const refused = [2, 3, 4, 5, 6].filter((n) => prompt(paths, n).stdout.includes("SHIM cannot save: "));
  const refusedSave = async (): Promise<string> => {
    const { isError, text } = await server.callTool("shim_force_checkpoint", { goal: "x".repeat(400) });
    return isError ? text : refusedSave();
  };
  expect(await refusedSave()).toContain("the disk is full");
  expect((await server.callTool("shim_session_status", {})).isError).toBe(false);
  expect(isAlive(systemProcesses, host)).toBe(true);
  rmSync(join(disk, "fill"));
  expect(prompt(paths, 7)).toMatchObject(saved);
  expect(servingHost(paths.home)).toEqual(host);
  expect(prompts(paths)).toHaveLength(7 - refused.length);
  expect(integrityOf(storeOf(paths))).toEqual(["ok"]);
});

it("a host that dies on a full disk is missed for that reason, and is back with the first prompt that finds room", async (test) => {
  const disk = smallDisk(test, 16);
  const paths = pathsIn(join(disk, "home"));
  expect(prompt(paths, 1)).toMatchObject({ status: 0 });
  await killHosts(paths.home);
  fill(disk);
  for (const n of [2, 3, 4]) expect(prompt(paths, n)).toMatchObject(shown("the disk is full"));
  rmSync(join(disk, "fill"));
  expect(prompt(paths, 5)).toMatchObject(saved);
  await vi.waitUntil(() => spool.isEmpty(paths.spool) && prompts(paths).length >= 2, patience);
  await killHosts(paths.home);
});

const refusals = [
  ["EDQUOT", "your quota on this disk is used up", ""],
  ["EIO", "the disk cannot be read or written", " @night"],
  ["EROFS", "is read-only", " @night"],
  ["ENOSPC", "the disk is full", " @night"],
  ["EMFILE", "too many files are open", " @night"],
] as const;

for (const [error, words, when] of refusals)
  it(`while the disk refuses with ${error} the host lives on, or cannot start, prompts say why, and the next one after it is stored${when}`, async (test) => {
    const paths = tempHome();
    const { env, fail, mend } = failingDisk(test);
    expect(prompt(paths, 1, env)).toMatchObject(saved);
    const host = servingHost(paths.home);
    fail(error);
    // One that has its files open needs no more of them.
    for (const n of [2, 3])
      expect(prompt(paths, n, env)).toMatchObject({
        status: 0,
        stdout: expect.stringMatching(error === "EMFILE" ? /^(?!.*cannot save)/ : words),
      });
    mend();
    expect(prompt(paths, 4, env)).toMatchObject(saved);
    expect(servingHost(paths.home)).toEqual(host);
    await killHosts(paths.home);
    fail(error);
    for (const n of [5, 6]) expect(prompt(paths, n, env)).toMatchObject(shown(words));
    mend();
    expect(prompt(paths, 7, env)).toMatchObject(saved);
    await vi.waitUntil(() => prompts(paths).length === (error === "EMFILE" ? 5 : 3), patience);
    await killHosts(paths.home);
  });

it("a host is found as long as it lives: its socket removed, or its home deleted and made again", async () => {
  const machine = new MachineHome();
  const { paths } = machine;
  await startServer(paths);
  const first = servingHost(paths.home);
  const removeSockets = (): void => {
    const names = readdirSync(paths.home).filter((name) => name.endsWith(".sock"));
    expect(names).toHaveLength(2);
    for (const name of names) rmSync(join(paths.home, name));
  };
  removeSockets();
  expect(prompt(paths, 1)).toMatchObject(saved);
  expect(prompts(paths)).toHaveLength(1);
  removeSockets();
  expect(await machine.ask("call", "host.status")).toMatchObject({ host: { pid: first.pid } });
  removeSockets();
  await startServer(paths);
  expect(hostsOf(paths.home)).toEqual([first]);
  rmSync(paths.home, { recursive: true });
  expect(prompt(paths, 1)).toMatchObject(saved);
  await vi.waitFor(() => expect(servingHost(paths.home).pid).not.toBe(first.pid), patience);
  const next = servingHost(paths.home);
  await vi.waitFor(() => expect(isAlive(systemProcesses, first)).toBe(false), patience);
  expect(prompt(paths, 2)).toMatchObject(saved);
  expect(servingHost(paths.home)).toEqual(next);
  await vi.waitUntil(() => prompts(paths).length === 2, patience);
  removeSockets();
  expect((await machine.shim("call", "host.stop")).code).toBe(0);
  await vi.waitFor(() => expect(isAlive(systemProcesses, next)).toBe(false), patience);
});

it("the host of a home with a long path is found by processes with another TMPDIR", async () => {
  const machine = new MachineHome("x".repeat(90));
  const { paths } = machine;
  const [here, there] = [temporaryFolder(), temporaryFolder()];
  const server = await startServer(paths, { env: { TMPDIR: here } });
  await answered(server, "shim_force_checkpoint", { goal: "found" });
  Object.assign(machine.env, { TMPDIR: there });
  expect(await machine.ask("call", "host.status")).toMatchObject({ host: { chats: [{ isConnected: true }] } });
  await startServer(paths, { env: { TMPDIR: there } });
  expect(hostsOf(paths.home)).toHaveLength(1);
  await killHosts(paths.home);
  expect(prompt(paths, 1, { TMPDIR: there })).toMatchObject(saved);
  expect((await machine.shim("call", "host.status")).code).toBe(0);
  expect((await server.callTool("shim_session_status", {})).isError).toBe(false);
});

it("in a home of another user, as after sudo, prompts and commands say so with the way out", async (test) => {
  if (process.getuid?.() !== 0) test.skip("only root can be another user");
  const paths = tempHome();
  const [folder, nobody] = [dirname(paths.home), { uid: 65_534, gid: 65_534 }];
  chmodSync(folder, 0o755);
  expect(prompt(paths, 1)).toMatchObject(saved);
  // A folder that cannot be entered, then a socket that cannot be asked.
  for (const owner of [0, nobody.uid]) {
    chownSync(paths.home, owner, owner);
    expect(prompt(paths, 2, {}, nobody)).toMatchObject(
      shown(`belongs to another user, as after a command with sudo; make it yours: sudo chown -R`),
    );
    const { err } = await outputOf(
      spawn(process.execPath, [built.launcher, "call", "host.status"], { env: envOf(paths), ...nobody }),
    );
    expect(err).toContain("belongs to another user");
  }
  await killHosts(paths.home);
});

const lackings = { locks: "has no locks", sockets: "no socket can be made" } as const;

for (const what of ["locks", "sockets"] as const)
  it(`in a home on a disk without ${what} events, chats, commands, doctor and the status line name the cause and the way out`, async (test) => {
    const machine = new MachineHome();
    const { paths } = machine;
    const env = lacking(test, what);
    for (const n of [1, 2, 3]) {
      const { status, stdout } = prompt(paths, n, env);
      expect([status, stdout]).toEqual([0, expect.stringContaining(lackings[what])]);
      expect(stdout).toContain("SHIM_HOME");
    }
    await expect(spawnServer(paths, { env }).initialize("e2e")).rejects.toThrow(lackings[what]);
    Object.assign(machine.env, env);
    expect(await machine.shim("pause")).toMatchObject({ code: 1, err: expect.stringContaining(lackings[what]) });
    const doctor = await machine.shim("doctor");
    expect([doctor.code, doctor.out]).toEqual([1, expect.stringMatching(new RegExp(`fail .*${lackings[what]}`))]);
    for (const command of [["call", "host.status"], ["statusline"]])
      expect((await machine.shim(...command)).out, command.join(" ")).toContain(lackings[what]);
    expect(readFileSync(join(paths.home, "host.log"), "utf8")).toContain(lackings[what]);
  });
