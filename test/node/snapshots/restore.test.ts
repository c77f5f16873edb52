import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import * as fc from "fast-check";
import { expect, it } from "vitest";
import { displayPath } from "#src/snapshots/git.ts";
import { restoreFiles, type RestoreResult } from "#src/snapshots/restore-files.ts";
import { restoreWorktree, type WorktreeOutcome } from "#src/snapshots/worktrees.ts";
import type { DoneSnapshot } from "#src/snapshots/repository.ts";
import {
  edit,
  type Edit,
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
  fingerprint,
  GIT_ENV,
  withGit,
  type GitProject,
} from "#harness/machine/git-project.ts";

const timeoutMs = 60_000;
const files = { "b.txt": "b\n", "d/c": "c\n", ".gitignore": "*.log\n", big: Buffer.alloc(3_000, "y") };

function restore({ repository, commit }: Pick<DoneSnapshot, "repository" | "commit">, into: string) {
  return restoreFiles({ ...HOST, repository, commit, into, timeoutMs });
}

async function restored(snapshot: DoneSnapshot, into: string): Promise<RestoreResult> {
  const result = await restore(snapshot, into);
  if (!result.ok) throw new Error(`${result.error.code}: ${result.error.message}`);
  return result.value;
}

it("takes an empty folder, and refuses one with files, a file, a link, and a snapshot that is not there", async () => {
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
  for (const missing of [{ commit: "0".repeat(40) }, { commit: "--help" }, { repository: join(from.root, "no.git") }])
    expect(await restore({ ...snapshot, ...missing }, join(from.root, "into"))).toMatchObject({
      ok: false,
      error: { code: "snapshot_missing" },
    });
  expect(contents(from.root, () => false)).toEqual(before);
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

it(
  "any sequence of edits comes back byte for byte, but for what is named as left out @night",
  { timeout: 240_000 },
  async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(edit, { minLength: 1, maxLength: 12 }), fc.nat({ max: 11 }), async (steps, at) => {
        const from = makeProject(files);
        try {
          const limits = { ...LIMITS, maxFileBytes: 2_000 };
          for (const [index, step] of steps.entries()) {
            step(from);
            if (index === at) await taken(from, { checkpointId: "before", limits });
          }
          const snapshot = await taken(from, { limits });
          const work = contents(from.project);
          const leftOut = new Set(snapshot.leftOut.map(({ path }) => path));
          rmSync(join(from.project, ".git"), { recursive: true });
          const into = join(from.root, "into");
          expect((await restored(snapshot, into)).notRestored).toEqual([]);
          const back = contents(into);
          const isExpected = ([path]: [string, string]) => !leftOut.has(displayPath(path));
          const expected = Object.entries(work).filter((each) => isExpected(each) && !each[0].endsWith(".log"));
          expect(Object.fromEntries(Object.entries(back).filter(isExpected))).toEqual(Object.fromEntries(expected));
          for (const path of leftOut) {
            const isSecret = path === ".env" || path === "k.pem";
            expect(isSecret || statSync(join(from.project, path)).size > limits.maxFileBytes).toBe(true);
          }
        } finally {
          rmSync(from.root, { recursive: true, force: true });
        }
      }),
      { numRuns: Number(process.env["SHIM_RESTORED_EDITS"] ?? 8) },
    );
  },
);

function placeOf({ root }: GitProject, name: string): { folder: string; branch: string } {
  return { folder: join(root, "work", name, "project"), branch: `shim/${name}` };
}

function fork(from: GitProject, { repository, commit, head }: DoneSnapshot, name = "fork-1"): Promise<WorktreeOutcome> {
  mkdirSync(join(from.root, "work", name), { recursive: true });
  const place = placeOf(from, name);
  return restoreWorktree({ ...HOST, timeoutMs, project: from.project, repository, commit, head, ...place });
}

/** Tree id of all files of a worktree, in an index of its own. */
function treeOf({ root }: GitProject, folder: string): string {
  const env = { ...GIT_ENV, GIT_INDEX_FILE: join(root, "scratch-index") };
  const run = (...args: string[]): string => execFileSync("git", ["-C", folder, ...args], { env, encoding: "utf8" });
  run("read-tree", "HEAD");
  run("add", "--all", ".");
  const tree = run("write-tree").trim();
  rmSync(env.GIT_INDEX_FILE);
  return tree;
}

