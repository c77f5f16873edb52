import { expect } from "vitest";
import { admin, type RuleHost } from "#harness/coordinator/engine-host.ts";
import { ask, given, minute, refused } from "#harness/coordinator/state-calls.ts";
import { Peer } from "#harness/coordinator/peers.ts";
import { Device, envelopes, forget, list, m2, session } from "#harness/sync/sealed-content.ts";
import { it } from "./rule-test.ts";

it("sessions are listed by last change; a reader gets each change once", async ({ host, device }) => {
  await device.put(session("s1"), session("s2"), session("s3"));
  const first = await list(host, { limit: 2 });
  expect(first).toMatchObject({ sessions: [{ session: "s1" }, { session: "s2" }], isMore: true });
  await device.put(session("s1", "changed"));
  const second = await list(host, { after: first.revision });
  expect(second).toMatchObject({ sessions: [{ session: "s3" }, { envelope: "changed" }], isMore: false });
  const nothing = { sessions: [], forgotten: [], revision: second.revision, isMore: false };
  expect(await list(host, { after: second.revision })).toEqual(nothing);
});

it("a chat that died is recoverable while its session is stored, not ended and not taken", async ({ host, device }) => {
  const dead = await Peer.join(host, "dead");
  const left = await Peer.join(host, "left");
  const isRecoverable = async (chat: string): Promise<unknown> =>
    (await ask(host, "chats.get", { chat })).isRecoverable;
  const of = [`of-${dead.chat}`, `of-${left.chat}`] as const;
  await device.put(session(of[0]), session(of[1]));
  expect(await isRecoverable("dead")).toBeUndefined();
  await left.leave();
  host.wait(minute);
  for (const ring of [() => Promise.resolve(), () => host.ring()]) {
    await ring();
    expect(await isRecoverable("dead")).toBe(true);
  }
  expect(await isRecoverable("left")).toBeUndefined();
  const heir = await Peer.join(host, "heir");
  const { self } = heir;
  const lease = { self, resource: `session:${of[0]}`, requestId: "r", ttlMs: minute };
  const acquired = await ask(host, "leases.acquire", lease);
  const token = acquired.state === "granted" ? acquired.lease.token : 0;
  await ask(host, "sync.take", { self, device: "d1", session: of[0], token });
  expect(await isRecoverable("dead")).toBeUndefined();
  await ask(host, "sync.give-back", { device: "d1", session: of[0] });
  expect(await isRecoverable("dead")).toBe(true);
  await device.put(session(of[0], "over", { isEnded: true }));
  expect(await isRecoverable("dead")).toBeUndefined();
  await device.put(forget(of[0]));
  expect(await isRecoverable("dead")).toBeUndefined();
});

it("by project, by session and by device", async ({ host }) => {
  const [one, other] = [new Device(host), new Device(host, "d2", m2)];
  await one.put(session("s1", "a", { project: "p" }), session("s2", "b", { project: "q" }));
  await other.put(session("s1", "c", { project: "p" }));
  expect(await envelopes(host, { project: "p" })).toEqual(["a", "c"]);
  expect(await envelopes(host, { session: "s2" })).toEqual(["b"]);
  expect(await envelopes(host, { session: "s1", device: "d2" })).toEqual(["c"]);
  expect(await envelopes(host, { device: "d3" })).toEqual([]);
});

it("an answer has at most a million characters of envelopes, or one session", async ({ host, device }) => {
  const sizes = [400_000, 400_000, 300_000, 900_000, 200_000];
  for (const [at, size] of sizes.entries()) await device.put(session(`s${at}`, "x".repeat(size)));
  const pages: number[][] = [];
  for (let after = 0, isMore = true; isMore;) {
    const page = await list(host, { after });
    pages.push(page.sessions.map(({ envelope }) => envelope.length));
    ({ revision: after, isMore } = page);
  }
  expect(pages).toEqual([[400_000, 400_000], [300_000], [900_000], [200_000]]);
});

