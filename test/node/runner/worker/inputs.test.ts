import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import type { ClaimedTask } from "#src/contract/tasks.ts";
import type { Json } from "#src/contract/values.ts";
import { readInputWork } from "#src/runner/worker/task-inputs.ts";
import type { TaskFolder } from "#src/runner/worker/executor.ts";
import { git, plantHooks, temporaryFolder, write } from "#harness/machine/git-project.ts";
import { aDependent, aTask, whereOf, RepositoryRig } from "#harness/worker/repository-rig.ts";

const read = (place: TaskFolder, name: string): string => readFileSync(join(place.folder, name), "utf8");

it("no hook, driver, filter or signing program runs for a commit or a merge; git's own union driver does", async () => {
  const rig = new RepositoryRig();
  const ran = join(rig.root, "ran");
  write(rig.repository, { "log.txt": "1\n", ".gitattributes": "*.txt merge=own\nlog.txt merge=union\n" });
  git(rig.repository, "add", ".");
  git(rig.repository, "commit", "-qm", "attributes");
  rig.git("config", "merge.own.driver", `touch '${ran}'; true`);
  rig.git("config", "commit.gpgSign", "true");
  rig.git("config", "gpg.program", join(rig.root, "no-such-program"));
  const hooks =
    "post-merge pre-merge-commit post-checkout reference-transaction prepare-commit-msg pre-commit commit-msg post-commit";
  plantHooks({ project: rig.repository }, ran, hooks.split(" "));
  const one = await rig.done(aTask(null, 1), { "log.txt": "1\n2\n", "b.txt": "b\n" });
  const two = await rig.done(aTask(null, 2), { "log.txt": "1\n3\n", "c.txt": "c\n" });
  const place = await rig.open(aDependent({ 1: one, 2: two }));
  expect(read(place, "log.txt")).toBe("1\n2\n3\n");
  // Without more work its branch holds them.
  expect((await place.finish(false)).work).toMatchObject({ branch: whereOf(place).branch });
  expect(existsSync(ran)).toBe(false);
});

