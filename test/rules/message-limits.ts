import { expect } from "vitest";
import { maxMessageBodyChars } from "#src/contract/messages.ts";
import type { Json } from "#src/contract/json.ts";
import { ask, later, refusal, refused, toAll, toChat, toTopic } from "#harness/coordinator/state-calls.ts";
import type { RuleTest } from "./rule-test.ts";

/** Rules of what may be sent, where and how often, that hold behind any host. */
export function messageLimitRules(it: RuleTest): void {
  it("[MS11] a body has at most 65,536 characters as JSON", async ({ c1: from, c2: to }) => {
    const most = "x".repeat(maxMessageBodyChars - 2);
    await from.send(toAll, most);
    const { code, message } = refused(await from.trySend(toAll, `${most}x`));
    expect(code).toBe("too_large");
    expect(message).toContain(String(maxMessageBodyChars));
    expect(refused(await from.trySend(toAll, ["\n".repeat(maxMessageBodyChars / 2)])).code).toBe("too_large");
    expect(await to.bodies()).toEqual([most]);
  });

  it("[MS19] a pull has at most a million characters, and at least one message", async ({ c1: from, c2: to }) => {
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

  it("[MS19] a page of schemas has at most a million characters", async ({ host }) => {
    const schema = { enum: ["x".repeat(60_000)] };
    const names = Array.from({ length: 20 }, (_, at) => `t${at + 10}`);
    for (const topic of names) await ask(host, "messages.set-topic-schema", { topic, schema });
    const first = await ask(host, "messages.list-topic-schemas", { limit: 50 });
    expect(first.topics.length).toBe(16);
    const rest = await ask(host, "messages.list-topic-schemas", { limit: 50, cursor: first.cursor ?? "" });
    expect(rest.cursor).toBeNull();
    expect([...first.topics, ...rest.topics].map(({ topic }) => topic)).toEqual(names);
  });

  it("[MS11] to a chat that is not known nothing is sent", async ({ c1: from }) => {
    const { code, message } = refused(await from.trySend({ to: "chat", chat: "nobody" }, "hi"));
    expect(code).toBe("unknown_chat");
    expect(message).toContain("nobody");
  });

  it("[MS11] a chat has at most 50 subscriptions; repeats are not refused", async ({ c1: one, c2: other }) => {
    for (let at = 0; at < 50; at++) await one.subscribe(`t${at}`);
    expect((await refusal(one.host, "messages.subscribe", { self: one.self, pattern: "more" })).code).toBe(
      "quota_exceeded",
    );
    expect(await one.subscribe("t7")).toHaveLength(50);
    expect(await other.subscribe("more")).toEqual(["more"]);
    await one.unsubscribe("t7");
    expect(await one.subscribe("more")).toHaveLength(50);
  });

  const schema = {
    type: "object",
    properties: { step: { type: "string", enum: ["lint", "test"] }, seconds: { type: "number", minimum: 0 } },
    required: ["step"],
    additionalProperties: false,
  };

  it("[MS5] a topic with a schema takes what fits, and says why the rest does not", async ({ c1: from, c2: to }) => {
    await to.subscribe("build");
    await ask(to.host, "messages.set-topic-schema", { topic: "build", schema });
    const wrong: [Json, string][] = [
      ["lint", "object"],
      [{}, "step"],
      [{ step: "deploy" }, "#/step"],
      [{ step: "lint", seconds: -1 }, "#/seconds"],
      [{ step: "lint", more: 1 }, "#/more"],
    ];
    for (const [body, why] of wrong) {
      const { code, message } = refused(await from.trySend(toTopic("build"), body));
      expect(code).toBe("schema_mismatch");
      expect(message).toContain("build");
      expect(message).toContain(why);
      expect(message.length).toBeLessThan(1_000);
    }
    await from.send(toTopic("build"), { step: "lint", seconds: 2 });
    await from.send(toTopic("build.web"), "another topic");
    await from.send(toAll, "to all");
    expect(await to.bodies()).toEqual([{ step: "lint", seconds: 2 }, "to all"]);
  });

  it("[MS5] a schema can be replaced and taken away; what was sent stays", async ({ c1: from, c2: to }) => {
    await to.subscribe("t");
    const set = (one: Record<string, Json> | null): Promise<{ hasSchema: boolean }> =>
      ask(to.host, "messages.set-topic-schema", { topic: "t", schema: one });
    await from.send(toTopic("t"), 1);
    expect(await set({ type: "string" })).toEqual({ topic: "t", hasSchema: true });
    expect(refused(await from.trySend(toTopic("t"), 2)).code).toBe("schema_mismatch");
    await set({ type: "number" });
    await from.send(toTopic("t"), 3);
    expect(await set(null)).toEqual({ topic: "t", hasSchema: false });
    await from.send(toTopic("t"), "4");
    expect(await to.bodies()).toEqual([1, 3, "4"]);
  });

  const broken: [string, Record<string, Json>, string][] = [
    ["a type that there is not", { type: "strng" }, "type: one of null"],
    ["a type deep inside", { properties: { a: { items: { type: ["string", "nul"] } } } }, "properties.a.items.type"],
    ["a pattern", { properties: { a: { pattern: "^a" } } }, 'properties.a: no such field: "pattern"'],
    ["a reference", { $ref: "#" }, 'no such field: "$ref"'],
    ["schemas for one value", { allOf: [{ type: "string" }] }, 'no such field: "allOf"'],
    ["an enum that is no list", { properties: { a: { enum: 5 } } }, "properties.a.enum"],
    ["an enum that is too long", { enum: Array.from({ length: 101 }, (_, at) => at) }, "enum: at most 100"],
    ["required that is no list", { required: 5 }, "required"],
    ["properties that are none", { properties: null }, "properties"],
    ["one that is too large", { description: "x".repeat(maxMessageBodyChars) }, "it is too large"],
  ];

  it.for(broken)("[MS21] an unusable schema is refused when it is set: %s", async ([, one, why], { c1: from }) => {
    const { code, message } = await refusal(from.host, "messages.set-topic-schema", { topic: "t", schema: one });
    expect(code).toBe("bad_input");
    expect(message).toContain(`the schema cannot be used: ${why}`);
    expect(message.length).toBeLessThan(1_000);
    await from.send(toTopic("t"), "free");
  });

  const fits: [Record<string, Json>, Json, string | null][] = [
    [{ type: ["string", "null"] }, null, null],
    [{ type: "integer" }, 1.5, "#: must be integer"],
    [{ type: "object" }, [], "#: must be object"],
    [{ enum: ["a", 1] }, "b", '#: one of ["a",1]'],
    [{ maxLength: 2 }, "abc", "#: length: at most 2, not 3"],
    [{ minItems: 1, items: { maximum: 5 } }, [], "#: items: at least 1, not 0"],
    [{ items: { maximum: 5 } }, [5, 6], "#/1: at most 5, not 6"],
    [{ properties: { a: { type: "string" } }, additionalProperties: { type: "number" } }, { a: "x", b: "y" }, "#/b"],
    [{ properties: { a: {} }, additionalProperties: false }, { constructor: 1 }, "#/constructor: no such field"],
    [{ properties: { a: { required: ["b"] } } }, { a: {} }, "#/a: b is missing"],
  ];

  it.for(fits)("[MS5] a body is checked by the keywords of its topic: %j", async ([one, body, why], { c1: from }) => {
    await ask(from.host, "messages.set-topic-schema", { topic: "t", schema: one });
    const sent = await from.trySend(toTopic("t"), body);
    expect(sent.ok ? null : sent.error.message).toEqual(why === null ? null : expect.stringContaining(why));
  });

  it("[MS16] each value of a body meets one schema, however large both are", async ({ c1: from }) => {
    const choices = Array.from({ length: 100 }, (_, at) => at);
    await ask(from.host, "messages.set-topic-schema", { topic: "t", schema: { items: { enum: choices } } });
    await from.send(
      toTopic("t"),
      Array.from({ length: 20_000 }, () => 99),
    );
    let [deepSchema, deep]: [Record<string, Json>, Json] = [{ type: "null" }, null];
    for (let depth = 0; depth < 90; depth++) deep = [deep];
    for (let depth = 0; depth < 40; depth++) deepSchema = { items: deepSchema };
    await ask(from.host, "messages.set-topic-schema", { topic: "t", schema: deepSchema });
    expect(refused(await from.trySend(toTopic("t"), deep)).message).toContain("must be null");
  });

  it("[MS6] chats that answer each other are throttled after 20 messages a minute", async ({ c1: one, c2: other }) => {
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

  it("[MS6] a third chat that writes to both does not hide the loop", async ({ c1: one, c2: other, c3: third }) => {
    for (let at = 0; at < 20; at++) {
      await one.send(toChat(other), at);
      await other.send(toChat(one), at);
      for (const to of [one, other]) await third.send(toChat(to), at);
    }
    expect(refused(await one.trySend(toChat(other), "more")).code).toBe("throttled");
    await third.send(toChat(one), "still free");
  });

  it("[MS6] a loop throttles no topic, no send to all and no third chat", async ({ c1: one, c2: other, c3: third }) => {
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

  it("[MS6] twenty slower than a minute are no loop", async ({ c1: one, c2: other }) => {
    for (let at = 0; at < 50; at++) {
      await one.send(toChat(other), at);
      await other.send(toChat(one), at);
      one.host.wait(3_100);
    }
  });
}
