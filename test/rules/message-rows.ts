import { expect } from "vitest";
import type { Hint } from "#src/coordination/kernel/tx.ts";
import { maxMessageBodyChars } from "#src/contract/messages.ts";
import { type RuleHost, type OpenHost, type RowHost } from "#harness/coordinator/engine-host.ts";
import {
  ask,
  Correspondent,
  day,
  rowsWritten,
  toAll,
  toChat,
  toTopic,
  waitForFullHour,
} from "#harness/coordinator/state-calls.ts";
import { ruleTest, type RowTest } from "./rule-test.ts";

/** Rules of messages that can only be seen in rows. */
export function messageRowRules(it: RowTest): void {
  it("pulling until isMore is false returns every message among others", async ({ host, c1: from, c2: to }) => {
    await to.subscribe("news.**");
    const ids: number[] = [];
    for (const count of [4_500, 1_999, 2_000, 0, 2_001]) {
      await fillTopic(host, "other", count);
      ids.push(await from.send(toTopic("news.a"), count), await from.send(toChat(to), count));
    }
    const told: number[] = [];
    let pulls = 0;
    for (let isMore = true; isMore; pulls++) {
      const pulled = await to.pull({ limit: 3 });
      const found = pulled.messages.map(({ id }) => id);
      told.push(...found);
      if (found.length > 0) await to.ack({ ids: found });
      ({ isMore } = pulled);
    }
    expect(told).toEqual(ids);
    expect(pulls).toBeLessThan(15);
    expect(await to.pull()).toMatchObject({ messages: [], unread: 0, isMore: false });
  });

  it("ack and heartbeat report 0 unread only when it is so", async ({ host, c1: from, c2: to }) => {
    await to.subscribe("news.**");
    const first = await from.send(toTopic("news.a"), "first");
    await fillTopic(host, "other", 12_500);
    await from.send(toTopic("news.a"), "last");
    const beat = async (): Promise<number> => (await ask(host, "chats.heartbeat", { self: to.self })).unread;
    expect(await to.ack({ ids: [first] })).toEqual({ cursor: first + 1_999, unread: 0, isMore: true });
    // Each has read two thousand more.
    for (let times = 0; times < 6; times++) expect(await beat()).toBe(1);
    expect(await to.ack({})).toMatchObject({ unread: 1, isMore: false });
    expect(await beat()).toBe(1);
    expect(await to.bodies()).toEqual(["last"]);
    await to.ack({ cursor: first + 12_501 });
    expect(await beat()).toBe(0);
  });

  it("high priority is first behind any number of others", async ({ host, c1: from, c2: to }) => {
    for (const pattern of ["news.**", "plain"]) await to.subscribe(pattern);
    await fillTopic(host, "plain", 3_000);
    await fillTopic(host, "other", 3_000, 2);
    for (const target of [toChat(to), toAll, toTopic("plain")])
      await from.send(target, target.to, { priority: "high" });
    expect((await to.pull({ limit: 4 })).messages.map(({ body }) => body)).toEqual(["chat", "all", "topic", 0]);
    expect(await to.pull({ minPriority: "high" })).toMatchObject({ messages: { length: 3 }, isMore: true });
    await to.unsubscribe("news.**");
    expect(await to.pull({ minPriority: "high" })).toMatchObject({ messages: { length: 3 }, isMore: false });
  });

  it("expired messages are deleted at the full hour, but the newest", async ({ host, c1: from }) => {
    await from.sendMany(250, { ttlMs: 1_000 });
    const rows = (): Promise<unknown[]> => host.rows("SELECT 1 FROM messages");
    host.wait(2_000);
    await host.ring();
    expect(await rows()).toHaveLength(250);
    waitForFullHour(host);
    await host.ring();
    expect(await rows()).toHaveLength(1);
  });

  it("a refusal writes no row, a message one, reading none", async ({ host, c1: from, c2: to }) => {
    const large = "x".repeat(maxMessageBodyChars);
    expect(await rowsWritten(host, () => from.trySend(toAll, large, { requestId: "r" }))).toBe(0);
    expect(await rowsWritten(host, () => from.trySend({ to: "chat", chat: "none" }, 1, { requestId: "r" }))).toBe(0);
    expect(await rowsWritten(host, () => from.send(toChat(to), 1))).toBe(1);
    expect(await rowsWritten(host, () => to.pull())).toBe(0);
    expect(await rowsWritten(host, () => ask(host, "chats.heartbeat", { self: to.self }))).toBe(0);
  });

  it("a message above the limits deletes the oldest, by number and characters", async ({ host, c1: from }) => {
    const kept = async (): Promise<{ n: number; chars: number }> => {
      const query = "SELECT count(*) AS n, sum(length(body)) AS chars FROM messages";
      const [row] = await host.rows<{ n: number; chars: number }>(query);
      return row ?? { n: 0, chars: 0 };
    };
    await ask(host, "settings.set", { settings: { maxMessages: 10 } });
    for (let at = 0; at < 40; at++) await from.send(toAll, at);
    expect((await kept()).n).toBe(10);
    await ask(host, "settings.set", { settings: { maxMessages: 1_000, maxMessageChars: 100_000 } });
    for (let at = 0; at < 40; at++) await from.send(toAll, "x".repeat(9_998));
    expect(await kept()).toEqual({ n: 10, chars: 100_000 });
  });

  it("after fifty messages for others they are passed for good", async ({ host, c1: from, c2: to }) => {
    const beat = async (who: Correspondent): Promise<number> =>
      (await ask(host, "chats.heartbeat", { self: who.self })).unread;
    const cursor = async (chat: string): Promise<number> =>
      (await host.rows<{ cursor: number }>("SELECT cursor FROM inboxes WHERE chat = ?", chat))[0]?.cursor ?? 0;
    await from.sendMany(49);
    expect([await beat(from), await cursor("c1")]).toEqual([0, 0]);
    await from.send(toAll, "fifty");
    expect([await beat(from), await cursor("c1")]).toEqual([0, 50]);
    expect(await rowsWritten(host, () => beat(from))).toBe(0);
    // The other has not read them.
    expect([await beat(to), await cursor("c2")]).toEqual([50, 0]);
    await to.send(toChat(from), "for c1");
    await from.sendMany(60);
    expect([await beat(from), await cursor("c1")]).toEqual([1, 50]);
    expect((await from.pull()).messages).toMatchObject([{ body: "for c1" }]);
  });
}

/** So many messages to a topic, in one statement. */
async function fillTopic(host: RowHost, topic: string, count: number, priority = 1): Promise<void> {
  await host.run(
    `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
     INSERT INTO messages (id, target, fromChat, body, priority, at, expiresAt)
     SELECT i + (SELECT coalesce(max(id), 0) FROM messages), ?, 'c1', '0', ?, ?, ? FROM n`,
    count,
    `topic:${topic}`,
    priority,
    host.now(),
    host.now() + day,
  );
}

/** What a host of this process is told to hand on. */
export function messageHintRules(open: OpenHost<RuleHost & { readonly hints: Hint[] }>): void {
  const it = ruleTest(open);
  it("a hint names a committed message, and no other", async ({ host, c1: from, c2: to }) => {
    host.hints.length = 0;
    await from.send(toChat(to), 1);
    await from.send(toTopic("t"), 1);
    await from.send(toAll, 1);
    await from.trySend({ to: "chat", chat: "none" }, 1);
    expect(host.hints).toMatchObject([
      { kind: "message", chat: "c2" },
      { kind: "message", chat: null },
      { kind: "message", chat: null },
    ]);
  });
}
