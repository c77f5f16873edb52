import { expect } from "vitest";
import type { InputOf, OutputOf } from "#src/contract/operations.ts";
import type { Refusal } from "#src/contract/errors.ts";
import type { Result } from "#src/shared/result.ts";
import { admin, type EngineHost } from "#harness/coordinator/engine-host.ts";
import { day, given, hour, refused, waitForFullHour } from "#harness/coordinator/state-calls.ts";
import { checkpoint, Device, forget, list, m2, session, status } from "#harness/sync/sealed-content.ts";
import type { RuleTest } from "./rule-test.ts";

type Part = Partial<InputOf<"sync.put-files">>;

function tryPut(device: Device, part: Part = {}): Promise<Result<OutputOf<"sync.put-files">, Refusal>> {
  const whole = {
    session: "s1",
    bundle: "b1",
    checkpoint: "k1",
    part: 0,
    parts: 1,
    ageMs: 0,
    envelope: "sealed",
    ...part,
  };
  return device.host.call("sync.put-files", { device: device.device, epoch: device.epoch, ...whole }, device.actor);
}

async function put(device: Device, bundle: string, parts: number, more: Part = {}): Promise<void> {
  for (let part = 0; part < parts; part++) {
    const one = { bundle, part, parts, envelope: `${bundle}-${part}`, ...more };
    expect(given(await tryPut(device, one))).toEqual({ stored: part + 1 });
  }
}

/** The envelopes of the stored files; null: there are none. */
async function files(host: EngineHost, of: Partial<InputOf<"sync.files">> = {}): Promise<string[] | null> {
  const found: string[] = [];
  for (let part = 0, parts = 1; part < parts; part++) {
    const one = await host.call("sync.files", { session: "s1", device: "d1", part, ...of });
    if (!one.ok) return null;
    ({ parts } = one.value);
    found.push(one.value.envelope);
  }
  return found;
}

async function aDevice(host: EngineHost): Promise<Device> {
  const device = await Device.begun(host);
  await device.push(session("s1"), checkpoint("k1", "s1"));
  return device;
}

