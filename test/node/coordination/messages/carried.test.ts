import * as fc from "fast-check";
import { expect, it } from "vitest";
import type { Message, Priority, Target } from "#src/contract/messages.ts";
import { findCarried } from "#src/coordination/messages/messages.ts";
import { ok } from "#src/shared/result.ts";
import { openBetterSqlite3 } from "#src/store/driver-better-sqlite3.ts";
import { LocalHost } from "#harness/coordinator/local-host.ts";
import { type Correspondent, minute, some, toAll, toTopic } from "#harness/coordinator/state-calls.ts";
import { step } from "../../../rules/steps.ts";

function carried(host: LocalHost, { chat }: { readonly chat: string }): Message | null {
  return host.commit((tx) => ok(findCarried(tx, chat))).value;
}

const who = fc.nat(2);
const target = fc.oneof(
  fc.constantFrom("c0", "c1", "c2").map((chat): Target => ({ to: "chat", chat })),
  fc.constantFrom("a", "a.b", "b").map(toTopic),
  fc.constant<Target>(toAll),
);
const priority = fc.constantFrom<Priority>("low", "normal", "high");
const body = fc.constantFrom("x", { deep: [1, null] }, "y".repeat(4_094), "y".repeat(4_095));
const act = fc.oneof(
  step(8, "send", { who, target, priority, body, ttlMs: fc.constantFrom(1_000, minute) }),
  step(5, "read", { who, limit: fc.integer({ min: 1, max: 3 }) }),
  step(2, "subscribe", { who, pattern: fc.constantFrom("a", "a.*", "**") }),
  step(1, "unsubscribe", { who, pattern: fc.constantFrom("a", "a.*", "**") }),
  step(1, "wait", { ms: fc.constantFrom(999, 1, 2_000) }),
);
type Act = typeof act extends fc.Arbitrary<infer T> ? T : never;

async function run(host: LocalHost, chats: readonly Correspondent[], one: Act): Promise<void> {
  if (one.kind === "wait") return host.wait(one.ms);
  const chat = chats[one.who] as Correspondent;
  const { self } = chat;
  if (one.kind === "subscribe" || one.kind === "unsubscribe")
    return void (await host.call(`messages.${one.kind}`, { self, pattern: one.pattern }));
  if (one.kind === "send") {
    const { target: to, priority: rank, body: text, ttlMs } = one;
    return void (await host.call("messages.send", { self, target: to, body: text, priority: rank, ttlMs }));
  }
  const ids = (await chat.pull({ limit: one.limit })).messages.map(({ id }) => id);
  if (ids.length > 0) await host.call("messages.ack", { self, ids });
}

it("[MS34] a hint carries a message exactly where a pull would return it alone, as the pull does @night", async () => {
  let carriedTimes = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(act, { maxLength: 40 }), async (acts) => {
      const host = new LocalHost(openBetterSqlite3);
      const chats = await some(host, "c0", "c1", "c2");
      for (const one of acts) {
        await run(host, chats, one);
        for (const chat of chats) {
          const message = carried(host, chat);
          const { messages, unread, isMore } = await chat.pull({ limit: 2 });
          const isAlone = unread === 1 && !isMore && JSON.stringify(messages[0]?.body).length <= 4_096;
          expect(message).toEqual(isAlone ? messages[0] : null);
          carriedTimes += Number(message !== null);
        }
      }
    }),
    { numRuns: 60 },
  );
  expect(carriedTimes).toBeGreaterThan(100);
});

it("[MS34] nothing is carried to a chat that is gone, and nothing beyond 200 messages of others", async () => {
  const host = new LocalHost(openBetterSqlite3);
  const [from, to, other] = (await some(host, "c0", "c1", "c2")) as [Correspondent, Correspondent, Correspondent];
  const send = (target: Target): Promise<unknown> => host.call("messages.send", { self: from.self, target, body: 1 });
  await send({ to: "chat", chat: "c1" });
  expect(carried(host, to)).toMatchObject({ id: 1 });
  for (let sent = 0; sent < 199; sent++) await send(toTopic("nobody"));
  expect(carried(host, to)).toMatchObject({ id: 1 });
  await send(toTopic("nobody"));
  expect(carried(host, to)).toBeNull();
  await send({ to: "chat", chat: "c2" });
  await host.call("messages.ack", { self: other.self, cursor: 200, ids: [] });
  expect(carried(host, other)).toMatchObject({ id: 202 });
  await other.leave();
  expect(carried(host, other)).toBeNull();
  expect(carried(host, { chat: "nobody" })).toBeNull();
});
