import { expect } from "vitest";
import type { InputOf } from "#src/contract/operations.ts";
import { auditOf, codeOf, look, pass, Peer, second, successorOf } from "#harness/coordinator/peers.ts";
import { given } from "#harness/coordinator/state-calls.ts";
import type { RuleTest } from "./rule-test.ts";
import { admin } from "#harness/coordinator/engine-host.ts";
import { codesOf, deedsOf } from "./chats.ts";

function named(fits: (at: number) => boolean): string[] {
  return Array.from({ length: 30 }, (_, at) => at + 10)
    .filter(fits)
    .map((at) => `c${at}`);
}

/** Who is told to be there, and how long chats are remembered. */
export function chatListRules(it: RuleTest): void {
  it("chats are listed by id, page by page, judged at the time of the look", async ({ host }) => {
    for (const chat of ["e", "a", "d", "c", "b"]) await Peer.join(host, chat);
    host.wait(29_999);
    for (const chat of ["a", "c"]) await (chat === "a" ? Peer.join(host, chat) : host.connect(chat));
    host.wait(1);
    expect(await look(host, "e")).toMatchObject({ statusAgeMs: 0 });
    const seen: string[] = [];
    let cursor: string | null = null;
    do {
      const page: { chats: { chat: string; status: string }[]; cursor: string | null } = given(
        await host.call("chats.list", { limit: 2, ...(cursor === null ? {} : { cursor }) }),
      );
      expect(page.chats.length).toBeLessThanOrEqual(2);
      seen.push(...page.chats.map(({ chat, status }) => `${chat} ${status}`));
      ({ cursor } = page);
    } while (cursor !== null);
    expect(seen).toEqual(["a idle", "b offline", "c idle", "d offline", "e offline"]);
  });

  it("a page of chats has about a million characters, and the next ones tell the rest", async ({ host }) => {
    const capabilities = Array.from({ length: 50 }, (_, at) => `${at}`.padEnd(200, "x"));
    for (let at = 10; at < 90; at++)
      await Peer.join(host, `c${at}`, { capabilities, metadata: { note: "x".repeat(3_900) } });
    const first = given(await host.call("chats.list", { limit: 200 }));
    expect(first.chats.length).toBeLessThan(80);
    expect(JSON.stringify(first).length).toBeLessThan(1_200_000);
    const rest = given(await host.call("chats.list", { limit: 200, cursor: first.cursor ?? "" }));
    expect([first.chats.length + rest.chats.length, rest.cursor]).toEqual([80, null]);
  });

  it("a filter takes what fits, over all pages, and nothing is told twice or left out", async ({ host }) => {
    for (let at = 10; at < 40; at++) {
      await Peer.join(host, `c${at}`, {
        role: at % 3 === 0 ? "supervisor" : "worker",
        machine: at % 2 === 0 ? "m1" : "m2",
        capabilities: at % 5 === 0 ? ["rust", "go"] : [],
      });
    }
    await new Peer(host, "c30").back();
    const all = async (filter: Omit<InputOf<"chats.list">, "cursor" | "limit">): Promise<string[]> => {
      const found: string[] = [];
      for (let cursor: string | null | undefined; cursor !== null;) {
        const page = given(await host.call("chats.list", { ...filter, limit: 3, ...(cursor ? { cursor } : {}) }));
        found.push(...page.chats.map(({ chat }) => chat));
        cursor = page.cursor;
      }
      return found;
    };
    expect(await all({})).toEqual(named(() => true));
    expect(await all({ role: "supervisor" })).toEqual(named((at) => at % 3 === 0 && at !== 30));
    expect(await all({ machine: "m2" })).toEqual(named((at) => at % 2 === 1));
    expect(await all({ capability: "go" })).toEqual(named((at) => at % 5 === 0 && at !== 30));
    expect(await all({ capability: "go", machine: "m1" })).toEqual(["c10", "c20"]);
    expect(await all({ status: "offline" })).toEqual([]);
    host.wait(30 * second);
    expect(await all({ status: "offline" })).toHaveLength(30);
  });

  it("one chat is told with all that it said of itself", async ({ host }) => {
    const a = await Peer.join(host, "a", { capabilities: ["rust"], metadata: { branch: "main" } });
    await host.connect("a");
    await a.beat({ status: "busy", taskCount: 2, progress: "half", health: { cpu: 0.5, uptimeMs: 9 } });
    host.wait(4 * second);
    await host.ping("a");
    host.wait(second);
    expect(await look(host, "a")).toEqual({
      chat: "a",
      session: "of-a",
      incarnation: 1,
      machine: "m1",
      client: "test",
      role: "worker",
      isInteractive: true,
      status: "busy",
      reason: "reported by the chat",
      statusAgeMs: 5_000,
      lastSeenAgeMs: 1_000,
      isConnected: true,
      capabilities: ["rust"],
      capacity: 3,
      taskTypes: null,
      taskCount: 2,
      progress: "half",
      health: { cpu: 0.5, uptimeMs: 9 },
      metadata: { branch: "main" },
    });
    await Peer.join(host, "b", { taskTypes: ["build", "test"] });
    expect((await look(host, "b")).taskTypes).toEqual(["build", "test"]);
    expect(codeOf(await host.call("chats.get", { chat: "nobody" }))).toBe("unknown_chat");
  });

  it("an offline chat keeps incarnation and inbox for a day, then is removed", async ({ host, a, b }) => {
    await a.leave();
    given(await host.call("messages.send", { self: b.self, target: { to: "chat", chat: "a" }, body: "kept" }));
    const day = 86_400 * second;
    await pass(host, day - 1);
    expect((await look(host, "a")).status).toBe("offline");
    await a.back();
    expect(given(await host.call("messages.pull", { self: a.self })).messages).toHaveLength(1);
    await a.leave();
    await pass(host, day);
    expect(codeOf(await host.call("chats.get", { chat: "a" }))).toBe("unknown_chat");
    expect(given(await host.call("chats.list", { status: "offline" })).chats.map(({ chat }) => chat)).toEqual(["b"]);
  });

  it("after its removal no process of before is taken for the new one", async ({ host, a: old }) => {
    const between = successorOf(old);
    await old.leave();
    await between.back();
    await between.leave();
    await pass(host, 86_400 * second);
    const next = successorOf(old, { process: "boot:a:3" });
    expect(await next.back()).toMatchObject({ isNew: true });
    for (const gone of [old, between]) expect(codeOf(await gone.tryBeat())).toBe("chat_replaced");
    expect(codeOf(await next.tryBeat())).toBe("ok");
  });

  it("chats that come back are not removed, whenever they were offline before @night", async ({ host, a }) => {
    await a.leave();
    host.wait(3_600 * second);
    await a.back();
    await host.connect("a");
    for (let at = 0; at < 30 * 180; at++) {
      host.wait(20 * second);
      await host.ping("a");
      if (at % 60 === 0) await host.ring();
    }
    expect(await look(host, "a")).toMatchObject({ status: "idle", incarnation: 1 });
    expect(await auditOf(host, "chat.offline")).toHaveLength(1);
  });
}

