import { expect } from "vitest";
import type { OutputOf } from "#src/contract/operations.ts";
import { given, refused, rowsWritten, day, hour } from "#harness/coordinator/state-calls.ts";
import {
  Device,
  envelopes,
  files,
  forget,
  key,
  list,
  m2,
  opened,
  otherKey,
  part,
  session,
  status,
  storedOf,
  filesOf,
} from "#harness/sync/sealed-content.ts";
import type { RowTest, RuleTest } from "./rule-test.ts";
import { admin, type RowHost } from "#harness/coordinator/engine-host.ts";

/** Rules of what machines keep for each other, behind any host. */
export function syncRules(it: RuleTest): void {
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

  it("the first key is registered once, before any device", async ({ host, device }) => {
    const first = { keyId: otherKey, from: null };
    for (let times = 0; times < 2; times++)
      expect(given(await host.call("sync.rekey", first))).toEqual({ keyId: otherKey });
    const late = refused(await host.call("sync.rekey", { keyId: key, from: null }));
    expect(late).toMatchObject({ code: "wrong_key", details: { keyId: otherKey } });
    expect(await device.refusal(session("s1"))).toMatchObject({ code: "wrong_key", details: { keyId: otherKey } });
  });

  it("a repeated put leaves what one put leaves", async ({ host, device }) => {
    const contents = [session("s1"), filesOf("k1", "s1"), forget("s2")] as const;
    for (let times = 0; times < 2; times++) expect(await device.put(...contents)).toEqual(["stored", "stored"]);
    // Its first answer was lost.
    expect(await new Device(host).put(...contents)).toEqual(["stored", "stored"]);
    expect(await status(host)).toMatchObject({ sessions: 1, chars: 10 });
  });

  it("forgetting deletes the files of a checkpoint or a session; of nothing it is no error", async ({
    host,
    device,
  }) => {
    await device.put(session("s1"), filesOf("k1", "s1"), session("s2"), filesOf("k2", "s2"));
    await device.put(session("s3"), filesOf("k3", "s3"));
    await device.put(forget("s1", "k1"), forget("s9"), forget("s3", "k9"));
    expect(await storedOf(host, "s1", ["k1"])).toEqual([]);
    await device.put(forget("s2"));
    expect(await envelopes(host)).toEqual(["of-s1", "of-s3"]);
    expect([await opened(host, "k2", "s2"), await opened(host, "k3", "s3")]).toEqual([null, "of-k3"]);
    expect(await status(host)).toMatchObject({ sessions: 2, chars: 15 });
  });

  it("files are stored beside their session only", async ({ host, device }) => {
    expect(await device.put(filesOf("k1", "s1"), session("s1"), filesOf("k2", "s1"))).toEqual([
      "closed",
      "stored",
      "stored",
    ]);
    expect(await storedOf(host, "s1", ["k1", "k2"])).toEqual(["k2"]);
  });
}

const tables = ["sync_sessions", "sync_contents", "sync_forgotten", "sync_devices"];

/** How many rows each of them has. */
async function counts(host: RowHost): Promise<number[]> {
  const found: number[] = [];
  for (const table of tables) found.push((await host.rows(`SELECT 1 FROM ${table}`)).length);
  return found;
}

/** Rules of what machines keep for each other that can only be seen in rows. */
export function syncRowRules(it: RowTest): void {
  it("a refused put and reading write no row", async ({ host, device }) => {
    await device.put(session("s1"), filesOf("k1", "s1"));
    const old = device.copy();
    old.keyId = otherKey;
    const rows = await rowsWritten(host, async () => {
      await old.refusal(session("s2"), forget("s1"));
      await list(host);
      given(await host.call("sync.status", {}));
      expect(await opened(host, "k1", "s1")).toBe("of-k1");
    });
    expect(rows).toBe(0);
  });

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
    given(await host.call("settings.set", { settings: { keepSyncMs: hour } }, admin));
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
