import { expect } from "vitest";
import { auditOf, check, codeOf, holders, pass, Peer, second, successorOf } from "#harness/coordinator/peers.ts";
import type { RuleHost } from "#harness/coordinator/engine-host.ts";
import { given, refused } from "#harness/coordinator/state-calls.ts";
import type { RuleTest } from "./rule-test.ts";

/** Who stands in line, and what becomes of the line. */
export function leaseWaiterRules(it: RuleTest): void {
  it("those in line have their turn in the order in which they came", async ({ host, crew: { a, b, c, d } }) => {
    const lease = await a.hold("x");
    expect([await c.queue("x"), await d.queue("x"), await b.queue("x")]).toEqual([1, 2, 3]);
    await a.release(lease);
    const order: string[] = [];
    for (const peer of [c, d, b]) {
      order.push((await holders(host))["x"] ?? "");
      await peer.release(await peer.hold("x"));
    }
    expect(order).toEqual(["c", "d", "b"]);
    expect(await holders(host)).toEqual({});
  });

  it("a request waits behind earlier ones, also when nothing is held", async ({ host, crew: { a, b, c } }) => {
    const lease = await a.hold("x", { ttlMs: 10 * second });
    await b.queue("x");
    expect(codeOf(await c.acquire("x"))).toBe("lease_held");
    // The alarm has not rung, and c is the first to ask after the expiry.
    host.wait(10 * second);
    expect(await c.queue("x")).toBe(1);
    expect(await holders(host)).toEqual({ x: "b" });
    expect(codeOf(await a.renew(lease))).toBe("not_holder");
  });

  it("a wait whose time has passed is refused, or begins anew", async ({ host, crew: { a, b } }) => {
    await a.hold("x", { ttlMs: 100 * second });
    expect(await b.queue("x", { waitMs: 10 * second, requestId: "r1" })).toBe(1);
    host.wait(11 * second);
    expect(codeOf(await b.acquire("x", { waitMs: 0, requestId: "r1" }))).toBe("lease_held");
    expect(given(await b.acquire("x", { waitMs: 5 * second, requestId: "r1" }))).toMatchObject({
      state: "waiting",
      waitMs: 5 * second,
    });
  });

  it("the one who held it stands behind those who wait", async ({ crew: { a, b } }) => {
    const lease = await a.hold("x");
    await b.queue("x");
    await a.release(lease);
    expect(codeOf(await a.acquire("x", { requestId: "r2" }))).toBe("lease_held");
  });

  it("a repeated request keeps its position, and gets its grant", async ({ host, crew: { a, b, c } }) => {
    const lease = await a.hold("x");
    expect(await b.queue("x", { waitMs: 100 * second })).toBe(1);
    expect(await c.queue("x")).toBe(2);
    host.wait(40 * second);
    for (const waitMs of [0, 5 * second, 300 * second]) {
      expect(given(await b.acquire("x", { waitMs }))).toEqual({ state: "waiting", position: 1, waitMs: 60_000 });
    }
    expect(await c.queue("x")).toBe(2);
    await a.release(lease);
    host.wait(15 * second);
    const got = await b.hold("x");
    expect(got).toMatchObject({ holder: "b", ttlMs: 60_000, remainingMs: 45_000, heldForMs: 15_000 });
    expect(await check(host, "x", got.token)).toMatchObject({ isValid: true });
    expect(await b.hold("x")).toEqual(got);
    expect(await c.queue("x")).toBe(1);
  });

  it("a grant after a wait is as requested, and begins when granted", async ({ host, crew: { a, b, c } }) => {
    await a.hold("x", { ttlMs: 20 * second });
    await b.queue("x", { ttlMs: 7 * second, lockDelayMs: 2 * second });
    await c.queue("x", { isBound: true });
    await pass(host, 20 * second);
    await host.ring();
    expect(await b.hold("x")).toMatchObject({ ttlMs: 7_000, remainingMs: 7_000, isBound: false });
    await pass(host, 9 * second - 1);
    expect(await holders(host)).toEqual({});
    await pass(host, 1);
    await host.ring();
    expect(await c.hold("x")).toMatchObject({ ttlMs: 600_000, remainingMs: 600_000, isBound: true });
  });

  it("a chat may stand in line with several requests, each in its place", async ({ crew: { a, b } }) => {
    const lease = await a.hold("x");
    expect(await b.queue("x", { requestId: "r1" })).toBe(1);
    expect(await a.queue("x", { requestId: "r2" })).toBe(2);
    expect(await b.queue("x", { requestId: "r3" })).toBe(3);
    await a.release(lease);
    await b.release(await b.hold("x", { requestId: "r1" }));
    await a.release(await a.hold("x", { requestId: "r2" }));
    expect(await b.hold("x", { requestId: "r3" })).toMatchObject({ holder: "b" });
  });

  it("a later request does not pass an earlier one that overlaps it", async ({ host, crew: { a, b, c, d } }) => {
    const lease = await a.hold("file:p/src/a.ts");
    expect(await b.queue("file:p/**")).toBe(1);
    expect(refused(await c.acquire("file:p/doc/x.md"))).toMatchObject({
      code: "lease_held",
      details: { resource: "file:p/doc/x.md" },
    });
    expect(await c.queue("file:p/doc/*")).toBe(2);
    expect(await d.queue("file:p/doc/x.md")).toBe(3);
    expect(await d.queue("file:p/src/b.ts")).toBe(2);
    expect(codeOf(await d.acquire("file:q/x.md"))).toBe("ok");
    await a.release(lease);
    expect(await holders(host)).toEqual({ "file:p/**": "b", "file:q/x.md": "d" });
    await b.release(await b.hold("file:p/**"));
    // Both that do not overlap have their turn at once; d's other request stands behind c's.
    expect(await holders(host)).toEqual({ "file:p/doc/*": "c", "file:p/src/b.ts": "d", "file:q/x.md": "d" });
    await c.release(await c.hold("file:p/doc/*"));
    expect((await holders(host))["file:p/doc/x.md"]).toBe("d");
  });

  const partings: Record<string, (host: RuleHost, first: Peer) => Promise<unknown>> = {
    "is cancelled": (_, first) => first.cancel("file:p/**"),
    "has waited long enough": (host) => pass(host, 100 * second),
    leaves: (_, first) => first.leave(),
    "is attested dead": (host, { registration: { chat, machine, process } }) =>
      host.call("chats.attest-death", { chat, machine, process }),
    "is gone, and the alarm rings": async (host, first) => {
      await host.connect(first.chat);
      await host.disconnect(first.chat);
      await pass(host, 20 * second);
    },
    "is replaced by another process": async (host, first) => {
      await host.connect(first.chat);
      await host.disconnect(first.chat);
      host.wait(20 * second);
      await successorOf(first).back();
    },
  };
  for (const [parting, part] of Object.entries(partings)) {
    it(`when the first in line ${parting}, those behind get theirs`, async ({ host, crew: { a, b, c, d } }) => {
      const lease = await a.hold("file:p/src/a.ts", { ttlMs: 3_600 * second });
      await b.queue("file:p/**", { waitMs: 100 * second });
      await c.queue("file:p/doc/x.md");
      await d.queue("file:p/src/a.ts");
      await part(host, b);
      expect(await holders(host)).toEqual({ "file:p/src/a.ts": "a", "file:p/doc/x.md": "c" });
      expect(await d.queue("file:p/src/a.ts")).toBe(1);
      await a.release(lease);
      expect(await holders(host)).toEqual({ "file:p/src/a.ts": "d", "file:p/doc/x.md": "c" });
    });
  }

  it("a wait ends at its last instant; the lease goes to the next", async ({ host, crew: { a, b, c } }) => {
    const lease = await a.hold("x", { ttlMs: 100 * second });
    await b.queue("x", { waitMs: 10 * second });
    await c.queue("x", { waitMs: 10 * second + 1 });
    host.wait(10 * second);
    await a.release(lease);
    expect(await holders(host)).toEqual({ x: "c" });
    expect(codeOf(await b.acquire("x"))).toBe("lease_held");
    expect(await b.queue("x")).toBe(1);
  });

  it("a wait that another call finds ended frees those behind it", async ({ host, crew: { a, b, c, d } }) => {
    const lease = await a.hold("file:p/src/a.ts", { ttlMs: 3_600 * second });
    await b.queue("file:p/**", { waitMs: 10 * second });
    await c.queue("file:p/doc/x.md");
    host.wait(10 * second);
    // Far from what c waits for; both are told apart only by the place of b.
    await a.release(lease);
    expect(await holders(host)).toEqual({ "file:p/doc/x.md": "c" });
    await c.release(await c.hold("file:p/doc/x.md"));
    await d.hold("file:p/src/b.ts");
    await pass(host, 600 * second - 1);
    expect(await auditOf(host, "lease.granted")).toHaveLength(3);
  });

  it("a delay that another call finds ended frees those behind it", async ({ host, crew: { a, b, c } }) => {
    await a.hold("file:p/**", { ttlMs: 10 * second, lockDelayMs: 5 * second });
    await c.queue("file:p/doc/x.md");
    await pass(host, 14 * second);
    host.wait(second);
    await b.hold("file:p/src/a.ts");
    await host.ring();
    expect(await holders(host)).toEqual({ "file:p/doc/x.md": "c", "file:p/src/a.ts": "b" });
  });

  it("a lease that another call finds ended frees those behind it", async ({ host, crew: { a, b, c } }) => {
    await a.hold("file:p/**", { ttlMs: 10 * second });
    await c.queue("file:p/doc/x.md");
    host.wait(10 * second);
    await b.hold("file:p/src/a.ts");
    expect(await holders(host)).toEqual({ "file:p/doc/x.md": "c", "file:p/src/a.ts": "b" });
  });

  it("a chat gone at its turn loses its position and waits anew", async ({ host, crew: { a, b, c } }) => {
    const lease = await a.hold("x");
    await b.queue("x");
    await c.queue("x");
    await host.connect("b");
    await host.disconnect("b");
    host.wait(20 * second);
    // Nobody has noticed that b is gone.
    await a.release(lease);
    expect(await holders(host)).toEqual({ x: "c" });
    await b.back();
    expect(await b.queue("x")).toBe(1);
  });

  it("a cancelled wait gets nothing; cancelling nothing is no error", async ({ host, crew: { a, b } }) => {
    const lease = await a.hold("x");
    await b.queue("x");
    expect(await a.cancel("x")).toBe(false);
    expect(await b.cancel("x", "other")).toBe(false);
    expect(await b.cancel("y")).toBe(false);
    expect(await b.cancel("x")).toBe(true);
    expect(await b.cancel("x")).toBe(false);
    await a.release(lease);
    expect(await holders(host)).toEqual({});
    await b.hold("x");
    // What it was granted is not a wait any more.
    expect(await b.cancel("x")).toBe(false);
    expect(await holders(host)).toEqual({ x: "b" });
  });
}
