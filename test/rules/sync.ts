import { expect } from "vitest";
import { day, given, hour, refused, rowsWritten } from "#harness/coordinator/state-calls.ts";
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
import type { RowTest, RuleTest } from "./rule-test.ts";
import { admin, type RowHost } from "#harness/coordinator/engine-host.ts";

/** Rules of what machines keep for each other, behind any host. */
export function syncRules(it: RuleTest): void {
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

  it("[SY161] the first key is registered once, before any device", async ({ host }) => {
    const first = { keyId: otherKey, from: null };
    for (let times = 0; times < 2; times++)
      expect(given(await host.call("sync.rekey", first))).toEqual({ keyId: otherKey });
    const late = refused(await host.call("sync.rekey", { keyId: key, from: null }));
    expect(late).toMatchObject({ code: "wrong_key", details: { keyId: otherKey } });
    const device = new Device(host, "d1");
    expect(refused(await device.tryBegin())).toMatchObject({ code: "wrong_key", details: { keyId: otherKey } });
    expect(given(await device.tryBegin(otherKey))).toMatchObject({ keyId: otherKey });
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
    await device.push(session("s1"), checkpoint("k1", "s1"), checkpoint("k2", "s1"));
    await device.push(session("s2"), checkpoint("k3", "s2"));
    await device.push(forget("s1", "k1"), forget("s9"), forget("s1", "k9"));
    expect(await checkpointsOf(host, "s1")).toEqual(["k2"]);
    await device.push(forget("s1"));
    expect(await envelopes(host)).toEqual(["of-s2"]);
    expect([await opened(host, "k2"), await opened(host, "k3")]).toEqual([null, "of-k3"]);
    expect(await status(host)).toMatchObject({ sessions: 1, checkpoints: 1, chars: 10 });
  });
}

const tables = ["sync_sessions", "sync_checkpoints", "sync_forgotten", "sync_devices"];

/** How many rows each of them has. */
async function counts(host: RowHost): Promise<number[]> {
  const found: number[] = [];
  for (const table of tables) found.push((await host.rows(`SELECT 1 FROM ${table}`)).length);
  return found;
}

/** Rules of what machines keep for each other that can only be seen in rows. */
export function syncRowRules(it: RowTest): void {
  it("[SY7] [SY8] [SY9] a repeated push, a gap, a fork and reading write no row", async ({ host, device }) => {
    const ops = device.make(session("s1"), checkpoint("k1", "s1"));
    await device.send(ops);
    const copy = device.copy();
    await device.push(session("s1"));
    const strange = device.copy();
    strange.made += 1;
    const rows = await rowsWritten(host, async () => {
      await device.send(ops);
      expect((await copy.refusal(session("s2"))).code).toBe("device_forked");
      expect((await strange.refusal(session("s2"))).code).toBe("gap");
      expect((await device.tryBegin(otherKey)).ok).toBe(false);
      await list(host);
      given(await host.call("sync.status", {}));
      given(await host.call("sync.checkpoint", { checkpoint: "k1" }));
    });
    expect(rows).toBe(0);
  });

  it("[SY9] hashes are kept of a device's newest thousand ops, not of older ones", async ({ host, device }) => {
    const ops = device.make(...Array.from({ length: 1_030 }, (_, at) => session("s1", `e${at}`)));
    for (let at = 0; at < ops.length; at += 50) await device.send(ops.slice(at, at + 50));
    const [row] = await host.rows<{ hashes: string }>("SELECT hashes FROM sync_devices");
    expect(row?.hashes.length).toBe(16_000);
    expect(await device.send(ops.slice(30, 31))).toMatchObject({ mark: 1_030 });
    const old = await device.trySend(ops.slice(29, 31));
    expect(old.ok ? "taken" : old.error.code).toBe("device_forked");
    const [first] = device.make(session("s2"));
    if (!first) throw new Error("no op was made");
    const other = await device.trySend([{ ...first, seq: 31 }]);
    expect(other.ok ? "taken" : other.error.code).toBe("device_forked");
  });

  it("[SY1] of a device the newest eight epochs are kept; an older one begins anew", async ({ host, device }) => {
    const copies = [device.copy()];
    for (let times = 0; times < 8; times++) {
      await device.begin();
      copies.push(device.copy());
    }
    expect((await copies[0]?.refusal(session("s1")))?.code).toBe("unknown_device");
    for (const copy of copies.slice(1)) await copy.push(session("s1"));
    expect(await counts(host)).toEqual([1, 0, 0, 8]);
  });

  it("[SY11] [SY16] of forgotten, replaced or purged content no row is left", async ({ host, device }) => {
    const secret = "marked-envelope";
    await device.push(session("s1", secret), checkpoint("k1", "s1", secret), session("s2", secret));
    await device.push(checkpoint("k2", "s2", secret), checkpoint("k3", "s2", secret), session("s3", secret));
    expect(await tablesWith(host, secret)).toEqual(["sync_checkpoints", "sync_sessions"]);
    await device.push(forget("s1"), session("s2"), forget("s2", "k2"), checkpoint("k3", "s2"));
    given(await host.call("sync.purge", { device: "d1" }));
    expect(await tablesWith(host, secret)).toEqual([]);
    expect(await counts(host)).toEqual([0, 0, 3, 0]);
    expect(await host.rows("SELECT chars FROM sync_totals")).toEqual([{ chars: 0 }]);
  });

  it("[SY14] a sweep takes about its limit of rows; the rest is due at once", async ({ host }) => {
    given(await host.call("settings.set", { settings: { keepSyncMs: hour } }, admin));
    const device = await Device.begun(host);
    for (let at = 0; at < 30; at++) await device.push(session(`s${at}`), checkpoint(`k${at}`, `s${at}`));
    await device.push(...Array.from({ length: 15 }, (_, at) => forget(`s${at}`)));
    expect(await counts(host)).toEqual([15, 15, 15, 1]);
    host.wait(day);
    await host.sweep(10);
    expect(await counts(host)).toEqual([10, 10, 5, 1]);
    expect(await host.nextDue()).toBeLessThanOrEqual(host.now());
    await host.ring();
    expect(await counts(host)).toEqual([0, 0, 0, 1]);
    expect(await host.rows("SELECT chars FROM sync_totals")).toEqual([{ chars: 0 }]);
  });
}

/** Names of the tables in which a text stands somewhere. */
async function tablesWith(host: RowHost, text: string): Promise<string[]> {
  const query =
    "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE '\\_cf%' ESCAPE '\\' ORDER BY name";
  const found: string[] = [];
  for (const { name } of await host.rows<{ name: string }>(query)) {
    const rows = await host.rows(`SELECT * FROM ${name}`);
    if (JSON.stringify(rows).includes(text)) found.push(name);
  }
  return found;
}
