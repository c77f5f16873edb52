import * as fc from "fast-check";
import { jumpedMs, trustedForMs, toTrust, type Instant } from "#src/coordinator-client/edge/trust.ts";
import { expect, it } from "vitest";
import { onEdge, registered, held, isHeld, resource, rightsOf } from "#harness/edge/edge-runtime.ts";
import { given, codeOf } from "#harness/coordinator/peers.ts";
import { FakeEdge } from "#harness/edge/fake-edge.ts";
import { admin } from "#harness/coordinator/engine-host.ts";

it("a held lease is renewed at half of its time, for as long as it is held", async () => {
  const made = await onEdge();
  const { edge } = made;
  const right = await held(made);
  expect(right).toMatchObject({ name: "r", state: "trusted" });
  await edge.time.pass(14_900);
  expect(edge.count("leases.renew")).toBe(0);
  await edge.time.pass(600_000);
  expect(edge.count("leases.renew")).toBe(40);
  expect(right.isTrusted() && (await isHeld(edge, right))).toBe(true);
  expect(rightsOf(made)).toEqual(["r trusted"]);
  expect(given(await edge.time.until(right.release()))).toBe(true);
  expect([right.isTrusted(), right.state, await isHeld(edge, right)]).toEqual([false, "released", false]);
  expect(codeOf(await edge.time.until(right.confirm()))).toBe("not_holder");
  await edge.time.pass(60_000);
  expect(edge.count("leases.renew")).toBe(40);
});

it("a lease becomes doubtful when its trust ends, also while a renewal is not answered yet", async () => {
  const made = await onEdge();
  const { edge } = made;
  const lease = await held(made);
  edge.faults.loses = ({ text }) => text.includes("leases.renew");
  await edge.time.pass(29_500);
  expect(lease.isTrusted()).toBe(false);
  expect(rightsOf(made)).toEqual(["r trusted", "r doubtful"]);
});

it("a lease that was force-released is reported once, at once", async () => {
  const edge = new FakeEdge();
  for (const isBound of [false, true]) {
    const made = await registered(edge, `a-${isBound}`);
    const lost: string[] = [];
    const right = await held(made, { isBound }, { onLost: (reason) => lost.push(reason) });
    await edge.host.call("leases.force-release", { resource, reason: "stuck" }, admin);
    edge.tell();
    await edge.time.pass(50);
    expect(right.state).toBe("lost");
    await edge.time.pass(120_000);
    expect(lost).toEqual([expect.stringContaining("r is no longer held")]);
    expect(rightsOf(made)).toEqual(["r trusted", "r lost"]);
    expect(codeOf(await edge.time.until(right.confirm()))).toBe("not_holder");
    expect(given(await edge.time.until(right.release()))).toBe(false);
  }
});

it("a lease that a request without an answer has acquired is released", async () => {
  const made = await onEdge();
  const { edge } = made;
  edge.faults.loses = ({ direction, text }) => direction === "down" && text.includes("granted");
  const unknown = await edge.time.until(made.client.hold({ resource, isBound: true }));
  expect(codeOf(unknown)).toBe("outcome_unknown");
  expect(given(await edge.host.call("leases.list", {})).leases.length).toBe(1);
  edge.faults.loses = () => false;
  await edge.time.pass(30_000);
  expect(given(await edge.host.call("leases.list", {})).leases).toEqual([]);
});

it("a chat that leaves trusts nothing of what it has held, or asks for", async () => {
  const made = await onEdge();
  const { edge } = made;
  const right = await held(made);
  const asked = made.client.hold({ resource: "other", ttlMs: 30_000 });
  const left = made.client.leave(5_000);
  expect([right.isTrusted(), right.state]).toEqual([false, "released"]);
  await edge.time.until(left);
  expect(await isHeld(edge, right)).toBe(false);
  expect(codeOf(await edge.time.until(asked))).toBe("not_registered");
  expect(rightsOf(made)).toEqual(["r trusted", "r released"]);
  const renewals = edge.count("leases.renew");
  await edge.time.pass(60_000);
  expect(edge.count("leases.renew")).toBe(renewals);
});

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

it("the longer of two clocks counts: monotonic time stops in sleep, the wall clock can be set back", () => {
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
        // Either the machine slept, or its clock was set; after both at once no clock of it is right.
        const now = isSet ? later(awakeMs, awakeMs + setMs) : later(awakeMs, awakeMs + sleptMs);
        const passedMs = isSet ? awakeMs : awakeMs + sleptMs;
        const ttlMs = 30_000;
        if (trustedForMs(toTrust(t0, ttlMs, ttlMs), now) > 0) expect(passedMs).toBeLessThan(ttlMs);
      },
    ),
  );
});

it("a grant whose hint was lost is found by asking, and confirmed before it is trusted", async () => {
  const edge = new FakeEdge();
  const [first, second] = [await registered(edge, "a"), await registered(edge, "b")];
  const right = await held(first);
  const waiting = second.client.hold({ resource, ttlMs: 3_000, waitMs: 60_000 });
  await edge.time.pass(1_000);
  edge.faults.loses = ({ text }) => text.includes("lease.granted");
  given(await edge.time.until(right.release()));
  const mine = given(await edge.time.until(waiting));
  expect(mine.isTrusted() && (await isHeld(edge, mine))).toBe(true);
});

it("after a sleep nothing is trusted until it is confirmed, however much time was left", async () => {
  const made = await onEdge();
  const { edge } = made;
  const right = await held(made, { ttlMs: 600_000 });
  await made.machine.sleep(8_000);
  expect(right.isTrusted()).toBe(false);
  expect(await edge.time.until(right.confirm())).toMatchObject({ ok: true });
  expect(right.isTrusted()).toBe(true);
  made.machine.setWall(-3_600_000);
  expect(right.isTrusted()).toBe(false);
  expect(await edge.time.until(right.confirm())).toMatchObject({ ok: true });
});
