import { randomBytes } from "node:crypto";
import { expect, it } from "vitest";
import * as sessions from "#src/machine/sessions/sessions.ts";
import { removeEdgeConfig } from "#src/coordinator-client/edge-config.ts";
import { decode, encode } from "#src/store/checkpoint-body.ts";
import * as notices from "#src/store/notices.ts";
import { forget } from "#src/machine/view/keeping/forget.ts";
import { machineMetrics } from "#src/machine/view/machine-metrics.ts";
import { readNotes, syncStatus } from "#src/machine/sharing/sync-status.ts";
import { SyncMachine, SyncWorld, type SyncMachineOptions } from "#harness/sync/sync-machine.ts";
import { rowCount } from "#harness/machine/claude.ts";
import { given } from "#harness/coordinator/peers.ts";
import { reportEnd } from "#harness/machine/report-end.ts";

const pushes = (world: SyncWorld): number => world.asked.filter((name) => name.endsWith("sync.put")).length;

/** A machine that has sent what it has, and continues by itself. */
async function begun() {
  const rig = aMachine();
  const { world, machine } = rig;
  machine.work("s0", "first");
  machine.sync.start();
  await world.time.pass(2_000);
  expect(await machine.mirrored()).toEqual(machine.kept());
  return rig;
}

function aMachine(options: SyncMachineOptions = {}) {
  const world = new SyncWorld();
  const machine = new SyncMachine(world, options);
  const notes = () => machine.runtime.store.read(readNotes, {});
  const forgetSession = (session: string): void => void machine.runtime.store.write((sql) => forget(sql, { session }));
  const notified = (kind: string): string[] =>
    machine.runtime.store.read(notices.list, []).flatMap((one) => (one.kind === kind ? [one.text] : []));
  return { world, machine, notes, forgetSession, notified };
}

it("a checkpoint is at the coordinator within two seconds, a session without a checkpoint within five, its death at once", async () => {
  const { world, machine } = await begun();
  machine.work("s1", "saved");
  await world.time.pass(2_000);
  expect(await machine.mirrored()).toEqual(machine.kept());
  await world.time.pass(6_000);
  const before = pushes(world);
  for (let n = 0; n < 20; n++) {
    machine.note("s1", `on ${n}`);
    await world.time.pass(500);
  }
  expect([2, 3]).toContain(pushes(world) - before);
  machine.runtime.store.write((sql) => reportEnd(sql, machine.runtime, "s1", "gone"));
  const alive = pushes(world);
  await world.time.pass(300);
  expect(pushes(world) - alive).toBe(1);
  machine.end("s1");
  await world.time.pass(1_000);
  const listed = await world.host.call("sync.list", { session: "s1" });
  expect(listed).toMatchObject({ value: { sessions: [{ isEnded: true }] } });
});

it("a death that is known while a pull is under way is pulled at once after it", async () => {
  const { world, machine } = await begun();
  await world.time.pass(3_000);
  world.requestMs = 100;
  world.asked.length = 0;
  machine.sync.pullSoon(true);
  await world.time.pass(50);
  machine.sync.pullSoon(true);
  await world.time.pass(150);
  const pulls = [...world.asked];
  await world.time.pass(10_000);
  expect(pulls).toEqual(["m1 sync.list", "m1 sync.list"]);
});

it("commits every 20 ms keep no checkpoint waiting for longer than the round before it and a rest", async () => {
  const { world, machine } = await begun();
  world.requestMs = 30;
  const saved: { readonly at: number; readonly checkpoint: string }[] = [];
  for (let n = 0; n < 90; n++) {
    if (n % 5 === 0) saved.push({ at: world.time.now, checkpoint: machine.work("s0", `text ${n}`) });
    else machine.note("s0", `on ${n}`);
    await world.time.pass(20);
    const { checkpoints } = await machine.mirrored();
    const newest = saved.find(({ checkpoint }) => checkpoints.includes(checkpoint))?.at ?? 0;
    expect(saved.filter(({ at }) => at > newest && world.time.now - at > 130)).toEqual([]);
  }
  await world.time.pass(6_000);
  expect(await machine.mirrored()).toEqual(machine.kept());
});

