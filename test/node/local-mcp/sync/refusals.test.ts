import { expect, it } from "vitest";
import type { OutputOf } from "#src/contract/operations.ts";
import { fetchCheckpoint } from "#src/local-mcp/sync/fetch-checkpoint.ts";
import { readKeys } from "#src/local-mcp/sync/key-ring.ts";
import { readNotes } from "#src/local-mcp/sync/sync-status.ts";
import type { PullDeps } from "#src/local-mcp/sync/pull.ts";
import * as remote from "#src/local-mcp/sync/remote-sessions.ts";
import type { RemoteSession } from "#src/local-mcp/sync/remote-sessions.ts";
import { forget } from "#src/local-mcp/retention/forget.ts";
import { storedBytes } from "#harness/machine/temp-runtime.ts";
import { aKey, SyncMachine, SyncWorld } from "#harness/sync/sync-machine.ts";

type Sessions = OutputOf<"sync.list">["sessions"];

interface Scene {
  readonly world: SyncWorld;
  readonly one: SyncMachine;
  readonly two: SyncMachine;
}

async function aScene(): Promise<Scene> {
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

function rowsOf({ two }: Scene): RemoteSession[] {
  return two.runtime.store.read((sql) => remote.list(sql, "team"), []);
}

function flipped(envelope: string): string {
  const at = Math.floor(envelope.length / 2);
  return envelope.slice(0, at) + (envelope[at] === "A" ? "B" : "A") + envelope.slice(at + 1);
}

function aroundOf({ world, two }: Scene): PullDeps {
  const ring = readKeys(two.runtime.paths.home, two.edge, {});
  if (!ring.ok || !ring.value) throw new Error("no key");
  return { runtime: two.runtime, call: world.call("m2"), workspace: "team", keys: ring.value, device: null };
}

it("[SY51] envelopes that were changed, cut, swapped or put to another machine are refused aloud, and the others are taken in", async () => {
  for (const change of [
    (all: Sessions) => all.map((one, at) => (at === 0 ? Object.assign(one, { envelope: flipped(one.envelope) }) : one)),
    (all: Sessions) =>
      all.map((one, at) => (at === 0 ? Object.assign(one, { envelope: one.envelope.slice(0, 60) }) : one)),
    (all: Sessions) => all.map((one, at) => (at === 0 ? Object.assign(one, { device: "dev_other" }) : one)),
    (all: Sessions) => all.map((one, at) => (at === 0 ? Object.assign(one, { seq: one.seq + 1 }) : one)),
  ]) {
    const scene = await aScene();
    twistList(scene.world, change);
    expect(await scene.two.sync.syncNow()).toMatchObject({ received: 1, refused: 1, trouble: null });
    expect(rowsOf(scene).length).toBe(1);
    expect(scene.two.runtime.logged.join("\n")).toContain("an envelope of another machine is refused");
  }
  const scene = await aScene();
  twistList(scene.world, ([first, second]) =>
    first && second
      ? [
          { ...first, envelope: second.envelope },
          { ...second, envelope: first.envelope },
        ]
      : [],
  );
  expect(await scene.two.sync.syncNow()).toMatchObject({ received: 0, refused: 2 });
  expect(rowsOf(scene)).toEqual([]);
});

it("[SY51] what was refused stays counted by the rounds that follow, until all sessions are asked for again", async () => {
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

it("[SY52] an earlier envelope shown again is refused, and what was known stays", async () => {
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
  const known = rowsOf(scene);
  twistList(world, () => kept);
  two.restart();
  expect(await two.sync.syncNow()).toMatchObject({ refused: 1 });
  expect(rowsOf(scene).map(({ seq, session }) => [session, seq])).toEqual(
    known.map(({ seq, session }) => [session, seq]),
  );
});

it("[SY51] [SY54] a checkpoint that was changed, or is another one's, is refused and not stored", async () => {
  const scene = await aScene();
  const { world, two } = scene;
  await two.sync.syncNow();
  const [row, other] = rowsOf(scene);
  if (!row?.newest || !other?.newest) throw new Error("not there");
  const around = aroundOf(scene);
  const swapped = await around.call("sync.checkpoint", { checkpoint: other.newest.checkpoint });
  if (!swapped.ok) throw new Error(swapped.error.message);
  for (const wrong of [
    (answer: OutputOf<"sync.checkpoint">) => flipped(answer.envelope),
    (answer: OutputOf<"sync.checkpoint">) => answer.envelope.slice(0, -4),
    () => swapped.value.envelope,
  ]) {
    world.twist = (name, answer) => {
      const checkpoint = answer as OutputOf<"sync.checkpoint">;
      return name === "sync.checkpoint" ? { ...checkpoint, envelope: wrong(checkpoint) } : answer;
    };
    expect(await fetchCheckpoint(around, row)).toMatchObject({ ok: false, error: { code: "refused" } });
  }
  const stored = two.runtime.store.read((sql) => sql.all("SELECT 1 FROM remote_checkpoints").length, 9);
  expect(stored).toBe(0);
  world.twist = (_name, answer) => answer;
  expect(await fetchCheckpoint(around, row)).toMatchObject({ ok: true, value: { isBehind: false } });
});

it("[SY54] a checkpoint that the coordinator keeps back is noticed", async () => {
  const scene = await aScene();
  const { world, one, two } = scene;
  await world.time.pass(1_000);
  one.work("s1", "the last state");
  await one.sync.syncNow();
  await two.sync.syncNow();
  world.twist = (name, answer) => {
    const page = answer as OutputOf<"sync.checkpoints">;
    return name === "sync.checkpoints" ? { ...page, checkpoints: page.checkpoints.slice(-1) } : answer;
  };
  // The whole list, of which only the oldest is shown.
  const around = aroundOf(scene);
  const call: PullDeps["call"] = (name, input) =>
    around.call(name, { ...input, ...(name === "sync.checkpoints" ? { limit: 20 } : {}) });
  const row = rowsOf(scene).find(({ session }) => session === "s1");
  if (!row) throw new Error("not there");
  expect(await fetchCheckpoint({ ...around, call }, row)).toMatchObject({ ok: true, value: { isBehind: true } });
});

it("[SY53] what was forgotten elsewhere is forgotten here with the next look; a taken session of one's own is seen", async () => {
  const scene = await aScene();
  const { world, one, two } = scene;
  await two.sync.syncNow();
  const [row] = rowsOf(scene);
  if (!row) throw new Error("not there");
  await fetchCheckpoint(aroundOf(scene), row);
  one.runtime.store.write((sql) => sql.run("DELETE FROM checkpoints WHERE session_id = ?", row.session));
  one.runtime.store.write((sql) => sql.run("DELETE FROM sessions WHERE id = ?", row.session));
  await one.sync.syncNow();
  await two.sync.syncNow();
  expect(rowsOf(scene).map(({ session }) => session)).not.toContain(row.session);
  expect(two.runtime.store.read((sql) => sql.all("SELECT 1 FROM remote_checkpoints").length, 9)).toBe(0);
  const [left] = rowsOf(scene);
  const chat = { chat: "taker", session: "taker", process: "p", machine: "m2", client: "test" };
  const registered = await world.host.call("chats.register", chat, { machine: "m2", isAdmin: false });
  if (!left || !registered.ok) throw new Error("not there");
  const self = { chat: "taker", incarnation: registered.value.incarnation };
  const actor = { machine: "m2", isAdmin: false };
  const resource = `session:${left.session}`;
  const lease = await world.host.call("leases.acquire", { self, resource, ttlMs: 60_000, requestId: "r1" }, actor);
  if (!lease.ok || lease.value.state !== "granted") throw new Error("no lease");
  const { device, session } = left;
  await world.host.call("sync.take", { self, device, session, token: lease.value.lease.token }, actor);
  await one.sync.syncNow();
  expect(one.runtime.store.read((sql) => remote.list(sql, "team"), [])).toMatchObject([
    { session, taken: { chat: "taker", machine: "m2" } },
  ]);
});

it("[SY53] a checkpoint that was forgotten elsewhere does not stay here", async () => {
  const scene = await aScene();
  const { one, two } = scene;
  await two.sync.syncNow();
  const [row] = rowsOf(scene);
  if (!row?.newest) throw new Error("not there");
  await fetchCheckpoint(aroundOf(scene), row);
  const { checkpoint } = row.newest;
  const cached = (): number => two.runtime.store.read((sql) => sql.all("SELECT 1 FROM remote_checkpoints").length, 9);
  expect(cached()).toBe(1);
  one.runtime.store.write((sql) => forget(sql, { checkpoint }));
  await one.sync.syncNow();
  await two.sync.syncNow();
  expect(cached()).toBe(0);
});

it("[SY53] a look with a page of deletions only comes to its end, and drops nothing that is still there", async () => {
  const scene = await aScene();
  const { world, one, two } = scene;
  for (let n = 0; n < 48; n++) one.note(`old${n}`, "old");
  await one.sync.syncNow();
  for (let n = 0; n < 55; n++) one.note(`gone${n}`, "gone");
  await one.sync.syncNow();
  for (let n = 0; n < 55; n++) one.runtime.store.write((sql) => forget(sql, { session: `gone${n}` }));
  await one.sync.syncNow();
  one.note("last", "the last one");
  await one.sync.syncNow();
  expect(await two.sync.syncNow()).toMatchObject({ trouble: null, received: 51 });
  // A full look, as a new process has it.
  two.restart();
  expect(await two.sync.syncNow()).toMatchObject({ trouble: null, received: 51 });
  expect(rowsOf(scene)).toHaveLength(51);
  // A coordinator whose list has no end.
  world.twist = (name, answer) =>
    name === "sync.list" ? { sessions: [], forgotten: [], revision: 7, isMore: true } : answer;
  two.restart();
  expect(await two.sync.syncNow()).toMatchObject({ trouble: { code: "bad_answer" } });
  expect(rowsOf(scene)).toHaveLength(51);
});

it("[SY72] a hundred marked words of prompts, titles, paths and states stand nowhere in the coordinator's files", async () => {
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
