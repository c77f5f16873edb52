import { expect } from "vitest";
import { operations, type InputOf } from "#src/contract/operations.ts";
import type { EngineOperation } from "#src/coordination/engine.ts";
import { codeOf, look, pass, Peer, second, successorOf, toldBelow } from "#harness/coordinator/peers.ts";
import { admin, m1, type RuleHost } from "#harness/coordinator/engine-host.ts";
import { given, refused } from "#harness/coordinator/state-calls.ts";
import type { RuleTest } from "./rule-test.ts";

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
export function deedsOf({ self }: Pick<Peer, "self">): { readonly [Name in EngineOperation]?: InputOf<Name> } {
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

export async function codesOf(
  host: RuleHost,
  deeds: ReturnType<typeof deedsOf>,
  actor = m1,
): Promise<Record<string, string>> {
  const codes: Record<string, string> = {};
  for (const [name, input] of Object.entries(deeds)) {
    codes[name] = codeOf(await host.call(name as EngineOperation, input, actor));
  }
  return codes;
}

/** Who is there: the registry. */
export function chatRules(it: RuleTest): void {
  it("a process that reconnects keeps its incarnation, status and reason", async ({ host }) => {
    const a = new Peer(host, "a");
    expect(await a.back()).toEqual({
      chat: "a",
      incarnation: 1,
      ttlMs: 30_000,
      pingIntervalMs: 10_000,
      revision: 1,
      isNew: true,
      wasOffline: false,
    });
    await a.beat({ status: "busy", progress: "half", taskCount: 2 });
    expect(await a.back()).toMatchObject({ incarnation: 1, isNew: false });
    const reason = "reported by the chat";
    expect(await look(host, "a")).toMatchObject({ status: "busy", reason, progress: "half", taskCount: 2 });
    given(await host.call("chats.drain", { chat: "a", reason: "an update" }));
    host.wait(7 * second);
    await a.back();
    expect(await look(host, "a")).toMatchObject({ status: "draining", reason: "an update", statusAgeMs: 7_000 });
  });

  it("a reconnect may tell another session, client, role and capabilities", async ({ host }) => {
    await Peer.join(host, "a");
    const news: Partial<InputOf<"chats.register">> = {
      session: "next",
      client: "other",
      role: "supervisor",
      isInteractive: false,
      capabilities: ["rust"],
      capacity: 1,
      metadata: { at: [1] },
    };
    await Peer.join(host, "a", news);
    expect(await look(host, "a")).toMatchObject({ ...news, incarnation: 1 });
  });

  for (const [ending, end] of Object.entries(endings)) {
    it(`another process follows when ${ending}; the old one is refused everything`, async ({ host, a: old }) => {
      await end(host, old);
      const next = successorOf(old);
      expect(await next.back()).toMatchObject({ incarnation: 2, isNew: false });
      expect(await look(host, "a")).toMatchObject({ status: "idle", incarnation: 2 });
      const codes = await codesOf(host, deedsOf(old));
      expect(new Set(Object.values(codes))).toEqual(new Set(["chat_replaced"]));
      expect(codeOf(await old.tryBack())).toBe("session_in_use");
      expect(codeOf(await next.tryBeat())).toBe("ok");
    });

    it(`one registration after ${ending} answers wasOffline, the next not`, async ({ host, a: old }) => {
      expect(await old.back()).toMatchObject({ wasOffline: false });
      await end(host, old);
      expect(await old.back()).toMatchObject({ wasOffline: true });
      expect(await old.back()).toMatchObject({ wasOffline: false });
      await end(host, old);
      expect(await successorOf(old).back()).toMatchObject({ incarnation: 2, wasOffline: true });
    });

    it(`the same process keeps its incarnation when ${ending}, and is idle`, async ({ host, a }) => {
      await a.beat({ status: "stuck" });
      await end(host, a);
      await host.ring();
      const { "chats.unregister": _, ...deeds } = deedsOf(a);
      expect(new Set(Object.values(await codesOf(host, deeds)))).toEqual(new Set(["chat_offline"]));
      expect(await a.back()).toMatchObject({ incarnation: 1, isNew: false });
      expect(await look(host, "a")).toMatchObject({ status: "idle", reason: null, taskCount: 0 });
      expect(codeOf(await a.tryBeat())).toBe("ok");
    });
  }

  it("every operation that a chat does as itself is one of those an old process is refused", () => {
    const ofChats = Object.entries(operations).filter(([, { errors }]) =>
      errors.some((one) => one === "chat_replaced"),
    );
    expect(Object.keys(deedsOf({ self: { chat: "a", incarnation: 1 } }))).toEqual(ofChats.map(([name]) => name));
  });

  it("an unknown chat or a future incarnation is refused everything", async ({ host }) => {
    const stranger = new Peer(host, "a", {});
    stranger.incarnation = 1;
    const codes = await codesOf(host, deedsOf(stranger));
    expect(new Set(Object.values(codes))).toEqual(new Set(["unknown_chat"]));
    await Peer.join(host, "a");
    stranger.incarnation = 2;
    expect(codeOf(await stranger.tryBeat())).toBe("chat_replaced");
  });

  it("the session of a living process is refused to others, with a time to retry", async ({ host, a: old }) => {
    host.wait(12 * second);
    for (const rival of [successorOf(old), new Peer(host, "b", { session: "of-a" })]) {
      expect(refused(await rival.tryBack())).toMatchObject({
        code: "session_in_use",
        retryAfterMs: 18_000,
        details: { chat: "a", machine: "m1" },
      });
    }
    expect(codeOf(await new Peer(host, "b", { session: "of-b" }).tryBack())).toBe("ok");
    // As the same chat not even on another session.
    expect(codeOf(await successorOf(old, { session: "new" }).tryBack())).toBe("session_in_use");
    host.wait(18 * second);
    expect(codeOf(await successorOf(old).tryBack())).toBe("ok");
  });

  it("who asks again when it was told to is not refused, also within a grace", async ({ host, a }) => {
    await host.connect("a");
    host.wait(9 * second);
    await host.disconnect("a");
    host.wait(8 * second);
    const next = successorOf(a);
    const { retryAfterMs } = refused(await next.tryBack());
    expect(retryAfterMs).toBe(12_000);
    host.wait(11_999);
    expect(codeOf(await next.tryBack())).toBe("session_in_use");
    host.wait(1_000);
    expect(await next.back()).toMatchObject({ incarnation: 2 });
  });

  it("one process may work as several chats, and another on its own session", async ({ host, a }) => {
    const twin = await Peer.join(host, "a2", { session: "of-a", process: a.registration.process });
    await a.leave();
    expect(refused(await new Peer(host, "c", { session: "of-a" }).tryBack()).details).toMatchObject({ chat: "a2" });
    await twin.leave();
    expect(codeOf(await new Peer(host, "c", { session: "of-a" }).tryBack())).toBe("ok");
  });

  it("whom another process was told to be gone does not come back by a late ping", async ({ host, a }) => {
    await host.connect("a");
    host.wait(31 * second);
    const b = await Peer.join(host, "b", { session: "of-a" });
    await host.ping("a");
    expect(codeOf(await a.tryBeat())).toBe("chat_offline");
    expect(codeOf(await a.tryBack())).toBe("session_in_use");
    expect(codeOf(await b.tryBeat())).toBe("ok");
    expect(await look(host, "a")).toMatchObject({ status: "offline", reason: "timeout" });
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
  });

  it("who is gone takes no place, also when nobody has noticed", async ({ host }) => {
    given(await host.call("settings.set", { settings: { maxConcurrentChats: 2 } }, admin));
    const a = await Peer.join(host, "a");
    await Peer.join(host, "b");
    host.wait(20 * second);
    await a.beat();
    host.wait(10 * second);
    expect(codeOf(await new Peer(host, "c").tryBack())).toBe("ok");
    expect(codeOf(await new Peer(host, "d").tryBack())).toBe("too_many_chats");
    expect(codeOf(await a.tryBeat())).toBe("ok");
    expect(await look(host, "b")).toMatchObject({ status: "offline", reason: "timeout" });
    host.wait(30 * second);
    for (const chat of ["d", "e"]) expect(codeOf(await new Peer(host, chat).tryBack())).toBe("ok");
  });

  it("each change of a status is told to watches, with its reason, in order", async ({ host, a }) => {
    await a.beat({ status: "busy" });
    await a.beat({ status: "busy", progress: "more" });
    await a.beat();
    await a.back();
    given(await host.call("chats.drain", { chat: "a", reason: "an update" }));
    given(await host.call("chats.drain", { chat: "a", reason: "once more" }));
    await a.leave();
    const next = await Peer.join(host, "a", { process: "other" });
    await host.connect("a");
    await host.disconnect("a");
    await pass(host, 20 * second);
    expect(next.incarnation).toBe(2);
    expect(await toldBelow(host, "$chat/")).toEqual(
      [
        { status: "idle", reason: "registered", incarnation: 1 },
        { status: "busy", reason: "reported by the chat", incarnation: 1 },
        { status: "draining", reason: "an update", incarnation: 1 },
        { status: "offline", reason: "left", incarnation: 1 },
        { status: "idle", reason: "registered", incarnation: 2 },
        { status: "offline", reason: "closed", incarnation: 2 },
      ].map((value) => ({ key: "$chat/a", op: "set", value })),
    );
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
}
