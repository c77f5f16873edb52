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

  const broken: [string, Record<string, Json>][] = [
    ["a type that there is not", { type: "strng" }],
    ["a type deep inside", { properties: { a: { items: { type: ["string", "nul"] } } } }],
    ["a pattern that is none", { pattern: "[" }],
    ["a pattern deep inside", { properties: { a: { anyOf: [{ pattern: "(" }] } } }],
    ["a pattern of names", { patternProperties: { "*": true } }],
    ["a reference to nowhere", { properties: { a: { $ref: "#/$defs/none" } } }],
    ["a reference to itself", { $ref: "#" }],
    ["a reference to itself deep inside", { properties: { a: { $ref: "#/properties/a" } } }],
    ["an enum that is no list", { properties: { a: { enum: 5 } } }],
    ["required that is no list", { required: 5 }],
    ["properties that are none", { properties: null }],
    ["one that is too large", { enum: ["x".repeat(maxMessageBodyChars)] }],
  ];

  it.for(broken)("[MS21] an unusable schema is refused when it is set: %s", async ([, one], { c1: from }) => {
    const { code, message } = await refusal(from.host, "messages.set-topic-schema", { topic: "t", schema: one });
    expect(code).toBe("bad_input");
    expect(message).toContain("the schema cannot be used");
    expect(message.length).toBeLessThan(1_000);
    await from.send(toTopic("t"), "free");
  });

  const hostile: [string, Record<string, Json>, Json][] = [
    ["repetitions in a row", { pattern: "^\\w*\\w*\\w*$" }, `${"a".repeat(60_000)}!`],
    ["a pattern of names", { patternProperties: { "a*b": false } }, { [`${"a".repeat(60_000)}!`]: 1 }],
    ["equal items", { uniqueItems: true }, Array.from({ length: 9_000 }, (_, at) => at)],
    [
      "equal items that are objects",
      { uniqueItems: true },
      Array.from({ length: 2_000 }, (_, at) => ({ n: at, list: [at] })),
    ],
    ["an address", { format: "uri" }, `https://${"a".repeat(60_000)}!`],
    ["a name of a host", { format: "hostname" }, "a-".repeat(30_000)],
    ["many choices for many items", { items: { enum: Array.from({ length: 2_000 }, (_, at) => at) } }, [1_999]],
  ];

  it.for(hostile)("[MS16] no schema and no body is slow to check: %s", async ([, one, body], { c1: from, c2: to }) => {
    await to.subscribe("t");
    await ask(from.host, "messages.set-topic-schema", { topic: "t", schema: one });
    const result = await from.trySend(toTopic("t"), body);
    expect(["ok", "schema_mismatch"]).toContain(result.ok ? "ok" : result.error.code);
    // Whether it is checked or refused, the coordinator goes on.
    await from.send(toAll, "next");
    expect(await to.bodies()).toContain("next");
  });

  it("[MS23] a body that takes too many steps to check is refused and says so", async ({ c1: from }) => {
    const $defs = Object.fromEntries(
      Array.from({ length: 30 }, (_, at) => [`d${at}`, { items: twice(at === 29 ? "end" : `d${at + 1}`) }]),
    );
    const one = { $ref: "#/$defs/d0", $defs: { ...$defs, end: true } };
    await ask(from.host, "messages.set-topic-schema", { topic: "t", schema: one });
    let body: Json = 1;
    for (let depth = 0; depth < 30; depth++) body = [body];
    const { code, message } = refused(await from.trySend(toTopic("t"), body));
    expect(code).toBe("schema_mismatch");
    expect(message).toMatch(/topic t .*more than 50000 steps/);
    await from.send(toTopic("t"), [1]);
  });

  const costly: [string, Record<string, Json>, RegExp][] = [
    ["a repetition in a repetition", { pattern: "^(a+)+$" }, /pattern cannot be "\^\(a\+\)\+\$": a group before \+/],
    ["words and spaces", { items: { pattern: "^(\\w+\\s?)*$" } }, /a group before \*/],
    [
      "a choice that is repeated",
      { patternProperties: { "^(a|a)*$": false } },
      /patternProperties cannot be .*before \*/,
    ],
    ["a pattern that refers back", { pattern: "(a)\\1" }, /backreference/],
    ["a pattern that looks ahead", { properties: { a: { pattern: "^(?=a)" } } }, /lookahead/],
    ["a pattern of names that looks behind", { patternProperties: { "(?<!a)b": true } }, /lookbehind/],
    ["a pattern with too many repetitions", { pattern: "(a{100}){10000}" }, /too large/],
    ["a format that takes long", { format: "url" }, /format cannot be "url"/],
    [
      "references that double with each step",
      {
        $ref: "#/$defs/d0",
        $defs: Object.fromEntries(
          Array.from({ length: 20 }, (_, at) => {
            const next = { $ref: `#/$defs/d${Math.min(19, at + 1)}` };
            return [`d${at}`, at === 19 ? true : { allOf: [next, next] }] as [string, Json];
          }),
        ),
      },
      /more than 50000 steps/,
    ],
    ["a reference to elsewhere", { $ref: "https://example.com/schema" }, /\$ref cannot be/],
    ["names that are none", { dependentRequired: { a: 5 } }, /dependentRequired cannot be/],
  ];

  it.for(costly)(
    "[MS21] [MS24] [MS25] [MS27] a costly schema is refused when set: %s",
    async ([, one, why], { host }) => {
      const { code, message } = await refusal(host, "messages.set-topic-schema", { topic: "t", schema: one });
      expect([code, message]).toEqual(["bad_input", expect.stringMatching(why)]);
    },
  );

  it("[MS5] a tree of any depth can be described", async ({ c1: from }) => {
    const tree = {
      $ref: "#/$defs/node",
      $defs: { node: { type: "object", properties: { next: { $ref: "#/$defs/node" } }, additionalProperties: false } },
    };
    await ask(from.host, "messages.set-topic-schema", { topic: "t", schema: tree });
    await from.send(toTopic("t"), { next: { next: {} } });
    expect(refused(await from.trySend(toTopic("t"), { next: { next: 1 } })).message).toContain("#/next/next");
    let deep: Json = {};
    for (let depth = 0; depth < 90; depth++) deep = { next: deep };
    await from.send(toTopic("t"), deep);
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

/** Two parts that look at the same value. */
function twice(name: string): Json {
  return { allOf: [{ $ref: `#/$defs/${name}` }, { $ref: `#/$defs/${name}` }] };
}
