import { expect } from "vitest";
import { auditOf, check, codeOf, force, holders, pass, Peer, second, successorOf } from "#harness/coordinator/peers.ts";
import { given, refused } from "#harness/coordinator/state-calls.ts";
import type { RuleTest } from "./rule-test.ts";

/** One lease and its holder. */
export function leaseRules(it: RuleTest): void {
  it("what is held is refused to every other request, with who holds it and how long", async ({ host, a, b }) => {
    const lease = await a.hold("deploy", { ttlMs: 20 * second });
    expect(lease).toEqual({
      resource: "deploy",
      holder: "a",
      incarnation: 1,
      token: expect.any(Number) as number,
      ttlMs: 20_000,
      remainingMs: 20_000,
      isBound: false,
      heldForMs: 0,
    });
    host.wait(5 * second);
    expect(refused(await b.acquire("deploy"))).toMatchObject({
      code: "lease_held",
      retryAfterMs: 15_000,
      details: { holder: "a", resource: "deploy" },
    });
    // Also to its holder, in another request.
    expect(codeOf(await a.acquire("deploy", { requestId: "r2" }))).toBe("lease_held");
    expect(codeOf(await b.acquire("Deploy"))).toBe("ok");
    expect(await a.release(lease)).toBe(true);
    expect(codeOf(await b.acquire("deploy"))).toBe("ok");
  });

  it("who asks again when it was told to gets it", async ({ host, a, b }) => {
    await a.hold("x", { ttlMs: 25 * second, lockDelayMs: 3 * second });
    host.wait(25 * second - 1);
    const first = refused(await b.acquire("x")).retryAfterMs ?? 0;
    host.wait(first);
    const delay = refused(await b.acquire("x")).retryAfterMs ?? 0;
    expect(first + delay).toBeLessThanOrEqual(3_100);
    host.wait(delay);
    expect(codeOf(await b.acquire("x"))).toBe("ok");
  });

  it("each grant has a token above all earlier ones, of any resource", async ({ host, a, b }) => {
    const tokens: number[] = [];
    const take = async (peer: Peer, resource: string, requestId: string): Promise<void> => {
      tokens.push((await peer.hold(resource, { requestId, ttlMs: second })).token);
    };
    await take(a, "x", "1");
    await take(a, "y", "1");
    host.wait(second);
    await take(b, "x", "1");
    await force(host, "x");
    await take(b, "x", "2");
    host.wait(second);
    await take(b, "x", "3");
    await b.leave();
    await b.back();
    await take(b, "x", "3");
    await pass(host, 40 * 86_400 * second);
    await a.back();
    await take(a, "x", "1");
    expect(tokens).toEqual([...new Set(tokens)].sort((one, other) => one - other));
    expect(tokens).toHaveLength(7);
  });

  it("the same request again returns the grant that it got, with what is left of it", async ({ host, a, b }) => {
    const lease = await a.hold("x", { requestId: "mine" });
    host.wait(10 * second);
    const again = await a.hold("x", { requestId: "mine", ttlMs: 600 * second });
    expect(again).toEqual({ ...lease, remainingMs: 50_000, heldForMs: 10_000 });
    // Ids of two chats, or of two resources, do not meet.
    expect(codeOf(await b.acquire("x", { requestId: "mine" }))).toBe("lease_held");
    expect((await a.hold("y", { requestId: "mine" })).token).toBeGreaterThan(lease.token);
    given(await a.renew(lease, 100 * second));
    expect(await a.hold("x", { requestId: "mine" })).toMatchObject({ token: lease.token, remainingMs: 100_000 });
  });

  it("once that grant is over it is a new request", async ({ host, a, b }) => {
    const lease = await a.hold("x");
    host.wait(60 * second);
    await a.back();
    const next = await a.hold("x");
    expect(next.token).toBeGreaterThan(lease.token);
    expect(next.remainingMs).toBe(60_000);
    await a.release(next);
    await b.back();
    await b.hold("x");
    expect(codeOf(await a.acquire("x"))).toBe("lease_held");
  });

  it("a renewal adds its ttl from now on, and never makes a lease shorter", async ({ host, a }) => {
    const lease = await a.hold("x", { ttlMs: 20 * second });
    host.wait(15 * second);
    expect(given(await a.renew(lease))).toEqual({ ...lease, heldForMs: 15_000 });
    expect(given(await a.renew(lease, 50 * second))).toMatchObject({ ttlMs: 50_000, remainingMs: 50_000 });
    host.wait(5 * second);
    expect(given(await a.renew(lease, second))).toMatchObject({ ttlMs: 1_000, remainingMs: 45_000 });
    host.wait(second);
    await a.back();
    // The ttl that was told last holds for those that tell none.
    host.wait(43_500);
    await a.back();
    expect(given(await a.renew(lease))).toMatchObject({ remainingMs: 1_000 });
  });

  it("only the present holder renews a lease, with its token", async ({ host, a, b }) => {
    const old = await a.hold("x", { ttlMs: second });
    host.wait(second);
    expect(codeOf(await a.renew(old))).toBe("not_holder");
    const lease = await a.hold("x", { requestId: "r2", ttlMs: 100 * second });
    expect(codeOf(await a.renew(old))).toBe("not_holder");
    expect(codeOf(await b.renew(lease))).toBe("not_holder");
    expect(codeOf(await a.renew({ resource: "y", token: lease.token }))).toBe("not_holder");
    expect(codeOf(await a.renew({ resource: "x", token: lease.token + 1 }))).toBe("not_holder");
    expect(codeOf(await a.renew(lease))).toBe("ok");
    host.wait(31 * second);
    const next = successorOf(a);
    await next.back();
    // It holds the chat's name, not what the process before it got.
    expect(codeOf(await next.renew(lease))).toBe("not_holder");
    expect(codeOf(await a.renew(lease))).toBe("chat_replaced");
  });

  it("only its holder releases a lease, with its token; a repeat is no error", async ({ host, a, b }) => {
    const lease = await a.hold("x", { ttlMs: 100 * second });
    expect(await b.release(lease)).toBe(false);
    expect(await a.release({ resource: "x", token: lease.token - 1 })).toBe(false);
    expect(await a.release({ resource: "y", token: lease.token })).toBe(false);
    expect(await holders(host)).toEqual({ x: "a" });
    expect(await a.release(lease)).toBe(true);
    expect(await a.release(lease)).toBe(false);
    const next = await b.hold("x", { ttlMs: 100 * second });
    expect(await a.release(lease)).toBe(false);
    expect(await a.release(next)).toBe(false);
    expect(await holders(host)).toEqual({ x: "b" });
    host.wait(31 * second);
    const heir = successorOf(b);
    await heir.back();
    expect(await heir.release(next)).toBe(false);
    expect(await holders(host)).toEqual({ x: "b" });
  });

  it("a token is valid only while its own lease is held", async ({ host, a, b }) => {
    const lease = await a.hold("x", { ttlMs: 10 * second });
    const other = await b.hold("y", { ttlMs: 10 * second });
    host.wait(second);
    expect(await check(host, "x", lease.token)).toEqual({ isValid: true, remainingMs: 9_000, holder: "a" });
    expect(await check(host, "x", other.token)).toEqual({ isValid: false, remainingMs: 0, holder: "a" });
    expect(await check(host, "x", 0)).toEqual({ isValid: false, remainingMs: 0, holder: "a" });
    expect(await check(host, "z", lease.token)).toEqual({ isValid: false, remainingMs: 0, holder: null });
    await a.release(lease);
    expect(await check(host, "x", lease.token)).toEqual({ isValid: false, remainingMs: 0, holder: null });
    await b.hold("x");
    expect(await check(host, "x", lease.token)).toEqual({ isValid: false, remainingMs: 0, holder: "b" });
  });

  it("a lease ends at its last instant, with or without an alarm", async ({ host, a, b }) => {
    const lease = await a.hold("x", { ttlMs: 20 * second });
    host.wait(19_999);
    expect(codeOf(await b.acquire("x"))).toBe("lease_held");
    expect(await check(host, "x", lease.token)).toEqual({ isValid: true, remainingMs: 1, holder: "a" });
    expect(await holders(host)).toEqual({ x: "a" });
    host.wait(1);
    expect(await check(host, "x", lease.token)).toEqual({ isValid: false, remainingMs: 0, holder: null });
    expect(await holders(host)).toEqual({});
    expect(codeOf(await a.renew(lease))).toBe("not_holder");
    const next = await b.hold("x");
    expect(await a.release(lease)).toBe(false);
    expect((await check(host, "x", next.token)).isValid).toBe(true);
    expect(await auditOf(host, "lease.expired")).toMatchObject([
      { subject: "x", actor: "a", detail: { token: lease.token } },
    ]);
  });

  it("a lease renewed in time never ends; the alarm ends it exactly on time", async ({ host, a }) => {
    const lease = await a.hold("x", { ttlMs: 10 * second });
    for (let n = 0; n < 50; n++) {
      await pass(host, 9_999);
      given(await a.renew(lease));
    }
    await pass(host, 9_999);
    expect(await auditOf(host, "lease.expired")).toEqual([]);
    await pass(host, 1);
    await host.ring();
    expect(await auditOf(host, "lease.expired")).toMatchObject([{ subject: "x", ageMs: 0 }]);
  });

  it("pings and calls renew a bound lease; renewals do not change its ttl", async ({ host, a, b }) => {
    await host.connect("a");
    const lease = await a.hold("x", { isBound: true, ttlMs: second });
    expect(lease).toMatchObject({ isBound: true, ttlMs: 30_000, remainingMs: 30_000 });
    for (let n = 0; n < 30; n++) {
      await pass(host, 10 * second);
      await host.ping("a");
      await b.beat();
    }
    await b.back();
    host.wait(4 * second);
    for (const ttlMs of [second, 3_600 * second, undefined]) {
      expect(given(await a.renew(lease, ttlMs))).toMatchObject({ isBound: true, ttlMs: 30_000, remainingMs: 30_000 });
    }
    host.wait(second);
    await host.ping("a");
    await pass(host, 29_999);
    expect((await check(host, "x", lease.token)).isValid).toBe(true);
    await b.back();
    expect(codeOf(await b.acquire("x"))).toBe("lease_held");
    await pass(host, 1);
    expect((await check(host, "x", lease.token)).isValid).toBe(false);
    expect(codeOf(await b.acquire("x"))).toBe("ok");
  });

  it("a lease with its own ttl does not live with its holder", async ({ host, a }) => {
    await host.connect("a");
    await a.hold("x", { ttlMs: 40 * second });
    for (let n = 0; n < 4; n++) {
      await pass(host, 10 * second);
      await host.ping("a");
    }
    expect(await holders(host)).toEqual({});
  });

  it("leases are listed by name, in pages, by holder and by prefix", async ({ host, a, b }) => {
    const names = ["file:p/a", "file:p/b", "file:q/a", "x", "x%", "x_1", "xy", "é\u{1F600}", "é\u{1F600}/1"];
    for (const [at, name] of names.entries()) await (at % 2 ? b : a).hold(name, { ttlMs: 100 * second });
    await a.hold("short", { ttlMs: second });
    host.wait(second);
    const all = async (filter: { prefix?: string; holder?: string }, limit: number): Promise<string[]> => {
      const found: string[] = [];
      for (let cursor: string | null | undefined; cursor !== null;) {
        const page = given(await host.call("leases.list", { ...filter, limit, ...(cursor ? { cursor } : {}) }));
        expect(page.leases.length).toBeLessThanOrEqual(limit);
        found.push(...page.leases.map(({ resource }) => resource));
        ({ cursor } = page);
      }
      return found;
    };
    for (const limit of [1, 2, 3, 200]) {
      expect(await all({}, limit)).toEqual(names);
      expect(await all({ holder: "b" }, limit)).toEqual(names.filter((_, at) => at % 2 === 1));
      for (const prefix of ["file:p/", "x", "x_", "x%", "é\u{1F600}", "é", "nothing"]) {
        expect(await all({ prefix }, limit)).toEqual(names.filter((name) => name.startsWith(prefix)));
      }
      expect(await all({ prefix: "x", holder: "a" }, limit)).toEqual(["x%", "xy"]);
    }
  });
}
