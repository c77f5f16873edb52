import * as fs from "node:fs";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { systemProcesses } from "#src/platform/processes.ts";
import { dropSnapshots } from "#src/snapshots/drop-snapshots.ts";
import { userGit } from "#src/snapshots/git.ts";
import { listNeeded } from "#src/snapshots/repository.ts";
import { restoreFiles } from "#src/snapshots/restore-files.ts";
import { commitAll, contents, fingerprint, git, GIT_ENV, HOST, LIMITS } from "#harness/machine/git-project.ts";
import { makeProject, paths, reasonFor, show, T0, take, taken } from "#harness/machine/git-project.ts";
import { temporaryFolder, withGit, write, type GitProject } from "#harness/machine/git-project.ts";

it("a snapshot has each file that is not ignored byte for byte and alone, and git's folder stays as it was, not even a time", async () => {
  const long = "x\n".repeat(5_000);
  const plain = ["a.txt", "b.txt", "gone.txt", "local.cfg", "assumed.cfg", "x", "dir/inner.txt", "y/z.txt"];
  const others = { ".gitignore": "*.log\n", "big.txt": long, "other/inner.txt": "elsewhere\n" };
  const from = makeProject({ ...Object.fromEntries(plain.map((name) => [name, "one\n"])), ...others });
  const { project, root } = from;
  git(project, "gc", "--quiet");
  git(project, "update-index", "--split-index");
  git(project, "update-index", "--skip-worktree", "local.cfg");
  git(project, "update-index", "--assume-unchanged", "assumed.cfg");
  write(project, { "a.txt": "edited\n", "staged.txt": "staged\n", "copy.txt": long, "run.sh": "#!/bin/sh\n" });
  git(project, "add", "staged.txt");
  write(project, { "local.cfg": "mine\n", "assumed.cfg": "mine too\n", "noise.log": "ignored\n" });
  fs.chmodSync(join(project, "run.sh"), 0o755);
  for (const name of ["gone.txt", "dir", "x", "y"]) fs.rmSync(join(project, name), { recursive: true });
  write(project, { "x/now.txt": "folder\n", y: "file now\n" });
  fs.symlinkSync("/etc/hostname", join(project, "outside"));
  fs.symlinkSync("nowhere", join(project, "dangling"));
  // A folder of tracked files that became a link: what is reached through it is not the project's.
  fs.symlinkSync("other", join(project, "dir"));
  const odd = ["with blank.txt", 'quo"te.txt', "line\nbreak.txt", "snö/日本語.txt", "-dash", ":(glob)x", "back\\slash"];
  write(project, Object.fromEntries(odd.map((name) => [name, `${name}\n`])));
  fs.writeFileSync(Buffer.from([...Buffer.from(`${project}/`), 0xff, 0xfe, 0x2e, 0x74]), "raw\n");
  const head = git(project, "rev-parse", "HEAD").trim();
  const [before, { "noise.log": _, ...work }] = [fingerprint(join(project, ".git")), contents(project)];
  const snapshot = await taken(from);
  await taken(from, { checkpointId: "cp2" });
  expect(fingerprint(join(project, ".git"))).toEqual(before);
  expect(snapshot).toMatchObject({ head, branch: "main", leftOut: [], borrowed: 0 });
  expect([fs.readdirSync(from.snapshots).length, fs.statSync(from.snapshots).mode & 0o777]).toEqual([1, 0o700]);
  expect(fs.statSync(snapshot.repository).mode & 0o777).toBe(0o700);
  fs.rmSync(join(project, ".git"), { recursive: true });
  expect(git(snapshot.repository, "fsck", "--full", "--strict")).toBe("");
  const into = join(root, "into");
  await restoreFiles({ ...HOST, repository: snapshot.repository, commit: snapshot.commit, into, timeoutMs: 60_000 });
  expect(contents(into)).toEqual(work);
});

it("without a work tree, git, a git that is new enough, or git's trust in the folder it is skipped, with the reason", async () => {
  const from = makeProject({ "a.txt": "one\n" });
  const other = { root: temporaryFolder() };
  const bare = join(from.root, "bare.git");
  git(from.root, "init", "--quiet", "--bare", bare);
  for (const [more, words] of [
    [{ project: bare }, "there is no work tree"],
    [{ project: join(from.project, ".git") }, "there is no work tree"],
    [{ project: join(from.root, "nowhere") }, "does not exist"],
    [{ env: { ...GIT_ENV, PATH: from.root } }, "not installed"],
    [{ env: withGit(from, "echo git version 2.17.1") }, "2.17.1 is too old"],
    [{ env: withGit(other, 'GIT_TEST_ASSUME_DIFFERENT_OWNER=1 exec $GIT "$@"') }, "--add safe.directory"],
  ] as const)
    expect(await take(from, more)).toEqual({ state: "skipped", reason: expect.stringContaining(words) as string });
  expect(fs.existsSync(from.snapshots)).toBe(false);
});

