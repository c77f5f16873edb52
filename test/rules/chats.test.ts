import { expect } from "vitest";
import { type InputOf, operations } from "#src/contract/operations.ts";
import type { EngineOperation } from "#src/coordination/engine.ts";
import { admin, m1, type RuleHost } from "#harness/coordinator/engine-host.ts";
import { codeOf, Peer, successorOf, ask, given, refused } from "#harness/coordinator/peers.ts";
import { submitOne } from "#harness/coordinator/tasks.ts";
import { pass, second, day, hour } from "#harness/coordinator/times.ts";
import { check, holders, chatOf, statusOf, changesBelow, pagesOf, auditOf } from "#harness/coordinator/views.ts";
import { m2 } from "#harness/sync/sealed-content.ts";
import { it } from "./rule-test.ts";

/** How a chat's process may be gone, so that another may follow. */
const endings: Record<string, (host: RuleHost, old: Peer) => Promise<unknown>> = {
  "its connection was closed": async (host, old) => {
    await host.connect(old.chat);
    await host.disconnect(old.chat);
    host.wait(20 * second);
  },
  "nothing was heard of it": (host) => Promise.resolve(host.wait(30 * second)),
  "it has left": (_, old) => old.leave(),
  "its death was attested": (host, { registration: { chat, machine, process } }) =>
    host.call("chats.attest-death", { chat, machine, process }, m1),
};

/** One input for every operation that a chat does as itself. */
function deedsOf({ self }: Pick<Peer, "self">): { readonly [Name in EngineOperation]?: InputOf<Name> } {
  const [resource, name, requestId] = ["x", "boss", "again"];
  const hold = { self, task: 1, claim: 1 };
  return {
    "chats.heartbeat": { self, status: "busy" },
    "chats.unregister": { self },
    "leases.acquire": { self, resource, requestId },
    "leases.renew": { self, resource, token: 1 },
    "leases.release": { self, resource, token: 1 },
    "leases.cancel-wait": { self, resource, requestId },
    "elections.campaign": { self, name, requestId },
    "elections.resign": { self, name, term: 1 },
    "messages.send": { self, target: { to: "all" }, body: 1 },
    "messages.subscribe": { self, pattern: "build" },
    "messages.unsubscribe": { self, pattern: "build" },
    "messages.pull": { self },
    "messages.ack": { self, cursor: 1 },
    "tasks.claim": { self, requestId },
    "tasks.heartbeat": hold,
    "tasks.ack": hold,
    "tasks.nack": { ...hold, reason: "broken" },
    "tasks.release": hold,
    "sync.take": { self, device: "d1", session: "s1", token: 1 },
  };
}

/** How all of them are answered. */
async function codesOf(host: RuleHost, deeds: ReturnType<typeof deedsOf>, actor = m1): Promise<Set<string>> {
  const answers = Object.entries(deeds).map(([name, input]) => host.call(name as EngineOperation, input, actor));
  return new Set((await Promise.all(answers)).map(codeOf));
}

it("a process that reconnects keeps its incarnation, status and reason", async ({ host }) => {
  const a = new Peer(host, "a");
  const told = { incarnation: 1, ttlMs: 30_000, pingIntervalMs: 10_000, revision: 1, isNew: true, wasOffline: false };
  expect(await a.back()).toEqual({ chat: "a", ...told });
  await a.beat({ status: "busy", progress: "half", taskCount: 2 });
  expect(await a.back()).toMatchObject({ incarnation: 1, isNew: false });
  const reason = "reported by the chat";
  expect(await chatOf(host, "a")).toMatchObject({ status: "busy", reason, progress: "half", taskCount: 2 });
  given(await host.call("chats.drain", { chat: "a", reason: "an update" }));
  host.wait(7 * second);
  await a.back();
  expect(await chatOf(host, "a")).toMatchObject({ status: "draining", reason: "an update", statusAgeMs: 7_000 });
  const news = { session: "next", role: "supervisor", capacity: 1, metadata: { at: 1 } } as const;
  await Peer.join(host, "a", { ...news, capabilities: ["rust"] });
  expect(await chatOf(host, "a")).toMatchObject({ ...news, incarnation: 1 });
});

