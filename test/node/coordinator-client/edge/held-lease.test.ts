import { expect, it } from "vitest";
import { onEdge, codeOf, registered, value, twoChats } from "#harness/edge/edge-clients.ts";
import { guardOf, held, isHeld, resource, rightsOf } from "#harness/edge/held-leases.ts";
import { FakeEdge } from "#harness/edge/fake-edge.ts";
import { admin } from "#harness/coordinator/engine-host.ts";

it("a held lease is renewed at half of its time, for as long as it is held", async () => {
  const { edge, ...made } = await onEdge();
  const right = await held(edge, made);
  expect(right).toMatchObject({ name: "r", state: "trusted" });
  await edge.time.pass(14_900);
  expect(edge.count("leases.renew")).toBe(0);
  await edge.time.pass(600_000);
  expect(edge.count("leases.renew")).toBe(40);
  expect(right.isTrusted() && (await isHeld(edge, right))).toBe(true);
  expect(rightsOf(made)).toEqual(["r trusted"]);
  expect(value(await edge.time.until(right.release()))).toBe(true);
  expect([right.isTrusted(), right.state, await isHeld(edge, right)]).toEqual([false, "released", false]);
  expect(codeOf(await edge.time.until(right.confirm()))).toBe("not_holder");
  await edge.time.pass(60_000);
  expect(edge.count("leases.renew")).toBe(40);
});

it("a lease becomes doubtful when its trust ends, also while a renewal is not answered yet", async () => {
  const { edge, ...made } = await onEdge();
  const lease = await held(edge, made);
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
    const right = await held(edge, made, { isBound }, { onLost: (reason) => lost.push(reason) });
    await edge.host.call("leases.force-release", { resource, reason: "stuck" }, admin);
    edge.tell();
    await edge.time.pass(50);
    expect(right.state).toBe("lost");
    await edge.time.pass(120_000);
    expect(lost).toEqual([expect.stringContaining("r is no longer held")]);
    expect(rightsOf(made)).toEqual(["r trusted", "r lost"]);
    expect(codeOf(await edge.time.until(right.confirm()))).toBe("not_holder");
    expect(value(await edge.time.until(right.release()))).toBe(false);
  }
});

it("a lease that a request without an answer has acquired is released", async () => {
  const { edge, ...made } = await onEdge();
  edge.faults.loses = ({ direction, text }) => direction === "down" && text.includes("granted");
  const unknown = await edge.time.until(made.client.hold({ resource, isBound: true }));
  expect(codeOf(unknown)).toBe("outcome_unknown");
  expect(value(await edge.host.call("leases.list", {})).leases.length).toBe(1);
  edge.faults.loses = () => false;
  await edge.time.pass(30_000);
  expect(value(await edge.host.call("leases.list", {})).leases).toEqual([]);
});

it("a waiter that a request without an answer has added is removed", async () => {
  const { edge, first, second } = await twoChats();
  const right = await held(edge, first);
  edge.faults.loses = ({ direction, text }) => direction === "down" && text.includes("waiting");
  const unknown = await edge.time.until(second.client.hold({ resource, waitMs: 3_600_000 }));
  expect(codeOf(unknown)).toBe("outcome_unknown");
  edge.faults.loses = () => false;
  await edge.time.pass(30_000);
  value(await edge.time.until(right.release()));
  await edge.time.pass(1_000);
  expect(value(await edge.host.call("leases.list", {})).leases).toEqual([]);
});

it("a leader stays one by renewing its term, and the next waiter follows when it goes", async () => {
  const { edge, first, second } = await twoChats();
  const leading = value(await edge.time.until(first.client.lead({ name: "build", ttlMs: 10_000 })));
  expect(leading.name).toBe("leader:build");
  expect(codeOf(await edge.time.until(second.client.lead({ name: "build" })))).toBe("lease_held");
  const following = second.client.lead({ name: "build", ttlMs: 10_000, waitMs: 600_000 });
  await edge.time.pass(60_000);
  expect(leading.isTrusted()).toBe(true);
  expect(edge.count("leases.renew")).toBe(12);
  value(await edge.time.until(first.client.call("state.set", { key: "k", value: 1, guard: guardOf(leading) })));
  expect(value(await edge.time.until(leading.release()))).toBe(true);
  expect(value(await edge.time.until(following, 1_000)).token).toBeGreaterThan(leading.token);
  const stale = second.client.call("state.set", { key: "k", value: 2, guard: guardOf(leading) });
  expect(codeOf(await edge.time.until(stale))).toBe("stale_token");
});

it("a client that has waited in vain for leadership leaves the queue", async () => {
  const { edge, first, second } = await twoChats();
  const leading = value(await edge.time.until(first.client.lead({ name: "build" })));
  expect(codeOf(await edge.time.until(second.client.lead({ name: "build", waitMs: 8_000 })))).toBe("lease_held");
  value(await edge.time.until(leading.release()));
  expect(value(await edge.host.call("elections.observe", { name: "build" })).leader).toBeNull();
});

it("a chat that leaves trusts nothing of what it has held, or asks for", async () => {
  const { edge, ...made } = await onEdge();
  const right = await held(edge, made);
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

it("a grant that is lost before it was handed out is not reported", async () => {
  const edge = new FakeEdge();
  const [first, second] = [await registered(edge, "a"), await registered(edge, "b", { seed: 2 })];
  const before = await held(edge, first);
  const lost: string[] = [];
  let isRefused = false;
  edge.faults.refuses = ({ name }) => {
    if (name !== "leases.renew" || isRefused) return null;
    isRefused = true;
    return { code: "not_holder", message: "it is held by another" };
  };
  const wanted = { resource: "r", ttlMs: 30_000, waitMs: 60_000 };
  const waiting = second.client.hold(wanted, { onLost: (reason) => lost.push(reason) });
  await edge.time.pass(1_000);
  await edge.time.until(before.release());
  const right = value(await edge.time.until(waiting));
  expect({ isRefused, lost, isTrusted: right.isTrusted() }).toEqual({ isRefused: true, lost: [], isTrusted: true });
  await edge.host.call("leases.force-release", { resource: "r", reason: "test" }, admin);
  await edge.time.pass(60_000);
  expect(lost.length).toBe(1);
});
