import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import {
  GIT_ENV,
  LIMITS,
  T0,
  fingerprint,
  git,
  makeProject,
  show,
  take,
  taken,
  write,
} from "#harness/machine/git-project.ts";

function realGit(): string {
  return execFileSync("sh", ["-c", "command -v git"], { encoding: "utf8" }).trim();
}

function standIn(folder: string, script: string): void {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, "git"), `#!/bin/sh\n${script}\n`);
  chmodSync(join(folder, "git"), 0o755);
}

function isRunning(pid: number): boolean {
  try {
    const state = execFileSync("ps", ["-o", "stat=", "-p", String(pid)], { encoding: "utf8" });
    return !state.startsWith("Z");
  } catch {
    return false;
  }
}

it("[GS3] owns the content: the project's objects may all go", async () => {
  const from = makeProject({ "a.txt": "one\n", "d/b.txt": "two\n" });
  write(from.project, { "a.txt": "edited\n" });
  const snapshot = await taken(from);
  rmSync(join(from.project, ".git"), { recursive: true });
  expect(git(snapshot.repository, "fsck", "--full", "--strict")).toBe("");
  expect(show(snapshot, "a.txt")).toBe("edited\n");
  expect(show(snapshot, "d/b.txt")).toBe("two\n");
});

it("[GS3] adds only what is new, so that unchanged work costs one small pack", async () => {
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

it("[GS12] beyond the size limit it borrows unchanged content from the project, and says how many files", async () => {
  const from = makeProject({
    "small.txt": "s\n",
    "large.txt": Buffer.from(Array.from({ length: 5_000 }, (_, i) => (i * i) % 251)),
  });
  write(from.project, { "edited.txt": "e\n" });
  const limits = { ...LIMITS, maxTotalBytes: 200 };
  expect(await taken(from, { limits })).toMatchObject({ borrowed: 1, files: 3, leftOut: [] });
  expect(await taken(from, { checkpointId: "cp2" })).toMatchObject({ borrowed: 0, files: 3 });
});

it("[GS12] borrows what it has no time to take over, and the next snapshot goes on", async () => {
  const from = makeProject({ "a.txt": "one\n", "b.txt": "two\n" });
  write(from.project, { "c.txt": "new\n" });
  const PATH = join(from.root, "bin");
  const seen = join(from.root, "seen");
  // The first pack has what is new; in the second one, of unchanged content, the time runs out.
  const slow = `case "$*" in *pack-objects*) if [ -e ${seen} ]; then exec sleep 600; fi; touch ${seen};; esac`;
  standIn(PATH, `${slow}; exec ${realGit()} "$@"`);
  const env = { ...GIT_ENV, PATH: `${PATH}:${GIT_ENV["PATH"]}` };
  const snapshot = await taken(from, { env, limits: { ...LIMITS, timeoutMs: 2_500 } });
  expect(snapshot).toMatchObject({ borrowed: 2, files: 3 });
  expect(show(snapshot, "c.txt")).toBe("new\n");
  expect(await taken(from, { checkpointId: "cp2" })).toMatchObject({ borrowed: 0 });
  expect(git(snapshot.repository, "fsck", "--full")).toBe("");
});

it("[GS12] a failure of git while it takes over is a failure, not a lack of time", async () => {
  const from = makeProject({ "a.txt": "one\n" });
  const PATH = join(from.root, "bin");
  const seen = join(from.root, "seen");
  const broken = `case "$*" in *pack-objects*) if [ -e ${seen} ]; then echo "fatal: disk full" >&2; exit 128; fi; touch ${seen};; esac`;
  standIn(PATH, `${broken}; exec ${realGit()} "$@"`);
  const snapshot = await take(from, { env: { ...GIT_ENV, PATH: `${PATH}:${GIT_ENV["PATH"]}` } });
  expect(snapshot).toEqual({ state: "failed", reason: "git pack-objects failed: fatal: disk full" });
});

it("[GS14] stores line endings as git would, by the project's settings and attributes", async () => {
  const from = makeProject({ "crlf-committed.txt": "a\r\nb\r\n" });
  git(from.project, "config", "core.autocrlf", "true");
  git(from.project, "config", "core.safecrlf", "true");
  write(from.project, {
    "new.txt": "a\r\nb\r\n",
    "crlf-committed.txt": "a\r\nb\r\nc\r\n",
    "bin.dat": Buffer.from([0, 13, 10, 1]),
  });
  const snapshot = await taken(from);
  expect(show(snapshot, "new.txt")).toBe("a\nb\n");
  expect(show(snapshot, "bin.dat")).toBe("\0\r\n\u0001");
  git(from.project, "-c", "core.safecrlf=false", "add", "-A");
  expect(git(from.project, "write-tree")).toBe(git(snapshot.repository, "rev-parse", `${snapshot.commit}^{tree}`));
});

it("[GS16] stops in time, says so, and leaves nothing behind", async () => {
  const from = makeProject({ "a.txt": "x\n" });
  const PATH = join(from.root, "bin");
  const pids = join(from.root, "pids");
  standIn(
    PATH,
    `case "$*" in *write-tree*) echo $$ >> ${pids}; sleep 600 & echo $! >> ${pids}; wait;; esac; exec ${realGit()} "$@"`,
  );
  const env = { ...GIT_ENV, PATH: `${PATH}:${GIT_ENV["PATH"]}` };
  const before = fingerprint(join(from.project, ".git"));
  const snapshot = await take(from, { env, limits: { ...LIMITS, timeoutMs: 1_500 } });
  expect(snapshot).toEqual({ state: "failed", reason: expect.stringContaining("took longer than 1500 ms") });
  const started = execFileSync("cat", [pids], { encoding: "utf8" }).trim().split("\n");
  expect(started).toHaveLength(2);
  for (const pid of started) expect(isRunning(Number(pid))).toBe(false);
  expect(readdirSync(from.snapshots)).toHaveLength(1);
  expect(fingerprint(join(from.project, ".git"))).toEqual(before);
  expect(await taken(from)).toMatchObject({ files: 1 });
});

it("[GS16] stops when the caller says so", async () => {
  const from = makeProject({ "a.txt": "x\n" });
  expect(await take(from, { signal: AbortSignal.abort() })).toEqual({
    state: "failed",
    reason: "stopped before it was done",
  });
});

it("[GS16] git's own failure, and the file system's, are reasons and not exceptions", async () => {
  const from = makeProject({ "a.txt": "x\n" });
  writeFileSync(join(from.project, ".git/index"), "this is no index");
  expect(await take(from)).toMatchObject({ state: "failed", reason: expect.stringContaining("git") });
  git(from.project, "read-tree", "--empty");
  writeFileSync(join(from.root, "in-the-way"), "a file");
  const snapshots = join(from.root, "in-the-way", "snapshots");
  expect(await take(from, { snapshots })).toMatchObject({
    state: "failed",
    reason: expect.stringMatching(/ENOTDIR|EEXIST/),
  });
});

it("[GS17] a repeat under the same id replaces the snapshot; a strange id is a bug", async () => {
  const from = makeProject({ "a.txt": "x\n" });
  const first = await taken(from);
  const again = await taken(from);
  expect(again).toEqual(first);
  write(from.project, { "a.txt": "y\n" });
  const changed = await taken(from, { now: T0 + 1_000 });
  expect(git(changed.repository, "for-each-ref", "--format=%(objectname)").trim()).toBe(changed.commit);
  await expect(take(from, { checkpointId: "../../heads/main" })).rejects.toThrow(/checkpoint id/);
});
