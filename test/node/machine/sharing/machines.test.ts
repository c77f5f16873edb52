import * as fc from "fast-check";
import * as devices from "#src/machine/sharing/device.ts";
import * as elsewhere from "#src/machine/sharing/sessions-elsewhere.ts";
import * as notices from "#src/store/notices.ts";
import { expect, it } from "vitest";
import { backUp } from "#src/store/copy-store.ts";
import { openBetterSqlite3 } from "#src/store/driver-better-sqlite3.ts";
import { forget } from "#src/machine/view/keeping/forget.ts";
import * as journal from "#src/machine/sessions/journal.ts";
import { readNotes } from "#src/machine/sharing/sync-status.ts";
import { breakPage } from "#harness/store/store-test.ts";
import { aKey, flipped, SyncMachine, SyncWorld, type Weather, tokenOf } from "#harness/sync/sync-machine.ts";
import { given } from "#harness/coordinator/peers.ts";
import { setEpoch } from "#src/store/meta.ts";
import type { OutputOf } from "#src/contract/operations.ts";

function remotes(machine: SyncMachine): elsewhere.SessionElsewhere[] {
  return machine.runtime.store.read((sql) => elsewhere.list(sql, "team"), []);
}

function twoMachines(key = aKey()) {
  const world = new SyncWorld();
  return { world, one: new SyncMachine(world, { key }), two: new SyncMachine(world, { name: "m2", key }) };
}

async function aMachine(key = aKey()) {
  const world = new SyncWorld();
  const one = new SyncMachine(world, { key });
  one.work("s1", "first");
  await one.sync.syncNow();
  return { world, one };
}

/** A round leaves nothing, and the coordinator has all that is kept. */
async function expectAllSent(machine: SyncMachine): Promise<void> {
  expect(await machine.sync.syncNow()).toMatchObject({ left: 0, trouble: null });
  expect(await machine.mirrored()).toEqual(machine.kept());
}

it("nothing is lost, nothing comes twice and the order holds, at any cut and kill @night", async () => {
  const weather = fc.constantFrom<Weather>("good", "good", "unreachable", "lost");
  const act = fc.oneof(
    fc.record({ act: fc.constantFrom("work" as const, "end" as const, "forget" as const), session: fc.nat(2) }),
    fc.record({ act: fc.constant("sync" as const), weather: fc.array(weather, { minLength: 1, maxLength: 4 }) }),
    fc.record({ act: fc.constant("restart" as const) }),
    fc.record({ act: fc.constant("wait" as const), ms: fc.nat(9_000) }),
  );
  const property = fc.asyncProperty(fc.array(act, { maxLength: 25 }), async (acts) => {
    const world = new SyncWorld();
    const machine = new SyncMachine(world);
    for (const [n, one] of acts.entries()) {
      await world.time.pass(10);
      if (one.act === "work") machine.work(`s${one.session}`, `text ${n}`);
      if (one.act === "end") machine.end(`s${one.session}`);
      if (one.act === "forget") machine.runtime.store.write((sql) => forget(sql, { session: `s${one.session}` }));
      if (one.act === "restart") machine.restart();
      if (one.act === "wait") await world.time.pass(one.ms);
      if (one.act !== "sync") continue;
      const coming = [...one.weather];
      world.weather = () => coming.shift() ?? "good";
      await machine.sync.syncNow();
      world.weather = () => "good";
    }
    await world.time.pass(6_000);
    await expectAllSent(machine);
  });
  await fc.assert(property, { numRuns: 60 });
});

