import { expect, it } from "vitest";
import type { OutputOf } from "#src/contract/operations.ts";
import { readNotes } from "#src/machine/sharing/sync-status.ts";
import * as elsewhere from "#src/machine/sharing/sessions-elsewhere.ts";
import type { SessionElsewhere } from "#src/machine/sharing/sessions-elsewhere.ts";
import { forget } from "#src/machine/keeping/forget.ts";
import { storedBytes } from "#harness/machine/temp-runtime.ts";
import type { EmbeddedHost } from "#harness/coordinator/embedded-host.ts";
import { aKey, SyncMachine, SyncWorld } from "#harness/sync/sync-machine.ts";
import { given } from "#harness/coordinator/state-calls.ts";

type Sessions = OutputOf<"sync.list">["sessions"];
type Session = Sessions[number];

async function aScene() {
  const world = new SyncWorld();
  const key = aKey();
  const [one, two] = [new SyncMachine(world, { key }), new SyncMachine(world, { name: "m2", key })];
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

function rowsOf({ two }: { two: SyncMachine }): SessionElsewhere[] {
  return two.runtime.store.read((sql) => elsewhere.list(sql, "team"), []);
}

function flipped(envelope: string): string {
  const at = Math.floor(envelope.length / 2);
  return envelope.slice(0, at) + (envelope[at] === "A" ? "B" : "A") + envelope.slice(at + 1);
}

it.each<[string, (first: Session) => object]>([
  ["changed", ({ envelope }) => ({ envelope: flipped(envelope) })],
  ["cut", ({ envelope }) => ({ envelope: envelope.slice(0, 60) })],
  ["put to another machine", () => ({ device: "dev_other" })],
  ["of another session", () => ({ session: "s9" })],
])("an envelope that is %s is refused and logged, and the others are taken in", async (_, change) => {
  const scene = await aScene();
  twistList(scene.world, (all) => all.map((one, at) => (at === 0 ? { ...one, ...change(one) } : one)));
  expect(await scene.two.sync.syncNow()).toMatchObject({ received: 1, refused: 1, trouble: null });
  expect(rowsOf(scene)).toHaveLength(1);
  expect(scene.two.runtime.logged.join("\n")).toContain("an envelope of another machine is refused");
});

it("envelopes that are swapped are both refused", async () => {
  const scene = await aScene();
  twistList(scene.world, (all) => all.map((one, at) => ({ ...one, envelope: all[1 - at]?.envelope ?? "" })));
  expect(await scene.two.sync.syncNow()).toMatchObject({ received: 0, refused: 2 });
  expect(rowsOf(scene)).toEqual([]);
});

it("what was refused stays counted by the rounds that follow, until all sessions are asked for again", async () => {
  const scene = await aScene();
  const counted = (): number | undefined => scene.two.runtime.store.read(readNotes, {}).refused;
  twistList(scene.world, (all) => all.map((one) => ({ ...one, envelope: flipped(one.envelope) })));
  expect(await scene.two.sync.syncNow()).toMatchObject({ refused: 2 });
  expect(counted()).toBe(2);
  for (let n = 0; n < 2; n++) {
    scene.two.work(`own-${n}`, "own work");
    expect(await scene.two.sync.syncNow()).toMatchObject({ refused: 0 });
    expect(counted()).toBe(2);
  }
  scene.one.work("s3", "of s3");
  await scene.one.sync.syncNow();
  expect(await scene.two.sync.syncNow()).toMatchObject({ refused: 1 });
  expect(counted()).toBe(3);
});

it("an earlier envelope shown again is refused, and what was known stays", async () => {
  const scene = await aScene();
  const { world, one, two } = scene;
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
  const versions = (): unknown[] => rowsOf(scene).map(({ id, sealed }) => [id, sealed.replaces, sealed.sealedAt]);
  const known = versions();
  twistList(world, () => kept);
  two.restart();
  expect(await two.sync.syncNow()).toMatchObject({ refused: 1 });
  expect(versions()).toEqual(known);
});

it("what was forgotten elsewhere is forgotten here with the next pull", async () => {
  const scene = await aScene();
  const { one, two } = scene;
  await two.sync.syncNow();
  const [row] = rowsOf(scene);
  if (!row) throw new Error("not there");
  one.runtime.store.write((sql) => sql.run("DELETE FROM checkpoints WHERE session = ?", row.id));
  one.runtime.store.write((sql) => sql.run("DELETE FROM sessions WHERE id = ?", row.id));
  await one.sync.syncNow();
  await two.sync.syncNow();
  expect(rowsOf(scene).map(({ id }) => id)).not.toContain(row.id);
});

it("a machine sees which of its sessions another one has taken", async () => {
  const { world, one, two } = await aScene();
  await two.sync.syncNow();
  const [row] = rowsOf({ two });
  if (!row) throw new Error("not there");
  const { device, id: session } = row;
  const actor = { machine: "m2", isAdmin: false };
  const call: EmbeddedHost["call"] = (name, input) => world.host.call(name, input, actor);
  const chat = { chat: "another", session: "another", process: "p", machine: "m2", client: "test" };
  const { incarnation } = given(await call("chats.register", chat));
  const self = { chat: "another", incarnation };
  const lease = { self, resource: `session:${session}`, ttlMs: 60_000, requestId: "r1" };
  const acquired = given(await call("leases.acquire", lease));
  if (acquired.state !== "granted") throw new Error("no lease");
  await call("sync.take", { self, device, session, token: acquired.lease.token });
  await one.sync.syncNow();
  const taken = { chat: "another", machine: "m2" };
  expect(rowsOf({ two: one })).toMatchObject([{ id: session, taken }]);
});

it("a checkpoint that was forgotten elsewhere is read nowhere", async () => {
  const scene = await aScene();
  const { one, two } = scene;
  const checkpoint = one.work("s1", "the forgotten words");
  await one.sync.syncNow();
  const wordsOf = (): string => {
    const row = rowsOf(scene).find(({ id }) => id === "s1");
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
});

it("a pull with a page of deletions only comes to its end, and drops nothing that is still there", async () => {
  const scene = await aScene();
  const { world, one, two } = scene;
  for (let n = 0; n < 98; n++) one.note(`old${n}`, "old");
  await one.sync.syncNow();
  for (let n = 0; n < 105; n++) one.note(`gone${n}`, "gone");
  await one.sync.syncNow();
  for (let n = 0; n < 105; n++) one.runtime.store.write((sql) => forget(sql, { session: `gone${n}` }));
  await one.sync.syncNow();
  one.note("last", "the last one");
  await one.sync.syncNow();
  expect(await two.sync.syncNow()).toMatchObject({ trouble: null, received: 101 });
  // A full look, as a new process has it.
  two.restart();
  expect(await two.sync.syncNow()).toMatchObject({ trouble: null, received: 101 });
  expect(rowsOf(scene)).toHaveLength(101);
  // A coordinator whose list has no end.
  world.twist = (name, answer) =>
    name === "sync.list" ? { sessions: [], forgotten: [], revision: 7, isMore: true } : answer;
  two.restart();
  expect(await two.sync.syncNow()).toMatchObject({ trouble: { code: "bad_answer" } });
  expect(rowsOf(scene)).toHaveLength(101);
});

it("a hundred marked words of prompts, titles, paths and states are nowhere in the coordinator's files @night", async () => {
  const world = new SyncWorld();
  const one = new SyncMachine(world);
  const marks = Array.from({ length: 100 }, (_, n) => `MARK${n}x${(n * 7_919).toString(36)}y`);
  marks.forEach((mark, n) => {
    const project = `${one.folder}/${mark}-folder`;
    one.work(`s${n % 10}`, `do ${mark} in ${project}`, n < 10 ? project : null);
  });
  await one.sync.syncNow();
  one.note("s1", `not saved ${marks[0]}`);
  await world.time.pass(6_000);
  expect(await one.sync.syncNow()).toMatchObject({ left: 0, trouble: null });
  const bytes = world.host.bytes();
  expect(bytes.length).toBeGreaterThan(50_000);
  expect(marks.filter((mark) => bytes.includes(mark))).toEqual([]);
  expect(bytes).toContain("s1");
  // The words are there where they belong, so the search finds what is there.
  expect(marks.filter((mark) => storedBytes(one.runtime.paths).includes(mark)).length).toBeGreaterThan(50);
});