/** Rules of the files that devices store for a session, that hold behind any host. */
export function syncFileRules(it: RuleTest): void {
  it("[SY98] [SY32] [SY33] the previous bundle is read whole until the last part is stored", async ({ host }) => {
    const device = await aDevice(host);
    expect(await files(host)).toBe(null);
    await put(device, "b1", 2);
    expect(await files(host)).toEqual(["b1-0", "b1-1"]);
    given(await tryPut(device, { bundle: "b2", parts: 3, envelope: "b2-0" }));
    given(await tryPut(device, { bundle: "b2", parts: 3, part: 1, envelope: "b2-1" }));
    expect(await files(host)).toEqual(["b1-0", "b1-1"]);
    expect(await files(host, { bundle: "b2" })).toBe(null);
    given(await tryPut(device, { bundle: "b2", parts: 3, part: 2, envelope: "b2-2" }));
    expect(await files(host)).toEqual(["b2-0", "b2-1", "b2-2"]);
    expect(await files(host, { bundle: "b1" })).toBe(null);
    expect(await status(host)).toMatchObject({ chars: "of-s1of-k1b2-0b2-1b2-2".length });
  });

  it("[SY99] a repeated part is stored once; one out of order is a gap", async ({ host }) => {
    const device = await aDevice(host);
    given(await tryPut(device, { parts: 2, envelope: "first" }));
    expect(given(await tryPut(device, { parts: 2, envelope: "second" }))).toEqual({ stored: 1 });
    expect(refused(await tryPut(device, { parts: 3, part: 2 }))).toMatchObject({ code: "gap", details: { stored: 1 } });
    expect(refused(await tryPut(device, { parts: 3, part: 1 })).code).toBe("gap");
    expect(refused(await tryPut(device, { parts: 2, part: 1, checkpoint: "k2" })).code).toBe("gap");
    expect(refused(await tryPut(device, { bundle: "b2", parts: 1, part: 1 })).code).toBe("gap");
    given(await tryPut(device, { bundle: "b3", parts: 2, envelope: "third" }));
    expect(refused(await tryPut(device, { parts: 2, part: 1 })).code).toBe("gap");
    given(await tryPut(device, { bundle: "b3", parts: 2, part: 1, envelope: "fourth" }));
    expect(await files(host)).toEqual(["third", "fourth"]);
    expect(await status(host)).toMatchObject({ chars: "of-s1of-k1thirdfourth".length });
  });

  it("[SY10] a restored home does not replace the files of a later life of its device", async ({ host }) => {
    const device = await aDevice(host);
    await put(device, "b1", 2);
    host.wait(hour);
    await device.begin();
    expect(refused(await tryPut(device, { bundle: "b2", ageMs: day })).code).toBe("device_forked");
    expect(await files(host)).toEqual(["b1-0", "b1-1"]);
    await put(device, "b3", 1);
    expect(await files(host)).toEqual(["b3-0"]);
  });

  it.for<[string, (device: Device) => Promise<unknown>]>([
    ["its session is forgotten", (device) => device.push(forget("s1"))],
    ["its checkpoint is forgotten", (device) => device.push(forget("s1", "k1"))],
    ["its session is over", (device) => device.push(session("s1", "over", { isEnded: true }))],
    ["its device is purged", ({ host }) => host.call("sync.purge", { device: "d1" }, admin)],
    [
      "its session is too old",
      async ({ host }) => {
        host.wait(31 * day);
        waitForFullHour(host);
        await host.ring();
      },
    ],
  ])("[SY34] files are deleted when %s, also unfinished ones", async ([, end], { host }) => {
    const device = await aDevice(host);
    await put(device, "b1", 2);
    given(await tryPut(device, { bundle: "b2", parts: 2 }));
    await end(device);
    expect(await files(host)).toBe(null);
    const { chars, sessions, checkpoints } = await status(host);
    expect(chars).toBe(
      (await list(host)).sessions.reduce((sum, { envelope }) => sum + envelope.length, checkpoints * 5),
    );
    expect(sessions).toBeLessThan(2);
  });

  it("[SY34] files outlive the other checkpoints of their session", async ({ host }) => {
    const device = await aDevice(host);
    await put(device, "b1", 1);
    await device.push(checkpoint("k2", "s1"), forget("s1", "k2"), session("s1", "again"));
    expect(await files(host)).toEqual(["b1-0"]);
  });

  it("[SY32] [SY2] [SY3] only its machine stores files of a device, for an open session", async ({ host }) => {
    const device = await aDevice(host);
    await device.push(session("s2", "over", { isEnded: true }));
    expect(refused(await tryPut(device, { session: "s2" })).code).toBe("unknown_key");
    expect(refused(await tryPut(device, { session: "s3" })).code).toBe("unknown_key");
    expect(refused(await tryPut(device, { epoch: device.epoch + 1 })).code).toBe("unknown_device");
    const other = new Device(host, "d1", m2);
    other.epoch = device.epoch;
    expect(refused(await tryPut(other)).code).toBe("forbidden");
    expect(await files(host)).toBe(null);
  });

  it("[SY35] files take at most half of the room, and a checkpoint is stored beside them", async ({ host }) => {
    const device = await aDevice(host);
    given(await host.call("settings.set", { settings: { maxSyncChars: 1_000 } }, admin));
    given(await tryPut(device, { parts: 2, envelope: "x".repeat(400) }));
    expect(refused(await tryPut(device, { parts: 2, part: 1, envelope: "x".repeat(400) })).code).toBe("quota_exceeded");
    await device.push(checkpoint("k2", "s1", "y".repeat(500)));
    expect(await status(host)).toMatchObject({ checkpoints: 2, chars: 910 });
  });
}