for (const [ending, end] of Object.entries(endings)) {
  it(`another process follows when ${ending}; the old one is refused everything`, async ({ host, a: old }) => {
    await end(host, old);
    const next = successorOf(old);
    expect(await next.back()).toMatchObject({ incarnation: 2, isNew: false });
    expect(await chatOf(host, "a")).toMatchObject({ status: "idle", incarnation: 2 });
    expect(await codesOf(host, deedsOf(old))).toEqual(new Set(["chat_replaced"]));
    expect(codeOf(await old.tryBack())).toBe("session_in_use");
    expect(codeOf(await next.tryBeat())).toBe("ok");
  });

  it(`the same process keeps its incarnation when ${ending}, and is idle`, async ({ host, a }) => {
    await a.beat({ status: "stuck" });
    await end(host, a);
    await host.ring();
    const { "chats.unregister": _, ...deeds } = deedsOf(a);
    expect(await codesOf(host, deeds)).toEqual(new Set(["chat_offline"]));
    expect(await a.back()).toMatchObject({ incarnation: 1, isNew: false });
    expect(await chatOf(host, "a")).toMatchObject({ status: "idle", reason: null, taskCount: 0 });
    expect(codeOf(await a.tryBeat())).toBe("ok");
  });
}

it("every operation that a chat does as itself is one of those an old process is refused", () => {
  const ofChats = Object.entries(operations).filter(([, { errors }]) => errors.some((one) => one === "chat_replaced"));
  expect(Object.keys(deedsOf({ self: { chat: "a", incarnation: 1 } }))).toEqual(ofChats.map(([name]) => name));
});

it("an unknown chat or a future incarnation is refused everything", async ({ host }) => {
  const stranger = new Peer(host, "a", {});
  stranger.incarnation = 1;
  expect(await codesOf(host, deedsOf(stranger))).toEqual(new Set(["unknown_chat"]));
  await Peer.join(host, "a");
  stranger.incarnation = 2;
  expect(codeOf(await stranger.tryBeat())).toBe("chat_replaced");
});

it("the session of a living process is refused to others, with a time to retry", async ({ host, a: old }) => {
  host.wait(12 * second);
  const inUse = { code: "session_in_use", retryAfterMs: 18_000, details: { chat: "a", machine: "m1" } };
  for (const rival of [successorOf(old), new Peer(host, "b", { session: "of-a" })])
    expect(refused(await rival.tryBack())).toMatchObject(inUse);
  expect(codeOf(await new Peer(host, "b", { session: "of-b" }).tryBack())).toBe("ok");
  // As the same chat not even on another session.
  expect(codeOf(await successorOf(old, { session: "new" }).tryBack())).toBe("session_in_use");
  host.wait(18 * second);
  expect(codeOf(await successorOf(old).tryBack())).toBe("ok");
});

it("one process may work as several chats of a session, which is free when all have left", async ({ host, a }) => {
  const twin = await Peer.join(host, "a2", { session: "of-a", process: a.registration.process });
  const c = new Peer(host, "c", { session: "of-a" });
  await a.leave();
  expect(refused(await c.tryBack()).details).toMatchObject({ chat: "a2" });
  await twin.leave();
  expect(codeOf(await c.tryBack())).toBe("ok");
});

it("whom another process was told to be gone does not come back by a late ping", async ({ host, a }) => {
  await host.connect("a");
  host.wait(31 * second);
  const b = await Peer.join(host, "b", { session: "of-a" });
  await host.ping("a");
  expect(codeOf(await a.tryBeat())).toBe("chat_offline");
  expect(codeOf(await a.tryBack())).toBe("session_in_use");
  expect(codeOf(await b.tryBeat())).toBe("ok");
  expect(await chatOf(host, "a")).toMatchObject({ status: "offline", reason: "timeout" });
});

it("no more chats than the workspace allows live at a time; those that are there go on", async ({ host }) => {
  given(await host.call("settings.set", { settings: { maxConcurrentChats: 2 } }, admin));
  const [a, b] = [await Peer.join(host, "a"), await Peer.join(host, "b")];
  const c = new Peer(host, "c");
  expect(refused(await c.tryBack())).toMatchObject({ code: "too_many_chats", retryAfterMs: 30_000 });
  expect(codeOf(await a.tryBack())).toBe("ok");
  await b.leave();
  expect(codeOf(await c.tryBack())).toBe("ok");
  // Its place is taken.
  expect(codeOf(await b.tryBack())).toBe("too_many_chats");
  await c.leave();
  expect(codeOf(await b.tryBack())).toBe("ok");
  // A chat that is gone takes no place, also before its end is seen.
  host.wait(20 * second);
  await a.beat();
  host.wait(10 * second);
  expect([codeOf(await c.tryBack()), codeOf(await b.tryBack())]).toEqual(["ok", "too_many_chats"]);
});

