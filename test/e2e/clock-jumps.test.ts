import { setTimeout as pause } from "node:timers/promises";
import { expect, it, onTestFinished, vi, type TestContext } from "vitest";
import type { OutputOf } from "#src/contract/operations.ts";
import type { Self } from "#src/contract/values.ts";
import { settableClock, type SettableClock } from "#harness/clock/set-clock/set-clock.ts";
import { EdgeRuntime } from "#harness/edge/edge-runtime.ts";

const hour = 3_600_000;

/** The worker under a workerd whose wall clock can be set. */
async function edgeWithClock(test: TestContext): Promise<{ edge: EdgeRuntime; clock: SettableClock }> {
  const clock = settableClock(test);
  // What Miniflare starts, now or after a kill, gets it from here.
  for (const [name, value] of Object.entries(clock.env)) vi.stubEnv(name, value);
  onTestFinished(() => void vi.unstubAllEnvs());
  return { edge: await EdgeRuntime.open(), clock };
}

/** @returns its token */
async function hold(edge: EdgeRuntime, self: Self, resource = "x"): Promise<number> {
  const got = await edge.call("leases.acquire", { self, resource, requestId: self.chat, ttlMs: 60_000 });
  if (got.state !== "granted") throw new Error(`${resource} was not granted`);
  return got.lease.token;
}

async function claim(edge: EdgeRuntime, self: Self): Promise<OutputOf<"tasks.claim">["claims"][number] | undefined> {
  return (await edge.call("tasks.claim", { self, requestId: self.chat, limit: 1, isStarted: true })).claims[0];
}

/** What is due happens without a request for it; reading the health changes nothing but a lost alarm. */
async function nothingIsOverdue(edge: EdgeRuntime): Promise<void> {
  while ((await edge.call("health", {})).overdueRows > 0) await pause(50);
}

it("the clock is set three hours forward: the first holder has nothing left, the second holds alone", async (test) => {
  const { edge, clock } = await edgeWithClock(test);
  const guest = await edge.call("tokens.create", { machine: "guest", scope: "observe", ttlMs: 60_000 });
  const a = await edge.register("a");
  const old = await hold(edge, a);
  await edge.call("tasks.submit", { tasks: [{ type: "t", startToCloseMs: 60_000, heartbeatMs: 60_000 }] });
  const first = await claim(edge, a);
  clock.set(3 * hour);
  const b = await edge.register("b");
  const token = await hold(edge, b);
  expect(token).toBeGreaterThan(old);
  expect(await edge.call("leases.check", { resource: "x", token: old })).toMatchObject({ isValid: false, holder: "b" });
  const write = { key: "k", value: 1, guard: { resource: "x", token: old } };
  await expect(edge.call("state.set", write)).rejects.toThrow("stale_token");
  await edge.call("state.set", { ...write, guard: { resource: "x", token } });
  await nothingIsOverdue(edge);
  const again = await claim(edge, b);
  expect(again?.task).toBe(first?.task);
  const late = { self: a, task: first?.task ?? 0, claim: first?.claim ?? 0, result: "late" };
  await expect(edge.call("tasks.ack", late)).rejects.toThrow(/stale_claim|chat_offline/);
  await expect(edge.call("health", {}, guest.token)).rejects.toThrow("unauthenticated");
  // Correct again: the clock of the runtime does not move meanwhile, and what has ended stays so.
  clock.set(0);
  await expect(edge.call("health", {}, guest.token)).rejects.toThrow("unauthenticated");
  expect(await edge.call("leases.check", { resource: "x", token: old })).toMatchObject({ isValid: false });
  expect(await edge.call("leases.check", { resource: "x", token })).toMatchObject({ isValid: true });
});

it("the clock is set three hours back, and correct again after a kill: no two holders, and everything ends @night", async (test) => {
  const { edge, clock } = await edgeWithClock(test);
  const a = await edge.register("a");
  const token = await hold(edge, a);
  await edge.call("state.set", { key: "k", value: 1, ttlMs: 60_000 });
  await edge.call("tasks.submit", { tasks: [{ type: "t" }] });
  clock.set(-3 * hour);
  for (const isKilled of [false, true]) {
    if (isKilled) {
      edge.kill();
      await edge.isBack();
    }
    const { leases } = await edge.call("leases.list", {});
    expect(leases.map(({ resource, holder }) => [resource, holder])).toEqual([["x", "a"]]);
    expect(
      Math.min(...leases.flatMap(({ remainingMs, heldForMs }) => [remainingMs, heldForMs])),
    ).toBeGreaterThanOrEqual(0);
    const { entry: kept } = await edge.call("state.get", { key: "k" });
    expect(kept?.ageMs).toBeGreaterThanOrEqual(0);
    const b = await edge.register(isKilled ? "c" : "b");
    await expect(hold(edge, b)).rejects.toThrow("lease_held");
    expect(await edge.call("leases.check", { resource: "x", token })).toMatchObject({ isValid: true, holder: "a" });
  }
  clock.set(2 * 60_000);
  await nothingIsOverdue(edge);
  const d = await edge.register("d");
  expect(await hold(edge, d)).toBeGreaterThan(token);
  expect((await edge.call("state.get", { key: "k" })).entry).toBeNull();
  expect(await claim(edge, d)).toMatchObject({ attempt: 1 });
});
