import { evictDurableObject } from "cloudflare:test";
import { expect, vi } from "vitest";
import { it, TestWorkspace, wait } from "./support.ts";

const keys = (workspace: TestWorkspace): Promise<unknown[]> => workspace.rows("SELECT key FROM state");

it("after a sweep the alarm is set to what is due next", async ({ workspace }) => {
  await workspace.ask("state.set", { key: "a", value: 1, ttlMs: 5_000 });
  await workspace.ask("state.set", { key: "b", value: 1, ttlMs: 8_000 });
  const now = Date.now();
  expect(await workspace.alarmAt()).toBe(now + 5_000);
  wait(5_000);
  await workspace.ring();
  expect([await keys(workspace), await workspace.alarmAt()]).toEqual([[{ key: "b" }], now + 8_000]);
  wait(3_000);
  await workspace.ring();
  const hour = 3_600_000;
  expect([await keys(workspace), await workspace.alarmAt()]).toEqual([[], Math.ceil((now + hour) / hour) * hour]);
});

it("a failed alarm is repeated by the runtime, then by the object after half a minute", async ({ workspace }) => {
  const log = vi.spyOn(console, "error").mockReset().mockReturnValue();
  const ringWith = (retryCount: number): Promise<void> =>
    workspace.inside(async ({ storage }, instance) => {
      await storage.deleteAlarm();
      instance.alarm({ retryCount, isRetry: retryCount > 0 } as AlarmInvocationInfo);
    });
  const self = await workspace.register("c1");
  await workspace.ask("leases.acquire", { self, resource: "r", requestId: "q" });
  wait(30_000);
  await workspace.rows("ALTER TABLE lock_delays RENAME TO lost");
  for (const retryCount of [0, 4]) await expect(ringWith(retryCount)).rejects.toThrow("no such table");
  expect([await workspace.alarmAt(), log.mock.calls]).toEqual([null, []]);
  await ringWith(5);
  expect(await workspace.alarmAt()).toBe(Date.now() + 30_000);
  expect(String(log.mock.lastCall)).toContain("the alarm failed");
  await workspace.rows("ALTER TABLE lost RENAME TO lock_delays");
  wait(30_000);
  await workspace.ring();
  expect(await workspace.rows("SELECT status FROM chats")).toEqual([{ status: "offline" }]);
});

it("a lost alarm is set again by the next request when it is a minute late, or by a start", async ({ workspace }) => {
  await workspace.ask("state.set", { key: "a", value: 1, ttlMs: 5_000 });
  const lose = (): Promise<void> => workspace.inside(({ storage }) => storage.deleteAlarm());
  await lose();
  await evictDurableObject(workspace.stub);
  expect(await workspace.alarmAt()).toBe(Date.now() + 5_000);
  await lose();
  wait(65_000);
  await workspace.ask("state.get", { key: "a" });
  expect(await workspace.alarmAt()).toBeNull();
  wait(1);
  expect(await workspace.ask("health", {})).toMatchObject({ overdueRows: 1 });
  expect((await workspace.alarmAt()) ?? Infinity).toBeLessThanOrEqual(Date.now());
  await workspace.ring();
  expect([await keys(workspace), (await workspace.ask("health", {})).overdueRows]).toEqual([[], 0]);
});

it("an alarm handles a bounded number of rows; the rest is due 250 ms later", async ({ workspace }) => {
  await workspace.ask("settings.set", { settings: { maxOperationsPerSecond: 100_000 } });
  for (let from = 0; from < 4_300; from += 100) {
    const write = (n: number) => ({ op: "set", key: `k${from + n}`, value: 1, ttlMs: 1_000 }) as const;
    await workspace.ask("state.update", { writes: Array.from({ length: 100 }, (_, n) => write(n)) });
  }
  wait(1_000);
  await workspace.ring();
  expect(await keys(workspace)).toHaveLength(300);
  expect(await workspace.alarmAt()).toBe(Date.now() + 250);
  await workspace.ring();
  expect(await keys(workspace)).toEqual([]);
});
