import { expect } from "vitest";
import type { OutputOf } from "#src/contract/operations.ts";
import type { Self } from "#src/contract/values.ts";
import { admin, type RuleHost } from "#harness/coordinator/engine-host.ts";
import { given, refused, ask, Peer } from "#harness/coordinator/peers.ts";
import { day, hour, minute, waitForFullHour } from "#harness/coordinator/times.ts";
import { pagesAfter, rowCounts } from "#harness/coordinator/views.ts";
import { Device, files, filesOf, forget, key, m2, otherKey, part, session } from "#harness/sync/sealed-content.ts";
import { envelopes, list, read, status } from "#harness/sync/sealed-views.ts";
import { it } from "./rule-test.ts";

it("the answer names the same beginning until what the device stored is lost", async ({ host, device }) => {
  const put = async (): Promise<OutputOf<"sync.put">> => given(await device.tryPut(session("s1")));
  const first = await put();
  const second = await put();
  expect(second.since).toBe(first.since);
  expect(second.revision).toBeGreaterThan(first.revision);
  given(await host.call("sync.purge", { device: "d1" }));
  const third = await put();
  expect(third.since).not.toBe(first.since);
  given(await host.call("epoch.raise", { reason: "a restore" }, admin));
  const fourth = await put();
  expect(fourth.since).not.toBe(third.since);
  expect(fourth.revision).toBeGreaterThan(2 ** 28);
  expect((await put()).since).toBe(fourth.since);
});

it("only the machine of its first put stores as a device", async ({ host, device }) => {
  await device.put(session("s1"));
  const foreign = new Device(host, "d1", m2);
  expect((await foreign.refusal(session("s1", "foreign"), forget("s1"))).code).toBe("forbidden");
  expect(await envelopes(host)).toEqual(["of-s1"]);
});

it("the first device sets the key; another one is refused until a rekey", async ({ host }) => {
  const [one, other] = [new Device(host), new Device(host, "d2")];
  await one.put(session("s1"));
  other.keyId = otherKey;
  expect(await other.refusal(session("s2"))).toMatchObject({ code: "wrong_key", details: { keyId: key } });
  const change = { keyId: otherKey, from: key };
  expect(given(await host.call("sync.rekey", change))).toEqual({ keyId: otherKey });
  expect(given(await host.call("sync.rekey", change))).toEqual({ keyId: otherKey });
  const late = refused(await host.call("sync.rekey", { keyId: "1".repeat(16), from: key }));
  expect(late).toMatchObject({ code: "wrong_key", details: { keyId: otherKey } });
  expect(await one.refusal(session("s1", "old-key"))).toMatchObject({ details: { keyId: otherKey } });
  await other.put(session("s2"));
  expect(await envelopes(host)).toEqual(["of-s1", "of-s2"]);
});

it("the first key may be registered before any device, once", async ({ host, device }) => {
  const first = { keyId: otherKey, from: null };
  for (let times = 0; times < 2; times++)
    expect(given(await host.call("sync.rekey", first))).toEqual({ keyId: otherKey });
  const wrong = { code: "wrong_key", details: { keyId: otherKey } };
  expect(refused(await host.call("sync.rekey", { keyId: key, from: null }))).toMatchObject(wrong);
  expect(await device.refusal(session("s1"))).toMatchObject(wrong);
});

const tables = ["sync_sessions", "sync_contents", "sync_forgotten", "sync_devices"];
const counts = (host: RuleHost): Promise<number[]> => rowCounts(host, tables);

it("of forgotten, replaced or purged content no row is left", async ({ host, device }) => {
  const secret = "marked-envelope";
  await device.put(session("s1", secret), filesOf("k1", "s1", secret), session("s2", secret));
  await device.put(filesOf("k2", "s2", secret), filesOf("k3", "s2", secret), session("s3", secret));
  await device.put(part("b1", 0, { envelope: secret }), files("b1", { envelope: secret }));
  expect(await tablesWith(host, secret)).toEqual(["sync_contents", "sync_sessions"]);
  await device.put(forget("s1"), session("s2"), forget("s2", "k2"), filesOf("k3", "s2"));
  given(await host.call("sync.purge", { device: "d1" }));
  expect(await tablesWith(host, secret)).toEqual([]);
  expect(await counts(host)).toEqual([0, 0, 3, 0]);
  expect(await host.rows("SELECT chars FROM sync_totals")).toEqual([{ chars: 0 }]);
});

