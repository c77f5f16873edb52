import { expect } from "vitest";
import { codeOf, look, Peer } from "#harness/coordinator/peers.ts";
import { admin } from "#harness/coordinator/engine-host.ts";
import { codesOf, deedsOf } from "./chats.ts";
import type { RuleTest } from "./rule-test.ts";

const m2 = { machine: "m2", isAdmin: false };

/** Whose chats a token is for. */
export function chatMachineRules(it: RuleTest): void {
  it("[CH11] a token registers chats of its own machine only, an admin's of any", async ({ host }) => {
    const a = new Peer(host, "a");
    expect(codeOf(await host.call("chats.register", a.registration, m2))).toBe("forbidden");
    expect(codeOf(await host.call("chats.get", { chat: "a" }))).toBe("unknown_chat");
    expect(codeOf(await host.call("chats.register", { ...a.registration, machine: "m2" }, admin))).toBe("ok");
  });

  it("[CH11] the process of a living chat is another one on another machine, whatever its key", async ({ host, a }) => {
    const thief = new Peer(host, "a", { ...a.registration, machine: "m2" });
    expect(codeOf(await thief.tryBack())).toBe("session_in_use");
    expect(await look(host, "a")).toMatchObject({ machine: "m1", incarnation: 1 });
    await a.leave();
    expect(await thief.back()).toMatchObject({ incarnation: 2 });
  });

  it("[CH15] a token of another machine cannot act as a visible chat; an admin's can", async ({ host, a }) => {
    const codes = await codesOf(host, deedsOf(a), m2);
    expect(new Set(Object.values(codes))).toEqual(new Set(["forbidden"]));
    expect(await look(host, "a")).toMatchObject({ status: "idle" });
    expect(codeOf(await host.call("chats.heartbeat", { self: a.self }, { ...admin, machine: "m2" }))).toBe("ok");
  });
}