it("forgotten and purged sessions are listed among the changes", async ({ host, device }) => {
  await device.put(session("s1"), session("s2"), session("s3"));
  const { revision } = await list(host);
  await device.put(forget("s1"), forget("s2"), forget("s9"), session("s2", "told-anew"));
  expect(await list(host)).toMatchObject({ sessions: [{ session: "s3" }, { session: "s2" }], forgotten: [] });
  const next = await list(host, { after: revision });
  expect(next).toMatchObject({ sessions: [{ envelope: "told-anew" }], forgotten: [{ device: "d1", session: "s1" }] });
  given(await host.call("sync.purge", { device: "d1" }));
  const page = await list(host, { after: next.revision, limit: 1 });
  const rest = await list(host, { after: page.revision, limit: 1 });
  expect([page.isMore, rest.isMore]).toEqual([true, false]);
  expect([...page.forgotten, ...rest.forgotten].map(({ session: id }) => id).toSorted()).toEqual(["s2", "s3"]);
});

it("the holder of a session's lease takes it, visible to all; a repeat is none", async ({ host, device }) => {
  await device.put(session("s1"));
  const chat = await taken(host, "c1");
  host.wait(minute);
  await chat.back();
  const { revision } = await list(host);
  const again = { self: chat.self, device: "d1", session: "s1", token: await lease(chat) };
  expect(given(await host.call("sync.take", again))).toEqual({ isTaken: true });
  expect(await list(host)).toMatchObject({
    revision,
    sessions: [{ taken: { chat: "c1", machine: "m1", ageMs: minute } }],
  });
  // What its device still has to tell leaves it taken.
  await device.put(session("s1", "late"));
  expect(await list(host)).toMatchObject({ sessions: [{ envelope: "late", taken: { chat: "c1" } }] });
});

it("without the present lease, or of an unknown session, nothing is taken", async ({ host, device }) => {
  await device.put(session("s1"));
  const [one, other] = [await Peer.join(host, "c1"), await Peer.join(host, "c2")];
  const wanted = { device: "d1", session: "s1" };
  expect(refused(await host.call("sync.take", { self: one.self, ...wanted, token: 1 })).code).toBe("stale_token");
  const token = await lease(one);
  for (const [who, number] of [
    [one, token + 1],
    [other, token],
  ] as const) {
    const { code, message } = refused(await host.call("sync.take", { self: who.self, ...wanted, token: number }));
    expect(code).toBe("stale_token");
    expect(message).toContain("c1");
  }
  for (const strange of [
    { ...wanted, device: "d2" },
    { ...wanted, session: "s2" },
  ]) {
    expect(refused(await host.call("sync.take", { self: one.self, ...strange, token })).code).toBe("unknown_key");
  }
  expect(refused(await host.call("sync.take", { self: { chat: "c9", incarnation: 1 }, ...wanted, token })).code).toBe(
    "unknown_chat",
  );
  expect(await takerOf(host)).toBeNull();
});

it("the taking machine or the session's own gives it back; a repeat is no error", async ({ host }) => {
  const device = new Device(host, "d1", m2);
  await device.put(session("s1"));
  const wanted = { device: "d1", session: "s1" };
  expect(given(await host.call("sync.give-back", wanted))).toEqual({ wasTaken: false });
  for (const actor of [undefined, m2, admin]) {
    const chat = await taken(host, "c1");
    expect(given(await host.call("sync.give-back", wanted, actor))).toEqual({ wasTaken: true });
    expect(await takerOf(host)).toBeNull();
    await chat.leave();
  }
  expect(refused(await host.call("sync.give-back", { ...wanted, session: "s2" })).code).toBe("unknown_key");
});

it("a third machine does not give back what is not its own", async ({ host, device }) => {
  await device.put(session("s1"));
  await taken(host, "c1");
  expect(refused(await host.call("sync.give-back", { device: "d1", session: "s1" }, m2)).code).toBe("forbidden");
  expect(await takerOf(host)).toMatchObject({ chat: "c1" });
});

/** A chat that holds the lease of s1, and has taken it. */
async function taken(host: RuleHost, chat: string): Promise<Peer> {
  const one = await Peer.join(host, chat);
  const token = await lease(one);
  const input = { self: one.self, device: "d1", session: "s1", token };
  expect(given(await host.call("sync.take", input))).toEqual({ isTaken: true });
  return one;
}

async function lease({ host, self }: Peer): Promise<number> {
  const input = { self, resource: "session:s1", requestId: "l", ttlMs: 10 * minute };
  const held = given(await host.call("leases.acquire", input));
  return held.state === "granted" ? held.lease.token : 0;
}

async function takerOf(host: RuleHost): Promise<unknown> {
  return (await list(host, { session: "s1" })).sessions[0]?.taken;
}