it("a sweep takes about its limit of rows; the rest is due at once", async ({ host }) => {
  await ask(host, "settings.set", { settings: { keepSyncMs: hour } });
  const device = new Device(host);
  for (let at = 0; at < 30; at++) await device.put(session(`s${at}`), filesOf(`k${at}`, `s${at}`));
  await device.put(...Array.from({ length: 15 }, (_, at) => forget(`s${at}`)));
  expect(await counts(host)).toEqual([15, 15, 15, 1]);
  host.wait(day);
  await host.sweep(10);
  expect(await counts(host)).toEqual([10, 10, 5, 1]);
  expect(await host.nextDue()).toBeLessThanOrEqual(host.now());
  await host.ring();
  expect(await counts(host)).toEqual([0, 0, 0, 1]);
  expect(await host.rows("SELECT chars FROM sync_totals")).toEqual([{ chars: 0 }]);
});

/** Names of the tables in which a text stands somewhere. */
async function tablesWith(host: RuleHost, text: string): Promise<string[]> {
  const query =
    "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE '\\_cf%' ESCAPE '\\' ORDER BY name";
  const found: string[] = [];
  for (const { name } of await host.rows<{ name: string }>(query)) {
    const rows = await host.rows(`SELECT * FROM ${name}`);
    if (JSON.stringify(rows).includes(text)) found.push(name);
  }
  return found;
}

it("a machine has a number of sessions over all homes; a stored one is replaced", async ({ host, device: one }) => {
  await ask(host, "settings.set", { settings: { maxSyncSessionsPerMachine: 3 } });
  const [copy, other] = [new Device(host, "d2"), new Device(host, "d3", m2)];
  expect(await one.put(session("s1"), session("s2"))).toEqual(["stored", "stored"]);
  expect(await copy.put(session("s3"), session("s4"))).toEqual(["stored", "full"]);
  expect(await one.put(session("s1", "again", { ageMs: day }), session("s5"))).toEqual(["stored", "full"]);
  expect(await other.put(session("s1"), session("s2"))).toEqual(["stored", "stored"]);
  expect(await one.put(forget("s2"), session("s5"))).toEqual(["stored"]);
  const old = filesOf("k0", "s1", "old", { ageMs: hour });
  expect(await one.put(filesOf("k1", "s1"), old)).toEqual(["stored", "older"]);
  const { revision } = await list(host);
  await other.put(forget("s1"), session("s1", "anew"));
  expect(await list(host, { after: revision })).toMatchObject({ sessions: [{ envelope: "anew" }], forgotten: [] });
});

it("records are counted however short they are; files are stored in half of the room", async ({ host, device }) => {
  await ask(host, "settings.set", { settings: { maxSyncRecords: 10 } });
  await device.put(session("s1"));
  const ofParts = Array.from({ length: 6 }, (_, at) => part("b1", at));
  expect(await device.put(...ofParts)).toEqual([...Array.from({ length: 4 }, () => "stored"), "full", "full"]);
  const more = Array.from({ length: 6 }, (_, at) => session(`more${at}`));
  expect(await device.put(...more)).toEqual([...Array.from({ length: 5 }, () => "stored"), "full"]);
  expect(await device.put(session("s1", "over", { isEnded: true }), session("s2"))).toEqual(["stored", "full"]);
  expect(await device.put(session("s2"))).toEqual(["stored"]);
});

it("a session is deleted at the full hour `keepSyncMs` after its last change", async ({ host, device }) => {
  await ask(host, "settings.set", { settings: { keepSyncMs: day } });
  await device.put(session("s1"), filesOf("k1", "s1"), session("s2"));
  host.wait(day / 2);
  await device.put(session("s2"), filesOf("k3", "s2"));
  host.wait(day / 2 - 1);
  await host.ring();
  expect(await envelopes(host)).toEqual(["of-s1", "of-s2"]);
  await fullHourAfter(host, 1);
  expect(await envelopes(host)).toEqual(["of-s2"]);
  expect(await status(host)).toMatchObject({ sessions: 1, chars: "of-s2of-k3".length });
});

