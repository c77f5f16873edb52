import { randomBytes } from "node:crypto";
import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { dismiss } from "#src/local-mcp/recovery/local-source.ts";
import { forget } from "#src/local-mcp/retention/forget.ts";
import { prune } from "#src/local-mcp/retention/retention.ts";
import { syncStatus } from "#src/local-mcp/sync/sync-status.ts";
import { contents, write } from "#harness/machine/git-project.ts";
import type { SyncMachine } from "#harness/sync/sync-machine.ts";
import {
  deviceOf,
  heard,
  notReceived,
  puts,
  received,
  restored,
  rowIn,
  save,
  twoMachines,
  type Two,
} from "#harness/sync/file-sync.ts";

it("[SY80] [SY84] the newest uncommitted files of a session that goes on are restored on another machine", async () => {
  const both = twoMachines();
  const { one, two, project } = both;
  await save(both, "first");
  const newest = await save(both, "second");
  expect(await one.sync.syncNow()).toMatchObject({ files: 1, left: 0, trouble: null });
  const files = await received(two);
  expect(files.header).toMatchObject({ session: "s1", checkpoint: newest, leftOut: [] });
  expect(rowIn(two).content.files).toMatchObject({ sent: { checkpoint: newest }, notSent: null });
  expect(await restored(both, files)).toEqual(contents(project));
  // It reads no text of it.
  expect(one.world.host.bytes()).not.toContain("new.txt");
});

it("[SY80] without the setting, and of a session that is over or was last heard of long ago, nothing is sent", async () => {
  const off = twoMachines({ config: {} });
  await save(off, "first");
  expect(await off.one.sync.syncNow()).toMatchObject({ files: 0, trouble: null });
  const both = twoMachines();
  await save(both, "first");
  both.one.end("s1");
  expect(await both.one.sync.syncNow()).toMatchObject({ files: 0, trouble: null });
  const old = twoMachines();
  await save(old, "first");
  await old.world.time.pass(8 * 86_400_000);
  expect(await old.one.sync.syncNow()).toMatchObject({ files: 0, trouble: null });
  expect([off, both, old].map(({ world }) => puts(world))).toEqual([0, 0, 0]);
});

it("[SY82] unchanged files are not sent again; where their checkpoint went they are", async () => {
  const both = twoMachines();
  const { world, one, two } = both;
  const first = await save(both, "first");
  await one.sync.syncNow();
  const sent = puts(world);
  await world.time.pass(1_000);
  const second = await save(both, "first");
  expect(await one.sync.syncNow()).toMatchObject({ files: 0, trouble: null });
  expect([puts(world), (await received(two)).header.checkpoint]).toEqual([sent, first]);
  one.runtime.store.write((sql) => forget(sql, { checkpoint: first }));
  expect(await one.sync.syncNow()).toMatchObject({ files: 1, forgotten: 1, trouble: null });
  expect((await received(two)).header.checkpoint).toBe(second);
});

