import * as fc from "fast-check";
import { expect } from "vitest";
import type { Json } from "#src/contract/json.ts";
import { matches } from "#src/coordination/messages/inboxes.ts";
import {
  Correspondent,
  day,
  later,
  refused,
  some,
  toAll,
  toChat,
  toTopic,
  two,
  refusal,
} from "#harness/coordinator/state-calls.ts";
import type { RuleTest } from "./rule-test.ts";

/** Rules of who gets a message, that hold behind any host. */
export function messageReceiverRules(it: RuleTest): void {
  it("a chat gets nothing sent before it registered; again keeps its place", async ({ host, c1: first }) => {
    await first.send(toAll, "before");
    const second = await Correspondent.join(host, "c2");
    await first.send(toAll, "after");
    await second.back();
    expect(await second.bodies()).toEqual(["after"]);
  });

  it("a chat that was removed and registers again has no earlier message", async ({ c1: from, c2: to }) => {
    await to.subscribe("t");
    await from.send(toChat(to), "old");
    await to.leave();
    await later(to.host, day, from);
    await to.host.ring();
    expect(refused(await from.trySend(toChat(to), "to nobody")).code).toBe("unknown_chat");
    await to.back();
    await from.send(toTopic("t"), "topic");
    await from.send(toAll, "new");
    expect(await to.bodies()).toEqual(["new"]);
  });

  it("a subscription begins with the next message; a repeat loses nothing", async ({ c1: from, c2: to }) => {
    await from.send(toTopic("build.web"), "before");
    expect(await to.subscribe("build.web")).toEqual(["build.web"]);
    await from.send(toTopic("build.web"), "after");
    await from.send(toTopic("build"), "other topic");
    expect(await to.subscribe("build.web")).toEqual(["build.web"]);
    expect(await to.subscribe("build.*")).toEqual(["build.*", "build.web"]);
    expect(await to.bodies()).toEqual(["after"]);
    await from.send(toTopic("build.web"), "once, though two patterns fit");
    expect(await to.bodies()).toEqual(["after", "once, though two patterns fit"]);
  });

  it("an ended subscription delivers nothing, unless another pattern fits", async ({ c1: from, c2: to }) => {
    await to.subscribe("a.b");
    await to.subscribe("a.*");
    await from.send(toTopic("a.b"), "b");
    await from.send(toTopic("a.c"), "c");
    expect(await to.unsubscribe("a.*")).toEqual(["a.b"]);
    expect(await to.unsubscribe("never")).toEqual(["a.b"]);
    expect(await to.bodies()).toEqual(["b"]);
    expect(await to.unsubscribe("a.b")).toEqual([]);
    await from.send(toTopic("a.b"), "late");
    expect(await to.bodies()).toEqual([]);
    await to.subscribe("a.b");
    expect(await to.bodies()).toEqual([]);
  });

  const [toTheTopic, toAnother] = [toTopic("t.a"), toTopic("other")];
  const request = { ttlMs: 7 * day };

  for (const [what, send] of Object.entries<(from: Correspondent, to: Correspondent) => Promise<unknown>>({
    "for it alone": (from, to) => from.send(toChat(to), "kept", request),
    "to a topic of its own": (from) => from.send(toTheTopic, "kept", request),
    "to all": (from) => from.send(toAll, "kept", request),
  })) {
    it(`an unread message ${what} keeps an offline chat`, async ({ c1: from, c2: to }) => {
      await to.subscribe("t.*");
      await to.leave();
      await send(from, to);
      await later(to.host, 7 * day - 1, from);
      await to.host.ring();
      await to.back();
      expect(await to.bodies()).toEqual(["kept"]);
      await to.leave();
      await later(to.host, day, from);
      await to.host.ring();
      expect((await refusal(to.host, "chats.get", { chat: to.chat })).code).toBe("unknown_chat");
    });
  }

  it("read, foreign, own and expired messages keep no offline chat", async ({ c1: from, c2: to }) => {
    await to.subscribe("t.*");
    const read = await from.send(toChat(to), "read", request);
    await from.send(toChat(to), "short");
    const ahead = await from.send(toChat(to), "read ahead", request);
    await to.ack({ cursor: read, ids: [ahead] });
    await to.send(toTheTopic, "its own", request);
    await from.send(toChat(from), "another's", request);
    await from.send(toAnother, "another topic", request);
    await to.leave();
    await later(to.host, day - 1, from);
    await from.send(toAll, "in time", { ttlMs: 2 * day });
    await later(to.host, 2, from);
    await to.host.ring();
    await later(to.host, 2 * day - 3, from);
    await to.host.ring();
    expect(await to.host.call("chats.get", { chat: to.chat })).toMatchObject({ ok: true });
    await later(to.host, 1, from);
    await to.host.ring();
    expect((await refusal(to.host, "chats.get", { chat: to.chat })).code).toBe("unknown_chat");
  });

  it("an older message that outlives the newest keeps its chat, behind many others", async ({ open }) => {
    for (const target of ["chat", "topic", "wild"]) {
      const [from, to] = await two(open);
      await to.subscribe(target === "wild" ? "t.*" : "t.a");
      const long = target === "chat" ? toChat(to) : toTheTopic;
      await from.send(long, "long", request);
      for (let at = 0; at < 210; at++) await from.send(toAnother, at, { ttlMs: 3 * day });
      await from.send(long, "short", { ttlMs: 2 * day });
      await to.leave();
      for (let days = 1; days < 7; days++) {
        await later(to.host, day, from);
        await to.host.ring();
      }
      await to.back();
      expect(await to.bodies()).toEqual(["long"]);
    }
  });

  it("messages to all keep a chat for eight days", async ({ c1: from, c2: to }) => {
    await to.leave();
    for (let days = 1; days <= 8; days++) {
      await from.send(toAll, days, request);
      await later(to.host, day, from);
      await to.host.ring();
      const isKept = (await to.host.call("chats.get", { chat: to.chat })).ok;
      expect([days, isKept]).toEqual([days, days < 8]);
    }
  });

  it("a message for it alone keeps it for its own time, whenever it was sent", async ({ c1: from, c2: to }) => {
    await from.send(toChat(to), "first", request);
    await to.leave();
    for (const body of ["second", "third"]) {
      await later(to.host, 6 * day, from);
      await to.host.ring();
      await from.send(toChat(to), body, request);
    }
    await later(to.host, 7 * day - 1, from);
    await to.host.ring();
    await to.back();
    expect(await to.bodies()).toEqual(["third"]);
  });

  const words = fc.array(fc.constantFrom("a", "b", "a-1", "B_"), { minLength: 1, maxLength: 4 });
  const patterns = fc
    .record({
      words: fc.array(fc.constantFrom("a", "b", "a-1", "*", "*"), { minLength: 1, maxLength: 4 }),
      end: fc.constantFrom("", "", ".**"),
    })
    .map((drawn) => drawn.words.join(".") + drawn.end);

  it("* stands for one word and ** at the end for one or more, as a brute force over the words has it", () => {
    const pattern = fc.oneof({ weight: 9, arbitrary: patterns }, { weight: 1, arbitrary: fc.constant("**") });
    let fitting = 0;
    fc.assert(
      fc.property(pattern, words, (drawn, topic) => {
        const isFit = standsFor(drawn.split("."), topic);
        fitting += isFit ? 1 : 0;
        expect(matches(drawn, topic.join("."))).toBe(isFit);
      }),
      { numRuns: 3_000 },
    );
    expect(fitting).toBeGreaterThan(100);
  });

  it("a subscription with wildcards gets exactly what its pattern stands for", async ({ host }) => {
    const from = await Correspondent.join(host, "from");
    const topics = ["a", "a.b", "a.b.c", "b.a", "b", "a-1.b"];
    const chats = ["a", "a.*", "a.**", "*.b", "**", "*.*", "a.*.c", "a.*.**"];
    const readers = await some(host, ...chats.map((_, at) => `c${at}`));
    for (const [at, reader] of readers.entries()) await reader.subscribe(chats[at] ?? "");
    for (const topic of topics) await from.send(toTopic(topic), topic);
    const got = Object.fromEntries(
      await Promise.all(readers.map(async (reader, at) => [chats[at], await reader.bodies()])),
    ) as Record<string, Json[]>;
    expect(got).toEqual({
      a: ["a"],
      "a.*": ["a.b"],
      "a.**": ["a.b", "a.b.c"],
      "*.b": ["a.b", "a-1.b"],
      "**": topics,
      "*.*": ["a.b", "b.a", "a-1.b"],
      "a.*.c": ["a.b.c"],
      "a.*.**": ["a.b.c"],
    });
  });

  it("topics and patterns that are none are refused", async ({ c1: chat }) => {
    for (const topic of ["", "a.", ".a", "a..b", "a b", "*", "a.*", "a/b", "é", "a".repeat(61), "a.".repeat(8) + "a"]) {
      expect(refused(await chat.trySend(toTopic(topic), 1)).code).toBe("bad_input");
    }
    for (const pattern of ["", "a.**.b", "**.a", "a*", "a.", "***", "a.b*"]) {
      expect((await refusal(chat.host, "messages.subscribe", { self: chat.self, pattern })).code).toBe("bad_input");
    }
  });
}

/** The rule word by word, by trying every length of `**`. */
export function standsFor([word, ...rest]: string[], [first, ...others]: string[]): boolean {
  if (word === undefined || first === undefined) return word === undefined && first === undefined;
  if (word === "**") return rest.length === 0;
  return (word === "*" || word === first) && standsFor(rest, others);
}
