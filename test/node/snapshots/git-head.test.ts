import { execFileSync } from "node:child_process";
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join, parse } from "node:path";
import { expect, it } from "vitest";
import { projectRoot, readHead } from "#src/snapshots/git-head.ts";
import { git, temporaryFolder } from "#harness/machine/git-project.ts";

function aRepository(): string {
  const folder = temporaryFolder();
  git(folder, "init", "-q", "-b", "main");
  return folder;
}

function commit(folder: string): string {
  git(folder, "commit", "-q", "--allow-empty", "-m", "one");
  return git(folder, "rev-parse", "HEAD").trim();
}

it("a project is the nearest folder upwards with a .git, else the folder itself, never the root of the disk", () => {
  const folder = aRepository();
  const deep = join(folder, "src", "deep");
  mkdirSync(deep, { recursive: true });
  expect(projectRoot(deep)).toBe(folder);
  expect(projectRoot(join(folder, "not", "there"))).toBe(folder);
  const plain = temporaryFolder();
  expect(projectRoot(plain)).toBe(plain);
  expect(projectRoot(parse(plain).root)).toBeNull();
});

it("branch and commit are what git says: before the first commit, after it, packed, detached, on a branch with slashes", () => {
  const folder = aRepository();
  expect(readHead(folder)).toEqual({ branch: "main", commit: null });
  const first = { branch: "main", commit: commit(folder) };
  expect(readHead(folder)).toEqual(first);
  git(folder, "pack-refs", "--all");
  expect(readHead(folder)).toEqual(first);
  git(folder, "checkout", "-q", "-b", "fix/a/b");
  const second = commit(folder);
  expect(readHead(folder)).toEqual({ branch: "fix/a/b", commit: second });
  git(folder, "checkout", "-q", "--detach");
  expect(readHead(folder)).toEqual({ branch: null, commit: second });
});

it("a linked worktree has its own branch; its commits are in the repository it belongs to", () => {
  const folder = aRepository();
  const first = commit(folder);
  const linked = join(temporaryFolder(), "linked");
  git(folder, "worktree", "add", "-q", "-b", "other", linked);
  expect(readHead(linked)).toEqual({ branch: "other", commit: first });
  git(folder, "pack-refs", "--all");
  expect(readHead(linked)).toEqual({ branch: "other", commit: first });
});

it("what cannot be read is unknown: no git, a broken .git, references that are kept elsewhere", () => {
  const folder = temporaryFolder();
  expect(readHead(folder)).toBeNull();
  writeFileSync(join(folder, ".git"), "this names nothing\n");
  expect(readHead(folder)).toBeNull();
  rmSync(join(folder, ".git"));
  mkdirSync(join(folder, ".git"));
  writeFileSync(join(folder, ".git", "HEAD"), "ref: refs/heads/.invalid\n");
  expect(readHead(folder)).toBeNull();
});

it("what is not a git file's own is not read: a link, a pipe, a long text, a text that is no commit", () => {
  const folder = temporaryFolder();
  const [secret, head] = [join(folder, "key.pem"), join(folder, ".git", "HEAD")];
  writeFileSync(secret, "PRIVATE");
  mkdirSync(join(folder, ".git"));
  for (const make of [
    () => symlinkSync(secret, head),
    () => execFileSync("mkfifo", [head]),
    () => writeFileSync(head, "x".repeat(5_000)),
  ]) {
    make();
    expect(readHead(folder)).toBeNull();
    rmSync(head);
  }
  writeFileSync(head, "PRIVATE");
  expect(readHead(folder)).toEqual({ branch: null, commit: null });
});

it("a repository of the whole home is not the project of a folder in it", () => {
  const home = temporaryFolder();
  mkdirSync(join(home, ".git"));
  const notes = join(home, "notes");
  mkdirSync(notes);
  expect(projectRoot(notes, home)).toBe(notes);
  expect(projectRoot(home, home)).toBe(home);
  expect(projectRoot(notes, "/elsewhere")).toBe(home);
});
