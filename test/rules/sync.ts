import { expect } from "vitest";
import { given, refused } from "#harness/coordinator/state-calls.ts";
import {
  checkpoint,
  checkpointsOf,
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

/** Rules of what machines keep for each other, behind any host. */
export function syncRules(it: RuleTest): void {
  deviceRules(it);
  orderRules(it);
}

function deviceRules(it: RuleTest): void {
  it("[SY1] each begin has an epoch above all before; a repeat has the same", async ({ host }) => {
    const [one, other] = [new Device(host, "d1"), new Device(host, "d2")];
    const first = await one.begin();
    const second = await other.begin();
    expect(second).toBeGreaterThan(first);
    const again = given(await one.tryBegin(key, "r1"));
    expect(again.epoch).toBeGreaterThan(second);
    expect(given(await one.tryBegin(key, "r1"))).toEqual(again);
    expect((await status(host)).devices).toMatchObject([
      { device: "d1", machine: "m1", epoch: again.epoch, mark: 0 },
      { device: "d2", machine: "m1", epoch: second, mark: 0 },
    ]);
  });

  it("[SY2] only the machine that began a device begins or stores as it", async ({ host, device: own }) => {
    const foreign = new Device(host, "d1", m2);
    expect(refused(await foreign.tryBegin()).code).toBe("forbidden");
    foreign.epoch = own.epoch;
    expect((await foreign.refusal(session("s1"))).code).toBe("forbidden");
    expect(await envelopes(host)).toEqual([]);
  });

  it("[SY3] a device not begun, or in another's epoch, is asked to begin", async ({ host, device: own }) => {
    for (const [device, epoch] of [
      ["d1", own.epoch + 1],
      ["d2", own.epoch],
    ] as const) {
      const strange = new Device(host, device);
      strange.epoch = epoch;
      const { code, message } = await strange.refusal(session("s1"));
      expect(code).toBe("unknown_device");
      expect(message).toContain("sync.begin");
    }
  });

  it("[SY5] [SY6] the first device sets the key; another is refused until a rekey", async ({ host }) => {
    const [one, other] = [await Device.begun(host), new Device(host, "d2")];
    expect(refused(await other.tryBegin(otherKey))).toMatchObject({ code: "wrong_key", details: { keyId: key } });
    const change = { keyId: otherKey, from: key };
    expect(given(await host.call("sync.rekey", change))).toEqual({ keyId: otherKey });
    expect(given(await host.call("sync.rekey", change))).toEqual({ keyId: otherKey });
    const late = refused(await host.call("sync.rekey", { keyId: "1".repeat(16), from: key }));
    expect(late).toMatchObject({ code: "wrong_key", details: { keyId: otherKey } });
    expect(refused(await other.tryBegin())).toMatchObject({ code: "wrong_key", details: { keyId: otherKey } });
    // What was sealed before is taken, and its device notices.
    expect(await one.push(session("s1"))).toEqual({ mark: 1, keyId: otherKey });
    expect(await envelopes(host)).toEqual(["of-s1"]);
  });
}

function orderRules(it: RuleTest): void {
  it("[SY7] stored ops of a push are compared and skipped, the rest stored", async ({ host, device }) => {
    const ops = device.make(session("s1", "a"), session("s1", "b"), checkpoint("k1", "s1"), session("s2", "c"));
    expect(await device.send(ops.slice(0, 2))).toMatchObject({ mark: 2 });
    const { revision } = await list(host);
    expect(await device.send(ops.slice(0, 2))).toMatchObject({ mark: 2 });
    expect(await list(host)).toMatchObject({ revision });
    expect(await device.send(ops.slice(1))).toMatchObject({ mark: 4 });
    expect(await envelopes(host)).toEqual(["b", "c"]);
    expect(await opened(host, "k1")).toBe("of-k1");
  });

  it("[SY7] a push is stored whole or not at all", async ({ host, device }) => {
    given(await host.call("settings.set", { settings: { maxSyncChars: 1_000 } }, { machine: "m1", isAdmin: true }));
    expect((await device.refusal(session("s1"), session("s2", "x".repeat(1_000)))).code).toBe("quota_exceeded");
    expect(await envelopes(host)).toEqual([]);
    expect(await status(host)).toMatchObject({ chars: 0, devices: [{ mark: 0 }] });
  });

  it("[SY8] a number that is not the one after the mark is a gap, and nothing is stored", async ({ host, device }) => {
    await device.push(session("s1"));
    const ops = device.make(session("s2"), session("s3"), session("s4"));
    expect(refused(await device.trySend(ops.slice(1)))).toMatchObject({ code: "gap", details: { mark: 1 } });
    expect(refused(await device.trySend(ops.filter(({ seq }) => seq !== 3))).code).toBe("bad_input");
    expect(await envelopes(host)).toEqual(["of-s1"]);
    expect(await device.send(ops)).toMatchObject({ mark: 4 });
  });

  it("[SY9] another op under a stored number is a fork, and nothing is stored", async ({ host, device: one }) => {
    await one.push(session("s1"));
    const other = one.copy();
    await one.push(session("s2"));
    const forked = await other.refusal(session("s3"), session("s4"));
    expect(forked).toMatchObject({ code: "device_forked", details: { seq: 2, mark: 2 } });
    expect(await envelopes(host)).toEqual(["of-s1", "of-s2"]);
    // Each goes on in an epoch of its own.
    await other.begin();
    await other.push(session("s3"));
    await one.push(session("s5"));
    expect(await envelopes(host)).toEqual(["of-s1", "of-s2", "of-s3", "of-s5"]);
  });

  it("[SY11] forgetting deletes a checkpoint or a session; of nothing it is no error", async ({ host, device }) => {
    await device.push(
      session("s1"),
      checkpoint("k1", "s1"),
      checkpoint("k2", "s1"),
      session("s2"),
      checkpoint("k3", "s2"),
    );
    await device.push(forget("s1", "k1"), forget("s9"), forget("s1", "k9"));
    expect(await checkpointsOf(host, "s1")).toEqual(["k2"]);
    await device.push(forget("s1"));
    expect(await envelopes(host)).toEqual(["of-s2"]);
    expect([await opened(host, "k2"), await opened(host, "k3")]).toEqual([null, "of-k3"]);
    expect(await status(host)).toMatchObject({ sessions: 1, checkpoints: 1, chars: 10 });
  });
}
