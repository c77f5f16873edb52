import * as fc from "fast-check";
import { expect, it } from "vitest";
import {
  elapsedMs,
  jumpedMs,
  marginMs,
  trustedForMs,
  toTrust,
  type Instant,
} from "#src/coordinator-client/edge/trust.ts";
import { fullJitter } from "#src/shared/backoff.ts";
import { onEdge, codeOf, registered, value, twoChats } from "#harness/edge/edge-clients.ts";
import { held, isHeld, resource, rightsOf, trustIsTrue } from "#harness/edge/held-leases.ts";

const t0: Instant = { monotonic: 1_000, wall: 1_700_000_000_000 };

function later(monotonicMs: number, wallMs = monotonicMs): Instant {
  return { monotonic: t0.monotonic + monotonicMs, wall: t0.wall + wallMs };
}

it("trust lasts from the start of the request for what was left, less a margin", () => {
  const trust = toTrust(t0, 30_000, 30_000);
  expect(trustedForMs(trust, t0)).toBe(29_200);
  expect(trustedForMs(trust, later(29_199))).toBe(1);
  expect(trustedForMs(trust, later(29_200))).toBe(0);
  expect(trustedForMs(toTrust(t0, 10_000, 30_000), later(5_000))).toBe(4_200);
  expect(trustedForMs(toTrust(t0, 300, 30_000), t0)).toBe(0);
  // The coordinator's clock was set back by three hours.
  expect(trustedForMs(toTrust(t0, 10_830_000, 30_000), t0)).toBe(29_200);
});

it("the margin is half a second and a hundredth, and a quarter of a short time", () => {
  expect([1_000, 30_000, 3_600_000].map(marginMs)).toEqual([250, 800, 36_500]);
});

it("the longer of two clocks counts: monotonic time stops in sleep, the wall clock can be set back", () => {
  expect(elapsedMs(t0, later(1_000, 4_000))).toBe(4_000);
  expect(elapsedMs(t0, later(1_000, -2_000))).toBe(1_000);
  const trust = toTrust(t0, 30_000, 30_000);
  expect(trustedForMs(trust, later(10_000, 14_000))).toBe(15_200);
  expect(trustedForMs(trust, later(10_000, 6_000))).toBe(19_200);
});

it("after a jump of more than 5 s between the clocks nothing is trusted, in both directions", () => {
  const trust = toTrust(t0, 30_000, 30_000);
  expect(jumpedMs(t0, later(1_000, 6_000))).toBe(0);
  expect(jumpedMs(t0, later(1_000, 6_001))).toBe(5_001);
  expect(jumpedMs(t0, later(1_000, -4_001))).toBe(-5_001);
  expect(trustedForMs(trust, later(1_000, 6_001))).toBe(0);
  expect(trustedForMs(trust, later(1_000, -4_001))).toBe(0);
  expect(trustedForMs(toTrust(later(1_000, 6_001), 30_000, 30_000), later(2_000, 7_001))).toBe(28_200);
});

it("trust ends before the coordinator's time, unless both clocks are wrong at once", () => {
  const span = fc.integer({ min: 0, max: 100_000 });
  fc.assert(
    fc.property(
      span,
      span,
      fc.integer({ min: -50_000, max: 50_000 }),
      fc.boolean(),
      (awakeMs, sleptMs, setMs, isSet) => {
        // Either the machine slept, or somebody set its clock; after both at once no clock of it is right.
        const now = isSet ? later(awakeMs, awakeMs + setMs) : later(awakeMs, awakeMs + sleptMs);
        const passedMs = isSet ? awakeMs : awakeMs + sleptMs;
        const ttlMs = 30_000;
        if (trustedForMs(toTrust(t0, ttlMs, ttlMs), now) > 0) expect(passedMs).toBeLessThan(ttlMs);
      },
    ),
  );
});

it("full jitter lies below the doubled base and the cap, and uses all of it", () => {
  const backoff = { baseMs: 100, capMs: 5_000 };
  expect([0, 1, 2, 5, 6, 60, 10_000].map((attempt) => fullJitter(backoff, attempt, () => 0.999_999))).toEqual([
    99, 199, 399, 3_199, 4_999, 4_999, 4_999,
  ]);
  expect(fullJitter(backoff, 3, () => 0)).toBe(0);
  fc.assert(
    fc.property(fc.nat(2_000), fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (attempt, random) => {
      const ms = fullJitter(backoff, attempt, () => random);
      expect(ms).toBeGreaterThanOrEqual(0);
      expect(ms).toBeLessThan(Math.min(5_000, 100 * 2 ** attempt));
      expect(Number.isInteger(ms)).toBe(true);
    }),
  );
});

