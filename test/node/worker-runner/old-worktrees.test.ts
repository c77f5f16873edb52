import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, it } from "vitest";
import { removeEnded, removeOldWorktrees } from "#src/worker-runner/worktrees.ts";
import { git, GIT_ENV, write } from "#harness/machine/git-project.ts";
import { aDependent, aTask, whereOf, RepositoryRig } from "#harness/worker/repository-rig.ts";

/** By a worker so many days later. */
function sweep({ home, processes }: RepositoryRig, days: number): Promise<string[]> {
  return removeOldWorktrees(home, { env: GIT_ENV, processes, now: () => Date.now() + days * 86_400_000 });
}

it("[WK53] a worktree unused for a week is removed, unless something in it is not committed @night", async () => {
  const rig = new RepositoryRig();
  const places = [await rig.open(aTask()), await rig.open(aTask(null, 8)), await rig.open(aTask(null, 9))];
  const [done, dirty, used] = places.map(({ folder }) => folder);
  for (const place of places) write(place.folder, { "a.txt": "two\n" });
  for (const place of places.slice(0, 2)) {
    await place.finish(false);
    await place.release(true);
  }
  write(dirty ?? "", { "late.txt": "x" });
  expect(await sweep(rig, 6)).toEqual([]);
  expect(await sweep(rig, 8)).toEqual([dirname(done ?? "")]);
  expect([done, dirty, used].map((folder) => existsSync(folder ?? ""))).toEqual([false, true, true]);
  expect(rig.branches()).toHaveLength(3);
});

it("[WK53] a worktree whose worker was killed before anything was done in it is removed by the next worker @night", async () => {
  const rig = new RepositoryRig();
  const unused = await rig.open(aTask(), { pid: 2 });
  const changed = await rig.open(aTask(null, 8), { pid: 2 });
  const saved = await rig.open(aTask(null, 9), { pid: 2 });
  for (const place of [changed, saved]) write(place.folder, { "a.txt": "two\n" });
  await saved.save();
  expect(await sweep(rig, 0)).toEqual([]);
  rig.processes.kill(2);
  expect(await sweep(rig, 0)).toEqual([dirname(unused.folder)]);
  expect([unused, changed, saved].map(({ folder }) => existsSync(folder))).toEqual([false, true, true]);
  expect(rig.branches()).toHaveLength(2);
});

it("[WK53] also one that began with the work of other tasks @night", async () => {
  const rig = new RepositoryRig();
  const [one, two] = [
    await rig.done(aTask(null, 1), { "one.txt": "1\n" }),
    await rig.done(aTask(null, 2), { "two.txt": "2\n" }),
  ];
  const unused = await rig.open(aDependent({ 1: one, 2: two }, 10), { pid: 2 });
  const changed = await rig.open(aDependent({ 1: one }, 11), { pid: 2 });
  write(changed.folder, { "a.txt": "two\n" });
  git(changed.folder, "commit", "--all", "--quiet", "--message", "half");
  rig.processes.kill(2);
  expect(await sweep(rig, 0)).toEqual([dirname(unused.folder)]);
  expect([existsSync(unused.folder), existsSync(changed.folder), rig.branches().length]).toEqual([false, true, 3]);
});

it("[WK53] a branch that may be a result stays, also where it holds the work of other tasks alone @night", async () => {
  const rig = new RepositoryRig();
  const one = await rig.done(aTask(null, 1), { "one.txt": "1\n" });
  const merge = await rig.open(aDependent({ 1: one }, 10), { pid: 2 });
  const { branch } = (await merge.finish(false)).work ?? {};
  rig.processes.kill(2);
  expect(await sweep(rig, 0)).toEqual([]);
  expect(rig.branches()).toContain(branch);
});

it("[EV17] the worktrees of ended tasks are removed, and their branches where they hold no work @night", async () => {
  const rig = new RepositoryRig();
  const done = await rig.open(aTask(), { pid: 2 });
  write(done.folder, { "a.txt": "two\n" });
  const { work } = await done.finish(false);
  const merge = await rig.open(aDependent({ 7: work }, 8), { pid: 2 });
  const [unused, used, open] = [
    await rig.open(aTask(null, 9), { pid: 2 }),
    await rig.open(aTask(null, 10), { pid: 3 }),
    await rig.open(aTask(null, 11), { pid: 2 }),
  ];
  rig.processes.kill(2);
  const ended = { repository: join(rig.repository, ".git"), tasks: new Set([7, 8, 9, 10]), since: 0 };
  await removeEnded(rig.home, { env: GIT_ENV, processes: rig.processes }, ended);
  const folders = [done, merge, unused, used, open].map(({ folder }) => existsSync(folder));
  expect(folders).toEqual([false, false, false, true, true]);
  expect(new Set(rig.branches())).toEqual(new Set([work?.branch, whereOf(used).branch, whereOf(open).branch]));
});
