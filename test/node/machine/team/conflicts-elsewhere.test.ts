import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { readConflicts } from "#src/machine/operations/team-handlers.ts";
import * as news from "#src/machine/sessions/news.ts";
import * as sessions from "#src/machine/sessions/sessions.ts";
import { ConflictWatch } from "#src/machine/team/conflict-watch.ts";
import { takeNews } from "#src/machine/team/deliver-news.ts";
import { takePending } from "#src/snapshots/stored-snapshots.ts";
import { commitAll, git, write } from "#harness/machine/git-project.ts";
import { save, twoMachines, type Two } from "#harness/sync/file-sync.ts";
import type { SyncMachine } from "#harness/sync/sync-machine.ts";

/** Names of the operations that this machine's watch has called. */
const asked = ({ world }: Two, { name }: SyncMachine): string[] => world.asked.filter((one) => one.startsWith(name));

/** What foresees conflicts of the chats of a machine that has joined. */
function watchOf({ world }: Two, { runtime, name, edge }: SyncMachine): ConflictWatch {
  const link = { self: null, call: world.call(name) };
  return new ConflictWatch(runtime, () => ({ link, edge, workspace: "team", machine: name }));
}

/** Chat `s2` of the second machine works in the clone. */
async function saveInClone({ two, clone }: Two, text: string): Promise<void> {
  write(clone, { "a.txt": `${text}\n` });
  two.work("s2", text, clone);
  await takePending(two.runtime, ["s2"], new AbortController().signal);
}

async function sync({ one, two }: Two): Promise<void> {
  for (const machine of [one, two, one]) await machine.sync.syncNow();
}

function told({ runtime }: SyncMachine): string[] {
  for (const { id } of runtime.store.read((sql) => [...sessions.listOpen(sql)], [])) takeNews(runtime, id);
  const all = runtime.store.read((sql) => news.listNewest(sql, 100), []);
  return all.flatMap(({ news: row }) => (row.kind === "conflict" ? row.text : [])).toReversed();
}

it("each machine tells its own chat of a conflict with sealed files, once, with machine, age, file and own lines", async () => {
  const both = twoMachines({ config: { sync: { files: true } } });
  const { one, two, project } = both;
  const [first, second] = [watchOf(both, one), watchOf(both, two)];
  await saveInClone(both, "theirs");
  await save(both, "mine");
  await sync(both);
  await both.world.time.pass(120_000);
  expect([await first.check(), await second.check()]).toEqual([0, 1]);
  const rest =
    'will not merge by themselves: a.txt (your line 1). What may help: wait for it, ask it by shim_send to "s1", or merge early.';
  expect(told(two)).toEqual([
    `your changes and those of "mine" (chat s1) in m1:${project}, as it saved its files 2 min ago, ${rest}`,
  ]);
  expect(readConflicts(two.runtime)).toMatchObject([
    { kind: "merge", path: "a.txt", chats: [{ chat: "s2" }, { chat: "s1", root: `m1:${project}`, lines: "1" }] },
  ]);
  await second.check();
  await save(both, "mine, later");
  await sync(both);
  await second.check();
  expect(told(two)).toHaveLength(1);
  // The first machine has heard of no sealed files of the other.
  expect(told(one)).toEqual([]);
});

it("files that did not come are fetched later, and once; a conflict closes when it is resolved or the chat ends", async () => {
  const both = twoMachines();
  const { one, two } = both;
  const watch = watchOf(both, two);
  await saveInClone(both, "theirs");
  await save(both, "mine");
  await sync(both);
  both.world.weather = () => "unreachable";
  await watch.check();
  expect(told(two)).toEqual([]);
  both.world.weather = () => "good";
  await watch.check();
  expect([readConflicts(two.runtime).length, told(two).length]).toEqual([1, 1]);
  const before = asked(both, two).length;
  two.runtime.store.write(() => undefined);
  expect(await watch.check()).toBe(0);
  expect(asked(both, two)).toHaveLength(before);
  await save(both, "theirs");
  await sync(both);
  await watch.check();
  expect(readConflicts(two.runtime)).toEqual([]);
  await both.world.time.pass(60_000);
  await save(both, "mine");
  await sync(both);
  await watch.check();
  expect([readConflicts(two.runtime).length, told(two).length]).toEqual([1, 2]);
  one.end("s1");
  await sync(both);
  expect(readConflicts(two.runtime)).toEqual([]);
  await watch.check();
  expect(readdirSync(join(two.runtime.paths.snapshots, "foreseen.work"))).toEqual([]);
});

it("files on a commit that is not here are not compared, and that is shown until it is here", async () => {
  const both = twoMachines();
  const { two, project, clone } = both;
  const watch = watchOf(both, two);
  write(project, { "other.txt": "pushed\n" });
  commitAll(project, "pushed");
  git(project, "push", "-q", "origin", "HEAD:main");
  git(project, "fetch", "-q");
  await saveInClone(both, "theirs");
  await save(both, "mine");
  await sync(both);
  await watch.check();
  const head = git(project, "rev-parse", "HEAD").trim();
  expect(told(two)).toEqual([]);
  expect(readConflicts(two.runtime)).toMatchObject([
    { kind: "apart", path: `commit ${head} is not here`, chats: [{ chat: "s2" }, { chat: "s1" }] },
  ]);
  git(clone, "fetch", "-q");
  await save(both, "mine, later");
  await sync(both);
  await watch.check();
  expect(readConflicts(two.runtime)).toMatchObject([{ kind: "merge", path: "a.txt" }]);
  expect(told(two)).toHaveLength(1);
});

it("where no other machine has a chat of this repository nothing is asked and nothing is merged", async () => {
  const both = twoMachines();
  const { two } = both;
  const watch = watchOf(both, two);
  await saveInClone(both, "theirs");
  await sync(both);
  const before = asked(both, two).length;
  expect(await watch.check()).toBe(0);
  expect(asked(both, two)).toHaveLength(before);
  expect(existsSync(join(two.runtime.paths.snapshots, "foreseen.work"))).toBe(false);
});
