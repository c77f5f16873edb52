import { expect } from "vitest";
import { defaultSettings, type Settings } from "#src/contract/workspaces.ts";
import { admin, type RuleHost } from "#harness/coordinator/engine-host.ts";
import { ask, given, refusal, refused, set, toAll, Peer } from "#harness/coordinator/peers.ts";
import { cancel, submitOne } from "#harness/coordinator/tasks.ts";
import { day, hour, minute, waitForFullHour, second } from "#harness/coordinator/times.ts";
import { get, happened, pagesOf, revision, rowCounts } from "#harness/coordinator/views.ts";
import { it } from "./rule-test.ts";
it("the alarm is set for the earliest due time, and for none without one", async ({ host }) => {
  const start = host.now();
  expect(await host.ring()).toBeNull();
  await set(host, "later", 1, { ttlMs: 9_000 });
  expect(await host.ring()).toBe(start + 9_000);
  await set(host, "sooner", 1, { ttlMs: 4_000 });
  expect(await host.ring()).toBe(start + 4_000);
  host.wait(3_999);
  expect(await host.ring()).toBe(start + 4_000);
  host.wait(1);
  expect(await host.ring()).toBe(start + 9_000);
  await ask(host, "state.delete", { key: "later" });
  // Only changes are left, which are kept for an hour, and then to the next full one.
  expect(await host.ring()).toBe(Math.ceil((start + hour) / hour) * hour);
});

/** A row that no sweep can do its work on, until it is repaired. @returns the repair */
async function poison(host: RuleHost, when: string, name = "poison"): Promise<() => Promise<void>> {
  await host.run(`CREATE TRIGGER ${name} ${when} BEGIN SELECT RAISE(ABORT, 'this row is damaged'); END`);
  return () => host.run(`DROP TRIGGER ${name}`);
}

it("a chat whose sweep fails is put off and audited, and blocks nothing else", async ({ host }) => {
  const names = ["c1", "bad", "c2"];
  for (const name of names) {
    const { self } = await Peer.join(host, name);
    await ask(host, "leases.acquire", { self, resource: name, requestId: "r", isBound: true });
  }
  await set(host, "short", 1, { ttlMs: 1_000 });
  const repair = await poison(host, "BEFORE UPDATE ON chats WHEN old.chat = 'bad' AND new.status = 'offline'");
  host.wait(30_000);
  expect(await host.sweep(100)).toEqual([expect.stringContaining("this row is damaged")]);
  const offline = async (): Promise<string[]> =>
    (await ask(host, "audit.list", { kind: "chat.offline" })).entries.map(({ subject }) => subject).toSorted();
  expect(await offline()).toEqual(["c1", "c2"]);
  expect((await happened(host, "short")).map(({ op }) => op)).toEqual(["set", "expire"]);
  const failed = (await ask(host, "audit.list", { kind: "sweep.failed" })).entries;
  expect(failed).toMatchObject([{ subject: "bad", detail: { error: expect.stringContaining("damaged") as string } }]);
  expect(await host.ring()).toBe(host.now() + minute);
  await repair();
  host.wait(minute);
  await host.ring();
  expect(await offline()).toEqual(["bad", "c1", "c2"]);
  expect((await ask(host, "audit.list", { kind: "sweep.failed" })).entries).toHaveLength(1);
});