it("a copied home stores beside the first one, and with a token of another machine as a device of its own", async () => {
  for (const [name, isCopyFirst] of ["m1", "m2"].flatMap((name) => [true, false].map((is) => [name, is] as const))) {
    const key = aKey();
    const { world, one } = await aMachine(key);
    const copy = new SyncMachine(world, { name, copyOf: one });
    const { device } = one;
    await world.time.pass(40_000);
    copy.work("of-the-copy", "on");
    one.work("of-the-first", "on");
    for (const machine of isCopyFirst ? [copy, one] : [one, copy])
      expect(await machine.sync.syncNow()).toMatchObject({ left: 0, trouble: null });
    expect([one.device, copy.device === device]).toEqual([device, name === "m1"]);
    const third = new SyncMachine(world, { name: "m3", key });
    await third.sync.syncNow();
    const others = third.runtime.store.read((sql) => elsewhere.listOfOthers(sql, "team"), []);
    expect(others.map(({ id }) => id).toSorted()).toEqual(["of-the-copy", "of-the-first", "s1"]);
  }
});

it("a machine that leaves while it is refused does not join again, and one that never sent is refused as it is", async () => {
  const { world, one } = await aMachine();
  const copy = new SyncMachine(world, { name: "m2", copyOf: one });
  copy.work("s2", "on");
  world.weather = (name) => {
    if (name === "sync.put") copy.runtime.store.write((sql) => devices.leave(sql));
    return "good";
  };
  expect(await copy.sync.syncNow()).toMatchObject({ trouble: { code: "no_edge" } });
  expect(copy.device).toBe("none");
  world.weather = () => "good";
  const device = "dev_without_a_put";
  copy.runtime.store.write((sql) => devices.joinAs(sql, { ...copy.edge, token: tokenOf("m2") }, device, 0));
  const { keyId } = given(await world.host.call("sync.status", {}));
  const forgotten = [{ session: "none" }];
  await world.host.call("sync.put", { device, keyId: String(keyId), forgotten }, { machine: "m3", isAdmin: false });
  expect(await copy.sync.syncNow()).toMatchObject({ trouble: { code: "forbidden" } });
  expect(copy.device).toBe(device);
});

it("what a device of before is answered does not count for the next one", async () => {
  const { world, one } = await aMachine();
  one.work("s1", "under way");
  world.weather = (name) => {
    if (name === "sync.put" && one.device !== "dev_next")
      one.runtime.store.write((sql) => devices.joinAs(sql, { ...one.edge, token: tokenOf("m1") }, "dev_next", 0));
    return "good";
  };
  await one.sync.syncNow();
  world.asked.length = 0;
  await expectAllSent(one);
  expect(world.asked.filter((name) => name.endsWith("sync.put"))).toHaveLength(1);
});

it("a restored home does not undo what it did after its backup, and continues from there", async () => {
  const { world, one, two } = twoMachines();
  const checkpoints = async (): Promise<number | undefined> => {
    await two.sync.syncNow();
    return remotes(two)[0]?.sealed.checkpoints;
  };
  one.work("s1", "first");
  await one.sync.syncNow();
  const restored = new SyncMachine(world, { copyOf: one });
  await world.time.pass(60_000);
  for (const text of ["second", "third"]) one.work("s1", text);
  await one.sync.syncNow();
  expect(await checkpoints()).toBe(3);
  // It sends the session as it was.
  restored.runtime.store.write((sql) => setEpoch(sql, 2));
  expect(await restored.sync.syncNow()).toMatchObject({ sessions: 1, left: 0, trouble: null });
  expect(await checkpoints()).toBe(3);
  await world.time.pass(60_000);
  restored.work("s1", "another second");
  expect(await restored.sync.syncNow()).toMatchObject({ left: 0, trouble: null });
  expect(await checkpoints()).toBe(2);
  // Its clock is set back.
  restored.runtime.clock.now -= 3_600_000;
  restored.work("s1", "another third");
  expect(await restored.sync.syncNow()).toMatchObject({ left: 0, trouble: null });
  expect(await checkpoints()).toBe(3);
});

