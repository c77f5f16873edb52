import { expect } from "vitest";
import { codeOf, holders, pass, Peer, second, successorOf } from "#harness/coordinator/peers.ts";
import { admin, type EngineHost } from "#harness/coordinator/engine-host.ts";
import { given, toChat, waitForFullHour } from "#harness/coordinator/state-calls.ts";
import type { RuleTest } from "./rule-test.ts";

async function raise(host: EngineHost, quietMs?: number): Promise<number> {
  const input = { reason: "restored", ...(quietMs === undefined ? {} : { quietMs }) };
  return given(await host.call("epoch.raise", input, admin)).epoch;
}

/** What the raised epoch does after a restore, beside tokens, revisions and the numbers of tasks. */
export function restoreRules(it: RuleTest): void {
  it("[LE19] after a raised epoch nothing is granted for a while; leases stay", async ({ host, crew: { a, b, c } }) => {
    const held = await a.hold("x", { ttlMs: 200 * second });
    await raise(host, 90 * second);
    expect(given(await a.renew(held)).token).toBe(held.token);
    expect(await a.release(held)).toBe(true);
    expect(await b.acquire("y")).toMatchObject({
      ok: false,
      error: { code: "lease_held", message: "y is not free yet after a restore", retryAfterMs: 90_000 },
    });
    expect(await c.queue("x")).toBe(1);
    expect((await b.campaign("main", { waitMs: 300 * second })).state).toBe("following");
    await pass(host, 90 * second - 1);
    expect(await holders(host)).toEqual({});
    await pass(host, 1);
    await host.ring();
    expect(await holders(host)).toEqual({ x: "c", "leader:main": "b" });
    await a.hold("y");
  });

  it("[LE19] that lasts ten minutes by default; a second raise does not shorten it", async ({ host, crew: { a } }) => {
    await raise(host);
    await raise(host, 0);
    await pass(host, 600 * second - 1);
    expect(codeOf(await a.acquire("x"))).toBe("lease_held");
    await pass(host, 1);
    await a.back();
    await a.hold("x");
  });

  it("[LE23] no waiter stays that its chat may not know of", async ({ host, a, b }) => {
    const held = await a.hold("x");
    await b.queue("x");
    await raise(host, 0);
    await a.release(held);
    expect(await holders(host)).toEqual({});
    await b.hold("x");
  });

  it("[CH19] a process registered after a raised epoch has an incarnation above all lost ones", async ({ host, a }) => {
    const epoch = await raise(host, 0);
    expect((await a.back()).incarnation).toBe(1);
    await a.leave();
    const next = successorOf(a);
    expect((await next.back()).incarnation).toBeGreaterThan(epoch * 2 ** 28);
    expect((await Peer.join(host, "b")).incarnation).toBeGreaterThan(epoch * 2 ** 28);
  });

  it("[MS10] a raised epoch puts ids above all before and keeps messages", async ({ host, c1: from, c2: to }) => {
    const first = await from.send(toChat(to), "before");
    const epoch = await raise(host, 0);
    const second = await from.send(toChat(to), "after");
    expect(second).toBeGreaterThan(Math.max(first, epoch * 2 ** 28));
    waitForFullHour(host);
    await host.ring();
    await to.back();
    expect((await to.pull()).messages.map(({ body }) => body)).toEqual(["before", "after"]);
  });
}