it("what `maxSyncChars` has no room for is refused; expired content leaves room", async ({ host, device }) => {
  await ask(host, "settings.set", { settings: { maxSyncChars: 1_000, keepSyncMs: hour } });
  await device.put(session("s1", "x".repeat(600)), session("s2", "x".repeat(400)));
  expect(await device.put(session("s3", "x"), session("s1", "y".repeat(600)))).toEqual(["full", "stored"]);
  expect(await status(host)).toMatchObject({ sessions: 2, chars: 1_000 });
  expect(await device.put(forget("s2"), session("s4", "x".repeat(400)))).toEqual(["stored"]);
  expect(await status(host)).toMatchObject({ sessions: 2, chars: 1_000 });
  host.wait(hour);
  await device.put(session("s5", "x".repeat(1_000)));
  expect(await envelopes(host)).toEqual(["x".repeat(1_000)]);
});

it("of another machine's device only an admin deletes what is stored", async ({ host }) => {
  const other = new Device(host, "d2", m2);
  await other.put(session("s1"));
  expect(refused(await host.call("sync.purge", { device: "d2" })).code).toBe("forbidden");
  expect(given(await host.call("sync.purge", { device: "d2" }, admin))).toEqual({ sessions: 1, checkpoints: 0 });
  expect(await envelopes(host)).toEqual([]);
});

it("status lists devices with machine and last put", async ({ host, device }) => {
  expect(await status(host)).toEqual({ keyId: null, sessions: 0, checkpoints: 0, chars: 0, devices: [] });
  await device.put(session("s1"), session("s2"));
  host.wait(minute);
  await new Device(host, "d2", m2).put(forget("s9"));
  const devices = [
    { device: "d1", machine: "m1", lastPutAgeMs: minute },
    { device: "d2", machine: "m2", lastPutAgeMs: 0 },
  ];
  expect(await status(host)).toEqual({ keyId: key, sessions: 2, checkpoints: 0, chars: 10, devices });
  expect(given(await host.call("sync.status", { device: "d2" })).devices).toEqual([devices[1]]);
});

async function put(device: Device, bundle: string, parts: number): Promise<void> {
  for (let at = 0; at < parts; at++) expect(await device.put(part(bundle, at))).toEqual(["stored"]);
  expect(await device.put(files(bundle))).toEqual(["stored"]);
}

const header = { session: "s1", kind: "files" } as const;

function readPart(host: RuleHost, bundle: string, at: number): Promise<string | null> {
  return read(host, { ...header, kind: "part", bundle, part: at });
}

async function fullHourAfter(host: RuleHost, ms: number): Promise<void> {
  host.wait(ms);
  waitForFullHour(host);
  await host.ring();
}

it("the previous bundle is read whole until the next header is stored", async ({ host, device }) => {
  await device.put(session("s1"));
  expect(await read(host, header)).toBe(null);
  await put(device, "b1", 2);
  expect([await read(host, header), await readPart(host, "b1", 0)]).toEqual(["b1-header", "b1-0"]);
  await device.put(part("b2", 0), part("b2", 1));
  expect([await read(host, header), await readPart(host, "b1", 1)]).toEqual(["b1-header", "b1-1"]);
  expect(await readPart(host, "b2", 0)).toBe(null);
  await device.put(files("b2"));
  expect([await read(host, header), await readPart(host, "b2", 1)]).toEqual(["b2-header", "b2-1"]);
  expect(await readPart(host, "b1", 0)).toBe(null);
  expect(await status(host)).toMatchObject({ chars: "of-s1b2-headerb2-0b2-1".length });
});

it("a repeated part is stored once; an upload that was given up goes with the next one", async ({ host, device }) => {
  await device.put(session("s1"));
  await put(device, "b1", 1);
  await device.put(part("b2", 0, { envelope: "first" }));
  expect(await device.put(part("b2", 0, { envelope: "second" }))).toEqual(["stored"]);
  expect(await status(host)).toMatchObject({ chars: "of-s1b1-headerb1-0first".length });
  await device.put(part("b3", 0));
  expect(await status(host)).toMatchObject({ chars: "of-s1b1-headerb1-0b3-0".length });
  await device.put(files("b3"));
  expect(await readPart(host, "b3", 0)).toBe("b3-0");
});

it.for<[string, (device: Device) => Promise<unknown>]>([
  ["its session is forgotten", (device) => device.put(forget("s1"))],
  ["its checkpoint is forgotten", (device) => device.put(forget("s1", "k1"))],
  ["its session is over", (device) => device.put(session("s1", "over", { isEnded: true }))],
  ["its device is purged", ({ host }) => host.call("sync.purge", { device: "d1" }, admin)],
  ["its session is too old", ({ host }) => fullHourAfter(host, 31 * day)],
])("files are deleted when %s, also unfinished ones", async ([, end], { host, device }) => {
  await device.put(session("s1"));
  await put(device, "b1", 2);
  await device.put(part("b2", 0));
  await end(device);
  expect(await read(host, header)).toBe(null);
  expect((await status(host)).chars).toBeLessThanOrEqual("of-s1".length);
});