it("works before the first commit, with and without an index", async () => {
  const from = makeProject();
  const first = await taken(from);
  expect([first.head, first.branch, paths(first)]).toEqual([null, "main", []]);
  write(from.project, { "a.txt": "one\n", "b.txt": "two\n" });
  git(from.project, "add", "a.txt");
  const snapshot = await taken(from);
  expect(snapshot).toMatchObject({ head: null, branch: "main" });
  expect(paths(snapshot)).toEqual(["a.txt", "b.txt"]);
});

it("works in a subfolder, in a linked work tree and with a detached HEAD", async () => {
  const from = makeProject({ "a.txt": "one\n", "sub/b.txt": "two\n" });
  const linked = join(from.root, "linked tree");
  git(from.project, "worktree", "add", "--quiet", "--detach", linked);
  write(linked, { "a.txt": "in the linked one\n" });
  const main = await taken(from, { project: join(from.project, "sub") });
  const before = fingerprint(join(from.project, ".git"));
  const snapshot = await taken(from, { project: join(linked, "sub"), checkpointId: "cp2" });
  expect([main.branch, paths(main)]).toEqual(["main", ["a.txt", "sub/b.txt"]]);
  expect(snapshot).toMatchObject({ branch: null, head: main.head, repository: main.repository });
  expect(show(snapshot, "a.txt")).toBe("in the linked one\n");
  expect(fingerprint(join(from.project, ".git"))).toEqual(before);
});

it("a damaged index of the project keeps no file out", async () => {
  const from = makeProject({ "a.txt": "one\n", "b.txt": "b\n" });
  write(from.project, { "a.txt": "two\n", "new.txt": "new\n" });
  const index = fs.readFileSync(join(from.project, ".git/index"));
  for (const damaged of [Buffer.alloc(index.length), Buffer.alloc(0), Buffer.concat([Buffer.from("x"), index])]) {
    fs.writeFileSync(join(from.project, ".git/index"), damaged);
    const snapshot = await taken(from);
    expect([paths(snapshot), show(snapshot, "a.txt")]).toEqual([["a.txt", "b.txt", "new.txt"], "two\n"]);
  }
});

it("works in the middle of a merge and keeps the conflict as it is in the files", async () => {
  const from = makeProject({ "a.txt": "base\n", "b.txt": "base\n", ".env.local": "base\n" });
  git(from.project, "checkout", "--quiet", "-b", "other");
  write(from.project, { "a.txt": "theirs\n", ".env.local": "theirs\n" });
  fs.rmSync(join(from.project, "b.txt"));
  commitAll(from.project, "theirs");
  git(from.project, "checkout", "--quiet", "main");
  write(from.project, { "a.txt": "ours\n", "b.txt": "ours\n", ".env.local": "ours\n" });
  commitAll(from.project, "ours");
  expect(() => git(from.project, "merge", "other")).toThrow(/CONFLICT|failed/);
  fs.rmSync(join(from.project, "b.txt"));
  const before = fingerprint(join(from.project, ".git"));
  const snapshot = await taken(from);
  expect(show(snapshot, "a.txt")).toContain("<<<<<<<");
  expect(paths(snapshot)).toEqual([".env.local", "a.txt"]);
  expect(show(snapshot, ".env.local")).toBe("ours\n");
  expect(reasonFor(snapshot, ".env.local")).toContain("the last commit's version is kept");
  expect(fingerprint(join(from.project, ".git"))).toEqual(before);
});

it("git gets no token of the environment", async () => {
  const from = makeProject({ "a.txt": "one\n" });
  const seen = join(from.root, "seen");
  const env = { ...withGit(from, `env >> ${seen}; exec $GIT "$@"`), SHIM_TOKEN: "shim_a.b" };
  await taken(from, { env });
  expect(fs.readFileSync(seen, "utf8")).toMatch(/^(?!.*shim_a\.b).*PATH=/s);
});

it("sees a change that only the time of the index gives away", async () => {
  const from = makeProject({ "a.txt": "one\n" });
  git(from.project, "config", "core.trustctime", "false");
  const at = new Date(T0);
  const file = join(from.project, "a.txt");
  fs.utimesSync(file, at, at);
  git(from.project, "add", "a.txt");
  fs.utimesSync(join(from.project, ".git/index"), at, at);
  // As large as before, at the time that the index knows: as when it is edited in the moment of the add.
  fs.writeFileSync(file, "two\n");
  fs.utimesSync(file, at, at);
  expect(show(await taken(from), "a.txt")).toBe("two\n");
});

