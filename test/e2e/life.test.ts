import { execFileSync, spawnSync } from "node:child_process";
import { chownSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, it, vi, type TestContext } from "vitest";
import type { McpConnection, Message } from "#src/platform/mcp-connection.ts";
import { pathsIn, type Paths } from "#src/platform/paths.ts";
import * as spool from "#src/store/spool.ts";
import { lacking } from "#harness/machine/network-disk/network-disk.ts";
import { otherBuild } from "#harness/machine/other-build.ts";
import {
  answered,
  built,
  envOf,
  integrityOf,
  nextStepOf,
  spawnServer,
  startServer,
  storeOf,
} from "#harness/machine/mcp-process.ts";
import { hostsOf, killEvery, killHosts } from "#harness/machine/process-tree.ts";
import { readOnlyFile, remount, smallDisk } from "#harness/store/small-disk.ts";
import { column } from "#harness/store/store-rows.ts";
import { tempHome } from "#harness/store/temp-store.ts";

const polling = { timeout: 120_000, interval: 5 };
const script = join(dirname(built.hook), "shim-hook");

function toolEnd(server: McpConnection, id: string): Promise<Message> {
  const tool = { session_id: "s1", prompt_id: "p1", tool_name: "Bash", tool_use_id: id, "tool_input.command": id };
  return server.request("tools/call", { name: "shim_hook", arguments: { event: "PostToolUse", ...tool } });
}

function storedEnds(paths: Paths): unknown[] {
  return storeOf(paths).read((sql) => column(sql, "SELECT key FROM journal WHERE kind = 'tool_end' ORDER BY seq"), []);
}

/** A prompt, as Claude Code sends it. @returns what the client gets */
function prompt(paths: Paths, env: NodeJS.ProcessEnv = {}) {
  const given = { session_id: "s1", hook_event_name: "UserPromptSubmit", cwd: dirname(paths.home), prompt: "one" };
  const { status, stdout } = spawnSync("/bin/sh", [script, process.execPath, "UserPromptSubmit"], {
    env: envOf(paths, env),
    input: JSON.stringify({ ...given, prompt_id: "p1" }),
    encoding: "utf8",
  });
  return { status, stdout };
}

it("a home that is copied while its host lives is another home: both go on, each with its own host", async () => {
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
  await vi.waitFor(() => expect(counts()).toEqual([1, 1]), polling);
});

it("in a home that became read-only a chat and its events learn the reason, and it works when it can be written", async (test) => {
  const disk = smallDisk(test, 20);
  const paths = pathsIn(join(disk, "home"));
  const first = await startServer(paths);
  await answered(first, "shim_force_checkpoint", { goal: "kept" });
  first.process.kill("SIGKILL");
  await first.ended;
  await killHosts(paths.home);
  // A disk that a process still writes to stays as it is.
  await vi.waitFor(() => remount(disk, "ro"), polling);
  const server = spawnServer(paths);
  await expect(server.initialize("e2e")).rejects.toThrow(/host cannot be started .*(read-only|EROFS)/);
  expect(prompt(paths)).toEqual({ status: 0, stdout: expect.stringMatching(/cannot save.*(read-only|EROFS)/) });
  remount(disk, "rw");
  await server.initialize("e2e");
  expect(await toolEnd(server, "t1")).toEqual({ content: [] });
  expect(storedEnds(paths)).toEqual(["end:t1"]);
});

it("where only the store is read-only its host answers with the reason, and events wait in the spool", async (test) => {
  const paths = tempHome();
  const first = await startServer(paths);
  await answered(first, "shim_force_checkpoint", { goal: "kept" });
  first.process.kill("SIGKILL");
  await first.ended;
  await killHosts(paths.home);
  readOnlyFile(test, paths.database);
  const server = await startServer(paths);
  const { isError, text } = await server.callTool("shim_force_checkpoint", { goal: "refused" });
  expect([isError, text]).toEqual([true, expect.stringContaining("is read-only; give your user write permission")]);
  expect(await toolEnd(server, "t1")).toEqual({ content: [] });
  expect(spool.survey(paths.spool).waiting).toHaveLength(1);
});

