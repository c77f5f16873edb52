import { expect } from "vitest";
import { maxMessageBodyChars } from "#src/contract/messages.ts";
import { ask, later, refusal, refused, toAll, toChat, toTopic } from "#harness/coordinator/state-calls.ts";
import type { RuleTest } from "./rule-test.ts";

/** Rules of what may be sent, where and how often, that hold behind any host. */
export function messageLimitRules(it: RuleTest): void {
  it("a body has at most 65,536 characters as JSON", async ({ c1: from, c2: to }) => {
    const most = "x".repeat(maxMessageBodyChars - 2);
    await from.send(toAll, most);
    const { code, message } = refused(await from.trySend(toAll, `${most}x`));
    expect(code).toBe("too_large");
    expect(message).toContain(String(maxMessageBodyChars));
    expect(refused(await from.trySend(toAll, ["\n".repeat(maxMessageBodyChars / 2)])).code).toBe("too_large");
    expect(await to.bodies()).toEqual([most]);
  });

  it("a pull has at most a million characters, and at least one message", async ({ c1: from, c2: to }) => {
    const long = "x".repeat(maxMessageBodyChars - 2);
    for (let n = 0; n < 20; n++) await from.send(toAll, long);
    const counts: number[] = [];
    for (let isMore = true; isMore;) {
      const pulled = await ask(to.host, "messages.pull", { self: to.self, limit: 100 });
      counts.push(pulled.messages.length);
      expect(pulled.unread).toBe(20 - counts.slice(0, -1).reduce((sum, count) => sum + count, 0));
      await ask(to.host, "messages.ack", { self: to.self, cursor: pulled.messages.at(-1)?.id ?? 0 });
      isMore = pulled.isMore;
    }
    expect(counts).toEqual([15, 5]);
  });

  it("a chat that is not known nothing is sent", async ({ c1: from }) => {
    const { code, message } = refused(await from.trySend({ to: "chat", chat: "nobody" }, "hi"));
    expect(code).toBe("unknown_chat");
    expect(message).toContain("nobody");
  });

  it("a chat has at most 50 subscriptions; repeats are not refused", async ({ c1: one, c2: other }) => {
    for (let at = 0; at < 50; at++) await one.subscribe(`t${at}`);
    expect((await refusal(one.host, "messages.subscribe", { self: one.self, pattern: "more" })).code).toBe(
      "quota_exceeded",
    );
    expect(await one.subscribe("t7")).toHaveLength(50);
    expect(await other.subscribe("more")).toEqual(["more"]);
    await one.unsubscribe("t7");
    expect(await one.subscribe("more")).toHaveLength(50);
  });

  it("chats that answer each other are throttled after 20 messages a minute", async ({ c1: one, c2: other }) => {
    for (let at = 0; at < 20; at++) {
      await one.send(toChat(other), at);
      await other.send(toChat(one), at);
      one.host.wait(1_000);
    }
    const { code, retryAfterMs, message } = refused(await one.trySend(toChat(other), "more"));
    expect(code).toBe("throttled");
    expect(message).toContain("c1 and c2");
    expect(refused(await other.trySend(toChat(one), "more")).code).toBe("throttled");
    // The first of the twenty is 20 s old.
    expect(retryAfterMs).toBe(40_000);
    await later(one.host, 20_000, one, other);
    expect(refused(await one.trySend(toChat(other), "more")).retryAfterMs).toBe(20_000);
    await later(one.host, 20_000, one, other);
    await one.send(toChat(other), "free");
    expect(await other.bodies()).toHaveLength(21);
  });

  it("a third chat that writes to both does not hide the loop", async ({ c1: one, c2: other, c3: third }) => {
    for (let at = 0; at < 20; at++) {
      await one.send(toChat(other), at);
      await other.send(toChat(one), at);
      for (const to of [one, other]) await third.send(toChat(to), at);
    }
    expect(refused(await one.trySend(toChat(other), "more")).code).toBe("throttled");
    await third.send(toChat(one), "still free");
  });

  it("a loop throttles no topic, no send to all and no third chat", async ({ c1: one, c2: other, c3: third }) => {
    for (let at = 0; at < 60; at++) await one.send(toChat(third), at);
    for (let at = 0; at < 20; at++) {
      await one.send(toChat(other), at);
      if (at < 19) await other.send(toChat(one), at);
    }
    await one.send(toChat(other), "the other has sent 19");
    await other.send(toChat(one), "twentieth");
    expect(refused(await one.trySend(toChat(other), "loop")).code).toBe("throttled");
    await one.send(toAll, 1);
    await one.send(toTopic("t"), 1);
    await one.send(toChat(third), 1);
    await third.send(toChat(one), 1);
  });

  it("twenty slower than a minute are no loop", async ({ c1: one, c2: other }) => {
    for (let at = 0; at < 50; at++) {
      await one.send(toChat(other), at);
      await other.send(toChat(one), at);
      one.host.wait(3_100);
    }
  });
}