it("a round's own writes start no further one, and neither does a session that waits for its time", async () => {
  const { world, machine } = await begun();
  await world.time.pass(6_000);
  const quiet = async (ms: number): Promise<void> => {
    let writes = 0;
    world.asked.length = 0;
    const end = machine.runtime.store.onCommit(() => (writes += 1));
    await world.time.pass(ms);
    end();
    expect({ writes, asked: world.asked }).toEqual({ writes: 0, asked: [] });
  };
  machine.note("s0", "sent at once");
  await world.time.pass(10);
  expect(pushes(world)).toBeGreaterThan(0);
  await quiet(1_000);
  machine.note("s0", "waits");
  await quiet(3_900);
  await world.time.pass(200);
  expect(pushes(world)).toBe(1);
  expect(await machine.mirrored()).toEqual(machine.kept());
});

it("without a network it tries less and less, says since when, and continues within a minute of its return; one that is busy it leaves alone as long as it asks", async () => {
  const { world, machine, notes } = await begun();
  world.weather = () => "unreachable";
  machine.work("s1", "offline");
  await world.time.pass(3_600_000);
  const tries = pushes(world);
  expect([tries > 60, tries < 400]).toEqual([true, true]);
  expect(notes().trouble).toMatchObject({ code: "unreachable" });
  machine.note("s2", "later");
  const { oldestAt } = machine.runtime.store.read(syncStatus, null) ?? {};
  const ages = machineMetrics(machine.runtime).filter(({ name }) => name === "shim_sync_backlog_age_seconds");
  const seconds = (machine.runtime.now() - (oldestAt ?? 0)) / 1_000;
  expect([seconds > 3_590, ages.reduce((sum, { value }) => sum + value, 0)]).toEqual([true, seconds]);
  for (let n = 0; n < 5; n++) machine.work("s1", `offline ${n}`);
  world.weather = () => "good";
  await world.time.pass(62_000);
  expect(await machine.mirrored()).toEqual(machine.kept());
  expect(notes().trouble).toBeNull();
  world.weather = () => "busy";
  machine.work("s1", "while it is busy");
  const before = pushes(world);
  await world.time.pass(300_000);
  expect(pushes(world) - before).toBe(1);
});

it("what is forgotten while its last version is under way is deleted at the coordinator", async () => {
  const { world, machine, forgetSession } = aMachine();
  for (const text of ["sent", "under way"]) {
    await machine.sync.syncNow();
    for (const session of ["s1", "s2"]) machine.work(session, text);
  }
  world.weather = (name) => {
    if (name === "sync.put") forgetSession("s1");
    return "good";
  };
  expect(await machine.sync.syncNow()).toMatchObject({ left: 0, trouble: null });
  expect(await machine.mirrored()).toEqual(machine.kept());
  expect((await machine.mirrored()).sessions).toEqual(["s2"]);
});

it("a request that fails by a bug leaves its changes to the next round", async () => {
  const { world, machine } = aMachine();
  machine.work("s1", "sent");
  world.weather = () => {
    throw new Error("a bug of the transport");
  };
  expect(await machine.sync.syncNow()).toMatchObject({ left: 1, trouble: { code: "internal" } });
  world.weather = () => "good";
  expect(await machine.sync.syncNow()).toMatchObject({ sessions: 1, checkpoints: 1, left: 0, trouble: null });
  expect(await machine.mirrored()).toEqual(machine.kept());
});

it("a process that has joined nothing, or has no key, writes nothing; one that leaves stops", async () => {
  const keyless = aMachine({ key: null });
  keyless.machine.sync.start();
  await keyless.world.time.pass(30_000);
  expect(keyless.machine.runtime.store.exists()).toBe(false);
  expect(keyless.world.asked).toEqual([]);
  const { world, machine } = await begun();
  removeEdgeConfig(machine.runtime.paths.home);
  world.asked.length = 0;
  machine.work("s0", "on");
  await world.time.pass(120_000);
  expect(world.asked).toEqual([]);
});