it("a kind whose sweep fails is put off, undone, and blocks nothing else", async ({ host, c1: chat }) => {
  await set(host, "good", 1, { ttlMs: 1_000, requestId: "r" });
  await set(host, "poisoned", 1, { ttlMs: 2_000 });
  await chat.send(toAll, 1, { ttlMs: 1_000 });
  await chat.send(toAll, 2);
  const repair = await poison(host, "BEFORE INSERT ON changes WHEN new.key = 'poisoned' AND new.op = 'expire'");
  const repairOther = await poison(host, "BEFORE DELETE ON changes", "other");
  host.wait(2 * day);
  const before = await revision(host);
  const problems = ["state", "changes"].map(
    (kind) => expect.stringContaining(`${kind}: this row is damaged`) as string,
  );
  expect(await host.sweep(100)).toEqual(problems);
  expect(await revision(host)).toBeLessThan(before + 2);
  expect(await host.rows("SELECT key FROM idempotency")).toEqual([]);
  expect(await host.rows("SELECT id FROM messages")).toHaveLength(1);
  expect(await host.rows("SELECT key FROM state")).toHaveLength(2);
  expect(await get(host, "good")).toBeNull();
  const failed = (await ask(host, "audit.list", { kind: "sweep.failed" })).entries;
  expect(failed).toMatchObject([{ subject: "changes" }, { subject: "state" }]);
  expect(await host.ring()).toBe(host.now() + minute);
  await repairOther();
  host.wait(minute);
  await expect((async () => host.ring())()).rejects.toThrow("this row is damaged");
  await repair();
  host.wait(minute);
  await host.ring();
  expect(await host.rows("SELECT key FROM state")).toEqual([]);
  expect((await ask(host, "audit.list", { kind: "sweep.failed" })).entries).toHaveLength(3);
});

it("a sweep takes at most its limit of rows; the rest is due at once", async ({ host, c1: chat }) => {
  for (let at = 0; at < 35; at++) {
    await set(host, `k${at}`, 1, { ttlMs: 1_000, requestId: `r${at}` });
    await chat.send(toAll, at, { ttlMs: 1_000 });
    await ask(host, "settings.set", { settings: {} });
  }
  host.wait(40 * day);
  for (let round = 0; round < 3; round++) {
    const before = await counts(host);
    await host.sweep(10);
    const after = await counts(host);
    const gone = before.map((rows, at) => rows - (after[at] ?? 0));
    // Ten changes go, and ten ends of keys become changes.
    expect(gone).toEqual([10, 10, 10, expect.any(Number), expect.any(Number)]);
    expect(Math.max(...gone)).toBeLessThanOrEqual(10);
    expect(await host.nextDue()).toBeLessThanOrEqual(host.now());
  }
  await host.ring();
  // The ends of the keys, and of the chat.
  expect(await counts(host)).toEqual([0, 0, 1, 36, 1]);
  host.wait(2 * hour);
  await host.ring();
  expect(await counts(host)).toEqual([0, 0, 1, 1, 1]);
});

const tables = ["state", "idempotency", "messages", "changes", "audit"];
const counts = (host: RuleHost): Promise<number[]> => rowCounts(host, tables);

it("settings have defaults; each change holds from the next operation on and is audited", async ({ host }) => {
  expect(await stored(host)).toEqual(defaultSettings);
  const first = await ask(host, "settings.set", { settings: { maxKeys: 1 } });
  expect(first.settings).toEqual({ ...defaultSettings, maxKeys: 1 });
  await ask(host, "settings.set", { settings: { chatTtlMs: 60_000, maxConcurrentChats: 1 } });
  expect(await stored(host)).toEqual({ ...defaultSettings, maxKeys: 1, chatTtlMs: 60_000, maxConcurrentChats: 1 });
  await set(host, "a", 1);
  expect((await refusal(host, "state.set", { key: "b", value: 1 })).code).toBe("quota_exceeded");
  expect((await new Peer(host, "c1").back()).ttlMs).toBe(60_000);
  await ask(host, "settings.set", { settings: { maxKeys: 2, maxMessages: 70 } });
  await set(host, "b", 1);
  const { entries } = await ask(host, "audit.list", { kind: "settings.changed", limit: 1 });
  expect(entries).toMatchObject([{ actor: "m1", subject: "maxKeys maxMessages" }]);
});

it("unknown names and values out of bounds are refused, and nothing is changed", async ({ host }) => {
  const values = [0, 1.5, "5", null].map((maxKeys) => ({ maxKeys }));
  const more = [{ maxKey: 1 }, { maxKeys: 5, more: 1 }, { chatTtlMs: 4_999 }, { maxKeys: 5, keepChangesMs: 59_999 }];
  for (const settings of [...values, ...more]) {
    const result = await host.call("settings.set", { settings: settings as never }, admin);
    expect(result.ok ? settings : result.error.code).toBe("bad_input");
  }
  expect(await stored(host)).toEqual(defaultSettings);
  expect((await ask(host, "audit.list", {})).entries).toEqual([]);
});

