import { execFileSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import {
  GIT_ENV,
  commitAll,
  contents,
  fingerprint,
  git,
  makeProject,
  paths,
  reasonFor,
  show,
  take,
  T0,
  taken,
  write,
  withGit,
} from "#harness/machine/git-project.ts";

it("keeps edited, staged, new and unchanged files, and not the deleted and ignored ones @night", async () => {
  const from = makeProject({
    "a.txt": "one\n",
    "b.txt": "two\n",
    "gone.txt": "x\n",
    ".gitignore": "*.log\n",
    "sub/c.txt": "c\n",
  });
  write(from.project, { "a.txt": "edited\n", "staged.txt": "staged\n", "new/d.txt": "new\n", "x.log": "noise" });
  git(from.project, "add", "staged.txt");
  rmSync(join(from.project, "gone.txt"));
  const head = git(from.project, "rev-parse", "HEAD").trim();
  const snapshot = await taken(from);
  expect(snapshot).toMatchObject({ head, branch: "main", leftOut: [], files: 6, bytes: 18, borrowed: 0 });
  expect(paths(snapshot)).toEqual([".gitignore", "a.txt", "b.txt", "new/d.txt", "staged.txt", "sub/c.txt"]);
  expect(show(snapshot, "a.txt")).toBe("edited\n");
  expect(show(snapshot, "b.txt")).toBe("two\n");
  expect(git(snapshot.repository, "rev-parse", "refs/shim/cp1").trim()).toBe(snapshot.commit);
});

it("writes nothing into the project's git folder, not even a time @night", async () => {
  const from = makeProject({ "a.txt": "one\n", "big.txt": "x\n".repeat(5_000), "d/e.txt": "e\n" });
  write(from.project, { "a.txt": "two\n" });
  commitAll(from.project, "second");
  git(from.project, "gc", "--quiet");
  // Content that the project has: in a pack, and loose. Git sets the time of what it is asked to write again.
  write(from.project, { "a.txt": "one\n", "copy.txt": "x\n".repeat(5_000), "loose.txt": "loose\n" });
  git(from.project, "add", "loose.txt");
  const before = fingerprint(join(from.project, ".git"));
  const work = contents(from.project);
  await taken(from);
  await taken(from, { checkpointId: "cp2" });
  expect(fingerprint(join(from.project, ".git"))).toEqual(before);
  expect(contents(from.project)).toEqual(work);
});

it("keeps its own folders private and leaves nothing but the repository @night", async () => {
  const from = makeProject({ "a.txt": "one\n" });
  const { repository } = await taken(from);
  expect(statSync(from.snapshots).mode & 0o777).toBe(0o700);
  expect(statSync(repository).mode & 0o777).toBe(0o700);
  expect(readdirSync(from.snapshots)).toHaveLength(1);
});

it("skips a bare repository, a git folder and a missing folder, and says so", async () => {
  const from = makeProject({ "a.txt": "one\n" });
  const bare = join(from.root, "bare.git");
  git(from.root, "init", "--quiet", "--bare", bare);
  const cases = [
    [bare, "there is no work tree"],
    [join(from.project, ".git"), "there is no work tree"],
    [join(from.root, "nowhere"), "does not exist"],
  ] as const;
  for (const [project, words] of cases) {
    expect(await take(from, { project })).toEqual({ state: "skipped", reason: expect.stringContaining(words) });
  }
  expect(existsSync(from.snapshots)).toBe(false);
});

const skipped = (words: string) => ({ state: "skipped", reason: expect.stringContaining(words) as string });

it("skips without git and with a git that is too old, and says so", async () => {
  const from = makeProject({ "a.txt": "one\n" });
  expect(await take(from, { env: { ...GIT_ENV, PATH: from.root } })).toEqual(skipped("not installed"));
  expect(await take(from, { env: withGit(from, "echo git version 2.17.1") })).toEqual(skipped("2.17.1 is too old"));
});

it("says what to do when git refuses the folder of another user", async () => {
  const from = makeProject({ "a.txt": "one\n" });
  const env = withGit(from, 'GIT_TEST_ASSUME_DIFFERENT_OWNER=1 exec $GIT "$@"');
  const snapshot = await take(from, { env });
  expect(snapshot).toMatchObject({ state: "skipped", reason: expect.stringContaining("--add safe.directory") });
});

it("works before the first commit, with and without an index @night", async () => {
  const from = makeProject();
  expect(await taken(from)).toMatchObject({ head: null, branch: "main", files: 0 });
  write(from.project, { "a.txt": "one\n", "b.txt": "two\n" });
  git(from.project, "add", "a.txt");
  const snapshot = await taken(from);
  expect(snapshot).toMatchObject({ head: null, branch: "main", files: 2, bytes: 8 });
  expect(paths(snapshot)).toEqual(["a.txt", "b.txt"]);
});

it("works in a subfolder, in a linked work tree and with a detached HEAD @night", async () => {
  const from = makeProject({ "a.txt": "one\n", "sub/b.txt": "two\n" });
  const linked = join(from.root, "linked tree");
  git(from.project, "worktree", "add", "--quiet", "--detach", linked);
  write(linked, { "a.txt": "in the linked one\n" });
  const main = await taken(from, { project: join(from.project, "sub") });
  const before = fingerprint(join(from.project, ".git"));
  const snapshot = await taken(from, { project: join(linked, "sub"), checkpointId: "cp2" });
  expect(main).toMatchObject({ branch: "main", files: 2 });
  expect(snapshot).toMatchObject({ branch: null, head: main.head, repository: main.repository });
  expect(show(snapshot, "a.txt")).toBe("in the linked one\n");
  expect(fingerprint(join(from.project, ".git"))).toEqual(before);
});

it("works in the middle of a merge and keeps the conflict as it is in the files @night", async () => {
  const from = makeProject({ "a.txt": "base\n", "b.txt": "base\n", ".env.local": "base\n" });
  git(from.project, "checkout", "--quiet", "-b", "other");
  write(from.project, { "a.txt": "theirs\n", ".env.local": "theirs\n" });
  rmSync(join(from.project, "b.txt"));
  commitAll(from.project, "theirs");
  git(from.project, "checkout", "--quiet", "main");
  write(from.project, { "a.txt": "ours\n", "b.txt": "ours\n", ".env.local": "ours\n" });
  commitAll(from.project, "ours");
  expect(() => git(from.project, "merge", "other")).toThrow(/CONFLICT|failed/);
  rmSync(join(from.project, "b.txt"));
  const before = fingerprint(join(from.project, ".git"));
  const snapshot = await taken(from);
  expect(show(snapshot, "a.txt")).toContain("<<<<<<<");
  expect(paths(snapshot)).toEqual([".env.local", "a.txt"]);
  expect(show(snapshot, ".env.local")).toBe("ours\n");
  expect(reasonFor(snapshot, ".env.local")).toContain("the last commit's version is kept");
  expect(fingerprint(join(from.project, ".git"))).toEqual(before);
});

it("works in a SHA-256 repository @night", async () => {
  const from = makeProject({ "a.txt": "one\n" }, "--object-format=sha256");
  write(from.project, { "b.txt": "two\n", ".env": "SECRET=1\n" });
  const snapshot = await taken(from);
  expect(snapshot.commit).toHaveLength(64);
  expect(paths(snapshot)).toEqual(["a.txt", "b.txt"]);
});

it("works with a split index, and with files that git is set to overlook @night", async () => {
  const from = makeProject({
    "a.txt": "one\n",
    "local.cfg": "one\n",
    "assumed.cfg": "one\n",
    "absent.txt": "sparse\n",
  });
  git(from.project, "update-index", "--split-index");
  git(from.project, "update-index", "--skip-worktree", "local.cfg", "absent.txt");
  git(from.project, "update-index", "--assume-unchanged", "assumed.cfg");
  rmSync(join(from.project, "absent.txt"));
  write(from.project, { "local.cfg": "mine\n", "assumed.cfg": "mine too\n", "c.txt": "new\n" });
  const before = fingerprint(join(from.project, ".git"));
  const snapshot = await taken(from);
  expect(show(snapshot, "local.cfg")).toBe("mine\n");
  expect(show(snapshot, "assumed.cfg")).toBe("mine too\n");
  expect(paths(snapshot)).toEqual(["a.txt", "absent.txt", "assumed.cfg", "c.txt", "local.cfg"]);
  expect(fingerprint(join(from.project, ".git"))).toEqual(before);
});

it("sees a change that only the time of the index gives away", async () => {
  const from = makeProject({ "a.txt": "one\n" });
  git(from.project, "config", "core.trustctime", "false");
  const at = new Date(T0);
  const file = join(from.project, "a.txt");
  utimesSync(file, at, at);
  git(from.project, "add", "a.txt");
  utimesSync(join(from.project, ".git/index"), at, at);
  // As large as before, at the time that the index knows: as when it is edited in the moment of the add.
  writeFileSync(file, "two\n");
  utimesSync(file, at, at);
  expect(show(await taken(from), "a.txt")).toBe("two\n");
});

it("keeps names with blanks, quotes, line breaks, other scripts, and bytes that are no UTF-8", async () => {
  const from = makeProject({ "plain.txt": "x\n" });
  const odd = ["with blank.txt", 'quo"te.txt', "line\nbreak.txt", "snö/日本語.txt", "-dash", ":(glob)x", "back\\slash"];
  write(from.project, Object.fromEntries(odd.map((name) => [name, `${name}\n`])));
  writeFileSync(Buffer.from([...Buffer.from(`${from.project}/`), 0xff, 0xfe, 0x2e, 0x74]), "raw\n");
  const snapshot = await taken(from);
  const args = ["-C", snapshot.repository, "ls-tree", "-r", "-z", "--name-only", snapshot.commit];
  const list = execFileSync("git", args, { encoding: "latin1" });
  const expected = [...odd.map((name) => Buffer.from(name).toString("latin1")), "plain.txt", "\xff\xfe.t"];
  expect(list.split("\0").filter(Boolean).sort()).toEqual(expected.sort());
});

it("keeps links as links, and executable files executable @night", async () => {
  const from = makeProject({ "a.txt": "x\n", "dir/inner.txt": "inner\n", "other/inner.txt": "elsewhere\n" });
  symlinkSync("/etc/hostname", join(from.project, "outside"));
  symlinkSync("nowhere", join(from.project, "dangling"));
  write(from.project, { "run.sh": "#!/bin/sh\n" });
  chmodSync(join(from.project, "run.sh"), 0o755);
  // A folder of tracked files that became a link: what is reached through it is not the project's.
  rmSync(join(from.project, "dir"), { recursive: true });
  symlinkSync("other", join(from.project, "dir"));
  const snapshot = await taken(from);
  const tree = git(snapshot.repository, "ls-tree", "-r", snapshot.commit).split("\n");
  const modes = Object.fromEntries(tree.map((line) => [line.split("\t")[1], line.slice(0, 6)]));
  const links = { outside: "120000", dangling: "120000", dir: "120000" };
  expect(modes).toMatchObject({ ...links, "run.sh": "100755", "a.txt": "100644" });
  expect(modes["dir/inner.txt"]).toBeUndefined();
  expect(show(snapshot, "outside")).toBe("/etc/hostname");
});

it("follows a file that became a folder and a folder that became a file", async () => {
  const from = makeProject({ x: "file\n", "y/z.txt": "inner\n" });
  rmSync(join(from.project, "x"));
  rmSync(join(from.project, "y"), { recursive: true });
  write(from.project, { "x/now.txt": "folder\n", y: "file now\n" });
  expect(paths(await taken(from))).toEqual(["x/now.txt", "y"]);
});

it("survives an inherited git environment that points elsewhere @night", async () => {
  const from = makeProject({ "a.txt": "x\n" });
  const other = makeProject({ "other.txt": "x\n" });
  const places = { GIT_DIR: join(other.project, ".git"), GIT_WORK_TREE: other.root };
  const env = { ...GIT_ENV, ...places, GIT_INDEX_FILE: join(from.root, "wrong") };
  expect(paths(await taken(from, { env }))).toEqual(["a.txt"]);
  expect(existsSync(join(from.root, "wrong"))).toBe(false);
});

it("works where the project's folder has a blank, a colon, a quote or a line break @night", async () => {
  for (const name of ["my project", "a:b", 'quo"te', "line\nbreak"]) {
    const made = makeProject({ "a.txt": "one\n" });
    const project = join(made.root, name);
    renameSync(made.project, project);
    write(project, { "b.txt": "b\n" });
    expect(paths(await taken({ ...made, project }))).toEqual(["a.txt", "b.txt"]);
  }
});
