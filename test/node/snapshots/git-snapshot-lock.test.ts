import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { expect, it } from "vitest";
import { identify, systemProcesses, type Processes } from "../../../src/platform/processes.ts";
import { withLock } from "../../../src/snapshots/repository-lock.ts";
import {
  git,
  HOST,
  LIMITS,
  makeProject,
  paths,
  T0,
  take,
  taken,
  temporaryFolder,
  write,
} from "../../support/git-project.ts";

function fail(): Promise<never> {
  return Promise.reject(new Error("body"));
}

const never = new AbortController().signal;

function lockPath(): string {
  return join(temporaryFolder(), "lock");
}

/** Of a process that has ended. */
const GONE = JSON.stringify({ boot: systemProcesses.boot(), pid: process.pid, start: "another start" });

it("[GS15] lets one at a time in, in this process", async () => {
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

it("[GS15] breaks the lock of a process that is gone, also one that died while it broke another", async () => {
  const path = lockPath();
  writeFileSync(path, GONE);
  writeFileSync(`${path}.break`, GONE);
  expect(await withLock(path, systemProcesses, never, () => Promise.resolve("in"))).toBe("in");
  expect(readdirSync(join(path, ".."))).toEqual([]);
});

it("[GS15] breaks a lock that says nothing of its owner", async () => {
  for (const content of ["", "no json", '{"boot":1}']) {
    const path = lockPath();
    writeFileSync(path, content);
    expect(await withLock(path, systemProcesses, never, () => Promise.resolve("in"))).toBe("in");
  }
});

it("[GS15] waits for a living owner until it is stopped, and leaves its lock alone", async () => {
  const path = lockPath();
  const owner = JSON.stringify(identify(systemProcesses, process.pid));
  writeFileSync(path, owner);
  const stop = AbortSignal.timeout(100);
  await expect(withLock(path, systemProcesses, stop, () => Promise.resolve())).rejects.toThrow(/another shim process/);
  expect(readFileSync(path, "utf8")).toBe(owner);
});

it("[GS15] gives up, instead of going on for ever, where a lock can never be broken", async () => {
  const path = lockPath();
  for (let depth = 0; depth < 10; depth++) writeFileSync(path + ".break".repeat(depth), GONE);
  const stop = AbortSignal.timeout(100);
  await expect(withLock(path, systemProcesses, stop, () => Promise.resolve())).rejects.toThrow(/another shim process/);
});

it("[GS15] passes on the failure of the file system and of the body, and is free after it", async () => {
  const path = lockPath();
  await expect(withLock(path, systemProcesses, never, fail)).rejects.toThrow("body");
  expect(existsSync(path)).toBe(false);
  const nowhere = join(path, "no folder", "lock");
  await expect(withLock(nowhere, systemProcesses, never, fail)).rejects.toThrow(/ENOENT/);
});

it("[GS15] works where a process cannot read its own facts", async () => {
  const blind: Processes = { boot: () => "boot", facts: () => null };
  expect(await withLock(lockPath(), blind, never, () => Promise.resolve("in"))).toBe("in");
});

it("[GS15] two processes and this one take snapshots of one project at the same time", async () => {
  const from = makeProject({ "a.txt": "one\n", "d/b.txt": "two\n" });
  write(from.project, { "a.txt": "edited\n" });
  const module = resolve("src/snapshots/take-snapshot.ts");
  const processes = resolve("src/platform/processes.ts");
  const script = `
    import { takeSnapshot } from ${JSON.stringify(module)};
    import { systemProcesses } from ${JSON.stringify(processes)};
    const input = JSON.parse(process.argv[1]);
    for (let i = 0; i < 4; i++) {
      const snapshot = await takeSnapshot({ ...input, processes: systemProcesses, checkpointId: input.name + i });
      console.log(snapshot.state === "done" ? snapshot.commit : snapshot.reason);
    }`;
  const child = async (name: string) => {
    const input = { env: HOST.env, project: from.project, snapshots: from.snapshots, now: T0, limits: LIMITS, name };
    const running = spawn(process.execPath, ["--input-type=module", "-e", script, JSON.stringify(input)]);
    let stdout = "";
    running.stdout.on("data", (chunk: Buffer) => (stdout += chunk.toString()));
    await once(running, "close");
    return stdout.trim().split("\n");
  };
  const mine = async () => {
    const snapshots = [];
    for (let i = 0; i < 4; i++) snapshots.push((await taken(from, { checkpointId: `me${i}` })).commit);
    return snapshots;
  };
  const all = (await Promise.all([child("x"), child("y"), mine()])).flat();
  expect(all).toHaveLength(12);
  for (const commit of all) expect(commit).toMatch(/^[0-9a-f]{40}$/);
  const { repository } = await taken(from);
  expect(git(repository, "for-each-ref").trim().split("\n")).toHaveLength(13);
  expect(git(repository, "fsck", "--full")).toBe("");
});

it("[GS16] goes on after a process that was killed in the middle: its scratch and git's locks are cleared", async () => {
  const from = makeProject({ "a.txt": "one\n" });
  const { repository } = await taken(from);
  for (const stale of [`${repository}.work-abc123`, `${repository}.new-abc123`])
    mkdirSync(join(stale, "objects"), { recursive: true });
  for (const lock of ["packed-refs.lock", "refs/shim/cp1.lock", "objects/pack/tmp_pack_x"])
    writeFileSync(join(repository, lock), "");
  writeFileSync(`${repository}.lock`, GONE);
  expect(await take(from)).toMatchObject({ state: "done" });
  expect(readdirSync(from.snapshots)).toHaveLength(1);
  expect(existsSync(join(repository, "packed-refs.lock"))).toBe(false);
  expect(readdirSync(join(repository, "objects/pack")).filter((name) => name.startsWith("tmp"))).toEqual([]);
});

it("[GS16] mends a repository that lost its HEAD, and keeps the snapshots in it", async () => {
  const from = makeProject({ "a.txt": "one\n" });
  const first = await taken(from);
  rmSync(join(first.repository, "HEAD"));
  write(from.project, { "b.txt": "two\n" });
  expect(paths(await taken(from, { checkpointId: "cp2" }))).toEqual(["a.txt", "b.txt"]);
  expect(paths(first)).toEqual(["a.txt"]);
});