it("without a coordinator trust ends before the lease does, and returns with the coordinator", async () => {
  const { edge, ...made } = await onEdge();
  const right = await held(edge, made, { ttlMs: 60_000 });
  await edge.time.pass(31_000);
  edge.faults.isUnreachable = true;
  edge.connections[0]?.freeze();
  await edge.time.untilTrue(() => !right.isTrusted());
  expect(await isHeld(edge, right)).toBe(true);
  expect(right.state).toBe("doubtful");
  const unsure = await edge.time.until(right.confirm());
  expect(["unreachable", "outcome_unknown"]).toContain(codeOf(unsure));
  edge.faults.isUnreachable = false;
  await edge.time.pass(40_000);
  // Nobody else wanted it; it was freed, so that this client has lost it.
  expect(right.state).toBe("lost");
  expect(rightsOf(made)).toEqual(["r trusted", "r doubtful", "r lost"]);
});

it("a short interruption ends in trust again, with the same token", async () => {
  const { edge, ...made } = await onEdge();
  const right = await held(edge, made, { ttlMs: 60_000 });
  edge.faults.isUnreachable = true;
  edge.closeAll();
  await edge.time.pass(50_000);
  expect(right.state).toBe("trusted");
  edge.faults.isUnreachable = false;
  await edge.time.pass(31_000);
  expect([right.state, await isHeld(edge, right)]).toEqual(["trusted", true]);
});

it("a chat that waits is granted in order, and trusts the grant after its first renewal", async () => {
  const { edge, first, second } = await twoChats();
  const right = await held(edge, first);
  const waiting = second.client.hold({ resource, ttlMs: 30_000, waitMs: 60_000 });
  await edge.time.pass(7_000);
  value(await edge.time.until(right.release()));
  const mine = value(await edge.time.until(waiting, 100));
  expect(mine.isTrusted() && mine.token > right.token).toBe(true);
  expect(edge.arrived.at(-1)?.name).toBe("leases.renew");
});

it("a grant whose hint was lost is found by asking, and confirmed before it is trusted", async () => {
  const { edge, first, second } = await twoChats();
  const right = await held(edge, first);
  const waiting = second.client.hold({ resource, ttlMs: 3_000, waitMs: 60_000 });
  await edge.time.pass(1_000);
  edge.faults.loses = ({ text }) => text.includes("lease.granted");
  value(await edge.time.until(right.release()));
  const mine = value(await edge.time.until(waiting));
  expect(mine.isTrusted() && (await isHeld(edge, mine))).toBe(true);
});

it("a client that has waited in vain leaves the queue", async () => {
  const { edge, first, second } = await twoChats();
  const right = await held(edge, first);
  expect(codeOf(await edge.time.until(second.client.hold({ resource })))).toBe("lease_held");
  const began = edge.time.now;
  const late = await edge.time.until(second.client.hold({ resource, waitMs: 20_000 }));
  expect(codeOf(late)).toBe("lease_held");
  expect(edge.time.now - began).toBeLessThan(26_000);
  value(await edge.time.until(right.release()));
  expect(value(await edge.host.call("leases.list", {})).leases).toEqual([]);
});

it("after a sleep nothing is trusted until it is confirmed, however much time was left", async () => {
  const { edge, ...made } = await onEdge();
  const right = await held(edge, made, { ttlMs: 600_000 });
  await made.machine.sleep(8_000);
  expect(right.isTrusted()).toBe(false);
  expect(await edge.time.until(right.confirm())).toMatchObject({ ok: true });
  expect(right.isTrusted()).toBe(true);
  made.machine.setWall(-3_600_000);
  expect(right.isTrusted()).toBe(false);
  expect(await edge.time.until(right.confirm())).toMatchObject({ ok: true });
});

it("a client that slept too long has lost its lease, and learns it before it acts", async () => {
  const { edge, ...made } = await onEdge();
  const other = await registered(edge, "b");
  const right = await held(edge, made);
  const waiting = other.client.hold({ resource, waitMs: 300_000 });
  await edge.time.pass(1_000);
  await made.machine.sleep(120_000);
  expect(right.isTrusted()).toBe(false);
  expect(codeOf(await edge.time.until(right.confirm()))).toBe("not_holder");
  expect(value(await edge.time.until(waiting)).isTrusted()).toBe(true);
});

it("a grant that was made for a request without an answer counts from then", async () => {
  const { edge, ...made } = await onEdge();
  const waiting = made.client.hold({ resource, ttlMs: 30_000 });
  await edge.time.pass(6);
  expect(edge.count("leases.acquire")).toBe(1);
  edge.faults.loses = ({ direction, text }) => direction === "down" && text.includes("granted");
  edge.faults.isUnreachable = true;
  edge.connections[0]?.vanish();
  await edge.time.pass(3_000);
  Object.assign(edge.faults, { isUnreachable: false, loses: () => false });
  const right = value(await edge.time.until(waiting));
  expect(edge.count("leases.acquire")).toBe(2);
  trustIsTrue(edge, right);
  edge.connections[0]?.freeze();
  edge.faults.isUnreachable = true;
  await edge.time.pass(60_000);
  expect(right.isTrusted()).toBe(false);
});
