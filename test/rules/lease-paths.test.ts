import * as fc from "fast-check";
import { expect } from "vitest";
import { overlap } from "#src/contract/resource-paths.ts";
import { admin, type RuleHost } from "#harness/coordinator/engine-host.ts";
import { ask, codeOf, force, given, isWithin, meet, Peer, refused, resources } from "#harness/coordinator/peers.ts";
import { submitOne } from "#harness/coordinator/tasks.ts";
import { pass, second, waitForFullHour } from "#harness/coordinator/times.ts";
import { auditOf, check, holders, changesBelow } from "#harness/coordinator/views.ts";
import { session } from "#harness/sync/sealed-content.ts";
import { list } from "#harness/sync/sealed-views.ts";
import { it } from "./rule-test.ts";

const anyResource = fc.constantFrom(...resources);

it("two paths overlap when there may be a file that both stand for", () => {
  // Every pair, against the files themselves.
  const wrong = resources.flatMap((one) =>
    resources.filter((other) => overlap(one, other) !== meet(one, other)).map((other) => `${one} ${other}`),
  );
  expect(wrong).toEqual([]);
  expect(resources.length).toBeGreaterThan(100);
});

it("names that are no paths overlap only themselves", () => {
  for (const [one, other] of [
    ["a/*", "a/b"],
    ["a/**", "a/b"],
    ["file", "file:a"],
    ["files:a/**", "files:a/b"],
    ["File:a/**", "file:a/b"],
    ["*", "x"],
  ] as const)
    expect([overlap(one, other), overlap(other, one), overlap(one, one)]).toEqual([false, false, true]);
});

it("a request waits only for earlier ones that overlap it", async ({ runs, host, crew: { a, b, c } }) => {
  let run = 0;
  await fc.assert(
    fc.asyncProperty(anyResource, anyResource, anyResource, async (held, first, next) => {
      const requestId = `r${(run += 1)}`;
      const request = { requestId, waitMs: 60 * second };
      const lease = await a.hold(held, { requestId });
      const earlier = given(await b.acquire(first, request));
      const later = given(await c.acquire(next, request));
      const mustWait = meet(next, held) || meet(next, first);
      expect(earlier.state).toBe(meet(first, held) ? "waiting" : "granted");
      expect(later.state).toBe(mustWait ? "waiting" : "granted");
      await a.release(lease);
      expect(Object.values(await holders(host)).toSorted()).toEqual(meet(first, next) ? ["b"] : ["b", "c"]);
      await b.release(await b.hold(first, request));
      expect(await holders(host)).toEqual({ [next]: "c" });
      await c.release(await c.hold(next, request));
    }),
    runs(60),
  );
});

it("a request that is over blocks none behind it, though no alarm has seen it", async ({ host, crew: { a, b, c } }) => {
  await a.hold("file:p/a", { ttlMs: 600 * second });
  const last = await a.hold("file:p/b", { ttlMs: 600 * second });
  await b.queue("file:p/**", { waitMs: 100 * second });
  await c.queue("file:p/doc");
  host.wait(100 * second);
  await a.release(last);
  expect(await holders(host)).toEqual({ "file:p/a": "a", "file:p/doc": "c" });
});

it("a token is valid only for what its lease covers, file or pattern", async ({ runs, host, crew: { a } }) => {
  let run = 0;
  await fc.assert(
    fc.asyncProperty(anyResource, anyResource, async (held, asked) => {
      const lease = await a.hold(held, { requestId: `r${(run += 1)}` });
      expect((await check(host, asked, lease.token)).isValid).toBe(isWithin(asked, held));
      await a.release(lease);
      expect((await check(host, asked, lease.token)).isValid).toBe(false);
    }),
    runs(150),
  );
});

it("a path may be as deep as its name can be long", async ({ host, crew: { a, b } }) => {
  const deep = `file:p${"/d".repeat(250)}`;
  const lease = await a.hold("file:p/**");
  expect((await check(host, deep, lease.token)).isValid).toBe(true);
  expect(codeOf(await b.acquire(deep))).toBe("lease_held");
  await a.release(lease);
  await b.hold(deep);
  for (const above of ["file:p/**", `file:p${"/d".repeat(120)}/**`])
    expect(codeOf(await a.acquire(above))).toBe("lease_held");
});