it("a bundle that is not completed in a day is deleted, and the complete one stays", async ({ host, device }) => {
  await device.put(session("s1"));
  await put(device, "b1", 1);
  // A part that comes after its header.
  await device.put(part("b1", 1));
  await device.put(part("b2", 0), part("b2", 1));
  await fullHourAfter(host, day - 2 * hour);
  expect((await status(host)).chars).toBe("of-s1b1-headerb1-0b1-1b2-0b2-1".length);
  await fullHourAfter(host, 2 * hour);
  expect((await status(host)).chars).toBe("of-s1b1-headerb1-0b1-1".length);
  await put(device, "b2", 2);
  expect(await readPart(host, "b2", 1)).toBe("b2-1");
});

it("files take at most half of the room, and a session is stored beside them", async ({ host, device }) => {
  await device.put(session("s1"));
  await ask(host, "settings.set", { settings: { maxSyncChars: 1_000 } });
  expect(await device.put(part("b1", 0, { envelope: "x".repeat(400) }))).toEqual(["stored"]);
  expect(await device.put(part("b1", 1, { envelope: "x".repeat(400) }))).toEqual(["full"]);
  expect(await device.put(session("s2", "y".repeat(500)))).toEqual(["stored"]);
  expect(await status(host)).toMatchObject({ sessions: 2, chars: 905 });
  // What is replaced needs no room, and a session that is over has no files.
  await ask(host, "settings.set", { settings: { maxSyncChars: 5_000 } });
  await device.put(session("s2", "y".repeat(2_000)));
  await ask(host, "settings.set", { settings: { maxSyncChars: 1_000 } });
  expect(await device.put(session("s2", "y".repeat(1_999), { isEnded: true }))).toEqual(["stored"]);
  expect(await device.put(filesOf("k2", "s2"))).toEqual(["closed"]);
});

it("a chat that died is recoverable while its session is stored, not ended and not taken", async ({ host, device }) => {
  const dead = await Peer.join(host, "dead");
  const left = await Peer.join(host, "left");
  const isRecoverable = async (chat: string): Promise<unknown> =>
    (await ask(host, "chats.get", { chat })).isRecoverable;
  const of = [`of-${dead.chat}`, `of-${left.chat}`] as const;
  await device.put(session(of[0]), session(of[1]));
  expect(await isRecoverable("dead")).toBeUndefined();
  await left.leave();
  host.wait(minute);
  for (const ring of [() => Promise.resolve(), () => host.ring()]) {
    await ring();
    expect(await isRecoverable("dead")).toBe(true);
  }
  expect(await isRecoverable("left")).toBeUndefined();
  const heir = await Peer.join(host, "heir");
  const { token } = await heir.hold(`session:${of[0]}`, { ttlMs: minute });
  await ask(host, "sync.take", { self: heir.self, device: "d1", session: of[0], token });
  expect(await isRecoverable("dead")).toBeUndefined();
  await ask(host, "sync.give-back", { device: "d1", session: of[0] });
  expect(await isRecoverable("dead")).toBe(true);
  await device.put(session(of[0], "over", { isEnded: true }));
  expect(await isRecoverable("dead")).toBeUndefined();
  await device.put(forget(of[0]));
  expect(await isRecoverable("dead")).toBeUndefined();
});

it("by project, by session and by device", async ({ host }) => {
  const [one, other] = [new Device(host), new Device(host, "d2", m2)];
  await one.put(session("s1", "a", { project: "p" }), session("s2", "b", { project: "q" }));
  await other.put(session("s1", "c", { project: "p" }));
  expect(await envelopes(host, { project: "p" })).toEqual(["a", "c"]);
  expect(await envelopes(host, { session: "s2" })).toEqual(["b"]);
  expect(await envelopes(host, { session: "s1", device: "d2" })).toEqual(["c"]);
  expect(await envelopes(host, { device: "d3" })).toEqual([]);
  // After a restore a reader may be ahead.
  expect(await envelopes(host, { after: 1_000 })).toEqual(["a", "b", "c"]);
});

