import { execFileSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { restoreFiles, type RestoreResult, type RestoreInput } from "#src/snapshots/restore-files.ts";
import {
  commitAll,
  contents,
  git,
  HOST,
  LIMITS,
  makeProject,
  noise,
  purge,
  taken,
  write,
  snapshotOf,
} from "#harness/machine/git-project.ts";
import type { DoneSnapshot } from "#src/snapshots/snapshot.ts";

function restore(
  snapshot: Pick<DoneSnapshot, "repository" | "commit">,
  into: string,
  more: Partial<RestoreInput> = {},
) {
  const { repository, commit } = snapshot;
  return restoreFiles({ ...HOST, repository, commit, into, timeoutMs: 60_000, ...more });
}

async function restored(snapshot: DoneSnapshot, into: string): Promise<RestoreResult> {
  const result = await restore(snapshot, into);
  if (!result.ok) throw new Error(`${result.error.code}: ${result.error.message}`);
  return result.value;
}

it("puts the files back into a folder that is not there, byte for byte @night", async () => {
  const from = makeProject({ "a.txt": "one\n", "d/b.txt": "two\n" });
  write(from.project, { "a.txt": "edited\n", "new file.txt": "new\n", "bin.dat": Buffer.from([0, 255, 13, 10]) });
  write(from.project, { "snö/日本\n語.txt": "odd\n", "run.sh": "#!/bin/sh\n" });
  chmodSync(join(from.project, "run.sh"), 0o755);
  symlinkSync("a.txt", join(from.project, "link"));
  writeFileSync(Buffer.from([...Buffer.from(`${from.project}/`), 0xff, 0xfe]), "raw\n");
  const snapshot = await taken(from);
  const into = join(from.root, "deep", "restored");
  const result = await restored(snapshot, into);
  expect(contents(into)).toEqual(contents(from.project));
  expect(result.notRestored).toEqual([]);
  expect(result.written).toHaveLength(8);
  expect(statSync(into).mode & 0o777).toBe(0o700);
});

it("takes an empty folder, and refuses one with files, a file and a link to a folder @night", async () => {
  const { from, snapshot } = await snapshotOf({ "a.txt": "one\n" });
  const empty = join(from.root, "empty");
  mkdirSync(empty);
  expect((await restored(snapshot, empty)).written).toEqual(["a.txt"]);
  write(from.root, { "file.txt": "mine\n" });
  symlinkSync(from.project, join(from.root, "to-project"));
  const before = contents(from.root, () => false);
  for (const into of [empty, from.project, join(from.root, "file.txt"), join(from.root, "to-project")]) {
    expect(await restore(snapshot, into)).toMatchObject({ ok: false, error: { code: "folder_not_empty" } });
  }
  expect(contents(from.root, () => false)).toEqual(before);
});

it("refuses a snapshot or repository that is not there", async () => {
  const from = makeProject({ "a.txt": "one\n" });
  const { repository } = await taken(from);
  const into = join(from.root, "into");
  const missing = { ok: false, error: { code: "snapshot_missing" } };
  expect(await restore({ repository, commit: "0".repeat(40) }, into)).toMatchObject(missing);
  expect(await restore({ repository, commit: "--help" }, into)).toMatchObject(missing);
  expect(await restore({ repository: join(from.root, "no.git"), commit: "0".repeat(40) }, into)).toMatchObject(missing);
  expect(existsSync(into)).toBe(false);
});

it("a failure of git or the file system, or the end of the time, is an error that says so", async () => {
  const { from, snapshot } = await snapshotOf({ "a.txt": "one\n" });
  const below = join(from.project, "a.txt", "folder");
  expect(await restore(snapshot, below)).toMatchObject({ ok: false, error: { code: "restore_failed" } });
  const stopped = await restore(snapshot, join(from.root, "x"), { signal: AbortSignal.abort() });
  expect(stopped).toMatchObject({ ok: false, error: { message: "stopped before it was done" } });
});

it("puts files back as they were where the project converts line endings @night", async () => {
  const from = makeProject({ "a.txt": "a\n", ".gitattributes": "*.sh text eol=lf\n" });
  git(from.project, "config", "core.autocrlf", "true");
  write(from.project, { "new.txt": "one\r\ntwo\r\n", "run.sh": "echo\n", "utf.bin": Buffer.from([0, 10, 13, 10]) });
  const into = join(from.root, "into");
  await restored(await taken(from), into);
  for (const name of ["new.txt", "run.sh", "utf.bin"]) {
    expect(readFileSync(join(into, name))).toEqual(readFileSync(join(from.project, name)));
  }
});

it("is restored whole after an amend, a deleted branch and gc --prune=now in the project @night", async () => {
  const from = makeProject({ "a.txt": "one\n" });
  git(from.project, "checkout", "--quiet", "-b", "topic");
  write(from.project, { "a.txt": "amended away\n", "only-here.txt": "only on the topic\n" });
  commitAll(from.project, "topic");
  write(from.project, { "b.txt": "not committed\n" });
  const snapshot = await taken(from);
  const work = contents(from.project);
  git(from.project, "add", "-A");
  git(from.project, "rm", "--quiet", "--cached", "only-here.txt");
  rmSync(join(from.project, "only-here.txt"));
  write(from.project, { "a.txt": "after the amend\n" });
  git(from.project, "commit", "--quiet", "-a", "--amend", "-m", "amended");
  git(from.project, "checkout", "--quiet", "main");
  git(from.project, "branch", "--quiet", "-D", "topic");
  purge(from.project);
  expect(() => git(from.project, "cat-file", "-e", snapshot.head ?? "")).toThrow();
  const into = join(from.root, "into");
  expect((await restored(snapshot, into)).notRestored).toEqual([]);
  expect(contents(into)).toEqual(work);
});

it("names exactly the borrowed files that the project has lost, and brings the rest @night", async () => {
  const from = makeProject({ "a.txt": "one\n" });
  git(from.project, "checkout", "--quiet", "-b", "topic");
  write(from.project, { "large.bin": noise(3), "d/large too.bin": noise(7), "small.txt": "s\n" });
  commitAll(from.project, "topic");
  write(from.project, { "new.txt": "new\n" });
  const snapshot = await taken(from, { limits: { ...LIMITS, maxTotalBytes: 300 } });
  expect(snapshot.borrowed).toBe(2);
  const whole = join(from.root, "whole");
  expect((await restored(snapshot, whole)).notRestored).toEqual([]);
  expect(contents(whole)).toEqual(contents(from.project));
  rmSync(join(from.project, "new.txt"));
  git(from.project, "checkout", "--quiet", "main");
  git(from.project, "branch", "--quiet", "-D", "topic");
  purge(from.project);
  const into = join(from.root, "into");
  const result = await restored(snapshot, into);
  expect(result.notRestored.map(({ path }) => path)).toEqual(["d/large too.bin", "large.bin"]);
  expect(result.notRestored[0]?.reason).toContain("project's own objects");
  expect(Object.keys(contents(into))).toEqual(["a.txt", "new.txt", "small.txt"]);
});

it("is restored into a folder when the project is gone, and names what only the project had", async () => {
  const { from, snapshot } = await snapshotOf(
    { "a.txt": "one\n", "large.bin": noise(1) },
    {},
    { limits: { ...LIMITS, maxTotalBytes: 300 } },
  );
  rmSync(from.project, { recursive: true });
  const result = await restored(snapshot, join(from.root, "into"));
  expect(result).toMatchObject({ written: ["a.txt"], notRestored: [{ path: "large.bin" }] });
});

it("names submodules as not restored @night", async () => {
  const other = makeProject({ "lib.txt": "lib\n" });
  const from = makeProject({ "a.txt": "x\n" });
  git(from.project, "submodule", "--quiet", "add", other.project, "lib");
  git(from.project, "commit", "--quiet", "-m", "with a submodule");
  const snapshot = await taken(from);
  const { notRestored, written } = await restored(snapshot, join(from.root, "into"));
  expect(notRestored).toEqual([{ path: "lib", reason: expect.stringContaining("a submodule, at commit ") }]);
  expect(written).toEqual([".gitmodules", "a.txt"]);
});

it("names files that could not be written @night", async () => {
  const { from, snapshot } = await snapshotOf({ "a.txt": "x\n", "long.txt": "y\n" });
  // A name that git can hold and the file system cannot.
  const blob = git(snapshot.repository, "rev-parse", `${snapshot.commit}:a.txt`).trim();
  const name = "n".repeat(300);
  const listing = `100644 blob ${blob}\ta.txt\n100644 blob ${blob}\t${name}\n`;
  const tree = execFileSync("git", ["-C", snapshot.repository, "mktree"], { input: listing, encoding: "utf8" }).trim();
  const commit = git(snapshot.repository, "commit-tree", tree, "-m", "by hand").trim();
  const result = await restored({ ...snapshot, commit }, join(from.root, "into"));
  expect(result.written).toEqual(["a.txt"]);
  expect(result.notRestored).toEqual([{ path: name, reason: expect.stringContaining("File name too long") }]);
});
