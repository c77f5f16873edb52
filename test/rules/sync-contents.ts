import { expect } from "vitest";
import { admin, type RuleHost } from "#harness/coordinator/engine-host.ts";
import { day, given, hour, minute, refused, waitForFullHour } from "#harness/coordinator/state-calls.ts";
import {
  Device,
  envelopes,
  forget,
  key,
  list,
  m2,
  opened,
  part,
  otherKey,
  session,
  status,
  storedOf,
  type Content,
  filesOf,
} from "#harness/sync/sealed-content.ts";
import type { RuleTest } from "./rule-test.ts";

function aged(id: string, of: string, minutes: number): Content {
  return filesOf(id, of, id, { ageMs: minutes * minute });
}

/** Rules of what stays of the things that devices store, and for how long, that hold behind any host. */
export function syncContentRules(it: RuleTest): void {
  it("a restored home does not replace newer content; a later version of its own is stored", async ({
    host,
    device,
  }) => {
    await device.put(session("s1"), session("s2"));
    const restored = device.copy();
    await device.put(session("s1", "newest"), session("s2", "same"));
    host.wait(hour);
    const late = [session("s1", "yesterday", { ageMs: day }), session("s2", "sealed-anew", { ageMs: hour })];
    expect(await restored.put(...late)).toEqual(["older", "stored"]);
    expect(await envelopes(host)).toEqual(["newest", "sealed-anew"]);
    expect(await restored.put(session("s1", "now"))).toEqual(["stored"]);
    expect(await envelopes(host)).toEqual(["sealed-anew", "now"]);
  });

  it("half a minute is allowed for what was on its way", async ({ host, device }) => {
    await device.put(session("s1", "a"), session("s2", "a"));
    const other = new Device(host);
    const both = [session("s1", "b", { ageMs: 30_000 }), session("s2", "b", { ageMs: 30_001 })];
    expect(await other.put(...both)).toEqual(["stored", "older"]);
    expect(await envelopes(host)).toEqual(["a", "b"]);
  });

  it("what replaces the version that its home knows is newer, whatever its age", async ({ host, device }) => {
    await device.put(session("s1", "a"));
    await device.put(session("s1", "b", { ageMs: day, isEnded: true, project: "p" }));
    expect(await list(host)).toMatchObject({
      sessions: [{ envelope: "b", ageMs: day, isEnded: true, project: "p", machine: "m1", taken: null }],
    });
  });

  it("the same files of a device, sealed anew, replace the old ones", async ({ host, device }) => {
    await device.put(session("s1"), filesOf("k1", "s1", "under-the-old-key"));
    given(await host.call("sync.rekey", { keyId: otherKey, from: key }));
    host.wait(minute);
    device.keyId = otherKey;
    await device.put(filesOf("k1", "s1", "under-the-new-key", { ageMs: minute }));
    expect(await opened(host, "k1", "s1")).toBe("under-the-new-key");
    expect(await status(host)).toMatchObject({ chars: "of-s1under-the-new-key".length });
  });

  it("files of one checkpoint id of two devices are two", async ({ host, device: one }) => {
    const other = new Device(host, "d2", m2);
    await one.put(session("s1", "one"), filesOf("k1", "s1", "one"));
    host.wait(minute);
    await other.put(session("s1", "other"), filesOf("k1", "s1", "other"));
    expect(await envelopes(host, { session: "s1" })).toEqual(["one", "other"]);
    expect([await opened(host, "k1", "s1"), await opened(host, "k1", "s1", "d2")]).toEqual(["one", "other"]);
    await other.put(forget("s1"));
    expect([await opened(host, "k1", "s1", "d2"), await envelopes(host)]).toEqual([null, ["one"]]);
  });

  it("of each session the newest files are kept, by age", async ({ host, device }) => {
    await device.put(session("s1"), session("s2"), filesOf("other", "s2"));
    const ids = ["k1", "k2", "k3"];
    for (const [at, id] of ids.entries()) await device.put(aged(id, "s1", 5 - at));
    expect(await device.put(aged("k0", "s1", 60))).toEqual(["older"]);
    expect(await storedOf(host, "s1", ["k0", ...ids])).toEqual(["k3"]);
    expect(await storedOf(host, "s2", ["other"])).toEqual(["other"]);
    expect(await status(host)).toMatchObject({ chars: "of-s1of-s2k3of-other".length });
    // One that was deleted makes way for the one before it.
    expect(await device.put(forget("s1", "k3"), aged("k2", "s1", 60))).toEqual(["stored"]);
    expect(await storedOf(host, "s1", ids)).toEqual(["k2"]);
  });

  it("records of one put leave what they leave one by one", async ({ host, device: one }) => {
    const other = new Device(host, "d2", m2);
    const records = [
      session("s1"),
      session("s2"),
      ...[7, 3, 5].map((at) => aged(`k${at}`, "s1", at)),
      session("s1", "again"),
      ...[6, 4, 2, 5].map((at) => aged(`o${at}`, "s2", at)),
    ];
    for (const record of records) await one.put(record);
    await other.put(...records);
    const ids = [2, 3, 4, 5, 6, 7].flatMap((at) => [`k${at}`, `o${at}`]);
    for (const [name, newest] of [
      ["s1", "k3"],
      ["s2", "o2"],
    ] as const)
      for (const device of ["d1", "d2"]) expect(await storedOf(host, name, ids, device)).toEqual([newest]);
    expect(await envelopes(host, { session: "s1" })).toEqual(["again", "again"]);
  });

  it("a machine has a number of sessions, over all its homes; one that is stored is replaced", async ({
    host,
    device: one,
  }) => {
    given(await host.call("settings.set", { settings: { maxSyncSessionsPerMachine: 3 } }, admin));
    const [copy, other] = [new Device(host, "d2"), new Device(host, "d3", m2)];
    expect(await one.put(session("s1"), session("s2"))).toEqual(["stored", "stored"]);
    expect(await copy.put(session("s3"), session("s4"))).toEqual(["stored", "full"]);
    expect(await one.put(session("s1", "again"), session("s5"))).toEqual(["stored", "full"]);
    expect(await other.put(session("s1"), session("s2"))).toEqual(["stored", "stored"]);
    expect(await one.put(forget("s2"), session("s5"))).toEqual(["stored"]);
  });

  it("records are counted however short they are; files are stored in half of the room", async ({ host, device }) => {
    given(await host.call("settings.set", { settings: { maxSyncRecords: 10 } }, admin));
    await device.put(session("s1"));
    const ofParts = Array.from({ length: 6 }, (_, at) => part("b1", at));
    expect(await device.put(...ofParts)).toEqual([...Array.from({ length: 4 }, () => "stored"), "full", "full"]);
    const more = Array.from({ length: 6 }, (_, at) => session(`more${at}`));
    expect(await device.put(...more)).toEqual([...Array.from({ length: 5 }, () => "stored"), "full"]);
    expect(await device.put(session("s1", "over", { isEnded: true }), session("s2"))).toEqual(["stored", "full"]);
    expect(await device.put(session("s2"))).toEqual(["stored"]);
  });

  it("the files of a session are read, and of no other one", async ({ host, device }) => {
    await device.put(session("s1"), aged("k1", "s1", 1));
    const newest = { device: "d1", session: "s1", kind: "files" } as const;
    expect(given(await host.call("sync.read", newest))).toEqual({
      checkpoint: "k1",
      bundle: "k1",
      ageMs: minute,
      envelope: "k1",
    });
    for (const strange of [{ session: "s2" }, { device: "d2" }])
      expect(refused(await host.call("sync.read", { ...newest, ...strange })).code).toBe("unknown_key");
  });

  it("a session's record has its newest checkpoint, of which the coordinator knows the id", async ({
    host,
    device,
  }) => {
    await device.put(session("s1", "first", { checkpoint: "k1" }), session("s2"));
    await device.put(session("s1", "second", { checkpoint: "k2" }));
    expect(await status(host)).toMatchObject({ sessions: 2, checkpoints: 1 });
    const { sessions } = await list(host);
    expect(sessions.map(({ checkpoint }) => checkpoint)).toEqual([null, "k2"]);
    expect(given(await host.call("sync.purge", { device: "d1" }))).toEqual({ sessions: 2, checkpoints: 1 });
  });

  it("a session is deleted at the full hour `keepSyncMs` after its last change", async ({ host, device }) => {
    await set(host, { keepSyncMs: day });
    await device.put(session("s1"), filesOf("k1", "s1"), session("s2"));
    host.wait(day / 2);
    await device.put(session("s2"), filesOf("k3", "s2"));
    host.wait(day / 2 - 1);
    await host.ring();
    expect(await envelopes(host)).toEqual(["of-s1", "of-s2"]);
    host.wait(1);
    waitForFullHour(host);
    await host.ring();
    expect(await envelopes(host)).toEqual(["of-s2"]);
    expect(await status(host)).toMatchObject({ sessions: 1, chars: "of-s2of-k3".length });
  });

  it("what `maxSyncChars` has no room for is refused; the rest, and what expired content leaves, is stored", async ({
    host,
    device,
  }) => {
    await set(host, { maxSyncChars: 1_000, keepSyncMs: hour });
    await device.put(session("s1", "x".repeat(600)), session("s2", "x".repeat(400)));
    expect(await device.put(session("s3", "x"), session("s1", "y".repeat(600)))).toEqual(["full", "stored"]);
    expect(await status(host)).toMatchObject({ sessions: 2, chars: 1_000 });
    expect(await device.put(forget("s2"), session("s4", "x".repeat(400)))).toEqual(["stored"]);
    expect(await status(host)).toMatchObject({ sessions: 2, chars: 1_000 });
    host.wait(hour);
    await device.put(session("s5", "x".repeat(1_000)));
    expect(await envelopes(host)).toEqual(["x".repeat(1_000)]);
  });

  it("where the limit was lowered, what needs no more room is still stored", async ({ host, device }) => {
    await device.put(session("s1", "x".repeat(3_000)), session("s2"));
    await set(host, { maxSyncChars: 1_000 });
    expect(await device.put(session("s1", "x".repeat(2_000)))).toEqual(["stored"]);
    expect(await device.put(session("s1", "x".repeat(2_001)))).toEqual(["full"]);
    await device.put(forget("s1"));
    expect(await envelopes(host)).toEqual(["of-s2"]);
  });

  it("a purge deletes all of one device and nothing of another", async ({ host, device: one }) => {
    const other = new Device(host, "d2", m2);
    await one.put(session("s1"), filesOf("k1", "s1"), session("s2"), filesOf("k2", "s2"));
    await other.put(session("s3"));
    const input = { device: "d1", requestId: "r1" };
    expect(given(await host.call("sync.purge", input))).toEqual({ sessions: 2, checkpoints: 0 });
    expect(given(await host.call("sync.purge", input))).toEqual({ sessions: 2, checkpoints: 0 });
    expect(given(await host.call("sync.purge", { device: "d1" }))).toEqual({ sessions: 0, checkpoints: 0 });
    const devices = [{ device: "d2" }];
    expect(await status(host)).toMatchObject({ keyId: key, sessions: 1, checkpoints: 0, chars: 5, devices });
    await one.put(session("s4"));
    expect(await envelopes(host)).toEqual(["of-s3", "of-s4"]);
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
}

function set(host: RuleHost, settings: Partial<Record<string, number>>): Promise<unknown> {
  return host.call("settings.set", { settings }, admin).then(given);
}
