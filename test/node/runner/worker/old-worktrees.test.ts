import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, it } from "vitest";
import { removeEnded, removeOldWorktrees } from "#src/runner/worker/worktrees.ts";
import { GIT_ENV, write } from "#harness/machine/git-project.ts";
import { aDependent, aTask, whereOf, RepositoryRig } from "#harness/worker/repository-rig.ts";

/** By a worker so many days later. */
function sweep({ home, processes }: RepositoryRig, days: number): Promise<string[]> {
  return removeOldWorktrees({ home, env: GIT_ENV, processes, now: () => Date.now() + days * 86_400_000 });
}

it("a worktree unused for a week is removed, unless something in it is not committed @night", async () => {
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

it("of a killed worker's worktrees what is committed goes after a week, and its branch where nothing is on it @night", async () => {
  const rig = new RepositoryRig();
  const one = await rig.done(aTask(null, 1), { "one.txt": "1\n" });
  const unused = await rig.open(aTask(), { pid: 2 });
  const changed = await rig.open(aTask(null, 8), { pid: 2 });
  const merge = await rig.open(aDependent({ 1: one }, 10), { pid: 2 });
  write(changed.folder, { "a.txt": "two\n" });
  const { branch } = (await merge.finish(false)).work ?? {};
  expect(await sweep(rig, 8)).toEqual([]);
  rig.processes.kill(2);
  expect(await sweep(rig, 6)).toEqual([]);
  expect(new Set(await sweep(rig, 8))).toEqual(new Set([unused, merge].map(({ folder }) => dirname(folder))));
  const branches = rig.branches();
  expect([existsSync(changed.folder), branches.length, branches.includes(branch ?? "")]).toEqual([true, 3, true]);
});

it("the worktrees of ended tasks are removed, and their branches where they hold no work @night", async () => {
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
  await removeEnded({ home: rig.home, env: GIT_ENV, processes: rig.processes }, ended);
  const folders = [done, merge, unused, used, open].map(({ folder }) => existsSync(folder));
  expect(folders).toEqual([false, false, false, true, true]);
  expect(new Set(rig.branches())).toEqual(
    new Set([work?.branch, ...[merge, used, open].map((place) => whereOf(place).branch)]),
  );
});