it("a workspace has at most a thousand devices; those that are known go on", async ({ host, device }) => {
  await device.put(session("s1"));
  await host.run(
    `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 999)
     INSERT INTO sync_devices (device, machine, since, putAt) SELECT 'x' || i, 'm1', 1, 1 FROM n`,
  );
  expect((await new Device(host, "d2").refusal(session("s2"))).code).toBe("quota_exceeded");
  expect(await device.put(session("s2"))).toEqual(["stored"]);
});

it("an answer has at most a million characters of envelopes, or one session", async ({ host, device }) => {
  const sizes = [400_000, 400_000, 300_000, 900_000, 200_000];
  for (const [at, size] of sizes.entries()) await device.put(session(`s${at}`, "x".repeat(size)));
  const pages = await pagesAfter((after) => list(host, { after }));
  const told = pages.map(({ sessions }) => sessions.map(({ envelope }) => envelope.length / 1_000).join(" "));
  expect(told).toEqual(["400 400", "300", "900", "200"]);
});

it("the holder of a session's lease takes it, visible to all; a repeat is none", async ({ host, device }) => {
  await device.put(session("s1"));
  const chat = await taken(host, "c1");
  host.wait(minute);
  await chat.back();
  const { revision } = await list(host);
  const again = { self: chat.self, device: "d1", session: "s1", token: await lease(chat) };
  expect(given(await host.call("sync.take", again))).toEqual({ isTaken: true });
  expect(await list(host)).toMatchObject({ revision, sessions: [{ taken: { chat: "c1", machine: "m1" } }] });
  // What its device still has to tell leaves it taken.
  await device.put(session("s1", "late"));
  expect(await list(host)).toMatchObject({ sessions: [{ envelope: "late", taken: { chat: "c1" } }] });
});

it("without the present lease, or of an unknown session, nothing is taken", async ({ host, device }) => {
  await device.put(session("s1"));
  const [one, other] = [await Peer.join(host, "c1"), await Peer.join(host, "c2")];
  const wanted = { device: "d1", session: "s1" };
  expect(refused(await host.call("sync.take", { self: one.self, ...wanted, token: 1 })).code).toBe("stale_token");
  const token = await lease(one);
  const code = async (self: Self, more: object): Promise<string> =>
    refused(await host.call("sync.take", { self, ...wanted, token, ...more })).code;
  expect(await code(one.self, { token: token + 1 })).toBe("stale_token");
  expect(await code(other.self, {})).toBe("stale_token");
  for (const strange of [{ device: "d2" }, { session: "s2" }])
    expect(await code(one.self, strange)).toBe("unknown_key");
  expect(await code({ chat: "c9", incarnation: 1 }, {})).toBe("unknown_chat");
  expect(await takerOf(host)).toBeNull();
});

it("the taking machine or the session's own gives it back; a repeat is no error", async ({ host }) => {
  const device = new Device(host, "d1", m2);
  await device.put(session("s1"));
  const wanted = { device: "d1", session: "s1" };
  expect(given(await host.call("sync.give-back", wanted))).toEqual({ wasTaken: false });
  for (const actor of [undefined, m2, admin]) {
    const chat = await taken(host, "c1");
    expect(given(await host.call("sync.give-back", wanted, actor))).toEqual({ wasTaken: true });
    expect(await takerOf(host)).toBeNull();
    await chat.leave();
  }
  expect(refused(await host.call("sync.give-back", { ...wanted, session: "s2" })).code).toBe("unknown_key");
});

it("a third machine does not give back what is not its own", async ({ host, device }) => {
  await device.put(session("s1"));
  await taken(host, "c1");
  expect(refused(await host.call("sync.give-back", { device: "d1", session: "s1" }, m2)).code).toBe("forbidden");
  expect(await takerOf(host)).toMatchObject({ chat: "c1" });
});

/** A chat that holds the lease of s1, and has taken it. */
async function taken(host: RuleHost, chat: string): Promise<Peer> {
  const one = await Peer.join(host, chat);
  const token = await lease(one);
  const input = { self: one.self, device: "d1", session: "s1", token };
  expect(given(await host.call("sync.take", input))).toEqual({ isTaken: true });
  return one;
}

async function lease(one: Peer): Promise<number> {
  return (await one.hold("session:s1", { requestId: "l", ttlMs: 10 * minute })).token;
}

const takerOf = async (host: RuleHost): Promise<unknown> => (await list(host, { session: "s1" })).sessions[0]?.taken;