it("what the coordinator has lost is sent again, after a purge and after its own restore, and others read all again", async () => {
  const { world, one, two } = twoMachines();
  await expectAllSent(one);
  await world.host.call("sync.purge", { device: one.device });
  one.work("s2", "after the coordinator has lost it");
  await expectAllSent(one);
  for (const table of ["contents", "sessions"]) await world.host.run(`DELETE FROM sync_${table}`);
  given(await world.host.call("epoch.raise", { reason: "a restore" }));
  one.work("s2", "after the coordinator was restored");
  await expectAllSent(one);
  // Restored without that, which its numbers show.
  await world.host.run("DELETE FROM sync_contents");
  await two.sync.syncNow();
  await world.host.run("UPDATE sync_totals SET revision = revision - 5");
  expect(await two.sync.syncNow()).toMatchObject({ trouble: null });
  one.work("s2", "and again");
  await expectAllSent(one);
});

it("after the store was damaged and repaired from a backup, the coordinator has what is left, and what came since", async () => {
  const world = new SyncWorld();
  const machine = new SyncMachine(world);
  for (const times of [60, 10]) {
    for (let n = 0; n < times; n++) machine.work(`s${n % 4}`, `text ${n} of ${times} ${"long ".repeat(200)}`);
    await machine.sync.syncNow();
    if (times === 60) await backUp(machine.runtime.store, machine.runtime.now(), 5);
  }
  const { device } = machine;
  machine.runtime.store.close();
  breakPage(openBetterSqlite3, machine.runtime.paths, "checkpoints", 0.5);
  await world.time.pass(60_000);
  // A reading of the page finds the damage.
  machine.runtime.store.read((sql) => sql.all("SELECT * FROM checkpoints"), []);
  machine.work("s0", "after the repair");
  expect(await machine.sync.syncNow()).toMatchObject({ left: 0, trouble: null });
  expect(machine.device).toBe(device);
  const there = await machine.mirrored();
  expect(there.sessions).toEqual(machine.kept().sessions);
  expect(there.checkpoints).toEqual(expect.arrayContaining(machine.kept().checkpoints));
});

it("a coordinator that says again and again that it has lost everything is not followed for ever", async () => {
  const world = new SyncWorld();
  const one = new SyncMachine(world);
  one.work("s1", "first");
  let since = 0;
  world.twist = (name, answer) => (name === "sync.put" ? { ...(answer as object), since: (since += 1) } : answer);
  await one.sync.syncNow();
  one.work("s1", "second");
  expect((await one.sync.syncNow()).trouble).toMatchObject({ code: "lost_place" });
  expect(world.asked.length).toBeLessThan(12);
  // By itself it tries again after five minutes.
  one.sync.start();
  await world.time.pass(290_000);
  expect(world.asked.length).toBeLessThan(20);
  world.twist = (_name, answer) => answer;
  await expectAllSent(one);
});