it("each change of a status is told to watches, with its reason, in order", async ({ host, a }) => {
  await a.beat({ status: "busy" });
  await a.beat({ status: "busy", progress: "more" });
  await a.beat();
  await a.back();
  given(await host.call("chats.drain", { chat: "a", reason: "an update" }));
  given(await host.call("chats.drain", { chat: "a", reason: "once more" }));
  await a.leave();
  await Peer.join(host, "a", { process: "other" });
  await host.connect("a");
  await host.disconnect("a");
  await pass(host, 20 * second);
  const told = [
    ["idle", "registered", 1],
    ["busy", "reported by the chat", 1],
    ["draining", "an update", 1],
    ["offline", "left", 1],
    ["idle", "registered", 2],
    ["offline", "closed", 2],
  ].map(([status, reason, incarnation]) => ({ key: "$chat/a", op: "set", value: { status, reason, incarnation } }));
  expect(await changesBelow(host, "$chat/")).toEqual(told);
});

it("a draining chat stays so whatever it says, until its end", async ({ host, a }) => {
  expect(given(await host.call("chats.drain", { chat: "a" })).status).toBe("draining");
  expect(await a.beat({ status: "idle" })).toMatchObject({ status: "draining" });
  await a.leave();
  expect(codeOf(await host.call("chats.drain", { chat: "a" }))).toBe("chat_offline");
  expect(codeOf(await host.call("chats.drain", { chat: "nobody" }))).toBe("unknown_chat");
  await a.back();
  expect(await a.beat()).toMatchObject({ status: "idle" });
});

it("a filter takes what fits, over all pages, and nothing is told twice or left out", async ({ host }) => {
  const names = Array.from({ length: 30 }, (_, at) => `c${at + 10}`);
  for (const [at, name] of names.entries()) {
    const role = at % 3 === 0 ? "supervisor" : "worker";
    const capabilities = at % 5 === 0 ? ["rust", "go"] : [];
    await Peer.join(host, name, { role, machine: at % 2 === 0 ? "m1" : "m2", capabilities });
  }
  await new Peer(host, "c30").back();
  const named = (fits: (at: number) => boolean): string[] => names.filter((_, at) => fits(at));
  const all = async (filter: Omit<InputOf<"chats.list">, "cursor" | "limit">): Promise<string[]> => {
    const pages = await pagesOf((from) => ask(host, "chats.list", { ...filter, limit: 3, ...from }));
    return pages.flatMap(({ chats }) => chats.map(({ chat }) => chat));
  };
  expect(await all({})).toEqual(names);
  expect(await all({ role: "supervisor" })).toEqual(named((at) => at % 3 === 0));
  expect(await all({ machine: "m2" })).toEqual(named((at) => at % 2 === 1));
  expect(await all({ capability: "go" })).toEqual(named((at) => at % 5 === 0 && at !== 20));
  expect(await all({ capability: "go", machine: "m1" })).toEqual(["c10", "c20"]);
  expect(await all({ status: "offline" })).toEqual([]);
  host.wait(30 * second);
  expect(await all({ status: "offline" })).toHaveLength(30);
});

it("one chat is told with all that it said of itself", async ({ host }) => {
  const said = { capabilities: ["rust"], metadata: { branch: "main" }, taskTypes: ["build", "test"] };
  const a = await Peer.join(host, "a", said);
  await host.connect("a");
  const news = { status: "busy", taskCount: 2, progress: "half", health: { cpu: 0.5, uptimeMs: 9 } } as const;
  await a.beat(news);
  host.wait(4 * second);
  await host.ping("a");
  host.wait(second);
  const { process: _, ...registration } = a.registration;
  const usual = { role: "worker", isInteractive: true, capacity: 3, isConnected: true, incarnation: 1 };
  const ages = { statusAgeMs: 5_000, lastSeenAgeMs: 1_000, reason: "reported by the chat" };
  expect(await chatOf(host, "a")).toEqual({ ...registration, ...said, ...news, ...usual, ...ages });
  expect(codeOf(await host.call("chats.get", { chat: "nobody" }))).toBe("unknown_chat");
});

