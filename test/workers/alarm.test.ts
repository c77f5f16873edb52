import { evictDurableObject } from "cloudflare:test";
import * as fc from "fast-check";
import { beforeEach, expect, vi, type MockInstance } from "vitest";
import type { InputOf, OperationName } from "#src/contract/operations.ts";
import * as due from "#src/coordination/due.ts";
import * as meta from "#src/coordination/kernel/meta.ts";
import { StorageSql } from "#src/durable/storage-sql.ts";
import { aChat, it, TestWorkspace, wait } from "./support.ts";

const hour = 3_600_000;

/** When the engine wants to be called again. */
function nextDue(workspace: TestWorkspace): Promise<number | null> {
  return workspace.inside(({ storage }) => {
    const sql = new StorageSql(storage);
    const presence = { lastSeen: () => null };
    return due.nextDue({ sql, now: Date.now(), presence, ...meta.readFacts(sql), tell: () => undefined });
  });
}

/** Sets so many keys that live for a second. */
async function setShort(workspace: TestWorkspace, count: number): Promise<void> {
  for (let from = 0; from < count; from += 100) {
    const write = (n: number) => ({ op: "set", key: `k${from + n}`, value: 1, ttlMs: 1_000 }) as const;
    const writes = Array.from({ length: 100 }, (_, n) => write(n));
    await workspace.ask("state.update", { writes });
  }
}

async function countOf(workspace: TestWorkspace, table: string): Promise<number> {
  const [row] = await workspace.rows<{ n: number }>(`SELECT count(*) AS n FROM ${table}`);
  return row?.n ?? 0;
}

function ringWith(workspace: TestWorkspace, info: { retryCount: number; isRetry: boolean }): Promise<void> {
  return workspace.inside(async ({ storage }, instance) => {
    await storage.deleteAlarm();
    instance.alarm(info as AlarmInvocationInfo);
  });
}

let log: MockInstance;
beforeEach(() => {
  log = vi.spyOn(console, "error").mockReset().mockReturnValue();
});

it("after each write the alarm rings no later than the next thing is due", async ({ workspace }) => {
  const check = async (what: string): Promise<void> => {
    const [alarm, next] = [await workspace.alarmAt(), await nextDue(workspace)];
    expect([what, next === null || (alarm !== null && alarm <= next)]).toEqual([what, true]);
  };
  await workspace.tokenOf("observe");
  await check("token");
  const { connection, self } = await workspace.join("c1");
  const other = await workspace.register("c2");
  await check("register");
  const steps: [OperationName, InputOf<OperationName>][] = [
    ["state.set", { key: "long", value: 1, ttlMs: 30 * 24 * hour }],
    ["state.set", { key: "short", value: 1, ttlMs: 10 * hour, requestId: "r" }],
    ["messages.send", { self, target: { to: "all" }, body: 1, ttlMs: 20 * hour }],
    ["messages.send", { self, target: { to: "all" }, body: 1, ttlMs: 30 * 60_000 }],
    ["elections.campaign", { self, name: "main", requestId: "q1", ttlMs: 25_000 }],
    ["leases.acquire", { self, resource: "r", requestId: "q2", ttlMs: 20_000, lockDelayMs: 5_000 }],
    ["leases.acquire", { self: other, resource: "r", requestId: "q3", waitMs: 9_000 }],
    ["settings.set", { settings: { keepChangesMs: 60_000 } }],
    ["settings.set", { settings: { chatTtlMs: 5_000 } }],
    ["chats.heartbeat", { self, status: "busy" }],
    ["state.delete", { key: "short" }],
    ["leases.force-release", { resource: "r", reason: "x" }],
    ["chats.unregister", { self: other }],
    ["epoch.raise", { reason: "x" }],
  ];
  for (const [name, input] of steps) {
    await workspace.ask(name, input);
    await check(name);
  }
  connection.close();
  await workspace.disconnected("c1");
  await check("close");
  for (let times = 0; times < 40; times++) {
    if (!(await workspace.ring())) break;
    await check(`ring ${times}`);
    const next = await nextDue(workspace);
    if (next !== null) vi.setSystemTime(next);
  }
});

