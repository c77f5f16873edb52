import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { execFileSync } from "node:child_process";
import * as fc from "fast-check";
import { expect, it } from "vitest";
import { restoreWorktree, type WorktreeOutcome } from "#src/snapshots/restore-worktree.ts";
import { apply, edit } from "#harness/machine/git-edits.ts";
import {
  commitAll,
  fingerprint,
  git,
  GIT_ENV,
  HOST,
  LIMITS,
  makeProject,
  purge,
  taken,
  withGit,
  write,
  type GitProject,
} from "#harness/machine/git-project.ts";
import type { DoneSnapshot } from "#src/snapshots/snapshot.ts";

const timeoutMs = 60_000;

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

const files = { "b.txt": "b\n", "d/c": "c\n", ".gitignore": "*.log\n", big: Buffer.alloc(3_000, "y") };

/** What a fork must not touch. */
function untouched({ project }: GitProject): unknown {
  const status = git(project, "status", "--porcelain");
  return [readFileSync(join(project, ".git/HEAD"), "utf8"), readFileSync(join(project, ".git/index")), status];
}

async function isExactAtEveryCut(steps: readonly Parameters<typeof apply>[1][]): Promise<void> {
  const from = makeProject(files);
  const limits = { ...LIMITS, maxFileBytes: 2_000 };
  const cuts: DoneSnapshot[] = [];
  for (const [index, step] of steps.entries()) {
    apply(from, step);
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

it("what was not committed is not committed in it, and git need not read the files again", async () => {
  const from = makeProject({ "a.txt": "one\n", "b.txt": "one\n", "c.txt": "one\n" });
  write(from.project, { "a.txt": "two\n", "new.txt": "new\n" });
  rmSync(join(from.project, "b.txt"));
  git(from.project, "add", "-A");
  const snapshot = await taken(from);
  git(from.project, "commit", "-q", "-m", "later");
  expect(await fork(from, snapshot)).toMatchObject({ ok: true });
  const { folder } = placeOf(from, "fork-1");
  expect(git(folder, "status", "--porcelain").trimEnd().split("\n")).toEqual([" M a.txt", " D b.txt", "?? new.txt"]);
  expect(git(folder, "ls-files", "--debug", "c.txt")).not.toContain("mtime: 0:0");
  expect(git(from.project, "symbolic-ref", "--short", "HEAD").trim()).toBe("main");
});

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