it("the snapshot after a loss in SHIM's repository is whole again, also where nothing has changed", async () => {
  const from = makeProject({ "a.txt": "one\n", "d/b.txt": "two\n" });
  const { repository } = await taken(from);
  fs.rmSync(join(repository, "objects/pack"), { recursive: true });
  fs.mkdirSync(join(repository, "objects/pack"));
  const again = await taken(from, { checkpointId: "cp2" });
  fs.rmSync(join(from.project, ".git"), { recursive: true });
  expect(git(repository, "fsck", "--full", again.commit)).toBe("");
  expect(show(again, "d/b.txt")).toBe("two\n");
});

it("borrows what it has no time to take over, and the next snapshot continues @night", async () => {
  const from = makeProject({ "a.txt": "one\n", "b.txt": "two\n" });
  write(from.project, { "c.txt": "new\n" });
  const seen = join(from.root, "seen");
  // The first pack has what is new; in the second one, of unchanged content, the time runs out.
  const slow = `case "$*" in *pack-objects*) if [ -e ${seen} ]; then exec sleep 600; fi; touch ${seen};; esac`;
  const env = withGit(from, `${slow}; exec $GIT "$@"`);
  const snapshot = await taken(from, { env, limits: { ...LIMITS, timeoutMs: 10_000 } });
  expect(snapshot).toMatchObject({ borrowed: 2 });
  expect(show(snapshot, "c.txt")).toBe("new\n");
  expect(await taken(from, { checkpointId: "cp2" })).toMatchObject({ borrowed: 0 });
  expect(git(snapshot.repository, "fsck", "--full")).toBe("");
});

it("stops in time, says so, and leaves nothing behind @night", async () => {
  const from = makeProject({ "a.txt": "x\n" });
  const pids = join(from.root, "pids");
  const hanging = `echo $$ >> ${pids}; sleep 600 & echo $! >> ${pids}; wait`;
  const env = withGit(from, `case "$*" in *write-tree*) ${hanging};; esac; exec $GIT "$@"`);
  const before = fingerprint(join(from.project, ".git"));
  const snapshot = await take(from, { env, limits: { ...LIMITS, timeoutMs: 5_000 } });
  expect(snapshot).toEqual({ state: "failed", reason: expect.stringContaining("took longer than 5000 ms") });
  const started = fs.readFileSync(pids, "utf8").trim().split("\n");
  expect(started).toHaveLength(2);
  for (const pid of started) expect(systemProcesses.facts(Number(pid))).toBeNull();
  expect(fs.readdirSync(from.snapshots)).toHaveLength(1);
  expect(fingerprint(join(from.project, ".git"))).toEqual(before);
  expect(paths(await taken(from)).length).toBe(1);
});

it("continues after a process that was killed in the middle: scratch and locks are cleared, a lost HEAD is mended, and half-written files of SHIM's alone are left out", async () => {
  const from = makeProject({ "a.txt": "one\n" });
  const first = await taken(from);
  const { repository } = first;
  fs.mkdirSync(join(`${repository}.work-abc123`, "objects"), { recursive: true });
  for (const lock of ["packed-refs.lock", "refs/shim/cp1.lock", "objects/pack/tmp_pack_x"])
    fs.writeFileSync(join(repository, lock), "");
  fs.rmSync(join(repository, "HEAD"));
  // Of a process that has ended.
  const gone = { boot: systemProcesses.boot(), pid: process.pid, start: "another start" };
  fs.writeFileSync(`${repository}.lock`, JSON.stringify(gone));
  const half = { ".b.txt.shim-7.tmp": "tw", "sub/.back.shim-7.tmp/c.txt": "thr" };
  write(from.project, { "b.txt": "two\n", ".b.txt.tmp": "of an editor\n", ...half });
  const second = await taken(from, { checkpointId: "cp2" });
  expect([paths(second), second.leftOut]).toEqual([[".b.txt.tmp", "a.txt", "b.txt"], []]);
  expect(paths(first)).toEqual(["a.txt"]);
  expect(fs.readdirSync(from.snapshots)).toHaveLength(1);
  expect(fs.existsSync(join(repository, "packed-refs.lock"))).toBe(false);
  expect(fs.readdirSync(join(repository, "objects/pack")).filter((name) => name.startsWith("tmp"))).toEqual([]);
});

function aFolder(files: Record<string, string | Buffer>): GitProject {
  const root = temporaryFolder();
  write(root, Object.fromEntries(Object.entries(files).map(([path, text]) => [join("project", path), text])));
  return { root, project: join(root, "project"), snapshots: join(root, "home", "snapshots") };
}

