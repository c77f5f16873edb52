import { expect } from "vitest";
import { type RowHost, admin } from "#harness/coordinator/engine-host.ts";
import { day, given, hour, rowsWritten } from "#harness/coordinator/state-calls.ts";
import { checkpoint, Device, forget, list, otherKey, session } from "#harness/sync/sealed-content.ts";
import type { RowTest } from "./rule-test.ts";

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