it("inputs that contradict each other fail the task for good, with the files; merged into the base they do not", async () => {
  const rig = new RepositoryRig();
  const one = await rig.done(aTask(null, 1), { "a.txt": "first\n", "b.txt": "b\n" });
  const two = await rig.done(aTask(null, 2), { "a.txt": "second\n" });
  const task = aDependent({ 1: one, 2: two });
  const why = /inputs of task 9: task 2 conflicts .* in a\.txt \(shim\/task-2-.*shim task replay 9/;
  const message = expect.stringMatching(why) as string;
  await expect(rig.open(task)).rejects.toMatchObject({ isRetryable: false, message });
  expect([rig.git("worktree", "list", "--porcelain").split("\n\n").length, rig.branches().length]).toEqual([1, 2]);
  git(rig.repository, "merge", "-q", one.branch ?? "");
  expect(() => git(rig.repository, "merge", "-q", two.branch ?? "")).toThrow();
  write(rig.repository, { "a.txt": "both\n" });
  git(rig.repository, "commit", "-qam", "resolved by hand");
  expect(read(await rig.open(task), "a.txt")).toBe("both\n");
});

it("a kept conflict is in the files and has to be resolved; the next attempt knows of it", async () => {
  const rig = new RepositoryRig();
  const one = await rig.done(aTask(null, 1), { "a.txt": "first\n" });
  const two = await rig.done(aTask(null, 2), { "a.txt": "second\n" });
  const task = aDependent({ 1: one, 2: two });
  const place = await rig.open(task, { isConflictKept: true });
  expect(place.merged.conflicts).toEqual([{ task: 2, files: ["a.txt"] }]);
  expect(read(place, "a.txt")).toMatch(/^<{7} before\nfirst\n={7}\nsecond\n>{7} task-2\n$/);
  expect((await place.finish(true)).problem).toBe("the conflict of its inputs is not resolved in a.txt");
  await place.release(true);
  const next = await rig.open({ ...task, checkpoint: { work: place.location() } }, { isConflictKept: true, pid: 1 });
  expect([next.isContinued, next.merged.conflicts]).toEqual([true, [{ task: 2, files: ["a.txt"] }]]);
  write(next.folder, { "a.txt": "first and second\n" });
  const { work, problem } = await next.finish(true);
  expect(problem).toBeNull();
  expect(rig.git("show", `${work?.commit}:a.txt`)).toBe("first and second");
  for (const { commit } of [one, two]) rig.git("merge-base", "--is-ancestor", commit, work?.commit ?? "");
});

it("through a remote commits go from one machine to the next; no other branch moves, and what the remote refuses is said @night", async () => {
  const [here, there] = [new RepositoryRig(), new RepositoryRig()];
  const bare = join(temporaryFolder(), "shared.git");
  git(here.root, "clone", "-q", "--bare", here.repository, bare);
  for (const { repository } of [here, there]) git(repository, "remote", "add", "origin", bare);
  git(there.repository, "fetch", "-q", "origin");
  git(there.repository, "reset", "-q", "--hard", "origin/main");
  const remote = "origin";
  const work = await there.done(aTask(null, 1), { "api.js": "api\n" }, { machine: "m2", remote });
  expect(git(bare, "rev-parse", work.branch ?? "").trim()).toBe(work.commit);
  const refs = here.git("for-each-ref");
  const place = await here.open(aDependent({ 1: work }), { remote });
  expect(read(place, "api.js")).toBe("api\n");
  await place.release(false);
  expect(here.git("for-each-ref", "refs/heads/main", "refs/remotes", "refs/tags")).toBe(refs);
  const gone = { ...work, commit: "f".repeat(40) };
  const refused = here.open(aDependent({ 1: gone }, 10), { remote });
  await expect(refused).rejects.toThrow(/commit ffffffffffff of machine m2 is not here/);
  git(there.repository, "remote", "set-url", "origin", join(there.root, "gone.git"));
  const second = await there.open(aTask(null, 2), { remote });
  write(second.folder, { "b.txt": "b\n" });
  expect((await second.finish(true)).note).toMatch(/could not be pushed to origin, so other machines do not have it/);
});

it("a job's result is on the branch shim/job-<number>, or beside it where that name is taken @night", async () => {
  const rig = new RepositoryRig();
  const job = { job: { title: "stores" }, join: [] };
  const one = await rig.done(aTask(null, 1), { "one.txt": "1\n" });
  const aPart = { ...aTask(null, 2), payload: { job: { title: "stores" }, part: { name: "x" } } };
  const part = await rig.done(aPart, { "two.txt": "2\n" });
  expect(part.branch).toMatch(/^shim\/task-2-/);
  const whole = await rig.done({ ...aDependent({ 1: one, 2: part }, 3), payload: job }, {});
  expect([whole.branch, rig.git("rev-parse", "shim/job-3")]).toEqual(["shim/job-3", whole.commit]);
  expect(rig.branches().filter((name) => name.startsWith("shim/task-3"))).toEqual([]);
  const again = await rig.done({ ...aDependent({ 1: one }, 3), payload: job }, { "more.txt": "more\n" });
  expect(again.branch).toBe(`shim/job-3-${again.commit.slice(0, 12)}`);
  expect(rig.git("rev-parse", "shim/job-3")).toBe(whole.commit);
});

function aWork(n: number): Json {
  return { branch: `shim/task-${n}-x`, commit: String(n).repeat(40), machine: "m1", output: null };
}

function anInput(task: number, result: Json, isLeftOut = false): ClaimedTask["inputs"][number] {
  return { task, ref: null, state: "done", result, isLeftOut };
}

it("results that were too large to be delivered, and those that the coordinator joined, are asked for", async () => {
  const joined = { value: [], conflicts: [], isComplete: true, missing: [] };
  const usual = { joinRule: null, dependsOn: [], state: "done" };
  const known: Record<number, object> = {
    1: { ...usual, result: aWork(1) },
    2: { ...usual, result: aWork(2), state: "dead" },
    3: { ...usual, result: aWork(3) },
    5: { ...usual, result: joined, joinRule: "collect", dependsOn: [1, 2, 3] },
  };
  const tasksOf = async (...inputs: ClaimedTask["inputs"]): Promise<number[]> => {
    const works = await readInputWork(async ({ task }) => {
      if (!known[task]) return { ok: false, error: { message: "no such task" } };
      return { ok: true, value: known[task] as never };
    }, inputs);
    return works.map(({ task }) => task);
  };
  expect(await tasksOf(anInput(3, null, true), anInput(5, joined))).toEqual([3, 1]);
  expect(await tasksOf(anInput(5, null, true))).toEqual([1, 3]);
  await expect(tasksOf(anInput(8, null, true))).rejects.toThrow("the result of task 8 cannot be read: no such task");
});

it("a `.git` that a program removed or wrote anew leads to no other repository and no settings of its own @night", async () => {
  const rig = new RepositoryRig();
  git(rig.root, "init", "-q", "-b", "around", ".");
  const before = rig.git("rev-parse", "main");
  const settings = `[filter "own"]\n  clean = touch ${join(rig.root, "ran")}\n`;
  const ways: ((folder: string) => void)[] = [
    () => undefined,
    (folder) => write(folder, { ".git": `gitdir: ${join(rig.repository, ".git")}\n` }),
    (folder) => {
      git(folder, "init", "-q", ".");
      write(folder, { ".git/config": settings, ".gitattributes": "* filter=own\n" });
    },
  ];
  for (const [number, change] of ways.entries()) {
    const place = await rig.open(aTask(null, number + 1));
    const { branch } = whereOf(place);
    rmSync(join(place.folder, ".git"));
    change(place.folder);
    write(place.folder, { "new.txt": "new\n" });
    await place.save();
    expect((await place.finish(false)).work).toMatchObject({ branch, commit: rig.git("rev-parse", branch) });
    expect(rig.git("show", `${branch}:new.txt`)).toBe("new");
    await place.release(false);
  }
  expect([rig.git("rev-parse", "main"), rig.git("status", "--short")]).toEqual([before, ""]);
  expect([git(rig.root, "for-each-ref"), existsSync(join(rig.root, "ran"))]).toEqual(["", false]);
});

it("what git runs by the settings of a project gets none of SHIM's secrets", async () => {
  const rig = new RepositoryRig();
  const seen = join(rig.root, "seen");
  rig.git("config", "filter.own.clean", `env > '${seen}'; cat`);
  const place = await rig.open(aTask(), { env: { SHIM_ADMIN_SECRET: "secret", SHIM_HOME: "/home/shim" } });
  write(place.folder, { ".gitattributes": "*.txt filter=own\n", "new.txt": "new\n" });
  await place.finish(false);
  const names = readFileSync(seen, "utf8");
  expect([names.includes("SHIM_HOME="), names.includes("SHIM_ADMIN_SECRET=")]).toEqual([true, false]);
});
