import { expect } from "vitest";
import { auditOf, check, codeOf, force, holders, second, twoPeers } from "#harness/coordinator/peers.ts";
import { admin } from "#harness/coordinator/engine-host.ts";
import { given } from "#harness/coordinator/state-calls.ts";
import type { RuleTest } from "./rule-test.ts";

const day2026 = Date.UTC(2026, 0, 1);

/** What an admin does to leases. */
export function leaseAdminRules(it: RuleTest): void {
  it("[LE8] an admin's release passes a lease to the next in line and is audited", async ({ host, a, b }) => {
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

  it("[LE12] a raised epoch puts new tokens above all old ones and keeps leases", async ({ host, a, b }) => {
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

  it("[RQ6] a repeated admin request releases no second lease and raises no second epoch", async ({ host, a, b }) => {
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

  it("[LE17] restores of one state a minute apart begin different epochs with safe tokens", async ({ open }) => {
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
