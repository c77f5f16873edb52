import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, symlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { removeOldWorktrees } from "#src/runner/worker/worktrees.ts";
import { git, withGit, write, GIT_ENV } from "#harness/machine/git-project.ts";
import { base62, draw, pem } from "#harness/secrets/secret-draw.ts";
import { aTask, whereOf, RepositoryRig } from "#harness/worker/repository-rig.ts";

it("each task gets a worktree of its own; its work is one commit by SHIM on its own branch @night", async () => {
  const rig = new RepositoryRig();
  const [one, other] = [await rig.open(aTask()), await rig.open(aTask(null, 8))];
  expect(one.folder).not.toBe(other.folder);
  expect(readFileSync(join(one.folder, "a.txt"), "utf8")).toBe("one\n");
  write(one.folder, { "a.txt": "two\n", "new.txt": "new\n" });
  const { work } = await one.finish(false);
  expect(work?.branch).toMatch(/^shim\/task-7-[0-9a-f]{8}$/);
  const log = rig.git("log", "-1", "--format=%an <%ae> %s", work?.commit ?? "");
  expect(log).toBe("SHIM <shim@localhost> shim: task 7: build, attempt 1");
  expect(["a.txt", "new.txt"].map((name) => rig.git("show", `${work?.branch}:${name}`))).toEqual(["two", "new"]);
  expect(await one.release(false)).toBeNull();
  const left = [one.folder, dirname(one.folder), other.folder].filter((folder) => existsSync(folder));
  expect(left).toEqual([other.folder]);
  expect(readFileSync(join(rig.repository, "a.txt"), "utf8")).toBe("one\n");
  expect(rig.git("status", "--porcelain")).toBe("");
});

it("worktrees of one repository are made and taken away at the same time, also while git cannot read one that is half made @night", async () => {
  const rig = new RepositoryRig();
  const half = join(rig.repository, ".git", "worktrees", "half");
  write(half, { gitdir: `${join(rig.repository, "half", ".git")}\n`, HEAD: "ref: refs/heads/half\n", commondir: "" });
  // The other git goes on once this one has failed.
  const script = `"$GIT" "$@"; code=$?; case "$code $*" in 0*) ;; *"worktree add"*) rm -rf '${half}' ;; esac; exit $code`;
  const env = withGit(rig, script);
  const places = await Promise.all(Array.from({ length: 6 }, (_, n) => rig.open(aTask(null, n + 1), { env })));
  expect(new Set(places.map(({ folder }) => folder)).size).toBe(6);
  await Promise.all(places.map((place) => place.finish(false)));
  expect(await Promise.all(places.map((place) => place.release(false)))).toEqual(places.map(() => null));
  expect(rig.branches()).toEqual([]);
});

it("work in progress is kept as a commit, and neither branch nor index of the program is touched", async () => {
  const rig = new RepositoryRig();
  const place = await rig.open(aTask());
  const head = rig.git("rev-parse", "HEAD");
  expect(whereOf(place)).toMatchObject({ machine: "m1", folder: place.folder, commit: head });
  write(place.folder, { "a.txt": "half\n", "b.txt": "staged by the program\n", "c.txt": "new\n" });
  git(place.folder, "add", "b.txt");
  await place.save();
  const { commit } = whereOf(place);
  expect(commit).not.toBe(head);
  expect([rig.git("show", `${commit}:a.txt`), rig.git("show", `${commit}:c.txt`)]).toEqual(["half", "new"]);
  expect(git(place.folder, "rev-parse", "HEAD").trim()).toBe(head);
  expect(git(place.folder, "status", "--porcelain")).toBe(" M a.txt\nA  b.txt\n?? c.txt\n");
  await place.finish(false);
  expect(rig.git("for-each-ref", "refs/shim")).toBe("");
});

