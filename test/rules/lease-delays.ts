import { expect } from "vitest";
import {
  auditOf,
  check,
  codeOf,
  force,
  holders,
  pass,
  Peer,
  second,
  successorOf,
  twoPeers,
  type Lease,
} from "#harness/coordinator/peers.ts";
import { admin, type RuleHost } from "#harness/coordinator/engine-host.ts";
import { given, refused, toChat, waitForFullHour } from "#harness/coordinator/state-calls.ts";
import type { RuleTest } from "./rule-test.ts";

/** What stays closed for a while after an expiry. */
export function lockDelayRules(it: RuleTest): void {
  it("after an expiry nobody is granted it before the delay ends", async ({ host, crew: { a, b, c } }) => {
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

  it("a delay that has ended blocks nobody, with or without an alarm", async ({ host, crew: { a, b, c } }) => {
    await a.hold("file:p/a", { ttlMs: 10 * second, lockDelayMs: 5 * second });
    const other = await b.hold("file:p/b", { ttlMs: 100 * second });
    await c.queue("file:p/**");
    await pass(host, 14 * second);
    host.wait(second);
    await b.release(other);
    expect(await holders(host)).toEqual({ "file:p/**": "c" });
  });

  it("an ended delay that is still stored is not the next one", async ({ host, crew: { a, b, c, d } }) => {
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

  it("of a bound lease the delay counts from its holder's last sign of life + ttl on", async ({ host, a }) => {
    await host.connect("a");
    await a.hold("x", { isBound: true, lockDelayMs: 5 * second });
    host.wait(20 * second);
    await host.ping("a");
    host.wait(30 * second);
    const b = await Peer.join(host, "b");
    expect(refused(await b.acquire("x"))).toMatchObject({ retryAfterMs: 5_000, details: { holder: null } });
  });

  it("the delay covers what overlaps, and ends without an alarm", async ({ host, crew: { a, b } }) => {
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

  const handovers: Record<string, (host: RuleHost, a: Peer, lease: Lease) => unknown> = {
    "gives it back": (_, a, lease) => a.release(lease),
    leaves: (_, a) => a.leave(),
    "is attested dead": (host, { registration: { chat, machine, process } }) =>
      host.call("chats.attest-death", { chat, machine, process }),
    "has it taken away": (host) => force(host, "x"),
  };
  for (const [handover, give] of Object.entries(handovers)) {
    it(`there is no delay when the holder ${handover}`, async ({ host, crew: { a, b } }) => {
      const lease = await a.hold("x", { lockDelayMs: 60 * second });
      await give(host, a, lease);
      expect(codeOf(await b.acquire("x"))).toBe("ok");
    });
  }
}

const day2026 = Date.UTC(2026, 0, 1);

/** What an admin does to leases. */
export function leaseAdminRules(it: RuleTest): void {
  it("an admin's release passes a lease to the next in line and is audited", async ({ host, a, b }) => {
    const lease = await a.hold("x", { ttlMs: 600 * second, lockDelayMs: 60 * second });
    await b.queue("x");
    expect(await force(host, "x")).toMatchObject({ ok: true, value: { isReleased: true } });
    expect(await holders(host)).toEqual({ x: "b" });
    expect(codeOf(await a.renew(lease))).toBe("not_holder");
    expect((await check(host, "x", lease.token)).isValid).toBe(false);
    expect(await auditOf(host, "lease.forced")).toMatchObject([
      { subject: "x", actor: "m1", detail: { holder: "a", token: lease.token, reason: "asked by ana" } },
    ]);
    expect(await force(host, "y")).toMatchObject({ ok: true, value: { isReleased: false } });
    expect(codeOf(await host.call("leases.force-release", { resource: "x", reason: "" }, admin))).toBe("bad_input");
    expect(await auditOf(host, "lease.forced")).toHaveLength(1);
  });

  it("a raised epoch puts new tokens above all old ones and keeps leases", async ({ host, a, b }) => {
    const before = await a.hold("x", { ttlMs: 600 * second });
    for (let n = 0; n < 20; n++) await b.release(await b.hold("y"));
    const newest = await b.hold("z");
    const { epoch } = given(await host.call("epoch.raise", { reason: "restored", quietMs: 0 }, admin));
    const after = await b.hold("y");
    // Above whatever a history that is lost may have given out.
    expect(after.token).toBeGreaterThan(newest.token + 2 ** 27);
    expect(Number.isSafeInteger(after.token)).toBe(true);
    expect((await check(host, "x", before.token)).isValid).toBe(true);
    expect(given(await a.renew(before)).token).toBe(before.token);
    expect(given(await host.call("epoch.raise", { reason: "again", quietMs: 0 }, admin))).toEqual({ epoch: epoch + 1 });
    await b.release(after);
    expect((await b.hold("y")).token).toBeGreaterThan(after.token + 2 ** 27);
  });

  it("a repeated admin request releases no second lease and raises no second epoch", async ({ host, a, b }) => {
    await a.hold("x");
    await b.queue("x");
    const lease = { resource: "x", reason: "stuck", requestId: "r1" };
    for (let times = 0; times < 2; times++) {
      expect(given(await host.call("leases.force-release", lease, admin))).toEqual({ isReleased: true });
      expect(await holders(host)).toEqual({ x: "b" });
    }
    expect(codeOf(await host.call("leases.force-release", { ...lease, resource: "y" }, admin))).toBe("key_reused");
    const epoch = { reason: "restored", requestId: "r1" };
    const raised = given(await host.call("epoch.raise", epoch, admin));
    expect(given(await host.call("epoch.raise", epoch, admin))).toEqual(raised);
    expect(await auditOf(host, "epoch.raised")).toHaveLength(1);
    const other = given(await host.call("epoch.raise", epoch, { ...admin, machine: "m2" }));
    expect(other.epoch).toBeGreaterThan(raised.epoch);
  });

  it("restores of one state a minute apart begin different epochs with safe tokens", async ({ open }) => {
    const seen: number[] = [];
    // The same state each time, at times up to the last epoch of the clock, and long after it.
    for (const minutes of [0, 1, 2, 60, 500_000, 16_777_214, 16_777_215, 16_777_216, 90_000_000]) {
      const host = await open();
      host.wait(day2026 - host.now() + minutes * 60 * second + 30 * second);
      const { epoch } = given(await host.call("epoch.raise", { reason: "restored", quietMs: 0 }, admin));
      const [a] = await twoPeers(host);
      const { token } = await a.hold("x");
      expect(Number.isSafeInteger(token)).toBe(true);
      expect(token).toBeGreaterThan(epoch * 2 ** 28);
      seen.push(token);
    }
    const ofTheClock = seen.slice(1, 7);
    expect(ofTheClock).toEqual([...new Set(ofTheClock)].toSorted((one, other) => one - other));
    expect(Math.max(...seen.slice(7))).toBeLessThan(ofTheClock[0] ?? 0);
  });
}

async function raise(host: RuleHost, quietMs?: number): Promise<number> {
  const input = { reason: "restored", ...(quietMs === undefined ? {} : { quietMs }) };
  return given(await host.call("epoch.raise", input, admin)).epoch;
}

/** What the raised epoch does after a restore, beside tokens, revisions and the numbers of tasks. */
export function restoreRules(it: RuleTest): void {
  it("after a raised epoch nothing is granted for a while; leases stay", async ({ host, crew: { a, b, c } }) => {
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

  it("that lasts ten minutes by default; a second raise does not shorten it", async ({ host, crew: { a } }) => {
    await raise(host);
    await raise(host, 0);
    await pass(host, 600 * second - 1);
    expect(codeOf(await a.acquire("x"))).toBe("lease_held");
    await pass(host, 1);
    await a.back();
    await a.hold("x");
  });

  it("no waiter stays that its chat may not know of", async ({ host, a, b }) => {
    const held = await a.hold("x");
    await b.queue("x");
    await raise(host, 0);
    await a.release(held);
    expect(await holders(host)).toEqual({});
    await b.hold("x");
  });

  it("a process registered after a raised epoch has an incarnation above all lost ones", async ({ host, a }) => {
    const epoch = await raise(host, 0);
    expect((await a.back()).incarnation).toBe(1);
    await a.leave();
    const next = successorOf(a);
    expect((await next.back()).incarnation).toBeGreaterThan(epoch * 2 ** 28);
    expect((await Peer.join(host, "b")).incarnation).toBeGreaterThan(epoch * 2 ** 28);
  });

  it("a raised epoch puts ids above all before and keeps messages", async ({ host, c1: from, c2: to }) => {
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
