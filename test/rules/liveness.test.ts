import { expect } from "vitest";
import { auditOf, check, codeOf, chatOf, pass, Peer, second, statusOf, given } from "#harness/coordinator/peers.ts";
import { it } from "./rule-test.ts";

const hour = 3_600 * second;

it("without a connection whatever a chat does keeps it alive", async ({ host, a }) => {
  const pull = () => host.call("messages.pull", { self: a.self });
  const deeds = [() => a.beat(), () => a.hold("x"), pull, () => a.cancel("y")];
  for (let round = 0; round < 3; round++) {
    for (const deed of deeds) {
      host.wait(19_999);
      await deed();
    }
  }
  expect(await statusOf(host, "a")).toBe("idle");
  host.wait(30 * second);
  expect(await statusOf(host, "a")).toBe("offline timeout");
  expect(codeOf(await a.tryBeat())).toBe("chat_offline");
});

it("the chat and its bound leases live as long as the answer to a heartbeat says", async ({ host, a }) => {
  const lease = await a.hold("x", { isBound: true });
  for (const pause of [4_000, 5_999, 3_000, 9_999, 1, 29_000, 500]) {
    host.wait(pause);
    const { ttlMs } = await a.beat();
    expect(ttlMs).toBeGreaterThan(20_000);
    expect(ttlMs).toBeLessThanOrEqual(30_000);
    expect((await check(host, "x", lease.token)).remainingMs).toBeGreaterThanOrEqual(ttlMs);
  }
  const { ttlMs } = await a.beat();
  host.wait(ttlMs - 1);
  expect((await check(host, "x", lease.token)).isValid).toBe(true);
  expect(await statusOf(host, "a")).toBe("idle");
});

it("over a connection pings alone keep a chat alive, for ttlMs after the last one", async ({ host }) => {
  await Peer.join(host, "a");
  await host.connect("a");
  for (let n = 0; n < 100; n++) {
    host.wait(29_999);
    await host.ping("a");
  }
  host.wait(29_999);
  expect(await chatOf(host, "a")).toMatchObject({ status: "idle", isConnected: true, lastSeenAgeMs: 29_999 });
  host.wait(1);
  expect(await statusOf(host, "a")).toBe("offline timeout");
});

for (const [kind, isInteractive, graceMs] of [
  ["a worker", false, 5_000],
  ["a chat with a user", true, 20_000],
] as const) {
  it(`${kind} is gone ${graceMs / second} s after its connection closed, not before`, async ({ host }) => {
    const a = await Peer.join(host, "a", { isInteractive });
    await host.connect("a");
    host.wait(100);
    await host.ping("a");
    await host.disconnect("a");
    await pass(host, graceMs - 2);
    // An older connection's end is told late.
    await host.disconnect("a");
    await pass(host, 1);
    expect(await chatOf(host, "a")).toMatchObject({ status: "idle", isConnected: false, lastSeenAgeMs: graceMs - 1 });
    await pass(host, 1);
    expect(await statusOf(host, "a")).toBe("offline closed");
    expect(await auditOf(host, "chat.offline")).toMatchObject([{ subject: "a", detail: { reason: "closed" } }]);
    expect(codeOf(await a.tryBeat())).toBe("chat_offline");
  });

  it(`${kind} that returns within ${graceMs / second} s in any way was never gone`, async ({ host }) => {
    const [, b, c] = await Promise.all(["a", "b", "c"].map((chat) => Peer.join(host, chat, { isInteractive })));
    for (const chat of ["a", "b", "c"]) {
      await host.connect(chat);
      await host.disconnect(chat);
    }
    await pass(host, graceMs - 1);
    await host.connect("a");
    await b?.back();
    await c?.beat();
    await pass(host, 29_999);
    for (const chat of ["a", "b", "c"]) expect(await statusOf(host, chat)).toBe("idle");
    expect(await auditOf(host, "chat.offline")).toEqual([]);
    // From then on by the rule of those without a connection.
    await pass(host, 1);
    for (const chat of ["b", "c"]) expect(await statusOf(host, chat)).toBe("offline timeout");
  });
}