it("new files that hold secrets are not committed; the result names them, and the worktree stays", async () => {
  const rig = new RepositoryRig();
  const place = await rig.open(aTask());
  const d = draw(29);
  const secrets = {
    ".env.local": "KEY=1\n",
    "sub/id_rsa": "x\n",
    "deploy dir/ä": pem(d, "OPENSSH PRIVATE KEY"),
    "client.ts": `login("ghp_${d.chars(base62, 36)}");\n`,
    "staged.ts": `login("ghp_${d.chars(base62, 36)}");\n`,
  };
  write(place.folder, { ...secrets, "a.txt": "two\n", "new.ts": "export {};\n" });
  symlinkSync("/nowhere", join(place.folder, "link"));
  git(place.folder, "add", "staged.ts");
  git(place.folder, "init", "-q", "inner");
  write(place.folder, { "inner/b.txt": "b\n" });
  const kept = [".gitignore", "a.txt", "link", "new.ts"];
  await place.save();
  expect(rig.git("ls-tree", "-r", "--name-only", whereOf(place).commit).split("\n")).toEqual(kept);
  const { work } = await place.finish(false);
  expect(rig.git("ls-tree", "-r", "--name-only", work?.commit ?? "").split("\n")).toEqual(kept);
  expect(Object.fromEntries(work?.leftOut?.map(({ path, reason }) => [path, reason]) ?? [])).toEqual({
    ".env.local": "its name suggests that it holds a secret",
    "sub/id_rsa": "its name suggests that it holds a secret",
    "deploy dir/ä": "it holds a private key",
    "client.ts": "it holds a secret (github-token)",
    "staged.ts": "it holds a secret (github-token)",
    "inner/": "a separate git repository",
  });
  expect(await place.release(false)).toContain(place.folder);
  for (const [path, text] of Object.entries(secrets)) expect(readFileSync(join(place.folder, path), "utf8")).toBe(text);
});

it("a change that brings a secret into a file is not committed; one of a file that held a secret before is", async () => {
  const rig = new RepositoryRig();
  const token = `login("ghp_${draw(31).chars(base62, 36)}");\n`;
  write(rig.repository, { "fixture.ts": token, "later.ts": "export {};\n" });
  git(rig.repository, "add", ".");
  git(rig.repository, "commit", "-qm", "second");
  const place = await rig.open(aTask());
  write(place.folder, { "fixture.ts": `${token}// more\n`, "later.ts": token });
  const { work } = await place.finish(false);
  const reason = "it holds a secret (github-token); the last commit's version is kept";
  expect(work?.leftOut).toEqual([{ path: "later.ts", reason }]);
  expect(rig.git("diff", "--name-only", "HEAD", work?.commit ?? "")).toBe("fixture.ts");
  expect(await place.release(false)).toContain(place.folder);
});

it("the next attempt on the machine continues in the same worktree once its worker is gone @night", async () => {
  const rig = new RepositoryRig();
  const first = await rig.open(aTask(), { pid: 1 });
  write(first.folder, { "half.txt": "half\n" });
  await first.save();
  const task = aTask({ work: first.location() });
  const beside = await rig.open(task, { pid: 2 });
  expect([beside.folder === first.folder, beside.isContinued]).toEqual([false, true]);
  expect(readFileSync(join(beside.folder, "half.txt"), "utf8")).toBe("half\n");
  rig.processes.kill(1);
  write(first.folder, { "later.txt": "after the last checkpoint\n" });
  const next = await rig.open(task, { pid: 3 });
  expect([next.folder, next.isContinued, next.notes]).toEqual([first.folder, true, []]);
  expect((await next.finish(false)).work?.branch).toBe(whereOf(first).branch);
  expect(rig.git("show", `${whereOf(first).branch}:later.txt`)).toBe("after the last checkpoint");
});

async function aProcessIn(cwd: string, env: NodeJS.ProcessEnv = {}): Promise<ChildProcess> {
  const child = spawn("sleep", ["60"], { cwd, env: { ...process.env, ...env }, stdio: "ignore", detached: true });
  onTestFinished(() => void child.kill("SIGKILL"));
  await once(child, "spawn");
  return child;
}

it("a worktree in which a process still works is left to it @night", async () => {
  const rig = new RepositoryRig();
  const first = await rig.open(aTask());
  const sitting = await aProcessIn(first.folder);
  rig.processes.kill(1);
  const task = aTask({ work: first.location() });
  expect((await rig.open(task, { pid: 2 })).folder).not.toBe(first.folder);
  sitting.kill("SIGKILL");
  await once(sitting, "exit");
  expect((await rig.open(task, { pid: 3 })).folder).toBe(first.folder);
});

it("what a dead worker has left running in the worktree, in whatever session, is ended", async () => {
  const rig = new RepositoryRig();
  const first = await rig.open(aTask());
  const left = await aProcessIn(first.folder, { SHIM_RUN: `1.${rig.processes.facts(1)?.start}-55` });
  const ended = once(left, "exit");
  rig.processes.kill(1);
  expect((await rig.open(aTask({ work: first.location() }), { pid: 2 })).folder).toBe(first.folder);
  expect(await ended).toEqual([null, "SIGTERM"]);
});