it("the audit log is told newest first, by kind, page by page", async ({ host }) => {
  for (let at = 0; at < 9; at++) {
    const chat = await Peer.join(host, `c${at}`);
    await chat.leave();
    host.wait(10);
  }
  const all = (await ask(host, "audit.list", { limit: 500 })).entries;
  expect(all).toHaveLength(18);
  expect(all.map(({ seq }) => seq)).toEqual(all.map(({ seq }) => seq).toSorted((a, b) => b - a));
  expect(all.map(({ ageMs }) => ageMs).slice(0, 3)).toEqual([10, 10, 20]);
  for (const kind of [undefined, "chat.offline", "chat.registered"]) {
    const pages = await pagesOf((from) => ask(host, "audit.list", { limit: 4, ...(kind ? { kind } : {}), ...from }));
    const told = pages.flatMap(({ entries }) => entries);
    expect(told).toEqual(all.filter((entry) => kind === undefined || entry.kind === kind));
  }
  const found: number[] = [];
  for (const input of [{ subject: "c" }, { subject: "c3" }, { subject: "3" }, { actor: "no" }, { maxAgeMs: 10 }])
    found.push((await ask(host, "audit.list", { limit: 500, ...input })).entries.length);
  expect(found).toEqual([18, 2, 0, 0, 2]);
});

it("after 30 days an entry goes, and never the newest, so that no number comes twice", async ({ host }) => {
  waitForFullHour(host);
  for (const name of ["maxKeys", "maxMessages"]) {
    await ask(host, "settings.set", { settings: { [name]: 50 } });
    host.wait(1);
  }
  host.wait(30 * day - 3);
  await host.ring();
  expect((await ask(host, "audit.list", {})).entries).toHaveLength(2);
  host.wait(1);
  expect(await host.ring()).toBeNull();
  const [newest, ...others] = (await ask(host, "audit.list", {})).entries;
  expect(newest?.subject).toBe("maxMessages");
  expect(others).toEqual([]);
  host.wait(100 * day);
  expect(await host.ring()).toBeNull();
  await ask(host, "settings.set", { settings: {} });
  const seqs = (await ask(host, "audit.list", {})).entries.map(({ seq }) => seq);
  expect(seqs).toEqual([(newest?.seq ?? 0) + 1, newest?.seq]);
  const { samples } = await ask(host, "metrics", {});
  expect(samples.find(({ labels }) => labels?.["kind"] === "settings.changed")?.value).toBe(3);
});

const stored = async (host: RuleHost): Promise<unknown> => (await ask(host, "settings.get", {})).settings;
const numbers = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, at) => from + at);

function keyed(from: number, to: number): { type: string; dedupeKey: string }[] {
  return numbers(from, to).map((at) => ({ type: "x", dedupeKey: `k${at}` }));
}

const many = (from: number, to: number): { type: string }[] => numbers(from, to).map((at) => ({ type: `t${at}` }));

