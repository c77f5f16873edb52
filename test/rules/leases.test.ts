import { expect } from "vitest";
import type { RuleHost } from "#harness/coordinator/engine-host.ts";
import { codeOf, Peer, successorOf, ask, given, refused } from "#harness/coordinator/peers.ts";
import { pass, second } from "#harness/coordinator/times.ts";
import { auditOf, check, holders, leaderOf, statusOf, changesBelow, pagesOf } from "#harness/coordinator/views.ts";
import { it } from "./rule-test.ts";
it("what is held is refused to every other request, with who holds it and how long", async ({ host, a, b }) => {
  const lease = await a.hold("deploy", { ttlMs: 20 * second });
  const times = { ttlMs: 20_000, remainingMs: 20_000, isBound: false, heldForMs: 0 };
  expect(lease).toEqual({ resource: "deploy", holder: "a", incarnation: 1, token: lease.token, ...times });
  host.wait(5 * second);
  const details = { holder: "a", resource: "deploy" };
  expect(refused(await b.acquire("deploy"))).toMatchObject({ code: "lease_held", retryAfterMs: 15_000, details });
  // Also to its holder, in another request.
  expect(codeOf(await a.acquire("deploy", { requestId: "r2" }))).toBe("lease_held");
  expect(codeOf(await b.acquire("Deploy"))).toBe("ok");
  expect(await a.release(lease)).toBe(true);
  expect(codeOf(await b.acquire("deploy"))).toBe("ok");
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
  const expired = { subject: "x", actor: "a", detail: { token: lease.token } };
  expect(await auditOf(host, "lease.expired")).toMatchObject([expired]);
});

it("pings and calls renew a bound lease, which counts as held; a renewal keeps its ttl", async ({ host, a, b }) => {
  const counted = async (): Promise<unknown> =>
    (await ask(host, "metrics", {})).samples.find(({ name }) => name === "shim_leases")?.value;
  await host.connect("a");
  await a.hold("y", { isBound: true });
  const lease = await a.hold("x", { isBound: true, ttlMs: second });
  expect(lease).toMatchObject({ isBound: true, ttlMs: 30_000, remainingMs: 30_000 });
  for (let n = 0; n < 30; n++) {
    await pass(host, 10 * second);
    await host.ping("a");
    await b.beat();
  }
  expect(await counted()).toBe(2);
  await b.back();
  host.wait(4 * second);
  for (const ttlMs of [second, 3_600 * second, undefined])
    expect(given(await a.renew(lease, ttlMs))).toMatchObject({ isBound: true, ttlMs: 30_000, remainingMs: 30_000 });
  host.wait(second);
  await host.ping("a");
  await pass(host, 29_999);
  expect((await check(host, "x", lease.token)).isValid).toBe(true);
  await b.back();
  expect(codeOf(await b.acquire("x"))).toBe("lease_held");
  await pass(host, 1);
  expect((await check(host, "x", lease.token)).isValid).toBe(false);
  expect(await counted()).toBe(0);
  expect(codeOf(await b.acquire("x"))).toBe("ok");
});

it("a lease that the chat's older process may trust is held against the new one", async ({ host, a: old }) => {
  const own = await old.hold("x", { ttlMs: 100 * second });
  const bound = await old.hold("y", { isBound: true });
  host.wait(30 * second);
  const next = successorOf(old);
  await next.back();
  expect(codeOf(await next.acquire("x"))).toBe("lease_held");
  expect(codeOf(await next.acquire("y"))).toBe("ok");
  expect(await check(host, "x", own.token)).toMatchObject({ isValid: true, remainingMs: 70_000 });
  expect((await check(host, "y", bound.token)).isValid).toBe(false);
  host.wait(5 * second);
  // The new process speaks for itself only.
  expect(await next.leave()).toBe(1);
  expect(await check(host, "x", own.token)).toMatchObject({ isValid: true, remainingMs: 65_000 });
  await pass(host, 65_000);
  expect(await holders(host)).toEqual({});
});

it("a chat that is gone keeps a bound lease until its last ping + ttl, also if it returns", async ({ host, a, b }) => {
  await host.connect("a");
  const { token } = await a.hold("y", { isBound: true });
  await pass(host, 10 * second);
  await host.ping("a");
  await host.disconnect("a");
  await pass(host, 20 * second);
  expect(await statusOf(host, "a")).toBe("offline closed");
  await b.back();
  expect(codeOf(await b.acquire("y"))).toBe("lease_held");
  await a.back();
  host.wait(9_999);
  await a.beat();
  expect(await check(host, "y", token)).toMatchObject({ isValid: true, remainingMs: 1 });
  host.wait(1);
  expect((await check(host, "y", token)).isValid).toBe(false);
});

it("what a chat has done beside its connection counts when that closes", async ({ host, a }) => {
  await host.connect("a");
  const lease = await a.hold("x", { isBound: true });
  host.wait(20 * second);
  await a.beat();
  await host.disconnect("a");
  expect(await check(host, "x", lease.token)).toMatchObject({ isValid: true, remainingMs: 30_000 });
});