it("a released worktree is used again; a missing one is replaced from its last commit", async () => {
  const rig = new RepositoryRig();
  const first = await rig.open(aTask());
  write(first.folder, { "half.txt": "half\n" });
  await first.finish(false);
  expect(await first.release(true)).toBeNull();
  const again = await rig.open(aTask({ work: first.location() }));
  expect([again.folder, again.isContinued]).toEqual([first.folder, true]);
  git(rig.repository, "worktree", "remove", "--force", first.folder);
  const anew = await rig.open(aTask({ work: first.location() }));
  expect([anew.folder === first.folder, anew.isContinued]).toEqual([false, true]);
  expect(readFileSync(join(anew.folder, "half.txt"), "utf8")).toBe("half\n");
  const elsewhere = { machine: "m2", folder: "/there/tree", base: "0".repeat(40), commit: "1".repeat(40) };
  const lost = await rig.open(aTask({ work: elsewhere }));
  expect([lost.isContinued, existsSync(join(lost.folder, "half.txt"))]).toEqual([false, false]);
  expect(lost.notes).toEqual([expect.stringMatching(/m2.*starts again/)]);
});

it("no folder that a checkpoint names is entered but a worktree of the same task that SHIM has made", async () => {
  const rig = new RepositoryRig();
  const own = await rig.open(aTask());
  await own.release(true);
  const where = whereOf(own);
  const outside = join(rig.home, "..", "repository", "tree");
  const lies = [{ folder: rig.repository }, { folder: outside }, { commit: "--upload-pack=x" }, { commit: "HEAD" }];
  for (const lie of [...lies, "no object"]) {
    const place = await rig.open(aTask({ work: typeof lie === "string" ? lie : { ...where, ...lie } }));
    expect(dirname(dirname(place.folder))).toBe(rig.home);
    expect(place.folder).not.toBe(own.folder);
  }
  expect((await rig.open(aTask({ work: own.location() }, 8))).folder).not.toBe(own.folder);
  const { repository } = new RepositoryRig();
  expect((await rig.open(aTask({ work: own.location() }), { repository })).folder).not.toBe(own.folder);
});

it("nothing uncommitted is deleted: on another branch, or with a repository in it, the worktree stays", async () => {
  const rig = new RepositoryRig();
  const moved = await rig.open(aTask());
  git(moved.folder, "checkout", "-q", "-b", "own-way");
  write(moved.folder, { "a.txt": "elsewhere\n" });
  expect((await moved.finish(false)).work).toMatchObject({ branch: "own-way" });
  expect(await moved.release(false)).toMatch(/another branch/);
  const nested = await rig.open(aTask(null, 8));
  git(nested.folder, "init", "-q", "inner");
  write(nested.folder, { "inner/x.txt": "x\n" });
  await nested.finish(false);
  expect(await nested.release(false)).toMatch(/has uncommitted changes/);
  expect([existsSync(moved.folder), existsSync(join(nested.folder, "inner", "x.txt"))]).toEqual([true, true]);
});

/** By a worker so many days later. */
const sweep = ({ home, processes }: RepositoryRig, days: number): Promise<string[]> =>
  removeOldWorktrees({ home, env: GIT_ENV, processes, now: () => Date.now() + days * 86_400_000 });

it("a worktree unused for a week is removed, unless something in it is not committed; one of a worker once that is dead", async () => {
  const rig = new RepositoryRig();
  const places = [await rig.open(aTask()), await rig.open(aTask(null, 8))];
  const [done, dirty, used] = [...places, await rig.open(aTask(null, 9), { pid: 2 })].map(({ folder }) => folder);
  for (const place of places) {
    write(place.folder, { "a.txt": "two\n" });
    await place.finish(false);
    await place.release(true);
  }
  write(dirty ?? "", { "late.txt": "x" });
  expect([await sweep(rig, 6), await sweep(rig, 8)]).toEqual([[], [dirname(done ?? "")]]);
  expect([done, dirty, used].map((folder) => existsSync(folder ?? ""))).toEqual([false, true, true]);
  rig.processes.kill(2);
  expect(await sweep(rig, 8)).toEqual([dirname(used ?? "")]);
  // That of the unused one holds no work.
  expect(rig.branches()).toHaveLength(2);
});