it("on a full disk the host refuses saves, and goes on when there is room", async (test) => {
  const disk = smallDisk(test, 3);
  const paths = pathsIn(join(disk, "home"));
  const server = await startServer(paths);
  await answered(server, "shim_force_checkpoint", { goal: "before" });
  const ballast = join(disk, "ballast");
  const block = Buffer.alloc(100_000);
  expect(() => {
    for (;;) writeFileSync(ballast, block, { flag: "a" });
  }).toThrow("ENOSPC");
  const state = { filler: Array.from({ length: 4_000 }, (_, n) => `${n * 7_919}`.padEnd(40, String(n))).join(" ") };
  const { isError, text } = await server.callTool("shim_force_checkpoint", { goal: "refused", state });
  expect([isError, text]).toEqual([true, expect.stringContaining("the disk is full")]);
  expect(prompt(paths)).toMatchObject({ status: 0 });
  rmSync(ballast);
  const saved = await answered(server, "shim_force_checkpoint", { goal: "after", nextStep: "there is room" });
  const store = storeOf(paths);
  expect([nextStepOf(store, String(saved["checkpoint"])), integrityOf(store)]).toEqual(["there is room", ["ok"]]);
});

const lackings = { locks: "its file system has no locks", sockets: "no socket can be made at" } as const;

for (const what of ["locks", "sockets"] as const)
  it(`a home on a disk without ${what} has no host: host.log says why, and events wait in the spool`, async (test) => {
    const paths = tempHome();
    const shown = prompt(paths, lacking(test, what));
    expect(shown).toEqual({ status: 0, stdout: expect.stringContaining("host.log") });
    const log = join(paths.home, "host.log");
    await vi.waitFor(() => expect(readFileSync(log, "utf8")).toContain(lackings[what]), polling);
    expect(spool.survey(paths.spool).waiting).toHaveLength(1);
  });

const nobody = 65_534;
/** Runs a program of SHIM as another user. */
const asNobody = `process.setgid(${nobody}); process.setuid(${nobody}); require(process.argv[1]);`;

function asAnotherUser(test: TestContext, paths: Paths, env: NodeJS.ProcessEnv): McpConnection {
  if (process.getuid?.() !== 0) test.skip("only root can be two users");
  return spawnServer(paths, { args: ["-e", asNobody, built.mcp], env });
}

/** A folder of the other user with a home whose path is too long for a socket. */
function homeOfNobody(): Paths {
  const folder = mkdtempSync("/tmp/shim-user-");
  chownSync(folder, nobody, nobody);
  const paths = pathsIn(join(folder, "x".repeat(120)));
  return paths;
}

it("two users have two hosts in one temporary folder, and a socket folder that another user owns is refused", async (test) => {
  const temporary = mkdtempSync("/tmp/shim-two-");
  execFileSync("chmod", ["1777", temporary]);
  const env = { TMPDIR: temporary };
  const theirs = homeOfNobody();
  const own = pathsIn(join(tempHome().home, "x".repeat(120)));
  mkdirSync(dirname(own.home), { recursive: true });
  const [one, other] = [spawnServer(own, { env }), asAnotherUser(test, theirs, env)];
  await Promise.all([one.initialize("e2e"), other.initialize("e2e")]);
  await answered(other, "shim_force_checkpoint", { goal: "another user" });
  const counts = (): number[] => [hostsOf(own.home).length, hostsOf(theirs.home).length];
  await vi.waitFor(() => expect(counts()).toEqual([1, 1]), polling);
  other.process.kill("SIGKILL");
  await other.ended;
  await killHosts(theirs.home);
  const folder = join(temporary, `shim-${nobody}`);
  rmSync(folder, { recursive: true });
  mkdirSync(folder, { mode: 0o700 });
  const refused = asAnotherUser(test, theirs, env);
  await expect(refused.initialize("refused")).rejects.toThrow("belongs to another user");
});

it("an upgrade and a downgrade while chats live lose no event: the newer build's host serves both @night", async () => {
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
    vi.waitUntil(
      () =>
        hostsOf(paths.home).some(({ pid }) => readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(dirname(program))),
      polling,
    );
  const one = await startServer(paths, { args: [older] });
  const working = [work(one, "older")];
  await hostIs(older);
  const two = await startServer(paths, { args: [newer] });
  working.push(work(two, "newer"));
  await hostIs(newer);
  const many = ids.length + 20;
  await vi.waitUntil(() => ids.length > many, polling);
  // Either front starts the next host: that of the older one is asked to hand over.
  for (let round = 0; round < 4; round++) {
    killEvery(hostsOf(paths.home));
    await hostIs(newer);
    const more = ids.length + 20;
    await vi.waitUntil(() => ids.length > more, polling);
  }
  over.abort();
  await Promise.all(working);
  const next = ["older-last", "newer-last"];
  expect(await Promise.all([toolEnd(one, "older-last"), toolEnd(two, "newer-last")])).toHaveLength(2);
  await vi.waitUntil(() => spool.isEmpty(paths.spool), polling);
  const stored = storedEnds(paths);
  expect(new Set(stored)).toEqual(new Set([...ids, ...next.map((id) => `end:${id}`)]));
  expect(stored).toHaveLength(ids.length + 2);
});
