import { expect } from "vitest";
import { type RowHost } from "#harness/coordinator/engine-host.ts";
import {
  ask,
  Correspondent,
  day,
  get,
  happened,
  hour,
  minute,
  later,
  revision,
  set,
  some,
  toAll,
  waitForFullHour,
  refusal,
} from "#harness/coordinator/state-calls.ts";
import type { RuleTest, RowTest } from "./rule-test.ts";

/** Rules of the alarm that hold behind any host. */
export function sweepRules(it: RuleTest): void {
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

  it("a late alarm does all that has come due by then, of every kind", async ({ host, c1: chat }) => {
    await ask(host, "leases.acquire", { self: chat.self, resource: "x", requestId: "r", ttlMs: 1_000 });
    await set(host, "short", 1, { ttlMs: 1_000, requestId: "r" });
    await chat.send(toAll, 1, { ttlMs: 1_000 });
    host.wait(40 * day);
    expect(await host.ring()).toBeGreaterThan(host.now());
    expect((await happened(host, "", 2)).map(({ key, op }) => [key, op])).toEqual([
      ["$chat/c1", "set"],
      ["short", "expire"],
    ]);
    expect((await ask(host, "chats.list", {})).chats).toMatchObject([{ status: "offline" }]);
    expect((await ask(host, "leases.list", {})).leases).toEqual([]);
    host.wait(2 * day);
    // What the audit log has of today goes in 30 days.
    expect(await host.ring()).toBe(Math.ceil((host.now() + 28 * day) / hour) * hour);
    expect((await ask(host, "chats.list", {})).chats).toEqual([]);
  });

  it("housekeeping waits for the full hour, and what others see does not", async ({ host }) => {
    await set(host, "a", 1, { requestId: "r1" });
    await set(host, "a", 2);
    const next = await host.ring();
    expect(next).toBe(Math.ceil((host.now() + hour) / hour) * hour);
    await set(host, "short", 1, { ttlMs: 1_234 });
    expect(await host.ring()).toBe(host.now() + 1_234);
    host.wait(hour);
    await host.ring();
    expect(await happened(host)).toHaveLength(4);
    waitForFullHour(host);
    await host.ring();
    expect((await refusal(host, "state.changes", { after: 0 })).code).toBe("compacted");
  });

  it("a send above a full limit deletes at once, and the alarm rests", async ({ host }) => {
    await ask(host, "settings.set", { settings: { maxMessages: 10 } });
    const [from, to] = (await some(host, "c1", "c2")) as [Correspondent, Correspondent];
    for (let at = 0; at < 12; at++) await from.send(toAll, at);
    waitForFullHour(host);
    await host.ring();
    await later(host, minute, from, to);
    for (let more = 1; more < 4; more++) {
      await from.send(toAll, "one too many");
      expect(await to.bodies()).toHaveLength(10);
      expect(await host.ring()).toBeGreaterThan(host.now());
    }
  });
}

/** A row that no sweep can do its work on, until it is repaired. @returns the repair */
async function poison(host: RowHost, when: string): Promise<() => Promise<void>> {
  await host.run(`CREATE TRIGGER poison ${when} BEGIN SELECT RAISE(ABORT, 'this row is damaged'); END`);
  return () => host.run("DROP TRIGGER poison");
}

/** Rules of sweeps that can only be seen in rows. */
export function sweepRowRules(it: RowTest): void {
  it("a chat whose sweep fails is put off and audited, and blocks nothing else", async ({ host }) => {
    const names = ["c1", "bad", "c2"];
    for (const name of names) {
      const { self } = await Correspondent.join(host, name);
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
    const repair = await poison(host, "BEFORE DELETE ON state WHEN old.key = 'poisoned'");
    host.wait(2 * day);
    const before = await revision(host);
    expect(await host.sweep(100)).toEqual([expect.stringContaining("this row is damaged")]);
    expect(await revision(host)).toBeLessThan(before + 2);
    expect(await host.rows("SELECT key FROM idempotency")).toEqual([]);
    expect(await host.rows("SELECT id FROM messages")).toHaveLength(1);
    expect(await host.rows("SELECT key FROM state")).toHaveLength(2);
    expect(await get(host, "good")).toBeNull();
    const failed = (await ask(host, "audit.list", { kind: "sweep.failed" })).entries;
    expect(failed).toMatchObject([{ subject: "state" }]);
    expect(await host.ring()).toBe(host.now() + minute);
    host.wait(minute);
    await expect((async () => host.ring())()).rejects.toThrow("this row is damaged");
    await repair();
    host.wait(minute);
    await host.ring();
    expect(await host.rows("SELECT key FROM state")).toEqual([]);
    expect((await ask(host, "audit.list", { kind: "sweep.failed" })).entries).toHaveLength(2);
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
    expect(await counts(host)).toEqual([0, 0, 1, 35, 1]);
    host.wait(2 * hour);
    await host.ring();
    expect(await counts(host)).toEqual([0, 0, 1, 1, 1]);
  });
}

const tables = ["state", "idempotency", "messages", "changes", "audit"];

/** How many rows each of them has. */
async function counts(host: RowHost): Promise<number[]> {
  const found: number[] = [];
  for (const table of tables) found.push((await host.rows(`SELECT 1 FROM ${table}`)).length);
  return found;
}
