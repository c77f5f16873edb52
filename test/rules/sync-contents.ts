import { expect } from "vitest";
import type { OutputOf } from "#src/contract/operations.ts";
import { admin, type EngineHost } from "#harness/coordinator/engine-host.ts";
import { day, given, hour, minute, refused, waitForFullHour } from "#harness/coordinator/state-calls.ts";
import {
  checkpoint,
  checkpointsOf,
  type Content,
  Device,
  envelopes,
  forget,
  key,
  list,
  m2,
  opened,
  otherKey,
  session,
  status,
} from "#harness/sync/sealed-content.ts";
import type { RuleTest } from "./rule-test.ts";

function aged(id: string, of: string, minutes: number): Content {
  return checkpoint(id, of, id, { ageMs: minutes * minute });
}

/** Rules of what stays of the things that devices store, and for how long, that hold behind any host. */
export function syncContentRules(it: RuleTest): void {
  it("[SY10] a restored home in its new epoch does not replace newer content", async ({ host, device }) => {
    await device.push(session("s1", "newest"), session("s2", "same"));
    host.wait(hour);
    await device.begin();
    await device.push(session("s1", "of-yesterday", { ageMs: day }), session("s2", "sealed-anew", { ageMs: hour }));
    expect(await envelopes(host)).toEqual(["newest", "sealed-anew"]);
    await device.push(session("s1", "now"));
    expect(await envelopes(host)).toEqual(["sealed-anew", "now"]);
  });

  it("[SY10] the same content sealed anew in a new epoch replaces the old", async ({ host, device }) => {
    await device.push(session("s1", "old-key"), session("s2", "old-key"));
    await device.begin();
    await device.push(session("s1", "new-key", { ageMs: 30_000 }), session("s2", "new-key", { ageMs: 30_001 }));
    expect(await envelopes(host)).toEqual(["old-key", "new-key"]);
  });

  it("[SY10] in one epoch the later op is the newer one, whatever it says of its age", async ({ host, device }) => {
    await device.push(session("s1", "a"));
    await device.push(session("s1", "b", { ageMs: day, isEnded: true, project: "p" }));
    expect(await list(host)).toMatchObject({
      sessions: [{ envelope: "b", ageMs: day, isEnded: true, project: "p", machine: "m1", seq: 2, taken: null }],
    });
  });

  it("[SY12] the same checkpoint of a device, sealed anew, replaces the old one", async ({ host, device }) => {
    await device.push(session("s1"), checkpoint("k1", "s1", "under-the-old-key"));
    given(await host.call("sync.rekey", { keyId: otherKey, from: key }));
    host.wait(minute);
    await device.begin(otherKey);
    await device.push(checkpoint("k1", "s1", "under-the-new-key", { ageMs: minute }));
    expect(await opened(host, "k1")).toBe("under-the-new-key");
    expect(await status(host)).toMatchObject({ checkpoints: 1, chars: "of-s1under-the-new-key".length });
  });

  it("[SY12] one checkpoint id of two devices is two checkpoints", async ({ host }) => {
    const [one, other] = [await Device.begun(host), await Device.begun(host, "d2", m2)];
    await one.push(session("s1", "one"), checkpoint("k1", "s1", "one"));
    host.wait(minute);
    await other.push(session("s1", "other"), checkpoint("k1", "s1", "other"));
    expect(await envelopes(host, { session: "s1" })).toEqual(["one", "other"]);
    expect([await opened(host, "k1", "d1"), await opened(host, "k1", "d2")]).toEqual(["one", "other"]);
    expect(await opened(host, "k1")).toBe("other");
    await other.push(forget("s1"));
    expect([await opened(host, "k1"), await envelopes(host)]).toEqual(["one", ["one"]]);
  });

  it("[SY13] of each session the newest `maxSyncCheckpoints` are kept, by age", async ({ host }) => {
    await set(host, { maxSyncCheckpoints: 3 });
    const device = await Device.begun(host);
    for (const [at, id] of ["k1", "k2", "k3", "k4", "k5"].entries()) {
      await device.push(checkpoint(id, "s1", id, { ageMs: (5 - at) * minute }));
    }
    await device.push(checkpoint("k0", "s1", "late", { ageMs: hour }), checkpoint("other", "s2"));
    expect(await checkpointsOf(host, "s1")).toEqual(["k5", "k4", "k3"]);
    expect(await checkpointsOf(host, "s2")).toEqual(["other"]);
    expect(await status(host)).toMatchObject({ checkpoints: 4, chars: "k5k4k3of-other".length });
  });

  it("[SY13] checkpoints and deletions of one push leave what they leave one by one", async ({ host }) => {
    await set(host, { maxSyncCheckpoints: 3 });
    const [one, other] = [await Device.begun(host), await Device.begun(host, "d2", m2)];
    const ops = [
      ...[7, 3, 5, 9, 1, 8].map((at) => aged(`k${at}`, "s1", at)),
      session("s1"),
      ...[6, 4, 2, 5].map((at) => aged(`o${at}`, "s2", at)),
      forget("s1", "k1"),
      aged("k9", "s1", 9),
      aged("k6", "s1", 6),
      forget("s2"),
      aged("o7", "s2", 7),
      aged("k3", "s2", 3),
    ];
    for (const op of ops) await one.push(op);
    await other.push(...ops);
    for (const name of ["s1", "s2"]) {
      const kept = async (device: string) =>
        given(await host.call("sync.checkpoints", { session: name, device, limit: 9 })).checkpoints.map(
          (found) => found.checkpoint,
        );
      expect(await kept("d2")).toEqual(await kept("d1"));
    }
    expect(await checkpointsOf(host, "s1")).toEqual(["k5", "k5", "k6", "k6"]);
  });

  it("[SY23] checkpoints are told newest first, page by page, without their content", async ({ host, device }) => {
    await device.push(...["k1", "k2", "k3", "k4", "k5"].map((id) => checkpoint(id, "s1")));
    const pages: string[][] = [];
    for (let cursor: string | null | undefined; cursor !== null;) {
      const input = { session: "s1", limit: 2, ...(cursor === undefined ? {} : { cursor }) };
      const answer: OutputOf<"sync.checkpoints"> = given(await host.call("sync.checkpoints", input));
      pages.push(answer.checkpoints.map(({ checkpoint: id }) => id));
      cursor = answer.cursor;
    }
    expect(pages).toEqual([["k5", "k4"], ["k3", "k2"], ["k1"]]);
    const older = [{}, {}, {}, {}];
    expect(given(await host.call("sync.checkpoints", { session: "s1", limit: 5 }))).toMatchObject({
      checkpoints: [{ checkpoint: "k5", device: "d1", epoch: device.epoch, seq: 5, ageMs: 0, chars: 5 }, ...older],
      cursor: null,
    });
    expect(refused(await host.call("sync.checkpoints", { session: "s1", cursor: "second page" })).code).toBe(
      "bad_input",
    );
    expect(refused(await host.call("sync.checkpoint", { checkpoint: "k9" })).code).toBe("unknown_key");
  });

  it("[SY14] a session is deleted at the full hour `keepSyncMs` after its last change", async ({ host }) => {
    await set(host, { keepSyncMs: day });
    const device = await Device.begun(host);
    await device.push(session("s1"), checkpoint("k1", "s1"), checkpoint("k2", "untold"), session("s2"));
    host.wait(day / 2);
    await device.push(checkpoint("k3", "s2"));
    host.wait(day / 2 - 1);
    await host.ring();
    expect(await envelopes(host)).toEqual(["of-s1", "of-s2"]);
    host.wait(1);
    waitForFullHour(host);
    await host.ring();
    expect(await envelopes(host)).toEqual(["of-s2"]);
    expect(await status(host)).toMatchObject({ sessions: 1, checkpoints: 1, chars: "of-s2of-k3".length });
  });

  it("[SY15] a push beyond `maxSyncChars` is refused as a whole; expired content makes room", async ({ host }) => {
    await set(host, { maxSyncChars: 1_000, keepSyncMs: hour });
    const device = await Device.begun(host);
    await device.push(session("s1", "x".repeat(600)), session("s2", "x".repeat(400)));
    const ops = device.make(session("s3", "x"));
    const { code, message } = refused(await device.trySend(ops));
    expect(code).toBe("quota_exceeded");
    expect(message).toContain("maxSyncChars");
    expect(await status(host)).toMatchObject({ sessions: 2, chars: 1_000, devices: [{ mark: 2 }] });
    // The device forgets what it wanted to say, and says this under the same number.
    device.made = 2;
    await device.push(session("s1", "x".repeat(600)), forget("s2"), session("s4", "x".repeat(400)));
    expect(await status(host)).toMatchObject({ sessions: 2, chars: 1_000 });
    await set(host, { maxSyncChars: 1_000 });
    host.wait(hour);
    await device.push(session("s5", "x".repeat(1_000)));
    expect(await envelopes(host)).toEqual(["x".repeat(1_000)]);
  });

  it("[SY15] where the limit was lowered, what needs no more room is still taken", async ({ host, device }) => {
    await device.push(session("s1", "x".repeat(3_000)), session("s2"));
    await set(host, { maxSyncChars: 1_000 });
    await device.push(session("s1", "x".repeat(2_000)));
    expect((await device.refusal(session("s1", "x".repeat(2_001)))).code).toBe("quota_exceeded");
    device.made -= 1;
    await device.push(forget("s1"));
    expect(await envelopes(host)).toEqual(["of-s2"]);
  });

  it("[SY16] a purge deletes all of one device and nothing of another", async ({ host }) => {
    const [one, other] = [await Device.begun(host), await Device.begun(host, "d2", m2)];
    await one.push(session("s1"), checkpoint("k1", "s1"), checkpoint("k2", "untold"), session("s2"));
    await other.push(session("s3"));
    const input = { device: "d1", requestId: "r1" };
    expect(given(await host.call("sync.purge", input))).toEqual({ sessions: 2, checkpoints: 2 });
    expect(given(await host.call("sync.purge", input))).toEqual({ sessions: 2, checkpoints: 2 });
    expect(refused(await host.call("sync.purge", { device: "d1" })).code).toBe("unknown_device");
    const devices = [{ device: "d2" }];
    expect(await status(host)).toMatchObject({ keyId: key, sessions: 1, checkpoints: 0, chars: 5, devices });
    expect((await one.refusal(session("s4"))).code).toBe("unknown_device");
    const before = one.epoch;
    expect(await one.begin()).toBeGreaterThan(before);
    await one.push(session("s4"));
    expect(await envelopes(host)).toEqual(["of-s3", "of-s4"]);
  });

  it("[SY16] [SY2] of another machine's device only an admin deletes what is stored", async ({ host }) => {
    const other = await Device.begun(host, "d2", m2);
    await other.push(session("s1"));
    expect(refused(await host.call("sync.purge", { device: "d2" })).code).toBe("forbidden");
    expect(given(await host.call("sync.purge", { device: "d2" }, admin))).toEqual({ sessions: 1, checkpoints: 0 });
    expect(await envelopes(host)).toEqual([]);
  });

  it("[SY17] status lists devices with machine, epoch, mark, key and last push", async ({ host }) => {
    expect(await status(host)).toEqual({ keyId: null, sessions: 0, checkpoints: 0, chars: 0, devices: [] });
    const one = await Device.begun(host);
    const copy = one.copy();
    await copy.begin();
    await copy.push(session("s1"), session("s2"));
    host.wait(minute);
    await Device.begun(host, "d2", m2);
    const devices = [
      { device: "d1", machine: "m1", epoch: copy.epoch, mark: 2, keyId: key, lastPushAgeMs: minute },
      { device: "d2", machine: "m2", epoch: copy.epoch + 1, mark: 0, keyId: key, lastPushAgeMs: 0 },
    ];
    expect(await status(host)).toEqual({ keyId: key, sessions: 2, checkpoints: 0, chars: 10, devices });
    expect(given(await host.call("sync.status", { device: "d2" })).devices).toEqual([devices[1]]);
  });
}

function set(host: EngineHost, settings: Partial<Record<string, number>>): Promise<unknown> {
  return host.call("settings.set", { settings }, admin).then(given);
}
