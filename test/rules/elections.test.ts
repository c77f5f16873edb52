import { expect } from "vitest";
import type { RuleHost } from "#harness/coordinator/engine-host.ts";
import { auditOf, leaderOf, pass, Peer, second, toldBelow } from "#harness/coordinator/peers.ts";
import { given } from "#harness/coordinator/state-calls.ts";
import { it } from "./rule-test.ts";

async function termOf(host: RuleHost, name: string): Promise<number> {
  return (await leaderOf(host, name))?.term ?? 0;
}

it("one leads, the others follow, and each is told who leads", async ({ host, crew: { a, b } }) => {
  expect(await leaderOf(host, "boss")).toBeNull();
  const term = expect.any(Number) as number;
  const leader = { name: "boss", leader: "a", incarnation: 1, term, ttlMs: 30_000, remainingMs: 30_000 };
  expect(await a.campaign("boss")).toEqual({ state: "leading", leader });
  expect(await b.campaign("boss")).toEqual({ state: "following", leader, position: null });
  expect(await b.campaign("boss", { waitMs: 60 * second })).toEqual({ state: "following", leader, position: 1 });
  expect(await leaderOf(host, "boss")).toEqual(leader);
  // Each election is its own.
  expect(await b.campaign("other")).toMatchObject({ state: "leading", leader: { leader: "b" } });
});

it("another request of the leader's chat shares no term and ends none", async ({ host, crew: { a } }) => {
  await a.campaign("boss");
  const term = await termOf(host, "boss");
  const other = { requestId: "r2", waitMs: 60 * second };
  expect(await a.campaign("boss", other)).toMatchObject({ state: "following", position: 1, leader: { leader: "a" } });
  await a.resign("boss", term);
  const led = await a.campaign("boss", other);
  expect(led).toMatchObject({ state: "leading" });
  expect(await termOf(host, "boss")).toBeGreaterThan(term);
  // The first one's resignation, a second time.
  await a.resign("boss", term);
  expect(await leaderOf(host, "boss")).toMatchObject({ leader: "a" });
});

it("when a leader resigns the next in line leads at once", async ({ host, crew: { a, b, c } }) => {
  await a.campaign("boss");
  await c.campaign("boss", { waitMs: 60 * second });
  expect(await b.campaign("boss", { waitMs: 60 * second })).toMatchObject({ position: 2 });
  const term = await termOf(host, "boss");
  expect(await b.resign("boss", term)).toBe(false);
  expect(await a.resign("boss", term)).toBe(true);
  expect(await leaderOf(host, "boss")).toMatchObject({ leader: "c", remainingMs: 30_000 });
  expect(await c.campaign("boss", { waitMs: 60 * second })).toMatchObject({ state: "leading" });
  // The answer was lost: again changes nothing.
  expect(await a.resign("boss", term)).toBe(false);
  expect(await leaderOf(host, "boss")).toMatchObject({ leader: "c" });
  expect(await c.resign("boss", await termOf(host, "boss"))).toBe(true);
  // b has left the line with its own resignation.
  expect(await leaderOf(host, "boss")).toBeNull();
});

it("after a vanished leader nobody leads for 15 s, then the next one", async ({ host, crew: { a, b, c } }) => {
  await a.campaign("boss", { ttlMs: 20 * second });
  await c.campaign("boss", { waitMs: 600 * second });
  await pass(host, 20 * second - 1);
  expect(await leaderOf(host, "boss")).toMatchObject({ leader: "a", remainingMs: 1 });
  await pass(host, 1);
  expect(await leaderOf(host, "boss")).toBeNull();
  for (const peer of [b, a]) {
    const answer = await peer.campaign("boss", { requestId: "late" });
    expect(answer).toEqual({ state: "following", leader: null, position: null });
  }
  await pass(host, 14_999);
  expect(await leaderOf(host, "boss")).toBeNull();
  await pass(host, 1);
  await host.ring();
  expect(await leaderOf(host, "boss")).toMatchObject({ leader: "c", remainingMs: 30_000 });
});

it("watches of $leader/ receive each change of leader in order", async ({ host, crew: { a, b, c } }) => {
  await a.campaign("boss");
  const first = await termOf(host, "boss");
  for (const peer of [b, c]) await peer.campaign("boss", { waitMs: 600 * second });
  given(await renewed(host, a, first));
  await a.resign("boss", first);
  const next = await termOf(host, "boss");
  await pass(host, 30 * second + 15 * second);
  await host.ring();
  const last = await termOf(host, "boss");
  expect(await toldBelow(host, "$leader/")).toEqual([
    { key: "$leader/boss", op: "set", value: { leader: "a", incarnation: 1, term: first } },
    { key: "$leader/boss", op: "delete", value: null },
    { key: "$leader/boss", op: "set", value: { leader: "b", incarnation: 1, term: next } },
    { key: "$leader/boss", op: "delete", value: null },
    { key: "$leader/boss", op: "set", value: { leader: "c", incarnation: 1, term: last } },
  ]);
  expect(await auditOf(host, "lease.expired")).toMatchObject([{ subject: "leader:boss", actor: "b" }]);
});

function renewed(host: RuleHost, peer: Peer, term: number) {
  return host.call("leases.renew", { self: peer.self, resource: "leader:boss", token: term });
}