it("names of elections and ambiguous paths are refused", async ({ a }) => {
  const bad = ["", "leader:boss", "a\nb", "x".repeat(513), "file:", "file:/a", "file:a//b", "file:a/", "file:a/./b"];
  const worse = ["file:a/../b", "file:..", "file:a/*/b", "file:a/b*", "file:a/**/*", "file:*", "file:**", "file:a/***"];
  for (const resource of [...bad, ...worse]) expect(codeOf(await a.acquire(resource))).toBe("bad_input");
  for (const resource of ["a*b", "file:a", "file:a/..b", "file:c/*", "file:b/**", "x/../y", "x".repeat(512)])
    expect(codeOf(await a.acquire(resource))).toBe("ok");
});

it("watches of $file/ receive grants and ends, also after a wait", async ({ host, crew: { a, b } }) => {
  const { token: first } = await a.hold("file:p/src/**");
  const wait = given(await b.acquire("file:p/src/a.ts", { waitMs: 60 * second }));
  await a.hold("name");
  expect(wait.state).toBe("waiting");
  await a.release({ resource: "file:p/src/**", token: first });
  const [lease] = given(await host.call("leases.list", { prefix: "file:" })).leases;
  expect(await changesBelow(host, "$file/")).toEqual([
    { key: "$file/p/src/**", op: "set", value: { holder: "a", incarnation: 1, token: first } },
    { key: "$file/p/src/**", op: "delete", value: null },
    { key: "$file/p/src/a.ts", op: "set", value: { holder: "b", incarnation: 1, token: lease?.token } },
  ]);
});

it("after an expiry nobody is granted it before the delay ends", async ({ host, crew: { a, b, c } }) => {
  await a.hold("x", { ttlMs: 10 * second, lockDelayMs: 5 * second });
  await c.queue("x");
  host.wait(12 * second);
  // From the expiry on, not from the look at it.
  expect(refused(await b.acquire("x"))).toMatchObject({ code: "lease_held", retryAfterMs: 3_000 });
  expect(codeOf(await a.acquire("x"))).toBe("lease_held");
  expect(await holders(host)).toEqual({});
  await pass(host, 2_999);
  expect(await holders(host)).toEqual({});
  await pass(host, 1);
  await host.ring();
  expect(await holders(host)).toEqual({ x: "c" });
});

it("of a bound lease the delay counts from its holder's last sign of life + ttl on", async ({ host, a }) => {
  await host.connect("a");
  await a.hold("x", { isBound: true, lockDelayMs: 5 * second });
  host.wait(20 * second);
  await host.ping("a");
  host.wait(30 * second);
  const b = await Peer.join(host, "b");
  expect(refused(await b.acquire("x"))).toMatchObject({ retryAfterMs: 5_000, details: { holder: null } });
});

it("the delay covers what overlaps, and ends without an alarm", async ({ host, crew: { a, b, c } }) => {
  await a.hold("file:p/src/**", { ttlMs: 10 * second, lockDelayMs: 5 * second });
  await pass(host, 10 * second);
  await host.ring();
  const details = { holder: null, resource: "file:p/src/**" };
  expect(refused(await b.acquire("file:p/src/a.ts"))).toMatchObject({ retryAfterMs: 5_000, details });
  expect(codeOf(await b.acquire("file:p/**"))).toBe("lease_held");
  expect(codeOf(await b.acquire("file:p/doc/**"))).toBe("ok");
  await c.queue("file:p/src/b.ts");
  host.wait(5 * second);
  expect(codeOf(await b.acquire("file:p/src/a.ts"))).toBe("ok");
  expect(await holders(host, "file:p/src")).toEqual({ "file:p/src/a.ts": "b", "file:p/src/b.ts": "c" });
});

it("there is no delay when the holder gives it back, leaves or loses it", async ({ host, crew: { a, b } }) => {
  for (const give of [a.release.bind(a), () => force(host, "x"), () => a.leave()]) {
    await give(await a.hold("x", { lockDelayMs: 60 * second }));
    expect(codeOf(await b.acquire("x"))).toBe("ok");
    await b.leave();
    await b.back();
  }
});

const day2026 = Date.UTC(2026, 0, 1);

it("an admin's release passes a lease to the next in line and is audited", async ({ host, a, b }) => {
  const lease = await a.hold("x", { ttlMs: 600 * second, lockDelayMs: 60 * second });
  await b.queue("x");
  expect(await force(host, "x")).toMatchObject({ ok: true, value: { isReleased: true } });
  expect(await holders(host)).toEqual({ x: "b" });
  expect(codeOf(await a.renew(lease))).toBe("not_holder");
  expect((await check(host, "x", lease.token)).isValid).toBe(false);
  const detail = { holder: "a", token: lease.token, reason: "asked by ana" };
  expect(await auditOf(host, "lease.forced")).toMatchObject([{ subject: "x", actor: "m1", detail }]);
  expect(await force(host, "y")).toMatchObject({ ok: true, value: { isReleased: false } });
  expect(codeOf(await host.call("leases.force-release", { resource: "x", reason: "" }, admin))).toBe("bad_input");
  expect(await auditOf(host, "lease.forced")).toHaveLength(1);
});

