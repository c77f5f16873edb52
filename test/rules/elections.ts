import { expect } from "vitest";
import { auditOf, codeOf, leaderOf, pass, Peer, second, successorOf, toldBelow } from "#harness/coordinator/peers.ts";
import { admin, type RuleHost } from "#harness/coordinator/engine-host.ts";
import { given } from "#harness/coordinator/state-calls.ts";
import type { RuleTest } from "./rule-test.ts";

/** Who was told to lead, in order; null: nobody. */
async function toldLeaders(host: RuleHost, name: string): Promise<(string | null)[]> {
  const told = await toldBelow(host, `$leader/${name}`);
  return told.map(({ value }) => (value === null ? null : (value as { leader: string }).leader));
}

async function termOf(host: RuleHost, name: string): Promise<number> {
  return (await leaderOf(host, name))?.term ?? 0;
}

/** Elections: leases on who decides. */
export function electionRules(it: RuleTest): void {
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

  it("a leader that asks again by the same request gets its own term", async ({ host, crew: { a, b } }) => {
    await a.campaign("boss");
    const term = await termOf(host, "boss");
    host.wait(10 * second);
    expect(await a.campaign("boss", { waitMs: 60 * second })).toMatchObject({
      state: "leading",
      leader: { term, remainingMs: 20_000 },
    });
    expect(await toldLeaders(host, "boss")).toEqual(["a"]);
    // Nor does it stand in its own line.
    expect(await b.campaign("boss", { waitMs: 60 * second })).toMatchObject({ position: 1 });
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

  it("terms only grow, however one ends, over all elections", async ({ host, crew: { a, b, c } }) => {
    const terms: number[] = [];
    const note = async (name = "boss"): Promise<void> => void terms.push(await termOf(host, name));
    await a.campaign("boss");
    await note();
    await b.campaign("boss", { waitMs: 3_600 * second });
    await a.resign("boss", terms[0] ?? 0);
    await note();
    await c.campaign("other");
    await note("other");
    await pass(host, 60 * second);
    await a.campaign("boss", { requestId: "r2" });
    await note();
    given(await host.call("leases.force-release", { resource: "leader:boss", reason: "deposed" }, admin));
    expect(await leaderOf(host, "boss")).toBeNull();
    await b.campaign("boss", { requestId: "r3" });
    await note();
    given(await host.call("epoch.raise", { reason: "restored", quietMs: 0 }, admin));
    await b.leave();
    await a.campaign("boss", { requestId: "r4" });
    await note();
    expect(terms).toEqual([...new Set(terms)].sort((one, other) => one - other));
    expect(terms).toHaveLength(6);
    expect(terms.every((term) => term > 0)).toBe(true);
  });

  it("the term is the fencing token of what the leader does", async ({ host, crew: { a, b } }) => {
    await a.campaign("boss");
    const old = await termOf(host, "boss");
    const guarded = (token: number): Promise<{ ok: boolean }> =>
      host.call("state.set", { key: "plan", value: token, guard: { resource: "leader:boss", token } });
    expect((await guarded(old)).ok).toBe(true);
    await a.resign("boss", old);
    await b.campaign("boss");
    expect((await guarded(old)).ok).toBe(false);
    expect((await guarded(await termOf(host, "boss"))).ok).toBe(true);
  });

  it("a leader stays as long as it renews its term, and only it can", async ({ host, crew: { a, b } }) => {
    await a.campaign("boss", { ttlMs: 20 * second });
    const term = await termOf(host, "boss");
    const renew = (peer: Peer, of = term): ReturnType<typeof renewed> => renewed(host, peer, of);
    for (let n = 0; n < 20; n++) {
      await pass(host, 19_999);
      const times = { ttlMs: 20_000, remainingMs: 20_000 };
      const lease = { resource: "leader:boss", holder: "a", incarnation: 1, token: term, isBound: false };
      expect(given(await renew(a))).toMatchObject({ ...lease, ...times });
    }
    expect(codeOf(await renew(b))).toBe("not_holder");
    expect(codeOf(await renew(a, term + 1))).toBe("not_holder");
    host.wait(20 * second);
    expect(await leaderOf(host, "boss")).toBeNull();
    expect(codeOf(await renew(a))).toBe("not_holder");
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

  it("who resigns does not follow itself, however often it has campaigned", async ({ host, crew: { a, b } }) => {
    await b.campaign("boss");
    await a.campaign("boss", { requestId: "r1", waitMs: 60 * second });
    await a.campaign("boss", { requestId: "r2", waitMs: 60 * second });
    await b.resign("boss", await termOf(host, "boss"));
    expect(await leaderOf(host, "boss")).toMatchObject({ leader: "a" });
    await a.resign("boss", await termOf(host, "boss"));
    expect(await leaderOf(host, "boss")).toBeNull();
    expect(await b.campaign("boss", { requestId: "r3" })).toMatchObject({ state: "leading" });
  });

  it("a leader that leaves or is attested dead leaves no delay", async ({ host, crew: { a, b, c } }) => {
    await a.campaign("boss");
    for (const peer of [b, c]) await peer.campaign("boss", { waitMs: 60 * second });
    await a.leave();
    expect(await leaderOf(host, "boss")).toMatchObject({ leader: "b" });
    const { chat, machine, process } = b.registration;
    given(await host.call("chats.attest-death", { chat, machine, process }));
    expect(await leaderOf(host, "boss")).toMatchObject({ leader: "c" });
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

  it("an offline leader keeps its term; its successor has none of it", async ({ host, crew: { a } }) => {
    await a.campaign("boss", { ttlMs: 60 * second });
    const term = await termOf(host, "boss");
    await host.connect("a");
    await host.disconnect("a");
    await pass(host, 20 * second);
    const next = successorOf(a);
    await next.back();
    expect(await leaderOf(host, "boss")).toMatchObject({ leader: "a", incarnation: 1, remainingMs: 40_000 });
    expect(await next.campaign("boss")).toMatchObject({ state: "following", leader: { incarnation: 1 } });
    expect(codeOf(await renewed(host, next, term))).toBe("not_holder");
    expect(await next.resign("boss", term)).toBe(false);
    await pass(host, 55 * second);
    expect(await next.campaign("boss")).toMatchObject({ state: "leading", leader: { incarnation: 2 } });
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
}

function renewed(host: RuleHost, peer: Peer, term: number) {
  return host.call("leases.renew", { self: peer.self, resource: "leader:boss", token: term });
}