function savedTree({ repository, commit }: DoneSnapshot): string {
  return git(repository, "rev-parse", `${commit}^{tree}`).trim();
}

/** What a fork must not touch. */
function untouched({ project }: GitProject): unknown {
  const status = git(project, "status", "--porcelain");
  return [readFileSync(join(project, ".git/HEAD"), "utf8"), readFileSync(join(project, ".git/index")), status];
}

async function isExactAtEveryCut(steps: readonly Edit[]): Promise<void> {
  const from = makeProject(files);
  const limits = { ...LIMITS, maxFileBytes: 2_000 };
  const cuts: DoneSnapshot[] = [];
  for (const [index, step] of steps.entries()) {
    step(from);
    cuts.push(await taken(from, { checkpointId: `cp${index}`, limits }));
  }
  const before = untouched(from);
  for (const [index, cut] of cuts.entries()) {
    const made = await fork(from, cut, `fork-${index}`);
    if (!made.ok && made.error.code === "commit_missing") {
      // The history purged it: nothing is there then.
      expect(existsSync(placeOf(from, `fork-${index}`).folder)).toBe(false);
      continue;
    }
    const { folder, branch } = placeOf(from, `fork-${index}`);
    expect(made).toMatchObject({ ok: true, value: { notRestored: [] } });
    expect(treeOf(from, folder)).toBe(savedTree(cut));
    expect(git(folder, "rev-parse", "HEAD").trim()).toBe(cut.head);
    expect(git(folder, "diff", "--cached", "--name-only")).toBe("");
    expect(git(folder, "symbolic-ref", "--short", "HEAD").trim()).toBe(branch);
  }
  expect(untouched(from)).toEqual(before);
  rmSync(from.root, { recursive: true, force: true });
}

const histories = (runs: number, maxLength: number): Promise<void> =>
  fc.assert(fc.asyncProperty(fc.array(edit, { minLength: 1, maxLength }), isExactAtEveryCut), { numRuns: runs });

it(
  "a worktree has the tree of the snapshot at the cuts of random histories, and the project stays as it is",
  { timeout: 240_000 },
  () => histories(2, 3),
);

it("the same of many histories @night", { timeout: 600_000 }, () =>
  histories(Number(process.env["SHIM_FORKED_HISTORIES"] ?? 30), 12),
);

it("a commit that is gone, a taken branch and a git that fails leave neither folder nor branch", async () => {
  const from = makeProject({ "a.txt": "one\n" });
  commitAll(from.project, "second");
  const snapshot = await taken(from);
  const { folder } = placeOf(from, "fork-1");
  const all = (): unknown => [git(from.project, "branch", "--list", "shim/*"), git(from.project, "worktree", "list")];
  const before = all();
  git(from.project, "branch", "shim/fork-2");
  expect(await fork(from, snapshot, "fork-2")).toMatchObject({ error: { code: "branch_exists" } });
  git(from.project, "branch", "-D", "shim/fork-2");
  const env = withGit(from, 'for word; do [ "$word" = checkout-index ] && exit 3; done; exec $GIT "$@"');
  const { repository, commit, head } = snapshot;
  const place = placeOf(from, "fork-1");
  const input = { ...HOST, timeoutMs, project: from.project, repository, commit, head, ...place };
  expect(await restoreWorktree({ ...input, env })).toMatchObject({ error: { code: "restore_failed" } });
  expect([all(), existsSync(folder)]).toEqual([before, false]);
  expect(await restoreWorktree({ ...input, head: null })).toMatchObject({ error: { code: "commit_missing" } });
  git(from.project, "reset", "-q", "--hard", "HEAD~1");
  purge(from.project);
  expect(await restoreWorktree(input)).toMatchObject({
    error: { code: "commit_missing", message: expect.stringContaining(head!) },
  });
  const own = fingerprint(join(from.project, ".git"));
  expect(await restoreWorktree({ ...input, project: from.root })).toMatchObject({ error: { code: "not_a_work_tree" } });
  expect([fingerprint(join(from.project, ".git")), existsSync(folder)]).toEqual([own, false]);
});