const ttlMs = fc.integer({ min: 1_000, max: 60_000 });
const step = fc.oneof(
  fc.record({ does: fc.constant("set"), ttlMs, key: fc.constantFrom("a", "b") }),
  fc.record({ does: fc.constant("delete"), ttlMs, key: fc.constantFrom("a", "b") }),
  fc.record({ does: fc.constant("acquire"), ttlMs, key: fc.constant("") }),
  fc.record({ does: fc.constant("release"), ttlMs, key: fc.constant("") }),
  fc.record({ does: fc.constant("wait"), ttlMs, key: fc.constant("") }),
);

it("no request ever moves the alarm to a later time", async ({ workspace }) => {
  const self = await workspace.register("c1");
  let token = 0;
  const acquire = async (ms: number): Promise<void> => {
    const wanted = { self, resource: "r", requestId: `q${token}`, ttlMs: ms };
    const { value } = await workspace.call("leases.acquire", wanted);
    if ("state" in value && value.state === "granted") token = value.lease.token;
  };
  const act: Record<string, (ms: number, key: string) => Promise<unknown>> = {
    set: (ms, key) => workspace.call("state.set", { key, value: 1, ttlMs: ms }),
    delete: (_, key) => workspace.call("state.delete", { key }),
    acquire,
    release: () => workspace.call("leases.release", { self, resource: "r", token }),
    wait: (ms) => Promise.resolve(wait(ms / 10)),
  };
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 8 }), async (steps) => {
      await workspace.call("chats.register", aChat("c1"));
      for (const one of steps) {
        const before = await workspace.alarmAt();
        await act[one.does]?.(one.ttlMs, one.key);
        const [after, next] = [await workspace.alarmAt(), await nextDue(workspace)];
        // One that is a minute late was lost: see.
        if (before !== null && before >= Date.now() - 60_000) expect(after).toBeLessThanOrEqual(before);
        if (next !== null) expect(after).toBeLessThanOrEqual(Math.max(next, Date.now()));
      }
      await workspace.ring();
    }),
    { numRuns: 25 },
  );
});

it("nor does a start of the object", async ({ workspace }) => {
  await workspace.ask("state.set", { key: "a", value: 1, ttlMs: 5_000 });
  await workspace.ask("state.delete", { key: "a" });
  const alarm = await workspace.alarmAt();
  await evictDurableObject(workspace.stub);
  expect(await workspace.alarmAt()).toBe(alarm);
  expect(alarm).toBe(Date.now() + 5_000);
});

it("an idle chat that holds nothing has no look of its own, and wakes nothing", async ({ workspace }) => {
  const { connection, self } = await workspace.join("c1");
  await connection.ask("chats.heartbeat", { self });
  expect(await workspace.rows("SELECT dueAt FROM chats")).toEqual([{ dueAt: null }]);
  // Only housekeeping is left: the audit log after a month.
  expect(await workspace.alarmAt()).toBeGreaterThanOrEqual(Date.now() + 29 * 24 * hour);
  wait(10 * 60_000);
  await connection.refusal("chats.heartbeat", { self });
  expect(await workspace.rows("SELECT dueAt FROM chats")).toEqual([{ dueAt: null }]);
});

it("after a sweep the alarm is set to what is due next", async ({ workspace }) => {
  await workspace.ask("state.set", { key: "a", value: 1, ttlMs: 5_000 });
  await workspace.ask("state.set", { key: "b", value: 1, ttlMs: 8_000 });
  const now = Date.now();
  expect(await workspace.alarmAt()).toBe(now + 5_000);
  wait(5_000);
  expect(await workspace.ring()).toBe(true);
  expect((await workspace.ask("state.list", {})).entries.map(({ key }) => key)).toEqual(["b"]);
  expect(await workspace.alarmAt()).toBe(now + 8_000);
  wait(3_000);
  await workspace.ring();
  expect(await countOf(workspace, "state")).toBe(0);
  expect(await workspace.alarmAt()).toBe(Math.ceil((now + hour) / hour) * hour);
});

it("a failed alarm is repeated by the runtime, then by the object after half a minute", async ({ workspace }) => {
  const self = await workspace.register("c1");
  await workspace.ask("leases.acquire", { self, resource: "r", requestId: "q" });
  wait(30_000);
  await workspace.rows("ALTER TABLE lock_delays RENAME TO lost");
  for (const retryCount of [0, 4]) {
    await expect(ringWith(workspace, { retryCount, isRetry: retryCount > 0 })).rejects.toThrow("no such table");
  }
  expect(await workspace.alarmAt()).toBeNull();
  expect(log).not.toHaveBeenCalled();
  for (const retryCount of [5, 6]) {
    await ringWith(workspace, { retryCount, isRetry: true });
    expect(await workspace.alarmAt()).toBe(Date.now() + 30_000);
    expect(String(log.mock.lastCall)).toContain("the alarm failed");
  }
  await workspace.rows("ALTER TABLE lost RENAME TO lock_delays");
  wait(30_000);
  await workspace.ring();
  expect(await workspace.rows("SELECT status FROM chats")).toEqual([{ status: "offline" }]);
});

