import type { OutputOf } from "#src/contract/operations.ts";
import { randomBytes } from "node:crypto";
import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { dismiss } from "#src/machine/recovery/marks.ts";
import { forget } from "#src/machine/keeping/forget.ts";
import { prune } from "#src/machine/keeping/retention.ts";
import { syncStatus, readNotes } from "#src/machine/sharing/sync-status.ts";
import { contents, write } from "#harness/machine/git-project.ts";
import {
  type SyncMachine,
  type SyncMachineOptions,
  heard,
  notReceived,
  received,
  restored,
  rowIn,
  save,
  twoMachines,
  type Two,
  stored,
} from "#harness/sync/sync-machine.ts";

/** Two machines, one of which has sent the files of a checkpoint. */
async function aSentFile(options: SyncMachineOptions = {}): Promise<Two & { readonly first: string }> {
  const both = twoMachines(options);
  const first = await save(both, "first");
  await both.one.sync.syncNow();
  return { ...both, first };
}

it("the newest uncommitted files of a session that continues are restored on another machine @night", async () => {
  const both = twoMachines();
  const { one, two, project } = both;
  await save(both, "first");
  const newest = await save(both, "second");
  expect(await one.sync.syncNow()).toMatchObject({ files: 1, left: 0, trouble: null });
  const files = await received(two);
  expect(files.header).toMatchObject({ session: "s1", checkpoint: newest, leftOut: [] });
  expect(rowIn(two).sealed.files).toMatchObject({ sent: { checkpoint: newest }, notSent: null });
  expect(await restored(both, files)).toEqual(contents(project));
  // It reads no text of it.
  expect(one.world.host.bytes()).not.toContain("new.txt");
});

it.each<[string, (both: Two) => unknown, SyncMachineOptions?]>([
  ["without the setting", () => null, { config: {} }],
  ["of a session that has ended", ({ one }) => one.end("s1")],
  ["of a session whose last event is long ago", ({ world }) => world.time.pass(8 * 86_400_000)],
])("%s no files are sent @night", async (_, change, options) => {
  const both = twoMachines(options);
  await save(both, "first");
  await change(both);
  expect(await both.one.sync.syncNow()).toMatchObject({ files: 0, trouble: null });
  expect(both.world.filePuts).toBe(0);
});

it("at any cut between the parts, and any death of a process, the files before are read whole until the new ones are @night", async () => {
  const both = twoMachines();
  const { world, one, two, project } = both;
  // Three parts and a header.
  for (const name of ["x.bin", "y.bin", "z.bin"]) write(project, { [name]: randomBytes(250_000) });
  const first = await save(both, "first");
  await one.sync.syncNow();
  expect(world.filePuts).toBe(4);
  for (const name of ["x.bin", "y.bin", "z.bin"]) write(project, { [name]: randomBytes(250_000) });
  await world.time.pass(1_000);
  const second = await save(both, "second");
  for (const [good, weather] of [
    [0, "unreachable"],
    [1, "lost"],
    [2, "unreachable"],
    [3, "lost"],
  ] as const) {
    let left = good;
    world.weather = (name) => (name !== "files" || left-- > 0 ? "good" : weather);
    expect(await one.sync.syncNow()).toMatchObject({ files: 0, trouble: null });
    world.weather = () => "good";
    // After the last part was stored the new ones are read, though the answer was lost.
    expect((await received(two)).header.checkpoint).toBe(good === 3 ? second : first);
    one.restart();
  }
  expect(await one.sync.syncNow()).toMatchObject({ files: 1, trouble: null });
  expect(await restored(both, await received(two))).toEqual(contents(project));
  expect(readdirSync(one.runtime.paths.snapshots).filter((name) => name.startsWith("bundle-"))).toEqual([]);
});

function flipped(envelope: string): string {
  return `${envelope.slice(0, 60)}${envelope[60] === "A" ? "B" : "A"}${envelope.slice(61)}`;
}

function syncStatusOf(machine: SyncMachine): ReturnType<typeof syncStatus> {
  return machine.runtime.store.read(syncStatus, null);
}

it("files whose checkpoint is forgotten between two parts do not arrive @night", async () => {
  const both = twoMachines();
  const { world, one, two, project } = both;
  write(project, { "x.bin": randomBytes(500_000) });
  const checkpoint = await save(both, "first");
  world.weather = (name) => {
    if (name === "files" && world.filePuts === 2) one.runtime.store.write((sql) => void forget(sql, { checkpoint }));
    return "good";
  };
  expect(await one.sync.syncNow()).toMatchObject({ files: 0, forgotten: 1, trouble: null });
  expect(world.filePuts).toBe(2);
  expect(await notReceived(two, await heard(two))).toBe("not_found");
});

