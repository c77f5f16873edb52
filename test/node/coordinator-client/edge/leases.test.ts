import { jumpedMs, trustedForMs, toTrust, type Instant } from "#src/coordinator-client/edge/trust.ts";
import { expect, test } from "vitest";
import { onEdge, registered, held, isHeld, resource, rightsOf } from "#harness/edge/edge-runtime.ts";
import { given, codeOf } from "#harness/coordinator/peers.ts";
import { FakeEdge } from "#harness/edge/fake-edge.ts";
import { admin } from "#harness/coordinator/engine-host.ts";

const it = test.extend("made", () => onEdge()).extend("edge", ({ made }) => made.edge);

it("a held lease is renewed at half of its time, for as long as it is held", async ({ made, edge }) => {
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

it("a lease becomes doubtful when its trust ends, also while a renewal is not answered yet", async ({ made, edge }) => {
  const lease = await held(made);
  edge.faults.loses = ({ text }) => text.includes("leases.renew");
  await edge.time.pass(29_500);
  expect(lease.isTrusted()).toBe(false);
  expect(rightsOf(made)).toEqual(["r trusted", "r doubtful"]);
  // Its chat has been taken over meanwhile.
  edge.faults.loses = () => false;
  edge.faults.refuses = ({ name }) =>
    name === "leases.renew" ? { code: "chat_replaced", message: "another process" } : null;
  await edge.time.pass(30_000);
  expect(lease.state).toBe("lost");
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

/** The resource becomes free just before a wait for it is cancelled. */
function releaseAtCancel(edge: FakeEdge): void {
  edge.faults.refuses = ({ name }) => {
    if (name === "leases.cancel-wait") void edge.host.call("leases.force-release", { resource, reason: "over" }, admin);
    return null;
  };
}

it.each([
  ["granted", false],
  ["waiting", false],
  ["waiting", true],
])(
  "a request for a lease whose answer, %s, was lost is undone, also where it is granted then: %s",
  async (answer, isGrantedThen) => {
    const edge = new FakeEdge();
    const [other, made] = [await registered(edge, "a"), await registered(edge, "b")];
    const right = answer === "waiting" ? await held(other) : null;
    edge.faults.loses = ({ direction, text }) => direction === "down" && text.includes(answer);
    const wanted = { resource, isBound: true, waitMs: 600_000 };
    expect(codeOf(await edge.time.until(made.client.hold(wanted)))).toBe("outcome_unknown");
    edge.faults.loses = () => false;
    if (isGrantedThen) releaseAtCancel(edge);
    await edge.time.pass(30_000);
    if (right && !isGrantedThen) given(await edge.time.until(right.release()));
    expect(given(await edge.host.call("leases.list", {})).leases).toEqual([]);
  },
);

it("a request that is granted while its time ends is held", async () => {
  const edge = new FakeEdge();
  const [other, made] = [await registered(edge, "a"), await registered(edge, "b")];
  await held(other);
  edge.faults.latencyMs = 50;
  const asked = made.client.hold({ resource, isBound: true, waitMs: 3_000 });
  await edge.time.pass(200);
  edge.faults.latencyMs = 5;
  releaseAtCancel(edge);
  const right = given(await edge.time.until(asked));
  expect(right.isTrusted() && (await isHeld(edge, right))).toBe(true);
});

it("a chat that leaves trusts nothing of what it has held, or asks for", async ({ made, edge }) => {
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

it("trust lasts from the start of the request, by the longer of two clocks, and not over a jump between them", () => {
  for (const [leftMs, now, ms] of [
    [30_000, t0, 29_200],
    [30_000, later(29_199), 1],
    [30_000, later(29_200), 0],
    [10_000, later(5_000), 4_200],
    [300, t0, 0],
    // The coordinator's clock was set back by three hours.
    [10_830_000, t0, 29_200],
    // Monotonic time stops in sleep; the wall clock can be set back.
    [30_000, later(10_000, 14_000), 15_200],
    [30_000, later(10_000, 6_000), 19_200],
    [30_000, later(1_000, 6_001), 0],
    [30_000, later(1_000, -4_001), 0],
  ] as const)
    expect([leftMs, now, trustedForMs(toTrust(t0, leftMs, 30_000), now)]).toEqual([leftMs, now, ms]);
  const jumps = [later(1_000, 6_000), later(1_000, 6_001), later(1_000, -4_001)];
  expect(jumps.map((now) => jumpedMs(t0, now))).toEqual([0, 5_001, -5_001]);
});

it("a grant whose hint was lost is found by asking, and confirmed before it is trusted", async () => {
  const edge = new FakeEdge();
  const [first, second] = [await registered(edge, "a"), await registered(edge, "b")];
  const right = await held(first);
  const waiting = second.client.hold({ resource, ttlMs: 3_000, waitMs: 60_000 });
  await edge.time.pass(1_000);
  edge.faults.loses = ({ text }) => text.includes("lease.granted");
  given(await edge.time.until(right.release()));
  const since = edge.time.now;
  const mine = given(await edge.time.until(waiting));
  expect(edge.time.now - since).toBeLessThanOrEqual(5_000);
  expect(mine.isTrusted() && (await isHeld(edge, mine))).toBe(true);
  const again = first.client.hold({ resource, ttlMs: 3_000, waitMs: 60_000 });
  await edge.time.pass(1_000);
  const refused = { code: "throttled", message: "later", retryAfterMs: 60_000 } as const;
  edge.faults.refuses = ({ name }) => (name === "leases.renew" ? refused : null);
  given(await edge.time.until(mine.release()));
  expect(codeOf(await edge.time.until(again))).toBe("throttled");
  await edge.time.pass(100);
  expect(given(await edge.host.call("leases.list", {})).leases).toEqual([]);
});

it("after a sleep nothing is trusted until it is confirmed, however much time was left", async ({ made, edge }) => {
  const right = await held(made, { ttlMs: 600_000 });
  await made.machine.sleep(8_000);
  expect(right.isTrusted()).toBe(false);
  expect(await edge.time.until(right.confirm())).toMatchObject({ ok: true });
  expect(right.isTrusted()).toBe(true);
  made.machine.setWall(-3_600_000);
  expect(right.isTrusted()).toBe(false);
  expect(await edge.time.until(right.confirm())).toMatchObject({ ok: true });
});
