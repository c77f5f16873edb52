import { expect } from "vitest";
import { codeOf, holders, pass, Peer, second } from "#harness/coordinator/peers.ts";
import { admin, type EngineHost } from "#harness/coordinator/engine-host.ts";
import { refused } from "#harness/coordinator/state-calls.ts";
import type { RuleTest } from "./rule-test.ts";

/** What stays closed for a while after an expiry. */
export function lockDelayRules(it: RuleTest): void {
  it("[LE11] after an expiry nobody is granted it before the delay ends", async ({ host, crew: { a, b, c } }) => {
    await a.hold("x", { ttlMs: 10 * second, lockDelayMs: 5 * second });
    await c.queue("x");
    host.wait(12 * second);
    // From the expiry on, not from the look at it.
    expect(refused(await b.acquire("x"))).toMatchObject({ code: "lease_held", retryAfterMs: 3_000 });
    expect(codeOf(await a.acquire("x"))).toBe("lease_held");
    expect(await holders(host)).toEqual({});
    await pass(host, 2_999);
    expect(await holders(host)).toEqual({});
    await pass(host, 1);
    await host.ring();
    expect(await holders(host)).toEqual({ x: "c" });
  });

  it("[LE11] a delay that has ended blocks nobody, with or without an alarm", async ({ host, crew: { a, b, c } }) => {
    await a.hold("file:p/a", { ttlMs: 10 * second, lockDelayMs: 5 * second });
    const other = await b.hold("file:p/b", { ttlMs: 100 * second });
    await c.queue("file:p/**");
    await pass(host, 14 * second);
    host.wait(second);
    await b.release(other);
    expect(await holders(host)).toEqual({ "file:p/**": "c" });
  });

  it("[LE11] an ended delay that is still stored is not the next one", async ({ host, crew: { a, b, c, d } }) => {
    await a.hold("file:p/a", { ttlMs: 10 * second, lockDelayMs: 5 * second });
    await pass(host, 10 * second);
    await host.ring();
    await c.queue("file:p/a", { ttlMs: 10 * second, lockDelayMs: 5 * second });
    await d.queue("file:p/**");
    // The alarm does not ring at the end of the delay: d's look gives c his turn.
    host.wait(5 * second);
    await d.cancel("file:p/**");
    expect(await holders(host)).toEqual({ "file:p/a": "c" });
    host.wait(11 * second);
    expect(refused(await b.acquire("file:p/a"))).toMatchObject({ code: "lease_held", retryAfterMs: 4_000 });
  });

  it("[LE11] of a bound lease the delay counts from its holder's last sign of life + ttl on", async ({ host, a }) => {
    await host.connect("a");
    await a.hold("x", { isBound: true, lockDelayMs: 5 * second });
    host.wait(20 * second);
    await host.ping("a");
    host.wait(30 * second);
    const b = await Peer.join(host, "b");
    expect(refused(await b.acquire("x"))).toMatchObject({ retryAfterMs: 5_000, details: { holder: null } });
  });

  it("[LE11] the delay covers what overlaps, and ends without an alarm", async ({ host, crew: { a, b } }) => {
    await a.hold("file:p/src/**", { ttlMs: 10 * second, lockDelayMs: 5 * second });
    await pass(host, 10 * second);
    await host.ring();
    expect(refused(await b.acquire("file:p/src/a.ts"))).toMatchObject({
      retryAfterMs: 5_000,
      details: { holder: null, resource: "file:p/src/**" },
    });
    expect(codeOf(await b.acquire("file:p/**"))).toBe("lease_held");
    expect(codeOf(await b.acquire("file:p/doc/**"))).toBe("ok");
    host.wait(5 * second);
    expect(codeOf(await b.acquire("file:p/src/a.ts"))).toBe("ok");
  });

  const handovers: Record<string, (host: EngineHost, a: Peer, lease: { resource: string; token: number }) => unknown> =
    {
      "gives it back": (_, a, lease) => a.release(lease),
      leaves: (_, a) => a.leave(),
      "is attested dead": (host, { registration: { chat, machine, process } }) =>
        host.call("chats.attest-death", { chat, machine, process }),
      "has it taken away": (host) => host.call("leases.force-release", { resource: "x", reason: "asked" }, admin),
    };
  for (const [handover, give] of Object.entries(handovers)) {
    it(`[LE11] there is no delay when the holder ${handover}`, async ({ host, crew: { a, b } }) => {
      const lease = await a.hold("x", { lockDelayMs: 60 * second });
      await give(host, a, lease);
      expect(codeOf(await b.acquire("x"))).toBe("ok");
    });
  }
}