it("files that are too large, or that the workspace has no room for, are not sent, and the status says so; older ones stay @night", async () => {
  const both = await aSentFile({ config: { sync: { files: true, maxFilesBytes: 20_000 } } });
  const { world, one, two, project, first } = both;
  await world.time.pass(1_000);
  write(project, { "large.bin": randomBytes(50_000) });
  const second = await save(both, "second");
  const sent = world.filePuts;
  expect(await one.sync.syncNow()).toMatchObject({ files: 0, trouble: null });
  expect(world.filePuts).toBe(sent);
  const reason = expect.stringContaining("20000") as string;
  expect(syncStatusOf(one)?.files).toMatchObject({ sessions: 1, notSent: 1, reason });
  const { header } = await received(two);
  expect(header.checkpoint).toBe(first);
  expect(rowIn(two).sealed.files).toMatchObject({ sent: { checkpoint: first }, notSent: { checkpoint: second } });
  rmSync(join(project, "large.bin"));
  await world.time.pass(1_000);
  const third = await save(both, "third");
  const status = await world.host.call("sync.status", {});
  const maxSyncChars = status.ok ? 2 * status.value.chars : 0;
  await world.host.call("settings.set", { settings: { maxSyncChars } });
  expect(await one.sync.syncNow()).toMatchObject({ files: 0 });
  expect(syncStatusOf(one)?.files.reason).toContain("maxSyncChars");
  await world.host.call("settings.set", { settings: { maxSyncChars: 500_000_000 } });
  await world.time.pass(600_000);
  expect(await one.sync.syncNow()).toMatchObject({ files: 1, trouble: null });
  expect(syncStatusOf(one)?.files).toMatchObject({ sessions: 1, notSent: 0, reason: null });
  expect((await received(two)).header.checkpoint).toBe(third);
});

it.each([
  ["its session is forgotten", ({ one }: Two) => one.runtime.store.write((sql) => void forget(sql, { session: "s1" }))],
  ["its session ends", ({ one }: Two) => one.end("s1")],
  [
    "its session is dismissed",
    ({ one }: Two) => {
      expect(dismiss(one.runtime, "s1")).toBe(true);
    },
  ],
  [
    "it is too old",
    async ({ one, world }: Two) => {
      one.end("s1");
      await world.time.pass(40 * 86_400_000);
      const { retention } = one.runtime.config;
      one.runtime.store.write((sql) => void prune(sql, one.runtime.now(), retention, 1_000));
    },
  ],
])("files go at the coordinator when %s @night", async (_when, end) => {
  const both = await aSentFile();
  const { world, one, two } = both;
  const row = await heard(two);
  await Promise.resolve(end(both));
  await world.time.pass(10_000);
  await one.sync.syncNow();
  expect(await notReceived(two, row)).toBe("not_found");
});

it("older files that are shown again are refused, as are changed, cut and mixed ones, and ones of another session @night", async () => {
  const both = await aSentFile();
  const { world, one, two } = both;
  const of = { session: "s1", device: one.device };
  const header = await stored(world, { ...of, kind: "files" });
  const piece = await stored(world, { ...of, kind: "part", bundle: header.bundle ?? "", part: 0 });
  await world.time.pass(1_000);
  await save(both, "second");
  await save(both, "elsewhere", "s2");
  await one.sync.syncNow();
  const row = await heard(two);
  expect(row.sealed.files?.sent).not.toBe(null);
  const foreign = await stored(world, { ...of, session: "s2", kind: "files" });
  type Record = OutputOf<"sync.read">;
  const cases: { [name: string]: (answer: Record, n: number) => Record } = {
    "all of the older bundle": (_answer, n) => (n === 0 ? header : piece),
    "the newer header with the older piece": (answer, n) =>
      n === 0 ? answer : { ...answer, envelope: piece.envelope },
    "a changed bit of the header": (answer, n) =>
      n === 0 ? { ...answer, envelope: flipped(answer.envelope) } : answer,
    "a cut piece": (answer, n) => (n === 1 ? { ...answer, envelope: answer.envelope.slice(0, -8) } : answer),
    "those of another session": () => foreign,
  };
  for (const [name, change] of Object.entries(cases)) {
    let asked = 0;
    world.twist = (call, answer) => (call === "sync.read" ? change(answer as Record, asked++) : answer);
    expect(await notReceived(two, row), name).toBe("refused");
  }
  world.twist = (_name, answer) => answer;
  expect(two.runtime.store.read(readNotes, {}).refused).toBe(5);
  await received(two);
});