it("the last changes of a process are sent when it ends, if that is quick", async () => {
  const { world, machine } = await begun();
  machine.note("s0", "and on");
  await world.time.pass(300);
  machine.note("s0", "the very last");
  await world.time.until(machine.sync.stop());
  expect(await machine.mirrored()).toEqual(machine.kept());
  expect(rowCount(machine.runtime, "sync_changes")).toBe(0);
  const slow = await begun();
  slow.world.requestMs = 3_600_000;
  slow.machine.note("s0", "the very last");
  await slow.world.time.until(slow.machine.sync.stop(), 2_000);
});

it("what cannot be sent stays here, is counted and said once, and stops nothing else", async () => {
  const { world, machine, notes, notified } = aMachine();
  machine.work("no id for a coordinator", "kept");
  machine.work("s1", "sent");
  expect(await machine.sync.syncNow()).toMatchObject({ sessions: 1, checkpoints: 1, left: 0, trouble: null });
  expect((await machine.mirrored()).sessions).toEqual(["s1"]);
  expect(notes().keptHere).toBe(1);
  machine.work("no id for a coordinator", "kept again");
  await world.time.pass(6_000);
  await machine.sync.syncNow();
  expect(notified("sync_kept_here")).toEqual([expect.stringContaining("is on this machine only")]);
});

it("what a forgotten session had handed on is taken out of the checkpoints of others at the coordinator, too", async () => {
  const { world, machine } = aMachine();
  machine.work("s1", "of the forgotten");
  const { runtime } = machine;
  runtime.store.write((sql) => {
    const [row] = sql.all<{ body: Uint8Array; hash: string }>("SELECT body, hash FROM checkpoints");
    if (!row) throw new Error("no checkpoint");
    const state = decode(row.body, row.hash) as object;
    const continues = { session: "s0", prompts: [{ text: "the secret goal", at: 1 }] };
    const { body, hash } = encode({ ...state, continues });
    sql.run("UPDATE checkpoints SET body = ?, hash = ?", body, hash);
    sessions.recordSighting(sql, 0, { id: "s0", client: "test", origin: "startup", owner: null, isAlive: true });
    sql.run("INSERT INTO recoveries (at, session, action, bySession) VALUES (0, 's0', 'recovered', 's1')");
  });
  expect(await machine.sync.syncNow()).toMatchObject({ checkpoints: 1, left: 0 });
  world.weather = () => "unreachable";
  runtime.store.write((sql) => forget(sql, { session: "s0" }));
  await machine.sync.syncNow();
  world.weather = () => "good";
  expect(await machine.sync.syncNow()).toMatchObject({ checkpoints: 1, left: 0, trouble: null });
  expect(await machine.mirrored()).toEqual(machine.kept());
});

it("in a full workspace what is forgotten is deleted all the same, and makes room", async () => {
  const { world, machine, forgetSession } = aMachine();
  for (let n = 0; n < 8; n++) machine.work("stored", randomBytes(30_000).toString("hex"));
  await machine.sync.syncNow();
  const { chars } = given(await world.host.call("sync.status", {}));
  await world.host.call("settings.set", { settings: { maxSyncChars: chars + 1_000 } });
  for (let n = 0; n < 60; n++) machine.note(`more${n}`, `text ${n}`);
  expect((await machine.sync.syncNow()).trouble).toMatchObject({ code: "quota_exceeded" });
  forgetSession("stored");
  expect(await machine.sync.syncNow()).toMatchObject({ forgotten: 9, trouble: null });
  await world.time.pass(6_000);
  expect(await machine.sync.syncNow()).toMatchObject({ left: 0, trouble: null });
  expect(await machine.mirrored()).toEqual(machine.kept());
});