it("chats of lost connections have 90 s from the loss, and what pings renewed", async ({ host }) => {
  const [a, b] = [await Peer.join(host, "a", { isInteractive: false }), await Peer.join(host, "b")];
  const lease = await a.hold("x", { isBound: true });
  for (const chat of ["a", "b"]) await host.connect(chat);
  for (let n = 0; n < 30; n++) {
    await pass(host, 10 * second);
    for (const chat of ["a", "b"]) await host.ping(chat);
  }
  await host.loseConnections();
  // The holder trusts its last ping, and nobody else knows of it any more.
  expect(await check(host, "x", lease.token)).toMatchObject({ isValid: true, remainingMs: 30_000 });
  expect(codeOf(await b.acquire("x"))).toBe("lease_held");
  await pass(host, 29_999);
  expect((await check(host, "x", lease.token)).isValid).toBe(true);
  await pass(host, 60_000);
  for (const chat of ["a"]) expect(await statusOf(host, chat)).toBe("idle");
  await pass(host, 1);
  expect(await statusOf(host, "a")).toBe("offline closed");
});

it("the long grace is given once for each connection", async ({ host, a }) => {
  await host.connect("a");
  await host.loseConnections();
  host.wait(60 * second);
  await host.loseConnections();
  await pass(host, 29_999);
  expect(await statusOf(host, "a")).toBe("idle");
  await pass(host, 1);
  expect(await statusOf(host, "a")).toBe("offline closed");
  await a.back();
  await host.connect("a");
  await pass(host, 10 * second);
  await host.loseConnections();
  await pass(host, 89_999);
  expect(await statusOf(host, "a")).toBe("idle");
});

for (const [what, grasp] of [
  ["holds a lease", (a: Peer) => a.hold("x", { ttlMs: hour })],
  ["holds a bound lease", (a: Peer) => a.hold("x", { isBound: true })],
  ["leads", (a: Peer) => a.campaign("boss", { ttlMs: 600 * second })],
  ["stands in line", (a: Peer) => a.queue("held")],
] as const) {
  it(`the alarm alone sees within ttlMs that a chat which ${what} has vanished`, async ({ host }) => {
    const other = await Peer.join(host, "other");
    await other.hold("held", { ttlMs: hour });
    await other.leave();
    await (await Peer.join(host, "keeper")).hold("held", { ttlMs: hour });
    const a = await Peer.join(host, "a");
    await host.connect("a");
    await host.connect("keeper");
    await grasp(a);
    for (let n = 0; n < 20; n++) {
      await pass(host, 10 * second);
      await host.ping("a");
      await host.ping("keeper");
    }
    await host.ring();
    await pass(host, 29_999);
    expect(await auditOf(host, "chat.offline")).toHaveLength(1);
    await pass(host, 1);
    expect(await auditOf(host, "chat.offline")).toContainEqual(
      expect.objectContaining({ subject: "a", ageMs: 0, detail: { reason: "timeout", incarnation: 1 } }),
    );
  });
}

it("chats that hold nothing set no alarm but housekeeping", async ({ host }) => {
  expect(await host.ring()).toBeNull();
  const a = await Peer.join(host, "a");
  await Peer.join(host, "b");
  await host.connect("a");
  const isHousekeeping = async (): Promise<boolean> => {
    const next = await host.ring();
    return next === null || next - host.now() >= hour;
  };
  expect(await isHousekeeping()).toBe(true);
  const lease = await a.hold("x");
  expect(await isHousekeeping()).toBe(false);
  await a.release(lease);
  await pass(host, 29_999);
  await host.ping("a");
  await pass(host, 30_000);
  expect((await host.ring()) ?? Infinity).toBeGreaterThanOrEqual(host.now() + 0.5 * hour);
  expect(await auditOf(host, "chat.offline")).toEqual([]);
  // Judged when somebody looks.
  expect(await statusOf(host, "b")).toBe("offline timeout");
});

it("without a connection a heartbeat writes at most one row in each third of the ttl", async ({ host, a }) => {
  await a.hold("x", { isBound: true });
  await host.ring();
  const before = await host.rowsWritten();
  for (let n = 0; n < 300; n++) {
    host.wait(second);
    await a.beat();
  }
  expect(await host.rowsWritten()).toBeLessThanOrEqual(before + 30);
  expect(await statusOf(host, "a")).toBe("idle");
});

it("reading chats writes no row, also where it finds that one is gone", async ({ host, a }) => {
  await a.hold("x");
  host.wait(31 * second);
  const before = await host.rowsWritten();
  given(await host.call("chats.list", {}));
  given(await host.call("leases.list", {}));
  await check(host, "x", 1);
  expect(await statusOf(host, "a")).toBe("offline timeout");
  expect(await host.rowsWritten()).toBe(before);
});
