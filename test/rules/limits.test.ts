import { expect } from "vitest";
import type { InputOf } from "#src/contract/operations.ts";
import type { Settings } from "#src/contract/workspaces.ts";
import type { RowHost, RuleHost } from "#harness/coordinator/engine-host.ts";
import { Peer, second } from "#harness/coordinator/peers.ts";
import { ask, day, given, happened, hour, minute, refusal, refused, set } from "#harness/coordinator/state-calls.ts";
import { it, rowTest } from "./rule-test.ts";

it("dedupe keys are limited as a whole submit; known keys still answer", async ({ host }) => {
  await limit(host, { maxDedupeKeys: 10, keepDedupeMs: hour, keepTasksMs: hour });
  const keyed = (from: number, to: number) =>
    Array.from({ length: to - from }, (_, at) => task("x", { dedupeKey: `k${from + at}` }));
  const made = (await ask(host, "tasks.submit", { tasks: keyed(0, 9) })).tasks;
  const full = await refusal(host, "tasks.submit", { tasks: [...keyed(9, 11), task("x")] });
  expect(full).toMatchObject({ code: "quota_exceeded", message: expect.stringContaining("maxDedupeKeys") as string });
  await ask(host, "tasks.submit", { tasks: [...keyed(0, 10), task("x")] });
  expect((await refusal(host, "tasks.submit", { tasks: keyed(10, 11) })).code).toBe("quota_exceeded");
  expect((await ask(host, "tasks.submit", { tasks: keyed(3, 4) })).tasks).toMatchObject([
    { task: made[3]?.task, isDuplicate: true },
  ]);
  // Of a task that is kept the key is, too.
  host.wait(2 * hour);
  expect((await refusal(host, "tasks.submit", { tasks: keyed(10, 11) })).code).toBe("quota_exceeded");
  for (const one of made) await ask(host, "tasks.cancel", { task: one.task, reason: "not wanted" });
  for (let at = 0; at < 4; at++) {
    host.wait(hour);
    await host.ring();
  }
  await ask(host, "tasks.submit", { tasks: keyed(10, 19) });
  expect((await refusal(host, "tasks.submit", { tasks: keyed(19, 20) })).code).toBe("quota_exceeded");
});

it("a chat has a number of leases and waits; renewals and repeats are not refused", async ({ host }) => {
  await limit(host, { maxLeasesPerChat: 3 });
  const [a, b] = [await Peer.join(host, "a"), await Peer.join(host, "b")];
  await b.hold("of b");
  const held = await a.hold("x1");
  await a.hold("x2");
  await a.queue("of b");
  for (const waitMs of [0, 60 * second]) {
    expect(refused(await a.acquire("x3", { waitMs })).message).toContain("maxLeasesPerChat");
  }
  const campaign = { self: a.self, name: "main", requestId: "r" };
  expect(refused(await host.call("elections.campaign", campaign, a.actor)).code).toBe("quota_exceeded");
  expect(await a.hold("x1")).toMatchObject({ token: held.token });
  given(await a.renew(held));
  expect(await a.queue("of b")).toBe(1);
  await b.hold("x3");
  await a.release(held);
  await a.hold("x4");
});

it("so many wait for one resource, and so many in the workspace", async ({ host }) => {
  await limit(host, { maxWaitersPerResource: 3, maxWaiters: 5 });
  const a = await Peer.join(host, "a");
  for (const resource of ["x", "file:p/**"]) await a.hold(resource);
  const peers: Peer[] = [];
  for (let at = 0; at < 4; at++) peers.push(await Peer.join(host, `w${at}`));
  for (const peer of peers.slice(0, 3)) await peer.queue("x");
  expect(refused(await (peers[3] as Peer).acquire("x", { waitMs: second })).message).toContain("maxWaitersPerResource");
  for (const peer of peers.slice(0, 2)) await peer.queue(`file:p/${peer.chat}`);
  expect(refused(await (peers[2] as Peer).acquire("file:p/z", { waitMs: second })).message).toContain("maxWaiters)");
  const campaign = { self: (peers[0] as Peer).self, name: "main", requestId: "r", waitMs: 1_000 };
  await a.campaign("main");
  expect(await refusal(host, "elections.campaign", campaign)).toMatchObject({ code: "quota_exceeded" });
});

it("a submit that needs more partition keys than allowed is refused as a whole", async ({ host }) => {
  await limit(host, { maxLanes: 10 });
  const a = await Peer.join(host, "a", { capacity: 100 });
  const many = (from: number, to: number) => Array.from({ length: to - from }, (_, at) => task(`t${from + at}`));
  await ask(host, "tasks.submit", { tasks: many(0, 9) });
  const full = await refusal(host, "tasks.submit", { tasks: many(9, 11) });
  expect(full).toMatchObject({ code: "quota_exceeded", message: expect.stringContaining("maxLanes") as string });
  expect((await ask(host, "tasks.list", { limit: 200 })).tasks).toHaveLength(9);
  await ask(host, "tasks.submit", { tasks: many(0, 10) });
  for (const one of [task("t0", { capabilities: ["gpu"] }), task("new", { delayMs: 1_000 })])
    expect((await refusal(host, "tasks.submit", { tasks: [one] })).code).toBe("quota_exceeded");
  given(await host.call("tasks.claim", { self: a.self, requestId: "r", types: ["t9"] }, a.actor));
  await ask(host, "tasks.submit", { tasks: [task("new")] });
});