it("an offline chat keeps its incarnation for a day, then nothing is known of it", async ({ host, a }) => {
  await submitOne(host);
  await a.do("tasks.ack", await a.take(), { usage: { tokens: 1 } });
  await a.leave();
  await pass(host, day - 1);
  expect((await chatOf(host, "a")).status).toBe("offline");
  expect(await a.back()).toMatchObject({ incarnation: 1, isNew: false });
  await a.leave();
  await pass(host, day);
  expect(codeOf(await host.call("chats.get", { chat: "a" }))).toBe("unknown_chat");
  expect((await ask(host, "budgets.get", {})).chats).toEqual([]);
  expect(await host.rows("SELECT * FROM chat_performance")).toEqual([]);
});

it("after its removal no process of before is taken for the new one", async ({ host, a: old, b }) => {
  const between = successorOf(old);
  await old.leave();
  await between.back();
  await between.leave();
  host.wait(second);
  // It is removed later, with a lower incarnation.
  await b.back();
  await b.leave();
  await pass(host, day);
  const next = successorOf(old, { process: "boot:a:3" });
  expect(await next.back()).toMatchObject({ isNew: true });
  for (const gone of [old, between]) expect(codeOf(await gone.tryBeat())).toBe("chat_replaced");
  expect(codeOf(await next.tryBeat())).toBe("ok");
});

it("a token registers chats of its own machine only, an admin's of any", async ({ host }) => {
  const a = new Peer(host, "a");
  expect(codeOf(await host.call("chats.register", a.registration, m2))).toBe("forbidden");
  expect(codeOf(await host.call("chats.get", { chat: "a" }))).toBe("unknown_chat");
  expect(codeOf(await host.call("chats.register", { ...a.registration, machine: "m2" }, admin))).toBe("ok");
});

it("the process of a living chat is another one on another machine, whatever its key", async ({ host, a }) => {
  const thief = new Peer(host, "a", { ...a.registration, machine: "m2" });
  expect(codeOf(await thief.tryBack())).toBe("session_in_use");
  expect(await chatOf(host, "a")).toMatchObject({ machine: "m1", incarnation: 1 });
  await a.leave();
  expect(await thief.back()).toMatchObject({ incarnation: 2 });
});

it("a token of another machine cannot act as a visible chat; an admin's can", async ({ host, a }) => {
  expect(await codesOf(host, deedsOf(a), m2)).toEqual(new Set(["forbidden"]));
  expect(await chatOf(host, "a")).toMatchObject({ status: "idle" });
  expect(codeOf(await host.call("chats.heartbeat", { self: a.self }, { ...admin, machine: "m2" }))).toBe("ok");
});

/** That the process of a chat is gone, or what else is told of it. */
function attest({ host, registration }: Peer, more: object = {}, actor = m1) {
  const { chat, machine, process } = registration;
  return host.call("chats.attest-death", { chat, machine, process, ...more }, actor);
}

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

it("the alarm alone sees that a chat has vanished which came back to its lease", async ({ host, a }) => {
  await a.hold("x", { ttlMs: hour });
  for (let times = 1; times <= 2; times++) {
    await pass(host, 30 * second);
    expect(await auditOf(host, "chat.offline")).toHaveLength(times);
    await a.back();
  }
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
  expect(await statusOf(host, "a")).toBe("idle");
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
    const end = { subject: "a", ageMs: 0, detail: { reason: "timeout", incarnation: 1 } };
    expect(await auditOf(host, "chat.offline")).toContainEqual(expect.objectContaining(end));
  });
}

it("chats that hold nothing set no alarm but housekeeping", async ({ host }) => {
  const untilNext = async (): Promise<number> => ((await host.ring()) ?? Infinity) - host.now();
  expect(await untilNext()).toBe(Infinity);
  const [a] = [await Peer.join(host, "a"), await Peer.join(host, "b")];
  await host.connect("a");
  expect(await untilNext()).toBeGreaterThanOrEqual(hour);
  const lease = await a.hold("x");
  expect(await untilNext()).toBeLessThan(hour);
  await a.release(lease);
  await pass(host, 29_999);
  await host.ping("a");
  await pass(host, 30_000);
  expect(await untilNext()).toBeGreaterThanOrEqual(0.5 * hour);
  expect(await auditOf(host, "chat.offline")).toEqual([]);
  // Judged when somebody looks.
  expect(await statusOf(host, "b")).toBe("offline timeout");
});