it("another key than the workspace's is not used: changes wait until the right one comes; then all is sent under it", async () => {
  const [key, next] = [aKey(), aKey()];
  const { world, one, two } = twoMachines(key);
  one.work("s1", "of one", one.folder);
  two.work("s2", "of two");
  for (const machine of [one, two, one]) await machine.sync.syncNow();
  const nameOfProject = async () => given(await world.host.call("sync.list", { session: "s1" })).sessions[0]?.project;
  const name = await nameOfProject();
  await world.host.call("sync.rekey", { keyId: next.id, from: key.id });
  one.take(next);
  expect(await one.sync.syncNow()).toMatchObject({ sessions: 1, checkpoints: 1, trouble: null });
  expect(await one.mirrored()).toEqual(one.kept());
  for (const text of ["of one", one.folder]) expect(world.host.bytes()).not.toContain(text);
  expect([name, await nameOfProject()]).toEqual([expect.any(String), expect.not.stringContaining(name ?? "")]);
  // A machine that has nothing to send opens what it refused as soon as it has the key.
  const idle = new SyncMachine(world, { name: "m3", key });
  expect(await idle.sync.syncNow()).toMatchObject({ received: 1, refused: 1 });
  idle.take(next);
  expect(await idle.sync.syncNow()).toMatchObject({ received: 2, refused: 0 });
  expect(idle.runtime.store.read(readNotes, {}).refused).toBe(0);
  const before = await two.mirrored();
  two.work("s2", "and on");
  const said = (): string[] => two.runtime.store.read(notices.list, []).map(({ text }) => text);
  for (let round = 0; round < 3; round++) {
    const { trouble, left } = await two.sync.syncNow();
    expect([trouble?.code, left > 0]).toEqual(["wrong_key", true]);
  }
  expect(said()).toEqual([expect.stringContaining("the workspace has a new key")]);
  expect(await two.mirrored()).toEqual(before);
  two.take(next);
  expect(await two.sync.syncNow()).toMatchObject({ left: 0, trouble: null, received: 1, refused: 0 });
  expect(said()).toEqual([]);
  expect(await two.mirrored()).toEqual(two.kept());
  expect(await one.sync.syncNow()).toMatchObject({ refused: 0, received: 1 });
  // The key that it waits for is replaced, too.
  const [third, last] = [aKey(), aKey()];
  await world.host.call("sync.rekey", { keyId: third.id, from: next.id });
  two.work("s2", "further");
  expect((await two.sync.syncNow()).trouble?.code).toBe("wrong_key");
  await world.host.call("sync.rekey", { keyId: last.id, from: third.id });
  two.take(last);
  await expectAllSent(two);
});

it("hosts of containers that share a home send nothing twice", async () => {
  const { one } = await aMachine();
  const inContainer = one.open();
  expect(await inContainer.syncNow()).toMatchObject({ sessions: 0, left: 0, trouble: null });
  for (const host of [one.sync, inContainer, one.sync]) {
    one.work("s1", "and on");
    expect(await host.syncNow()).toMatchObject({ checkpoints: 1, left: 0, trouble: null });
  }
  expect(await one.mirrored()).toEqual(one.kept());
});

type Sessions = OutputOf<"sync.list">["sessions"];

async function twoSent() {
  const { world, one, two } = twoMachines();
  one.work("s1", "of s1");
  one.work("s2", "of s2");
  await one.sync.syncNow();
  return { world, one, two };
}

function twistList(world: SyncWorld, change: (sessions: Sessions) => Sessions): void {
  world.twist = (name, answer) => {
    if (name !== "sync.list") return answer;
    const page = answer as OutputOf<"sync.list">;
    return { ...page, sessions: change(page.sessions) };
  };
}

it.each<[string, (first: Sessions[number]) => object]>([
  ["changed", ({ envelope }) => ({ envelope: flipped(envelope) })],
  ["cut", ({ envelope }) => ({ envelope: envelope.slice(0, 60) })],
  ["put to another machine", () => ({ device: "dev_other" })],
  ["of another session", () => ({ session: "s9" })],
])("an envelope that is %s is refused and logged, and the others are taken in", async (_, change) => {
  const { world, two } = await twoSent();
  twistList(world, (all) => all.map((one, at) => (at === 0 ? { ...one, ...change(one) } : one)));
  expect(await two.sync.syncNow()).toMatchObject({ received: 1, refused: 1, trouble: null });
  expect(remotes(two)).toHaveLength(1);
  expect(two.runtime.logged.join("\n")).toContain("an envelope of another machine is refused");
});

it("an earlier envelope shown again is refused, and what was known stays", async () => {
  const { world, one, two } = await twoSent();
  let old: Sessions = [];
  twistList(world, (sessions) => (old = sessions));
  await two.sync.syncNow();
  const kept = structuredClone(old);
  world.twist = (_name, answer) => answer;
  await world.time.pass(6_000);
  one.note("s1", "newer");
  await one.sync.syncNow();
  two.restart();
  await two.sync.syncNow();
  const versions = (): unknown[] => remotes(two).map(({ id, sealed }) => [id, sealed.replaces, sealed.sealedAt]);
  const known = versions();
  twistList(world, () => kept);
  two.restart();
  expect(await two.sync.syncNow()).toMatchObject({ refused: 1 });
  expect(versions()).toEqual(known);
});