it("[SY83] whatever is cut between the parts, and whichever process dies, the files before are read whole until the new ones are", async () => {
  const both = twoMachines();
  const { world, one, two, project } = both;
  // Three parts and a header.
  for (const name of ["x.bin", "y.bin", "z.bin"]) write(project, { [name]: randomBytes(250_000) });
  const first = await save(both, "first");
  await one.sync.syncNow();
  expect(puts(world)).toBe(4);
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
    world.weather = (name) => (name !== "sync.put-files" || left-- > 0 ? "good" : weather);
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

it("[SY83] one process goes on with the part that got no answer", async () => {
  const both = twoMachines();
  const { world, one, two } = both;
  await save(both, "first");
  world.weather = (name) => (name === "sync.put-files" ? "lost" : "good");
  await one.sync.syncNow();
  expect(syncStatusOf(one)).toMatchObject({ files: { sessions: 0, notSent: 0 } });
  world.weather = () => "good";
  await world.time.pass(60_000);
  expect(await one.sync.syncNow()).toMatchObject({ files: 1 });
  await received(two);
});

function syncStatusOf(machine: SyncMachine): ReturnType<typeof syncStatus> {
  return machine.runtime.store.read(syncStatus, null);
}

it("[SY83] [SY34] files whose checkpoint is forgotten between two parts do not arrive", async () => {
  const both = twoMachines();
  const { world, one, two, project } = both;
  write(project, { "x.bin": randomBytes(500_000) });
  const checkpoint = await save(both, "first");
  world.weather = (name) => {
    if (name === "sync.put-files" && puts(world) === 2)
      one.runtime.store.write((sql) => void forget(sql, { checkpoint }));
    return "good";
  };
  expect(await one.sync.syncNow()).toMatchObject({ files: 0, forgotten: 1, trouble: null });
  expect(puts(world)).toBe(2);
  expect(await notReceived(two, await heard(two))).toBe("not_found");
});

it("[SY63] [SY80] a process that ends while git is at work leaves nothing, and another one sends the files", async () => {
  const both = twoMachines();
  const { world, one, two } = both;
  await save(both, "first");
  const scratch = (): string[] => readdirSync(one.runtime.paths.snapshots).filter((name) => name.startsWith("bundle-"));
  one.sync.start();
  while (scratch().length === 0) {
    await world.time.pass(250);
    await new Promise((resolve) => setImmediate(resolve));
  }
  await one.sync.stop();
  expect([scratch(), puts(world)]).toEqual([[], 0]);
  one.restart();
  expect(await one.sync.syncNow()).toMatchObject({ files: 1 });
  await received(two);
});

it("[SY81] files are sent by rounds of their own: a checkpoint is not kept waiting for them", async () => {
  const both = twoMachines();
  const { world, one, two } = both;
  await save(both, "first");
  one.sync.start();
  // Git takes the time that it takes.
  while (puts(world) < 2) {
    await world.time.pass(250);
    await new Promise((resolve) => setImmediate(resolve));
  }
  const pushed = world.asked.indexOf("m1 sync.push");
  expect(pushed).toBeGreaterThanOrEqual(0);
  expect(pushed).toBeLessThan(world.asked.indexOf("m1 sync.put-files"));
  await received(two);
});

it("[SY86] files that are too large, or that the workspace has no room for, are not sent, and the status says so; older ones stay", async () => {
  const both = twoMachines({ config: { sync: { files: true, maxFilesBytes: 20_000 } } });
  const { world, one, two, project } = both;
  const first = await save(both, "first");
  await one.sync.syncNow();
  await world.time.pass(1_000);
  write(project, { "large.bin": randomBytes(50_000) });
  const second = await save(both, "second");
  const sent = puts(world);
  expect(await one.sync.syncNow()).toMatchObject({ files: 0, trouble: null });
  expect(puts(world)).toBe(sent);
  expect(syncStatusOf(one)?.files).toMatchObject({
    sessions: 1,
    notSent: 1,
    reason: expect.stringContaining("20000") as string,
  });
  const { header } = await received(two);
  expect(header.checkpoint).toBe(first);
  expect(rowIn(two).content.files).toMatchObject({ sent: { checkpoint: first }, notSent: { checkpoint: second } });
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
      one.runtime.processes.kill(one.process.pid);
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
])("[SY34] files go at the coordinator when %s", async (_when, end) => {
  const both = twoMachines();
  const { world, one, two } = both;
  await save(both, "first");
  await one.sync.syncNow();
  const row = await heard(two);
  await Promise.resolve(end(both));
  await world.time.pass(10_000);
  await one.sync.syncNow();
  expect(await notReceived(two, row)).toBe("not_found");
});

it("[SY80] [SY62] under another key, and after the coordinator has lost them, the files are sent again", async () => {
  const both = twoMachines();
  const { one, two } = both;
  await save(both, "first");
  await one.sync.syncNow();
  const device = deviceOf(one);
  await one.world.host.call("sync.purge", { device });
  await one.world.time.pass(10_000);
  one.note("s1", "goes on", both.project);
  expect(await one.sync.syncNow()).toMatchObject({ files: 1, trouble: null });
  await received(two);
});