it("a task whose partition key no longer exists waits until there is room", async ({ host }) => {
  await limit(host, { maxLanes: 10 });
  const a = await Peer.join(host, "a", { capacity: 100 });
  const [first] = (await ask(host, "tasks.submit", { tasks: [task("first")] })).tasks;
  const { claims } = given(await host.call("tasks.claim", { self: a.self, requestId: "r" }, a.actor));
  await ask(host, "tasks.submit", { tasks: Array.from({ length: 10 }, (_, at) => task(`t${at}`)) });
  const held = { self: a.self, task: first?.task ?? 0, claim: claims[0]?.claim ?? 0 };
  expect(given(await host.call("tasks.release", held, a.actor))).toEqual({ state: "scheduled" });
  given(await host.call("tasks.claim", { self: a.self, requestId: "s", types: ["t0"] }, a.actor));
  host.wait(minute);
  await host.ring();
  expect((await ask(host, "tasks.get", { task: held.task })).state).toBe("queued");
});

rowTest("a write beyond maxChangeChars deletes the oldest changes; readers get compacted", async ({ host }) => {
  await limit(host, { maxChangeChars: 1_000_000 });
  const kept = async (): Promise<number> =>
    (await host.rows<{ chars: number }>("SELECT sum(length(value) + length(key)) AS chars FROM changes"))[0]?.chars ??
    0;
  for (let at = 0; at < 1_100; at++) await set(host, `k${at % 7}`, "x".repeat(10_000));
  // A write looks once in 256.
  expect(await kept()).toBeLessThan(1_000_000 + 256 * 10_100);
  expect((await refusal(host, "state.changes", { after: 0 })).code).toBe("compacted");
  const [row] = await host.rows<{ floor: number }>("SELECT min(revision) AS floor FROM changes");
  expect((await happened(host, "", row?.floor)).at(-1)?.key).toBe(`k${1_099 % 7}`);
  expect((await ask(host, "state.list", {})).entries).toHaveLength(7);
});

rowTest("an audit entry above 20,000 deletes the oldest ones", async ({ host }) => {
  await host.run(
    `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20479)
     INSERT INTO audit (seq, at, kind, subject, actor, detail) SELECT i, ?, 'made', 'x', NULL, '{}' FROM n`,
    host.now(),
  );
  await limit(host, {});
  const [row] = await host.rows<{ n: number; last: number }>("SELECT count(*) AS n, max(seq) AS last FROM audit");
  expect(row).toEqual({ n: 20_001, last: 20_480 });
});

rowTest("a machine that is alone may have all chats, one among others half of them", async ({ host }) => {
  await limit(host, { maxConcurrentChats: 6 });
  await token(host, "m2");
  for (let at = 0; at < 3; at++) given(await join(host, `a${at}`, "m1"));
  expect(refused(await join(host, "a3", "m1"))).toMatchObject({
    code: "too_many_chats",
    message: expect.stringContaining("machineChatShare") as string,
  });
  // Again, as the same chat, is no more.
  given(await join(host, "a2", "m1"));
  for (let at = 0; at < 3; at++) given(await join(host, `b${at}`, "m2"));
  expect(refused(await join(host, "c0", "m3")).message).toContain("maxConcurrentChats");
  for (const chat of ["b0", "b1", "b2"]) await ask(host, "chats.unregister", { self: { chat, incarnation: 1 } });
  // m1 is alone.
  await host.run("UPDATE tokens SET revokedAt = 1 WHERE machine <> 'm1'");
  for (let at = 0; at < 6; at++) given(await join(host, `a${at}`, "m1"));
  expect(refused(await join(host, "a6", "m1")).message).toContain("maxConcurrentChats");
});

rowTest("a machine's offline chats are limited; new ones wait for the oldest to go", async ({ host }) => {
  await limit(host, { maxOfflineChatsPerMachine: 3 });
  for (let at = 0; at < 3; at++) {
    await (await Peer.join(host, `a${at}`)).leave();
    host.wait(minute);
  }
  const full = refused(await join(host, "a3", "m1"));
  expect(full).toMatchObject({ code: "throttled", retryAfterMs: day - 3 * minute });
  expect(full.message).toContain("maxOfflineChatsPerMachine");
  given(await join(host, "b0", "m2"));
  expect(given(await join(host, "a1", "m1"))).toMatchObject({ isNew: false });
  given(await join(host, "a3", "m1"));
});

async function limit(host: RuleHost, settings: Partial<Settings>): Promise<void> {
  await ask(host, "settings.set", { settings: { chatTtlMs: 600_000, ...settings } });
}

function task(type: string, more: object = {}): InputOf<"tasks.submit">["tasks"][number] {
  return { type, ...more };
}

async function token(host: RowHost, machine: string, expiresAt: number | null = null): Promise<void> {
  const insert =
    "INSERT INTO tokens (id, machine, scope, hash, at, expiresAt, signedAt) VALUES (?, ?, 'work', 'h', 0, ?, 0)";
  await host.run(insert, `tok-${machine}`, machine, expiresAt);
}

function join(host: RuleHost, chat: string, machine: string): ReturnType<Peer["tryBack"]> {
  return new Peer(host, chat, { machine }).tryBack();
}