it("a lost alarm is set again by the next request when it is a minute late", async ({ workspace }) => {
  await workspace.ask("state.set", { key: "a", value: 1, ttlMs: 5_000 });
  await workspace.inside(({ storage }) => storage.deleteAlarm());
  wait(65_000);
  await workspace.ask("state.get", { key: "a" });
  expect(await workspace.alarmAt()).toBeNull();
  wait(1);
  expect(await workspace.ask("health", {})).toMatchObject({ overdueRows: 1 });
  expect(await workspace.alarmAt()).toBeLessThanOrEqual(Date.now());
  await workspace.ring();
  expect(await countOf(workspace, "state")).toBe(0);
  expect((await workspace.ask("health", {})).overdueRows).toBe(0);
});

it("an alarm that was lost is set again when the object starts", async ({ workspace }) => {
  await workspace.ask("state.set", { key: "a", value: 1, ttlMs: 5_000 });
  for (const ms of [0, 5_000]) {
    wait(ms);
    await workspace.inside(({ storage }) => storage.deleteAlarm());
    await evictDurableObject(workspace.stub);
    expect(await workspace.alarmAt()).toBeLessThanOrEqual(Date.now() + 5_000);
    expect(await workspace.alarmAt()).not.toBeNull();
  }
});

it("an alarm handles a bounded number of rows; the rest is due 250 ms later", async ({ workspace }) => {
  await setShort(workspace, 4_300);
  wait(1_000);
  const [keys, changes] = [await countOf(workspace, "state"), await countOf(workspace, "changes")];
  await workspace.ring();
  expect(keys - (await countOf(workspace, "state"))).toBe(4_000);
  expect((await countOf(workspace, "changes")) - changes).toBe(4_000);
  expect(await workspace.alarmAt()).toBe(Date.now() + 250);
  await workspace.ring();
  expect(await countOf(workspace, "state")).toBe(0);
});

it("a chat whose sweep fails is put off for a minute and delays no other", async ({ workspace }) => {
  for (const chat of ["c1", "c2", "c3"]) {
    const self = await workspace.register(chat);
    await workspace.ask("leases.acquire", { self, resource: chat, requestId: "q" });
  }
  await workspace.rows(
    "CREATE TRIGGER poison BEFORE UPDATE OF status ON chats WHEN new.chat = 'c2' BEGIN SELECT RAISE(ABORT, 'poison'); END",
  );
  wait(30_000);
  await workspace.ring();
  const rows = await workspace.rows("SELECT chat, status, dueAt - ? AS due FROM chats ORDER BY chat", Date.now());
  expect(rows).toMatchObject([
    { chat: "c1", status: "offline" },
    { chat: "c2", status: "idle", due: 60_000 },
    { chat: "c3", status: "offline" },
  ]);
  expect((await workspace.ask("audit.list", { kind: "sweep.failed" })).entries).toMatchObject([{ subject: "c2" }]);
  expect(log).toHaveBeenCalledTimes(1);
});

it("work that fails is logged once for each alarm, put off, and delays no other", async ({ workspace }) => {
  const self = await workspace.register("c1");
  await workspace.ask("leases.acquire", { self, resource: "r", requestId: "q" });
  await workspace.ask("state.set", { key: "a", value: 1, ttlMs: 30_000 });
  await workspace.rows("CREATE TRIGGER poison BEFORE DELETE ON state BEGIN SELECT RAISE(ABORT, 'poison'); END");
  wait(30_000);
  await workspace.ring();
  expect(await workspace.rows("SELECT status FROM chats")).toEqual([{ status: "offline" }]);
  expect(log).toHaveBeenCalledTimes(1);
  expect(String(log.mock.calls[0])).toContain("poison");
  const again = await workspace.alarmAt();
  expect(again).toBeGreaterThanOrEqual(Date.now() + 10_000);
  expect(again).toBeLessThanOrEqual(Date.now() + 60_000);
});
