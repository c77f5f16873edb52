import { expect, it } from "vitest";
import { all, reads, times, type Place } from "./costs.ts";
import type { Self } from "./support.ts";

/** One message for the chat, which has a subscription with wildcards, and so many for nobody. */
async function manyMessages(at: Place, count: number): Promise<void> {
  const { connection, self, workspace } = at;
  await connection.ask("messages.subscribe", { self, pattern: "news.**" });
  const from = await workspace.register("from");
  const topics = ["news.own", ...times(count, () => "other")];
  const sends = topics.map((topic, body) => ({
    method: "messages.send" as const,
    params: { self: from, target: { to: "topic" as const, topic }, body },
  }));
  await all(at, sends);
}

function beat(unread: number) {
  return async ({ connection, self }: Place): Promise<void> => {
    expect((await connection.ask("chats.heartbeat", { self })).unread).toBe(unread);
  };
}

it("[MS28] a heartbeat costs the same, however many messages to others lie after what is unread", async () => {
  const { heartbeat = [] } = await reads(manyMessages, { heartbeat: beat(1) }, [1_200, 4_000]);
  expect(heartbeat[1]).toBe(heartbeat[0]);
});

/** So many messages to a topic that nobody receives, and behind them one for the chat, which has wildcards. */
async function behindOthers(at: Place, count: number): Promise<void> {
  const { connection, self, workspace } = at;
  await connection.ask("messages.subscribe", { self, pattern: "news.**" });
  await workspace.inside(({ storage }) => {
    storage.sql.exec(
      `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
       INSERT INTO messages (id, target, from_chat, body, priority, at, expires_at) SELECT i, 'topic:other', 'x', '0', 1, 0, ? FROM n`,
      count,
      Number.MAX_SAFE_INTEGER,
    );
  });
  const from = await workspace.register("from");
  await workspace.ask("messages.send", { self: from, target: { to: "topic", topic: "news.own" }, body: 1 });
}

it("[MS28] [MS17] pull, ack and heartbeat cost the same, however many messages to others lie before the unread ones", async () => {
  const found = await reads(
    behindOthers,
    {
      pull: async ({ connection, self }) => {
        expect(await connection.ask("messages.pull", { self, limit: 1 })).toMatchObject({ messages: [], isMore: true });
      },
      acknowledgement: ({ connection, self }) => connection.ask("messages.ack", { self, cursor: 1 }),
      heartbeat: beat(1),
    },
    [16_000, 64_000],
  );
  const most: Record<string, number> = { pull: 2_300, acknowledgement: 2_300, heartbeat: 10_200 };
  for (const [name, [few = 0, more]] of Object.entries(found)) {
    expect([name, more]).toEqual([name, few]);
    expect([name, few < (most[name] ?? 0)]).toEqual([name, true]);
  }
});

/** So many messages to others, then the epoch that is raised, then as many again. */
async function aroundAGap(at: Place, count: number): Promise<void> {
  const from = await at.workspace.register("from");
  const sends = times(count, (body) => ({
    method: "messages.send" as const,
    params: { self: from, target: { to: "topic" as const, topic: "other" }, body },
  }));
  await all(at, sends);
  await at.workspace.ask("epoch.raise", { reason: "restored", quietMs: 0 });
  await all(at, sends);
}

async function sendTo({ workspace, self }: Place, count: number): Promise<void> {
  const from = await workspace.register("from");
  for (let body = 0; body < count; body++) {
    await workspace.ask("messages.send", { self: from, target: { to: "chat", chat: self.chat }, body });
  }
}

function ackTwo({ connection, self }: Place): Promise<unknown> {
  return connection.ask("messages.ack", { self, cursor: 2 });
}

/** With messages for the chat before and behind. */
function around(before: number, behind: number) {
  return async (at: Place, count: number): Promise<void> => {
    await sendTo(at, before);
    await aroundAGap(at, count);
    await sendTo(at, behind);
  };
}

it("[MS15] a heartbeat counts unread messages over the gap that a raised epoch leaves, at no cost", async () => {
  const { heartbeat: behind = [] } = await reads(around(0, 3), { heartbeat: beat(3) }, [30, 300]);
  const { heartbeat: none = [] } = await reads(around(0, 0), { heartbeat: beat(0) }, [30]);
  // Those behind the gap are counted once those before it are acknowledged.
  const both = { first: beat(2), acknowledged: ackTwo, heartbeat: beat(3) };
  const { first = [], heartbeat = [] } = await reads(around(2, 3), both, [30]);
  for (const [rows = 0, more = rows] of [behind, none, first, heartbeat]) {
    expect(rows).toBeLessThan(100);
    expect(more).toBe(rows);
  }
});

async function manySubscriptions(at: Place, count: number): Promise<void> {
  const chats: Self[] = [];
  for (let n = 0; n < count / 50; n++) chats.push(await at.workspace.register(`s${n}`));
  const subscribe = times(count, (n) => ({
    method: "messages.subscribe" as const,
    params: { self: chats[Math.floor(n / 50)] as Self, pattern: `other.t${n}.*` },
  }));
  await all(at, subscribe);
}

function sendNews({ connection, self }: Place): Promise<unknown> {
  return connection.ask("messages.send", { self, target: { to: "topic", topic: "news.own" }, body: 1 });
}

it("[DO15] who receives a topic is found without a look at what others have subscribed to", async () => {
  const { sent = [] } = await reads(manySubscriptions, { sent: sendNews }, [100, 1_000]);
  expect(sent[1]).toBe(sent[0]);
});