it("leases are listed by name, in pages, by holder and by prefix", async ({ host, a, b }) => {
  const names = ["file:p/a", "file:p/b", "file:q/a", "x", "x%", "x_1", "xy", "é\u{1F600}", "é\u{1F600}/1"];
  for (const [at, name] of names.entries()) await (at % 2 ? b : a).hold(name, { ttlMs: 100 * second });
  await a.hold("short", { ttlMs: second });
  host.wait(second);
  const all = async (filter: { prefix?: string; holder?: string }, limit: number): Promise<string[]> => {
    const pages = await pagesOf((from) => ask(host, "leases.list", { ...filter, limit, ...from }));
    expect(Math.max(...pages.map(({ leases }) => leases.length))).toBeLessThanOrEqual(limit);
    return pages.flatMap(({ leases }) => leases.map(({ resource }) => resource));
  };
  for (const limit of [1, 2, 3, 200]) {
    expect(await all({}, limit)).toEqual(names);
    expect(await all({ holder: "b" }, limit)).toEqual(names.filter((_, at) => at % 2 === 1));
    for (const prefix of ["file:p/", "x", "x_", "x%", "é\u{1F600}", "é", "nothing"])
      expect(await all({ prefix }, limit)).toEqual(names.filter((name) => name.startsWith(prefix)));
    expect(await all({ prefix: "x", holder: "a" }, limit)).toEqual(["x%", "xy"]);
  }
});

it("a repeated request keeps its position, and gets its grant", async ({ host, crew: { a, b, c } }) => {
  const lease = await a.hold("x");
  expect(await b.queue("x", { waitMs: 100 * second })).toBe(1);
  expect(await c.queue("x")).toBe(2);
  host.wait(40 * second);
  for (const waitMs of [0, 5 * second, 300 * second])
    expect(given(await b.acquire("x", { waitMs }))).toEqual({ state: "waiting", position: 1, waitMs: 60_000 });
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

for (const [parting, part] of Object.entries<(host: RuleHost, first: Peer) => Promise<unknown>>({
  "cancels its wait": (_, first) => first.cancel("file:p/**"),
  "has waited long enough": (host) => pass(host, 100 * second),
  leaves: (_, first) => first.leave(),
  "is gone": async (host, first) => {
    await host.connect(first.chat);
    await host.disconnect(first.chat);
    await pass(host, 20 * second);
  },
}))
  it(`when the first in line ${parting}, those behind get theirs`, async ({ host, crew: { a, b, c } }) => {
    await a.hold("file:p/a", { ttlMs: 3_600 * second });
    await b.queue("file:p/**", { waitMs: 100 * second });
    await c.queue("file:p/b");
    await part(host, b);
    expect(await holders(host)).toEqual({ "file:p/a": "a", "file:p/b": "c" });
  });

it("a wait ends at its last instant; a new one is the last in line", async ({ host, crew: { a, b, c } }) => {
  const lease = await a.hold("x", { ttlMs: 100 * second });
  await b.queue("x", { waitMs: 10 * second });
  await c.queue("x", { waitMs: 11 * second });
  host.wait(10 * second);
  expect([await c.queue("x"), await b.queue("x")]).toEqual([1, 2]);
  host.wait(second);
  await a.release(lease);
  expect(await holders(host)).toEqual({ x: "b" });
  expect(codeOf(await c.acquire("x"))).toBe("lease_held");
  expect(await c.queue("x")).toBe(1);
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

const termOf = async (host: RuleHost, name: string): Promise<number> => (await leaderOf(host, name))?.term ?? 0;

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

it("watches of $leader/ receive each change; who resigns in line is none", async ({ host, crew: { a, b, c, d } }) => {
  await a.campaign("boss");
  const first = await termOf(host, "boss");
  for (const peer of [d, b, c]) await peer.campaign("boss", { waitMs: 600 * second });
  given(await a.renew({ resource: "leader:boss", token: first }));
  expect(await d.resign("boss", first)).toBe(false);
  await a.resign("boss", first);
  const next = await termOf(host, "boss");
  await pass(host, 30 * second + 15 * second);
  await host.ring();
  const last = await termOf(host, "boss");
  expect(await changesBelow(host, "$leader/")).toEqual([
    { key: "$leader/boss", op: "set", value: { leader: "a", incarnation: 1, term: first } },
    { key: "$leader/boss", op: "delete", value: null },
    { key: "$leader/boss", op: "set", value: { leader: "b", incarnation: 1, term: next } },
    { key: "$leader/boss", op: "delete", value: null },
    { key: "$leader/boss", op: "set", value: { leader: "c", incarnation: 1, term: last } },
  ]);
  expect(await auditOf(host, "lease.expired")).toMatchObject([{ subject: "leader:boss", actor: "b" }]);
});