it("a folder outside git is saved byte for byte and comes back, and nothing is written into it", async () => {
  const left = { "out/built.js": "built\n", "node_modules/p/index.js": "installed\n", ".env": "KEY=1\n" };
  const rules = { ".gitattributes": "* text=auto\n", ".gitignore": "out/\n" };
  const from = aFolder({ "a.txt": "one\r\n", "sub/run.sh": "#!/bin/sh\n", ...rules, ...left });
  fs.chmodSync(join(from.project, "sub/run.sh"), 0o755);
  fs.symlinkSync("a.txt", join(from.project, "link"));
  const before = contents(from.project);
  const snapshot = await taken(from);
  expect(paths(snapshot).toSorted()).toEqual([".gitattributes", ".gitignore", "a.txt", "link", "sub/run.sh"]);
  expect(reasonFor(snapshot, ".env")).not.toBe("not left out");
  expect(contents(from.project)).toEqual(before);
  const into = join(from.root, "back");
  const { repository, commit } = snapshot;
  await restoreFiles({ ...HOST, repository, commit, into, timeoutMs: 60_000 });
  const isSaved = (path: string): boolean => paths(snapshot).includes(path);
  expect(contents(into)).toEqual(Object.fromEntries(Object.entries(before).filter(([path]) => isSaved(path))));
});

it("neither a home folder nor one above it is taken, one of many folders is", async () => {
  const from = aFolder({ "a.txt": "one\n" });
  const reason = expect.stringContaining("is no project") as string;
  for (const HOME of [from.project, join(from.project, "me")])
    expect(await take(from, { env: { ...GIT_ENV, HOME } })).toMatchObject({ state: "skipped", reason });
  const many = Object.fromEntries(Array.from({ length: 120 }, (_, at) => [`${at}/f`, ""]));
  expect(paths(await taken(aFolder(many))).length).toBe(120);
});

it("the next snapshot of a folder outside git reads only what has changed, until its base is dropped", async () => {
  const from = aFolder({ "a.txt": "one\n", "b.txt": "two\n", "c.txt": "three\n" });
  await taken(from, { checkpointId: "cp1" });
  write(from.project, { "a.txt": "changed\n", "d.txt": "new\n" });
  fs.rmSync(join(from.project, "b.txt"));
  const second = await taken(from, { checkpointId: "cp2", limits: { ...LIMITS, maxTotalBytes: 12 } });
  expect([paths(second), second.leftOut]).toEqual([["a.txt", "c.txt", "d.txt"], []]);
  const indexes = (): string[] => fs.readdirSync(second.repository).filter((name) => name.startsWith("base"));
  expect(indexes().toSorted()).toEqual(["base-index", "base.json"]);
  const { repository } = second;
  await dropSnapshots({ ...HOST, repository, checkpointIds: ["cp2"], timeoutMs: 60_000 });
  expect(indexes()).toEqual([]);
  const third = await taken(from, { checkpointId: "cp3", limits: { ...LIMITS, maxTotalBytes: 17 } });
  expect(third.leftOut.length).toBe(1);
});

it("of two trees alone what the first has not is taken over: a snapshot of 200,000 files costs what has changed", async () => {
  const { project } = makeProject({ "a.txt": "one\n", "d/b.txt": "two\n", "e/c.txt": "three\n" });
  const tree = (): string => git(project, "rev-parse", "HEAD^{tree}").trim();
  const base = tree();
  write(project, { "d/b.txt": "changed\n" });
  commitAll(project, "second");
  const { ids } = await listNeeded(userGit(GIT_ENV, project, new AbortController().signal), tree(), base);
  const named = ["HEAD^{tree}", "HEAD:d", "HEAD:d/b.txt"].map((name) => git(project, "rev-parse", name).trim());
  expect(ids.toSorted()).toEqual(named.toSorted());
});

it("a repository of snapshots whose HEAD is empty, as after a power cut, takes the next snapshot and gives the files back", async () => {
  const from = makeProject({ "a.txt": "one\n" });
  const { repository, commit } = await taken(from);
  const into = join(from.root, "into");
  fs.writeFileSync(join(repository, "HEAD"), "");
  expect(await restoreFiles({ ...HOST, repository, commit, into, timeoutMs: 60_000 })).toMatchObject({ ok: true });
  fs.writeFileSync(join(repository, "HEAD"), "");
  write(from.project, { "a.txt": "two\n" });
  expect((await taken(from, { checkpointId: "cp2" })).repository).toBe(repository);
});

it("whatever the umask, snapshots are for their user alone", async () => {
  const before = process.umask(0);
  onTestFinished(() => void process.umask(before));
  const from = makeProject({ "a.txt": "one\n", "b.txt": "b\n" });
  write(from.project, { "a.txt": "two\n" });
  const { repository } = await taken(from);
  write(from.project, { "a.txt": "three\n" });
  await taken(from, { checkpointId: "cp2" });
  const names = fs.readdirSync(repository, { recursive: true, encoding: "utf8" });
  const open = ["", ...names].filter((name) => (fs.lstatSync(join(repository, name)).mode & 0o077) !== 0);
  expect([names.length > 10, open]).toEqual([true, []]);
});