it("dedupe keys are limited as a whole submit; known keys still answer", async ({ host }) => {
  await limit(host, { maxDedupeKeys: 10, keepDedupeMs: hour, keepTasksMs: hour });
  const made = (await ask(host, "tasks.submit", { tasks: keyed(0, 9) })).tasks;
  const full = await refusal(host, "tasks.submit", { tasks: [...keyed(9, 11), { type: "x" }] });
  expect(full).toMatchObject({ code: "quota_exceeded", message: expect.stringContaining("maxDedupeKeys") as string });
  await ask(host, "tasks.submit", { tasks: [...keyed(0, 10), { type: "x" }] });
  expect((await refusal(host, "tasks.submit", { tasks: keyed(10, 11) })).code).toBe("quota_exceeded");
  const again = await ask(host, "tasks.submit", { tasks: keyed(3, 4) });
  expect(again.tasks).toMatchObject([{ task: made[3]?.task, isDuplicate: true }]);
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

it("an ended task is kept as long as its end says, to the full hour, and no longer", async ({ host }) => {
  await limit(host, { keepTasksMs: 2 * hour, keepDeadTasksMs: 5 * hour });
  waitForFullHour(host);
  host.wait(minute);
  const [live, cancelled] = [await submitOne(host), await submitOne(host)];
  const dead = await submitOne(host, { scheduleToStartMs: second });
  await cancel(host, cancelled);
  host.wait(second);
  await host.ring();
  const kept = async (): Promise<string[]> => {
    await host.ring();
    const found = [live, cancelled, dead].map((task) => host.call("tasks.get", { task }));
    return (await Promise.all(found)).map((answer) => (answer.ok ? answer.value.state : "gone"));
  };
  expect(await kept()).toEqual(["queued", "cancelled", "dead"]);
  host.wait(3 * hour - minute - 2 * second);
  expect(await kept()).toEqual(["queued", "cancelled", "dead"]);
  host.wait(second);
  expect(await kept()).toEqual(["queued", "gone", "dead"]);
  host.wait(3 * hour - second);
  expect(await kept()).toEqual(["queued", "gone", "dead"]);
  host.wait(second);
  expect(await kept()).toEqual(["queued", "gone", "gone"]);
});

it("a chat has a number of leases and waits; renewals and repeats are not refused", async ({ host }) => {
  await limit(host, { maxLeasesPerChat: 3 });
  const [a, b] = [await Peer.join(host, "a"), await Peer.join(host, "b")];
  await b.hold("of b");
  const held = await a.hold("x1");
  await a.hold("x2");
  await a.queue("of b");
  for (const waitMs of [0, 60 * second])
    expect(refused(await a.acquire("x3", { waitMs })).message).toContain("maxLeasesPerChat");
  const campaign = { self: a.self, name: "main", requestId: "r" };
  expect(refused(await host.call("elections.campaign", campaign, a.actor)).code).toBe("quota_exceeded");
  expect(await a.hold("x1")).toMatchObject({ token: held.token });
  given(await a.renew(held));
  expect(await a.queue("of b")).toBe(1);
  await b.hold("x3");
  await a.release(held);
  await a.hold("x4");
});

it("so many wait for one resource, of one chat, and in the workspace", async ({ host }) => {
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
  const [first] = peers as [Peer];
  const more = async (requestId: string) => refused(await first.acquire("x", { requestId, waitMs: second })).message;
  await limit(host, { maxWaitersPerResource: 50, maxWaiters: 50, maxWaitersPerChat: 2 });
  expect(await more("r2")).toContain("maxWaitersPerChat");
  await limit(host, { maxWaitersPerChat: 50 });
  for (let at = 2; at <= 20; at++) await first.queue("x", { requestId: `r${at}` });
  expect(await more("r21")).toContain("20 requests of chat w0 wait for x");
});

it("a submit that needs more partition keys than allowed is refused as a whole", async ({ host }) => {
  await limit(host, { maxLanes: 10 });
  const a = await Peer.join(host, "a", { capacity: 100 });
  await ask(host, "tasks.submit", { tasks: many(0, 9) });
  const full = await refusal(host, "tasks.submit", { tasks: many(9, 11) });
  expect(full).toMatchObject({ code: "quota_exceeded", message: expect.stringContaining("maxLanes") as string });
  expect((await ask(host, "tasks.list", { limit: 200 })).tasks).toHaveLength(9);
  await ask(host, "tasks.submit", { tasks: many(0, 10) });
  for (const one of [
    { type: "t0", capabilities: ["gpu"] },
    { type: "new", delayMs: 1_000 },
  ])
    expect((await refusal(host, "tasks.submit", { tasks: [one] })).code).toBe("quota_exceeded");
  given(await host.call("tasks.claim", { self: a.self, requestId: "r", types: ["t9"] }, a.actor));
  await ask(host, "tasks.submit", { tasks: [{ type: "new" }] });
});

it("a task whose partition key no longer exists waits until there is room", async ({ host }) => {
  await limit(host, { maxLanes: 10 });
  const a = await Peer.join(host, "a", { capacity: 100 });
  const [first] = (await ask(host, "tasks.submit", { tasks: [{ type: "first" }] })).tasks;
  const { claims } = given(await host.call("tasks.claim", { self: a.self, requestId: "r" }, a.actor));
  await ask(host, "tasks.submit", { tasks: many(0, 10) });
  const held = { self: a.self, task: first?.task ?? 0, claim: claims[0]?.claim ?? 0 };
  expect(given(await host.call("tasks.release", held, a.actor))).toEqual({ state: "scheduled" });
  given(await host.call("tasks.claim", { self: a.self, requestId: "s", types: ["t0"] }, a.actor));
  host.wait(minute);
  await host.ring();
  expect((await ask(host, "tasks.get", { task: held.task })).state).toBe("queued");
});

it("a write beyond maxChangeChars deletes the oldest changes; readers get compacted", async ({ host }) => {
  await limit(host, { maxChangeChars: 1_000_000 });
  for (let at = 0; at < 1_100; at++) await set(host, `k${at % 7}`, "x".repeat(10_000));
  const figures = "SELECT sum(length(value) + length(key)) AS chars, min(revision) AS floor FROM changes";
  const [{ chars, floor } = { chars: Infinity, floor: 0 }] =
    await host.rows<Record<"chars" | "floor", number>>(figures);
  // A write looks once in 256.
  expect(chars).toBeLessThan(1_000_000 + 256 * 10_100);
  expect((await refusal(host, "state.changes", { after: 0 })).code).toBe("compacted");
  expect((await happened(host, "", floor)).at(-1)?.key).toBe(`k${1_099 % 7}`);
  expect((await ask(host, "state.list", {})).entries).toHaveLength(7);
});

it("an audit entry above 20,000, and a change above 100,000, deletes the oldest ones", async ({ host }) => {
  const numbers = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) INSERT INTO";
  const audited = "audit (seq, at, kind, subject, detail) SELECT i, ?, 'made', 'x', '{}' FROM n";
  await host.run(`${numbers} ${audited}`, 20_479, host.now());
  const changed =
    "changes (revision, grp, key, op, at, totalKeys, totalChars) SELECT i, i, 'k', 'delete', ?, 0, 0 FROM n";
  await host.run(`${numbers} ${changed}`, 100_351, host.now());
  await limit(host, {});
  await set(host, "k", 1);
  const [row] = await host.rows<{ n: number; last: number }>("SELECT count(*) AS n, max(seq) AS last FROM audit");
  expect(row).toEqual({ n: 20_001, last: 20_480 });
  const kept = await host.rows("SELECT count(*) AS n, max(revision) AS last FROM changes");
  expect(kept).toEqual([{ n: 100_001, last: 100_352 }]);
});

it("a machine that is alone may have all chats, one among others half of them", async ({ host }) => {
  await limit(host, { maxConcurrentChats: 6 });
  await host.run("INSERT INTO tokens (id, machine, scope, hash, at, signedAt) VALUES ('t', 'm2', 'work', 'h', 0, 0)");
  for (let at = 0; at < 3; at++) given(await join(host, `a${at}`, "m1"));
  const message: unknown = expect.stringContaining("machineChatShare");
  expect(refused(await join(host, "a3", "m1"))).toMatchObject({ code: "too_many_chats", message });
  // Again, as the same chat, is no more.
  given(await join(host, "a2", "m1"));
  // Those that are gone take no place, also before their end is seen.
  host.wait(10 * minute);
  for (const chat of ["a3", "a0", "a1"]) given(await join(host, chat, "m1"));
  for (let at = 0; at < 3; at++) given(await join(host, `b${at}`, "m2"));
  expect(refused(await join(host, "c0", "m3")).message).toContain("maxConcurrentChats");
  for (const chat of ["b0", "b1", "b2"]) await ask(host, "chats.unregister", { self: { chat, incarnation: 1 } });
  // m1 is alone.
  await host.run("UPDATE tokens SET revokedAt = 1 WHERE machine <> 'm1'");
  for (let at = 0; at < 6; at++) given(await join(host, `a${at}`, "m1"));
  expect(refused(await join(host, "a6", "m1")).message).toContain("maxConcurrentChats");
});

it("a machine's offline chats are limited; new ones wait for the oldest to go", async ({ host }) => {
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

function join(host: RuleHost, chat: string, machine: string): ReturnType<Peer["tryBack"]> {
  return new Peer(host, chat, { machine }).tryBack();
}
