import { expect } from "vitest";
import { check, codeOf, holders, pass, Peer, second, statusOf, successorOf } from "#harness/coordinator/peers.ts";
import { admin, m1 } from "#harness/coordinator/engine-host.ts";
import { given } from "#harness/coordinator/state-calls.ts";
import type { RuleTest } from "./rule-test.ts";

const hour = 3_600 * second;
const m2 = { machine: "m2", isAdmin: false };

/** That the process of a chat is gone, or what else is told of it. */
function attest({ host, registration }: Peer, more: object = {}, actor = m1) {
  const { chat, machine, process } = registration;
  return host.call("chats.attest-death", { chat, machine, process, ...more }, actor);
}

/** What becomes of what a chat held. */
export function chatEndRules(it: RuleTest): void {
  for (const [kind, request, left] of [
    ["a lease of its own ttl", { ttlMs: 100 * second }, 100_000],
    ["a bound lease", { isBound: true }, 40_000],
  ] as const) {
    it(`a chat that is gone without a word keeps ${kind} up to its last renewal + ttl`, async ({ host }) => {
      const [a, b] = [await Peer.join(host, "a", { isInteractive: false }), await Peer.join(host, "b")];
      await host.connect("a");
      await host.connect("b");
      const lease = await a.hold("x", request);
      const until = host.now() + left;
      await pass(host, 10 * second);
      await host.ping("a");
      await pass(host, 2 * second);
      await host.disconnect("a");
      await pass(host, 5 * second);
      expect(await statusOf(host, "a")).toBe("offline closed");
      while (host.now() < until - 1) {
        await pass(host, Math.min(9_000, until - 1 - host.now()));
        await host.ping("b");
        expect(await check(host, "x", lease.token)).toMatchObject({ isValid: true, remainingMs: until - host.now() });
        expect(codeOf(await b.acquire("x"))).toBe("lease_held");
      }
      await pass(host, 1);
      expect((await check(host, "x", lease.token)).isValid).toBe(false);
      expect(codeOf(await b.acquire("x"))).toBe("ok");
    });
  }

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

  it("an attested death frees the leases of that process, not of an older one", async ({ host, a: old }) => {
    const own = await old.hold("x", { ttlMs: 100 * second });
    host.wait(30 * second);
    const next = successorOf(old, { machine: "m2" });
    await next.back();
    await next.hold("y");
    expect(given(await attest(next, {}, m2))).toEqual({ released: 1, wasAlive: true });
    expect((await check(host, "x", own.token)).isValid).toBe(true);
  });

  it("a chat that returns has a kept bound lease to its old end unless it renews it", async ({ host }) => {
    const a = await Peer.join(host, "a", { isInteractive: false });
    await host.connect("a");
    const lost = await a.hold("x", { isBound: true });
    const renewed = await a.hold("y", { isBound: true });
    await host.disconnect("a");
    await pass(host, 10 * second);
    expect(await statusOf(host, "a")).toBe("offline closed");
    await a.back();
    await host.connect("a");
    expect(given(await a.renew(renewed, 50 * second))).toMatchObject({ isBound: false, remainingMs: 50_000 });
    await pass(host, 20 * second - 1);
    await host.ping("a");
    expect(await check(host, "x", lost.token)).toMatchObject({ isValid: true, remainingMs: 1 });
    await pass(host, 1);
    expect(await check(host, "x", lost.token)).toMatchObject({ isValid: false });
    expect(await check(host, "y", renewed.token)).toMatchObject({ isValid: true, remainingMs: 30_000 });
  });

  it("what was kept for a chat that was passed over is free in time, by the alarm alone", async ({ host, a }) => {
    await a.hold("x", { ttlMs: 100 * second });
    const waiting = await Peer.join(host, "w");
    await host.connect("w");
    await waiting.queue("x");
    host.wait(30 * second - 1);
    await host.ping("w");
    host.wait(1);
    await Peer.join(host, "b", { session: "of-a" });
    for (let n = 0; n < 7; n++) {
      await pass(host, 10 * second - 1);
      await host.ping("w");
      expect(await holders(host)).toEqual({ x: "a" });
      await pass(host, 1);
    }
    await host.ring();
    expect(await holders(host)).toEqual({ x: "w" });
  });

  it("a chat that leaves frees its leases and waits at once; a repeat is no error", async ({ host, a, b }) => {
    await a.hold("x", { ttlMs: hour, lockDelayMs: 60 * second });
    await a.hold("y", { isBound: true });
    await a.campaign("boss");
    await b.hold("z", { ttlMs: hour });
    expect(await a.queue("z")).toBe(1);
    expect(await b.queue("x")).toBe(1);
    expect(await a.leave()).toBe(3);
    expect(await holders(host)).toEqual({ x: "b", z: "b" });
    expect(codeOf(await b.acquire("y"))).toBe("ok");
    expect(codeOf(await a.tryBeat())).toBe("chat_offline");
    // The answer was lost: it says so again.
    expect(await a.leave()).toBe(0);
    expect(await statusOf(host, "a")).toBe("offline left");
    expect(await holders(host)).toEqual({ x: "b", y: "b", z: "b" });
  });

  it("a chat that counted as gone and says that it ends frees what was kept for it", async ({ host, a }) => {
    await a.hold("x", { ttlMs: hour });
    await pass(host, 31 * second);
    expect(await statusOf(host, "a")).toBe("offline timeout");
    expect(await a.leave()).toBe(1);
    expect(await holders(host)).toEqual({});
  });

  it("a death attested on the chat's machine frees all at once, without a delay", async ({ host, a, b }) => {
    await host.connect("a");
    const lease = await a.hold("x", { ttlMs: hour, lockDelayMs: 60 * second });
    await a.hold("y", { isBound: true });
    await b.queue("x");
    expect(given(await attest(a))).toEqual({ released: 2, wasAlive: true });
    expect(await statusOf(host, "a")).toBe("offline attested");
    expect(await holders(host)).toEqual({ x: "b" });
    expect((await check(host, "x", lease.token)).isValid).toBe(false);
    await host.disconnect("a");
    expect(await statusOf(host, "a")).toBe("offline attested");
  });

  it("it is believed only of the process that runs the chat, and only from its machine", async ({ host, a }) => {
    await a.hold("x");
    expect(codeOf(await attest(a, { process: "boot:a:0" }))).toBe("owner_alive");
    expect(codeOf(await attest(a, {}, m2))).toBe("forbidden");
    expect(codeOf(await attest(a, { machine: "m2" }))).toBe("forbidden");
    expect(codeOf(await attest(a, { machine: "m2" }, m2))).toBe("forbidden");
    expect(codeOf(await attest(new Peer(host, "nobody")))).toBe("unknown_chat");
    expect(await statusOf(host, "a")).toBe("idle");
    expect(await holders(host)).toEqual({ x: "a" });
    expect(given(await attest(a, {}, { ...admin, machine: "m9" })).released).toBe(1);
  });

  it("an attested death of an offline chat frees its leases; a repeat frees nothing", async ({ host, a }) => {
    await a.hold("x", { ttlMs: hour });
    host.wait(30 * second);
    expect(given(await attest(a))).toEqual({ released: 1, wasAlive: false });
    expect(given(await attest(a))).toEqual({ released: 0, wasAlive: false });
    const next = successorOf(a);
    await next.back();
    await next.hold("x");
    expect(codeOf(await attest(a))).toBe("owner_alive");
    expect(await holders(host)).toEqual({ x: "a" });
  });
}