it("a raised epoch puts new tokens above all old ones and keeps leases", async ({ host, a, b }) => {
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

it("restores of one state a minute apart begin different epochs with safe tokens", async ({ open }) => {
  const seen: number[] = [];
  // The same state each time, at times up to the last epoch of the clock, and long after it.
  for (const minutes of [0, 1, 2, 60, 500_000, 16_777_214, 16_777_215, 16_777_216, 90_000_000]) {
    const host = await open();
    host.wait(day2026 - host.now() + minutes * 60 * second + 30 * second);
    const { epoch } = given(await host.call("epoch.raise", { reason: "restored", quietMs: 0 }, admin));
    const a = await Peer.join(host, "a");
    const { token } = await a.hold("x");
    expect(Number.isSafeInteger(token)).toBe(true);
    expect(token).toBeGreaterThan(epoch * 2 ** 28);
    seen.push(token);
  }
  const ofTheClock = seen.slice(1, 7);
  expect(ofTheClock).toEqual([...new Set(ofTheClock)].toSorted((one, other) => one - other));
  expect(Math.max(...seen.slice(7))).toBeLessThan(ofTheClock[0] ?? 0);
});

async function raise(host: RuleHost, quietMs?: number): Promise<number> {
  const input = { reason: "restored", ...(quietMs === undefined ? {} : { quietMs }) };
  return given(await host.call("epoch.raise", input, admin)).epoch;
}

it("after a raised epoch nothing is granted for a while; leases stay", async ({ host, crew: { a, b, c } }) => {
  const held = await a.hold("x", { ttlMs: 200 * second });
  await raise(host, 90 * second);
  expect(given(await a.renew(held)).token).toBe(held.token);
  expect(await a.release(held)).toBe(true);
  expect(refused(await b.acquire("y"))).toMatchObject({ code: "lease_held", retryAfterMs: 90_000 });
  expect(await c.queue("x")).toBe(1);
  expect((await b.campaign("main", { waitMs: 300 * second })).state).toBe("following");
  await b.queue("file:p/a", { waitMs: 10 * second });
  expect(await c.queue("file:p/**", { waitMs: 20 * second })).toBe(2);
  host.wait(10 * second);
  expect(await c.queue("file:p/**")).toBe(1);
  await pass(host, 80 * second - 1);
  expect(await holders(host)).toEqual({});
  await pass(host, 1);
  await host.ring();
  expect(await holders(host)).toEqual({ x: "c", "leader:main": "b" });
  await a.hold("y");
});

it("that lasts ten minutes by default; a second raise does not shorten it", async ({ host, crew: { a } }) => {
  await raise(host);
  await raise(host, second);
  await pass(host, 600 * second - 1);
  expect(codeOf(await a.acquire("x"))).toBe("lease_held");
  await pass(host, 1);
  await a.back();
  await a.hold("x");
});

it("after a raised epoch every number is above all that may be lost; the rest stays", async ({ host, device }) => {
  const a = await Peer.join(host, "a");
  const send = async (body: string): Promise<number> => {
    const sent = { self: a.self, target: { to: "chat", chat: "a" }, body } as const;
    return (await ask(host, "messages.send", sent)).id;
  };
  await send("before");
  await device.put(session("s1"));
  const epoch = await raise(host, 0);
  const numbers = {
    version: (await ask(host, "state.set", { key: "k", value: 1 })).version,
    message: await send("after"),
    task: await submitOne(host),
    claim: (await a.take()).claim,
    incarnation: (await Peer.join(host, "b")).incarnation,
    sync: (await device.put(session("s1", "later")), (await list(host)).revision),
  };
  for (const [name, number] of Object.entries(numbers)) expect([name, number > epoch * 2 ** 28]).toEqual([name, true]);
  expect((await a.back()).incarnation).toBe(1);
  waitForFullHour(host);
  await host.ring();
  await a.back();
  const { messages } = await ask(host, "messages.pull", { self: a.self });
  expect(messages.map(({ body }) => body)).toEqual(["before", "after"]);
});

it("no waiter stays that its chat may not know of", async ({ host, a, b }) => {
  const held = await a.hold("x");
  await b.queue("x");
  await raise(host, 0);
  await a.release(held);
  expect(await holders(host)).toEqual({});
  await b.hold("x");
});
