import { spawn } from "node:child_process";
import { existsSync, readFileSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { once } from "node:events";
import { expect, it } from "vitest";
import { dropSnapshots } from "#src/snapshots/drop-snapshots.ts";
import { systemProcesses } from "#src/platform/processes.ts";
import {
  LIMITS,
  T0,
  fingerprint,
  git,
  makeProject,
  show,
  take,
  taken,
  write,
  HOST,
  paths,
  snapshotOf,
  withGit,
} from "#harness/machine/git-project.ts";

function isRunning(pid: number): boolean {
  return systemProcesses.facts(pid) !== null;
}

it("owns the content: the project's objects may all go @night", async () => {
  const { from, snapshot } = await snapshotOf({ "a.txt": "one\n", "d/b.txt": "two\n" }, { "a.txt": "edited\n" });
  rmSync(join(from.project, ".git"), { recursive: true });
  expect(git(snapshot.repository, "fsck", "--full", "--strict")).toBe("");
  expect(show(snapshot, "a.txt")).toBe("edited\n");
  expect(show(snapshot, "d/b.txt")).toBe("two\n");
});

it("adds only what is new, so that unchanged work costs one small pack @night", async () => {
  const from = makeProject({ "a.txt": "line\n".repeat(50_000), "b.txt": "b\n" });
  const { repository } = await taken(from);
  const packs = () => readdirSync(join(repository, "objects/pack")).filter((name) => name.endsWith(".pack"));
  const first = packs();
  write(from.project, { "b.txt": "changed\n" });
  await taken(from, { checkpointId: "cp2" });
  const added = packs().filter((name) => !first.includes(name));
  expect(added).toHaveLength(1);
  expect(statSync(join(repository, "objects/pack", added[0] ?? "")).size).toBeLessThan(2_000);
});

it("the snapshot after a loss in SHIM's repository is whole again, also where nothing has changed", async () => {
  const from = makeProject({ "a.txt": "one\n", "d/b.txt": "two\n" });
  const { repository } = await taken(from);
  rmSync(join(repository, "objects/pack"), { recursive: true });
  mkdirSync(join(repository, "objects/pack"));
  const again = await taken(from, { checkpointId: "cp2" });
  rmSync(join(from.project, ".git"), { recursive: true });
  expect(git(repository, "fsck", "--full", again.commit)).toBe("");
  expect(show(again, "d/b.txt")).toBe("two\n");
});

it("a snapshot that stays is still the newest after others were dropped and packs were rewritten", async () => {
  const from = makeProject({ "a.txt": "one\n" });
  const { repository } = await taken(from);
  write(from.project, { "a.txt": "two\n" });
  const second = await taken(from, { checkpointId: "cp2" });
  await dropSnapshots({ ...HOST, repository, checkpointIds: ["cp"], timeoutMs: 60_000 });
  const third = await taken(from, { checkpointId: "cp3" });
  expect(third.commit).toBe(second.commit);
  expect(git(repository, "fsck", "--full")).toBe("");
});

it("beyond the size limit it borrows unchanged content from the project, and says how many files @night", async () => {
  const from = makeProject({
    "small.txt": "s\n",
    "large.txt": Buffer.from(Array.from({ length: 5_000 }, (_, i) => (i * i) % 251)),
  });
  write(from.project, { "edited.txt": "e\n" });
  const limits = { ...LIMITS, maxTotalBytes: 200 };
  expect(await taken(from, { limits })).toMatchObject({ borrowed: 1, files: 3, leftOut: [] });
  expect(await taken(from, { checkpointId: "cp2" })).toMatchObject({ borrowed: 0, files: 3 });
});

it("borrows what it has no time to take over, and the next snapshot continues @night", async () => {
  const from = makeProject({ "a.txt": "one\n", "b.txt": "two\n" });
  write(from.project, { "c.txt": "new\n" });
  const seen = join(from.root, "seen");
  // The first pack has what is new; in the second one, of unchanged content, the time runs out.
  const slow = `case "$*" in *pack-objects*) if [ -e ${seen} ]; then exec sleep 600; fi; touch ${seen};; esac`;
  const env = withGit(from, `${slow}; exec $GIT "$@"`);
  const snapshot = await taken(from, { env, limits: { ...LIMITS, timeoutMs: 10_000 } });
  expect(snapshot).toMatchObject({ borrowed: 2, files: 3 });
  expect(show(snapshot, "c.txt")).toBe("new\n");
  expect(await taken(from, { checkpointId: "cp2" })).toMatchObject({ borrowed: 0 });
  expect(git(snapshot.repository, "fsck", "--full")).toBe("");
});

it("a failure of git while it takes over is a failure, not a lack of time @night", async () => {
  const from = makeProject({ "a.txt": "one\n" });
  const seen = join(from.root, "seen");
  const broken = `case "$*" in *pack-objects*) if [ -e ${seen} ]; then echo "fatal: disk full" >&2; exit 128; fi; touch ${seen};; esac`;
  expect(await take(from, { env: withGit(from, `${broken}; exec $GIT "$@"`) })).toEqual({
    state: "failed",
    reason: "git pack-objects failed: fatal: disk full",
  });
});

it("stops in time, says so, and leaves nothing behind @night", async () => {
  const from = makeProject({ "a.txt": "x\n" });
  const pids = join(from.root, "pids");
  const hanging = `echo $$ >> ${pids}; sleep 600 & echo $! >> ${pids}; wait`;
  const env = withGit(from, `case "$*" in *write-tree*) ${hanging};; esac; exec $GIT "$@"`);
  const before = fingerprint(join(from.project, ".git"));
  const snapshot = await take(from, { env, limits: { ...LIMITS, timeoutMs: 5_000 } });
  expect(snapshot).toEqual({ state: "failed", reason: expect.stringContaining("took longer than 5000 ms") });
  const started = readFileSync(pids, "utf8").trim().split("\n");
  expect(started).toHaveLength(2);
  for (const pid of started) expect(isRunning(Number(pid))).toBe(false);
  expect(readdirSync(from.snapshots)).toHaveLength(1);
  expect(fingerprint(join(from.project, ".git"))).toEqual(before);
  expect(await taken(from)).toMatchObject({ files: 1 });
});

it("stops when the caller says so", async () => {
  const from = makeProject({ "a.txt": "x\n" });
  const stopped = await take(from, { signal: AbortSignal.abort() });
  expect(stopped).toEqual({ state: "failed", reason: "stopped before it was done" });
});

it("git's own failure, and the file system's, are reasons and not exceptions @night", async () => {
  const from = makeProject({ "a.txt": "x\n" });
  writeFileSync(join(from.project, ".git/index"), "this is no index");
  expect(await take(from)).toMatchObject({ state: "failed", reason: expect.stringContaining("git") });
  git(from.project, "read-tree", "--empty");
  writeFileSync(join(from.root, "in-the-way"), "a file");
  const snapshots = join(from.root, "in-the-way", "snapshots");
  const reason = expect.stringMatching(/ENOTDIR|EEXIST/) as string;
  expect(await take(from, { snapshots })).toMatchObject({ state: "failed", reason });
});

it("a repeat under the same id replaces the snapshot; a strange id is a bug @night", async () => {
  const from = makeProject({ "a.txt": "x\n" });
  const first = await taken(from);
  expect(await taken(from)).toEqual(first);
  write(from.project, { "a.txt": "y\n" });
  const changed = await taken(from, { now: T0 + 1_000 });
  expect(git(changed.repository, "for-each-ref", "--format=%(objectname)").trim()).toBe(changed.commit);
  await expect(take(from, { checkpointId: "../../heads/main" })).rejects.toThrow(/checkpoint id/);
});

/** Of a process that has ended. */
const GONE = JSON.stringify({ boot: systemProcesses.boot(), pid: process.pid, start: "another start" });

it("two processes and this one take snapshots of one project at the same time @night", async () => {
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

it("continues after a process that was killed in the middle: its scratch and git's locks are cleared @night", async () => {
  const from = makeProject({ "a.txt": "one\n" });
  const { repository } = await taken(from);
  mkdirSync(join(`${repository}.work-abc123`, "objects"), { recursive: true });
  for (const lock of ["packed-refs.lock", "refs/shim/cp1.lock", "objects/pack/tmp_pack_x"])
    writeFileSync(join(repository, lock), "");
  writeFileSync(`${repository}.lock`, GONE);
  expect(await take(from)).toMatchObject({ state: "done" });
  expect(readdirSync(from.snapshots)).toHaveLength(1);
  expect(existsSync(join(repository, "packed-refs.lock"))).toBe(false);
  expect(readdirSync(join(repository, "objects/pack")).filter((name) => name.startsWith("tmp"))).toEqual([]);
});

it("mends a repository that lost its HEAD, and keeps the snapshots in it @night", async () => {
  const from = makeProject({ "a.txt": "one\n" });
  const first = await taken(from);
  rmSync(join(first.repository, "HEAD"));
  write(from.project, { "b.txt": "two\n" });
  expect(paths(await taken(from, { checkpointId: "cp2" }))).toEqual(["a.txt", "b.txt"]);
  expect(paths(first)).toEqual(["a.txt"]);
});