it("of a session elsewhere the newest events after its checkpoint come, in order and within bounds, and all are counted", async () => {
  const { one, two } = await twoSent();
  for (let n = 10; n < 50; n++) {
    one.note("s1", `event ${n} ${"x".repeat(2_000)}`);
    one.note("s2", `event ${n}`);
  }
  const failure = { kind: "failure", text: "Exit code 1" } as const;
  one.runtime.store.write((sql) => journal.append(sql, "s1", one.runtime.now(), "failed", failure));
  one.note("s1", "event 50");
  for (const machine of [one, two]) await machine.sync.syncNow();
  const found = remotes(two).map((row) => {
    const state = two.runtime.store.read((sql) => elsewhere.findState(sql, row), null);
    const events = [...JSON.stringify(state).matchAll(/event (\d+)/g)].map(([, n]) => Number(n));
    const { unsaved } = row.sealed;
    const isOrdered = events.every((n, at) => at === 0 || n > (events[at - 1] ?? 0));
    return [row.id, unsaved, events.at(-1), isOrdered];
  });
  const first = ["s1", { count: 42, came: 18 }, 50, true];
  expect(found).toEqual([first, ["s2", { count: 40, came: 30 }, 49, true]]);
});

it("a checkpoint that was forgotten elsewhere is read nowhere, and after leaving the workspace nothing of it is", async () => {
  const { one, two } = await twoSent();
  const checkpoint = one.work("s1", "the forgotten words");
  await one.sync.syncNow();
  const wordsOf = (): string => {
    const row = remotes(two).find(({ id }) => id === "s1");
    return JSON.stringify(row && two.runtime.store.read((sql) => elsewhere.findState(sql, row), null));
  };
  await two.sync.syncNow();
  expect(wordsOf()).toContain("the forgotten words");
  one.runtime.store.write((sql) => {
    forget(sql, { checkpoint });
    sql.run("DELETE FROM journal");
  });
  await one.sync.syncNow();
  await two.sync.syncNow();
  expect(wordsOf()).not.toContain("the forgotten words");
  expect(remotes(two)).not.toEqual([]);
  two.runtime.store.write((sql) => devices.leave(sql));
  expect(remotes(two)).toEqual([]);
});

it("a pull with a page of deletions only comes to its end, and drops nothing that is still there", async () => {
  const { world, one, two } = await twoSent();
  const many = Array.from({ length: 105 }, (_, n) => `gone${n}`);
  for (const change of [
    () => many.slice(7).forEach((_, n) => one.note(`old${n}`, "old")),
    () => many.forEach((session) => one.note(session, "gone")),
    () => many.forEach((session) => one.runtime.store.write((sql) => void forget(sql, { session }))),
    () => one.note("last", "the last one"),
  ]) {
    change();
    await one.sync.syncNow();
  }
  expect(await two.sync.syncNow()).toMatchObject({ trouble: null, received: 101 });
  // A full pull, as a new process has it.
  two.restart();
  expect(await two.sync.syncNow()).toMatchObject({ trouble: null, received: 101 });
  const leftWithout = async (session: string): Promise<number> => {
    one.runtime.store.write((sql) => void forget(sql, { session }));
    for (const machine of [one, two]) await machine.sync.syncNow();
    return remotes(two).length;
  };
  expect(await leftWithout("last")).toBe(100);
  two.restart();
  expect(await leftWithout("s2")).toBe(99);
  world.twist = (name, answer) =>
    name === "sync.list" ? { sessions: [], forgotten: [], revision: 7, isMore: true } : answer;
  two.restart();
  expect(await two.sync.syncNow()).toMatchObject({ trouble: { code: "bad_answer" } });
  expect(remotes(two)).toHaveLength(99);
});