const m2 = { machine: "m2", isAdmin: false };

/** Whose chats a token is for. */
export function chatMachineRules(it: RuleTest): void {
  it("a token registers chats of its own machine only, an admin's of any", async ({ host }) => {
    const a = new Peer(host, "a");
    expect(codeOf(await host.call("chats.register", a.registration, m2))).toBe("forbidden");
    expect(codeOf(await host.call("chats.get", { chat: "a" }))).toBe("unknown_chat");
    expect(codeOf(await host.call("chats.register", { ...a.registration, machine: "m2" }, admin))).toBe("ok");
  });

  it("the process of a living chat is another one on another machine, whatever its key", async ({ host, a }) => {
    const thief = new Peer(host, "a", { ...a.registration, machine: "m2" });
    expect(codeOf(await thief.tryBack())).toBe("session_in_use");
    expect(await look(host, "a")).toMatchObject({ machine: "m1", incarnation: 1 });
    await a.leave();
    expect(await thief.back()).toMatchObject({ incarnation: 2 });
  });

  it("a token of another machine cannot act as a visible chat; an admin's can", async ({ host, a }) => {
    const codes = await codesOf(host, deedsOf(a), m2);
    expect(new Set(Object.values(codes))).toEqual(new Set(["forbidden"]));
    expect(await look(host, "a")).toMatchObject({ status: "idle" });
    expect(codeOf(await host.call("chats.heartbeat", { self: a.self }, { ...admin, machine: "m2" }))).toBe("ok");
  });
}
