import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { expect, it, onTestFinished, type TestContext } from "vitest";
import type { OutputOf } from "#src/contract/operations.ts";
import { LocalEdge, startEdge } from "../../scripts/local-edge.ts";
import { settableClock, type SettableClock } from "#harness/clock/set-clock/set-clock.ts";

const hour = 3_600_000;
const entry = join(import.meta.dirname, "../../src/worker/worker-entry.ts");

/** The worker under a workerd whose wall clock can be set. */
async function edgeWithClock(test: TestContext): Promise<{ edge: LocalEdge; clock: SettableClock }> {
  const clock = settableClock(test);
  const folder = mkdtempSync(join(tmpdir(), "shim-jumps-"));
  const before = Object.keys(clock.env).map((name) => [name, process.env[name]] as const);
  // What Miniflare starts, now or after a kill, gets it from here.
  Object.assign(process.env, clock.env);
  onTestFinished(() => {
    for (const [name, value] of before) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
    rmSync(folder, { recursive: true, force: true });
  });
  const edge = new LocalEdge(await startEdge({ entry, folder }));
  onTestFinished(() => edge.close());
  return { edge, clock };
}

class Member {
  readonly #edge: LocalEdge;
  readonly self: { chat: string; incarnation: number };

  private constructor(edge: LocalEdge, self: { chat: string; incarnation: number }) {
    this.#edge = edge;
    this.self = self;
  }

  static async join(edge: LocalEdge, chat: string): Promise<Member> {
    const process = `boot/1/${chat}`;
    const { incarnation } = await edge.call("chats.register", {
      chat,
      session: chat,
      process,
      machine: "m",
      client: "t",
    });
    return new Member(edge, { chat, incarnation });
  }

  async hold(resource: string): Promise<number> {
    const request = { self: this.self, resource, requestId: `${resource}-${this.self.chat}`, ttlMs: 60_000 };
    const got = await this.#edge.call("leases.acquire", request);
    if (got.state !== "granted") throw new Error(`${resource} was not granted`);
    return got.lease.token;
  }

  async take(requestId: string): Promise<OutputOf<"tasks.claim">["claims"][number] | undefined> {
    const { claims } = await this.#edge.call("tasks.claim", { self: this.self, requestId, limit: 1, isStarted: true });
    return claims[0];
  }
}

/** What is due happens without anybody asking for it; a look changes nothing but a lost alarm. */
async function nothingIsOverdue(edge: LocalEdge): Promise<void> {
  while ((await edge.call("health", {})).overdueRows > 0) await pause(50);
}

it("[DO29] [DO45] the clock is set three hours forward: the first holder has nothing left, the second holds alone", async (test) => {
  const { edge, clock } = await edgeWithClock(test);
  const guest = await edge.call("tokens.create", { machine: "guest", scope: "observe", ttlMs: 60_000 });
  const a = await Member.join(edge, "a");
  const old = await a.hold("x");
  await edge.call("tasks.submit", { tasks: [{ type: "t", startToCloseMs: 60_000, heartbeatMs: 60_000 }] });
  const first = await a.take("r1");
  clock.set(3 * hour);
  const b = await Member.join(edge, "b");
  const token = await b.hold("x");
  expect(token).toBeGreaterThan(old);
  expect(await edge.call("leases.check", { resource: "x", token: old })).toMatchObject({ isValid: false, holder: "b" });
  const write = { key: "k", value: 1, guard: { resource: "x", token: old } };
  await expect(edge.call("state.set", write)).rejects.toThrow("stale_token");
  await edge.call("state.set", { ...write, guard: { resource: "x", token } });
  await nothingIsOverdue(edge);
  const again = await b.take("r2");
  expect(again?.task).toBe(first?.task);
  const late = { self: a.self, task: first?.task ?? 0, claim: first?.claim ?? 0, result: "late" };
  await expect(edge.call("tasks.ack", late)).rejects.toThrow(/stale_claim|chat_offline/);
  await expect(edge.call("health", {}, guest.token)).rejects.toThrow("unauthenticated");
  // Right again: the clock of the runtime stands still meanwhile, and what was over stays over.
  clock.set(0);
  await expect(edge.call("health", {}, guest.token)).rejects.toThrow("unauthenticated");
  expect(await edge.call("leases.check", { resource: "x", token: old })).toMatchObject({ isValid: false });
  expect(await edge.call("leases.check", { resource: "x", token })).toMatchObject({ isValid: true });
});

it("[DO29] [DO45] the clock is set three hours back, and right again after a kill: no two holders, and all ends", async (test) => {
  const { edge, clock } = await edgeWithClock(test);
  const a = await Member.join(edge, "a");
  const token = await a.hold("x");
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
    const b = await Member.join(edge, isKilled ? "c" : "b");
    await expect(b.hold("x")).rejects.toThrow("lease_held");
    expect(await edge.call("leases.check", { resource: "x", token })).toMatchObject({ isValid: true, holder: "a" });
  }
  clock.set(2 * 60_000);
  await nothingIsOverdue(edge);
  const d = await Member.join(edge, "d");
  expect(await d.hold("x")).toBeGreaterThan(token);
  expect((await edge.call("state.get", { key: "k" })).entry).toBeNull();
  expect(await d.take("r")).toMatchObject({ attempt: 1 });
});
