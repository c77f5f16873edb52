import { expect } from "vitest";
import { admin, type RuleHost } from "#harness/coordinator/engine-host.ts";
import { day, given, hour, waitForFullHour } from "#harness/coordinator/state-calls.ts";
import { Device, files, forget, part, read, session, status } from "#harness/sync/sealed-content.ts";
import type { RuleTest } from "./rule-test.ts";

async function put(device: Device, bundle: string, parts: number): Promise<void> {
  for (let at = 0; at < parts; at++) expect(await device.put(part(bundle, at))).toEqual(["stored"]);
  expect(await device.put(files(bundle))).toEqual(["stored"]);
}

const header = { session: "s1", kind: "files" } as const;

function readPart(host: RuleHost, bundle: string, at: number): Promise<string | null> {
  return read(host, { ...header, kind: "part", bundle, part: at });
}

async function opened({ host }: Device): Promise<Device> {
  const device = new Device(host);
  await device.put(session("s1"));
  return device;
}

/** Rules of the files that devices store for a session, that hold behind any host. */
export function syncFileRules(it: RuleTest): void {
  it("the previous bundle is read whole until the next header is stored", async ({ host, device }) => {
    await opened(device);
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
    await opened(device);
    await put(device, "b1", 1);
    await device.put(part("b2", 0, { envelope: "first" }));
    expect(await device.put(part("b2", 0, { envelope: "second" }))).toEqual(["stored"]);
    expect(await status(host)).toMatchObject({ chars: "of-s1b1-headerb1-0first".length });
    await device.put(part("b3", 0));
    expect(await status(host)).toMatchObject({ chars: "of-s1b1-headerb1-0b3-0".length });
    await device.put(files("b3"));
    expect(await readPart(host, "b3", 0)).toBe("b3-0");
  });

  it("a restored home does not replace newer files", async ({ host, device }) => {
    await opened(device);
    await put(device, "b1", 2);
    host.wait(hour);
    await device.put(part("b2", 0));
    expect(await device.put(files("b2", { ageMs: day }))).toEqual(["older"]);
    expect([await read(host, header), await readPart(host, "b1", 1)]).toEqual(["b1-header", "b1-1"]);
    await put(device, "b3", 1);
    expect(await read(host, header)).toBe("b3-header");
  });

  it.for<[string, (device: Device) => Promise<unknown>]>([
    ["its session is forgotten", (device) => device.put(forget("s1"))],
    ["its checkpoint is forgotten", (device) => device.put(forget("s1", "k1"))],
    ["its session is over", (device) => device.put(session("s1", "over", { isEnded: true }))],
    ["its device is purged", ({ host }) => host.call("sync.purge", { device: "d1" }, admin)],
    [
      "its session is too old",
      async ({ host }) => {
        host.wait(31 * day);
        waitForFullHour(host);
        await host.ring();
      },
    ],
  ])("files are deleted when %s, also unfinished ones", async ([, end], { host, device }) => {
    await opened(device);
    await put(device, "b1", 2);
    await device.put(part("b2", 0));
    await end(device);
    expect(await read(host, header)).toBe(null);
    expect((await status(host)).chars).toBeLessThanOrEqual("of-s1".length);
  });

  it("files outlive the other checkpoints of their session", async ({ host, device }) => {
    await opened(device);
    await put(device, "b1", 1);
    await device.put(session("s1", "again", { checkpoint: "k2" }));
    await device.put(forget("s1", "k2"));
    expect(await readPart(host, "b1", 0)).toBe("b1-0");
  });

  it("files are stored for an open session only", async ({ host, device }) => {
    await opened(device);
    await device.put(session("s2", "over", { isEnded: true }));
    const strange = [part("b1", 0, { session: "s2" }), files("b1", { session: "s3" })];
    expect(await device.put(...strange)).toEqual(["closed", "closed"]);
    expect(await status(host)).toMatchObject({ chars: "of-s1over".length });
  });

  it("a session has one bundle that is not complete, whichever of its parts were stored", async ({ host, device }) => {
    await opened(device);
    await put(device, "b1", 1);
    for (const bundle of ["b2", "b3", "b4"])
      expect(await device.put(part(bundle, 1), part(bundle, 2))).toEqual(["stored", "stored"]);
    expect(await status(host)).toMatchObject({ chars: "of-s1b1-headerb1-0b4-1b4-2".length });
    // A part of the complete bundle that comes again is skipped.
    expect(await device.put(part("b1", 0))).toEqual(["stored"]);
    expect(await readPart(host, "b1", 0)).toBe("b1-0");
  });

  it("a bundle that is not completed in a day is deleted, and the complete one stays", async ({ host, device }) => {
    await opened(device);
    await put(device, "b1", 1);
    await device.put(part("b2", 0), part("b2", 1));
    host.wait(day - 2 * hour);
    waitForFullHour(host);
    await host.ring();
    expect((await status(host)).chars).toBe("of-s1b1-headerb1-0b2-0b2-1".length);
    host.wait(2 * hour);
    waitForFullHour(host);
    await host.ring();
    expect((await status(host)).chars).toBe("of-s1b1-headerb1-0".length);
    await put(device, "b2", 2);
    expect(await readPart(host, "b2", 1)).toBe("b2-1");
  });

  it("files take at most half of the room, and a session is stored beside them", async ({ host, device }) => {
    await opened(device);
    given(await host.call("settings.set", { settings: { maxSyncChars: 1_000 } }, admin));
    expect(await device.put(part("b1", 0, { envelope: "x".repeat(400) }))).toEqual(["stored"]);
    expect(await device.put(part("b1", 1, { envelope: "x".repeat(400) }))).toEqual(["full"]);
    expect(await device.put(session("s2", "y".repeat(500)))).toEqual(["stored"]);
    expect(await status(host)).toMatchObject({ sessions: 2, chars: 905 });
  });
}
