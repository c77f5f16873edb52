import { expect, it, vi } from "vitest";
import type { InputOf } from "#src/contract/operations.ts";
import { all, type Place, reads, times } from "./costs.ts";
import { bindings, type Self } from "./support.ts";

async function take({ connection, self }: Place, resource: string, requestId = "first"): Promise<number> {
  const taken = await connection.ask("leases.acquire", { self, resource, requestId, ttlMs: 3_600_000 });
  return taken.state === "granted" ? taken.lease.token : 0;
}

/** So many requests of ten chats wait for what it says. */
function waiting(held: string, wanted: (at: number) => string) {
  return async (at: Place, count: number): Promise<void> => {
    await take(at, held);
    const chats: Self[] = [];
    for (let n = 0; n < 10; n++) chats.push(await at.workspace.register(`w${n}`));
    const calls = times(count, (n) => ({
      method: "leases.acquire" as const,
      params: { self: chats[n % 10] as Self, resource: wanted(n), requestId: `q${n}`, waitMs: 3_600_000 },
    }));
    await all(at, calls);
  };
}

const many = { maxWaitersPerChat: 1_000, maxWaitersPerResource: 1_000 };

it("a name costs the same, however many wait for it: to release, to cancel, and to be refused; a new wait counts those before it", async () => {
  const found = await reads(
    waiting("x", () => "x"),
    {
      refused: async ({ connection, self }) => {
        expect(await connection.refusal("leases.acquire", { self, resource: "x", requestId: "r" })).toBe("lease_held");
      },
      wait: ({ connection, self }) =>
        connection.ask("leases.acquire", { self, resource: "x", requestId: "w", waitMs: 1_000 }),
      cancel: ({ connection, self }) => connection.ask("leases.cancel-wait", { self, resource: "x", requestId: "w" }),
      release: async (at) => {
        const { leases } = await at.workspace.ask("leases.list", {});
        const { self } = at;
        await at.connection.ask("leases.release", { self, resource: "x", token: leases[0]?.token ?? 0 });
      },
    },
    [20, 200],
    many,
  );
  for (const name of ["cancel", "release"]) expect([name, found[name]?.[1]]).toEqual([name, found[name]?.[0]]);
  for (const name of ["refused", "wait"]) {
    const [few = 0, more = 0] = found[name] ?? [];
    // The count of 180 more, of one chat, of all for the resource, and of all.
    expect(more - few).toBeLessThanOrEqual(5 * 180);
  }
});

async function releaseOf({ workspace, connection, self }: Place, prefix: string): Promise<void> {
  const [lease] = (await workspace.ask("leases.list", { prefix })).leases;
  const { resource = "", token = 0 } = lease ?? {};
  await connection.ask("leases.release", { self, resource, token });
}

it("a path costs no more than in proportion to those who wait for paths of its project, and nothing for others", async () => {
  const [few, more] = [40, 160];
  const found = await reads(
    waiting("file:p/**", (at) => `file:p/d${at % 5}/f${at % 50}`),
    {
      release: (at) => releaseOf(at, "file:p/"),
      elsewhere: async (at) => {
        await take(at, "file:q/free");
        await releaseOf(at, "file:q/");
      },
    },
    [few, more],
    many,
  );
  const [one = 0, two = 0] = found["release"] ?? [];
  expect(two).toBeLessThanOrEqual(1.3 * (more / few) * one);
  expect(found["elsewhere"]?.[1]).toBe(found["elsewhere"]?.[0]);
});

it("a wait beyond a limit costs the same, however many leases overlap", async () => {
  const one = { resource: "file:p/**", waitMs: 1_000 };
  const { refused } = await reads(
    async (at, count) => {
      const { chat, incarnation } = await at.workspace.register("holder");
      const calls = times(count, (n) => ({
        method: "leases.acquire" as const,
        params: { self: { chat, incarnation }, resource: `file:p/${n}/**`, requestId: "q", ttlMs: 3_600_000 },
      }));
      await all(at, calls);
      await at.connection.ask("leases.acquire", { ...one, self: at.self, requestId: "first" });
    },
    {
      refused: async ({ connection, self }) => {
        expect(await connection.refusal("leases.acquire", { ...one, self, requestId: "more" })).toBe("quota_exceeded");
      },
    },
    [10, 90],
    { maxWaitersPerChat: 1 },
  );
  expect(refused?.[1]).toBe(refused?.[0]);
});

/** Tasks of so many types, and some of one more. */
async function manyLanes({ workspace }: Place, count: number): Promise<void> {
  for (let from = 0; from < count; from += 100) {
    await workspace.ask("tasks.submit", { tasks: times(100, (n) => ({ type: `t${from + n}`, priority: 1 })) });
  }
  await workspace.ask("tasks.submit", { tasks: times(3, () => ({ type: "own" })) });
}

function submitOwn({ workspace }: Place): Promise<unknown> {
  return workspace.ask("tasks.submit", { tasks: [{ type: "own" }] });
}

it("a claim that names its types costs the same however many partition keys there are", async () => {
  let asked = 0;
  const claim = (more: Partial<InputOf<"tasks.claim">>) => (at: Place) =>
    at.connection.ask("tasks.claim", { self: at.self, requestId: `q${(asked += 1)}`, ...more });
  const works = { "by type": claim({ types: ["own"] }), "of anything": claim({}) };
  const found = await reads(manyLanes, works, [100, 900]);
  expect(found["by type"]?.[1]).toBe(found["by type"]?.[0]);
  const [few = 0, more = 0] = found["of anything"] ?? [];
  expect(more - few).toBeLessThanOrEqual(6 * 800);
});

/** Tasks of others, and one that the chat runs. */
async function oneRunning(at: Place, count: number): Promise<void> {
  const { self, workspace, connection } = at;
  await workspace.ask("tasks.submit", { tasks: [{ type: "own" }] });
  await connection.ask("tasks.claim", { self, requestId: "first", types: ["own"] });
  await manyLanes(at, count);
}

function listRunning({ workspace }: Place): Promise<unknown> {
  return workspace.ask("tasks.list", { state: "running" });
}

it("the list of running tasks costs the same, however many others there are", async () => {
  const { listed } = await reads(oneRunning, { listed: listRunning }, [100, 900]);
  expect(listed?.[1]).toBe(listed?.[0]);
});

async function lanesAndTaker(at: Place, count: number): Promise<void> {
  await manyLanes(at, count);
  // What comes by the queue is no part of the submit.
  vi.spyOn(bindings.DISPATCH, "send").mockResolvedValue({
    metadata: { metrics: { backlogCount: 0, backlogBytes: 0 } },
  });
  await at.workspace.join("taker", { taskTypes: ["*"], capacity: 3 });
}

it("a submit costs the same however many partition keys there are", async () => {
  const { submitted = [] } = await reads(lanesAndTaker, { submitted: submitOwn }, [100, 900]);
  expect(submitted[1]).toBe(submitted[0]);
});

async function takersThatEnded({ workspace }: Place, count: number): Promise<void> {
  for (let n = 0; n < count; n++) {
    const self = await workspace.register(`t${n}`, { taskTypes: ["*"] });
    await workspace.ask("chats.unregister", { self });
  }
}

it("a submit costs the same, however many chats that took tasks have ended", async () => {
  const { submitted = [] } = await reads(takersThatEnded, { submitted: submitOwn }, [2, 30]);
  expect(submitted[1]).toBe(submitted[0]);
});

async function manyOfOthers(at: Place, count: number): Promise<void> {
  const { self, workspace } = at;
  const other = await workspace.register("other");
  const leases = times(count, (n) => ({
    method: "leases.acquire" as const,
    params: { self: other, resource: `a${n}`, requestId: "r", ttlMs: 3_600_000 },
  }));
  const keys = times(count, (n) => ({ method: "state.set" as const, params: { key: `a${n}`, value: n } }));
  await all(at, [...leases, ...keys]);
  await take(at, "b");
  await workspace.ask("state.set", { key: "b", value: self.chat });
}

it("a list of what begins with a prefix, or of what one chat holds, costs the same however much others have", async () => {
  const found = await reads(
    manyOfOthers,
    {
      "leases by prefix": ({ workspace }) => workspace.ask("leases.list", { prefix: "b" }),
      "leases by holder": ({ workspace, self }) => workspace.ask("leases.list", { holder: self.chat }),
      "keys by prefix": ({ workspace }) => workspace.ask("state.list", { prefix: "b" }),
    },
    [50, 500],
  );
  for (const [name, [few, more]] of Object.entries(found)) expect([name, more]).toEqual([name, few]);
});

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

it("a heartbeat costs the same, however many messages to others lie after what is unread", async () => {
  const { heartbeat = [] } = await reads(manyMessages, { heartbeat: beat(1) }, [4_000, 16_000]);
  expect(heartbeat[1]).toBe(heartbeat[0]);
});

/** So many messages to a topic that nobody receives, and behind them one for the chat, which has wildcards. */
async function behindOthers(at: Place, count: number): Promise<void> {
  const { connection, self, workspace } = at;
  await connection.ask("messages.subscribe", { self, pattern: "news.**" });
  await workspace.inside(({ storage }) => {
    storage.sql.exec(
      `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
       INSERT INTO messages (id, target, fromChat, body, priority, at, expiresAt) SELECT i, 'topic:other', 'x', '0', 1, 0, ? FROM n`,
      count,
      Number.MAX_SAFE_INTEGER,
    );
  });
  const from = await workspace.register("from");
  await workspace.ask("messages.send", { self: from, target: { to: "topic", topic: "news.own" }, body: 1 });
}

it("pull, ack and heartbeat cost the same, however many messages to others lie before the unread ones", async () => {
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
  const most: Record<string, number> = { pull: 2_300, acknowledgement: 2_300, heartbeat: 2_300 };
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

it("a heartbeat counts unread messages over the gap that a raised epoch leaves, at no cost", async () => {
  const { heartbeat: behind = [] } = await reads(around(0, 3), { heartbeat: beat(3) }, [30, 300]);
  const { heartbeat: none = [] } = await reads(around(0, 0), { heartbeat: beat(0) }, [30]);
  const both = { first: beat(5), acknowledged: ackTwo, heartbeat: beat(3) };
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

it("who receives a topic is found without a look at what others have subscribed to", async () => {
  const { sent = [] } = await reads(manySubscriptions, { sent: sendNews }, [100, 1_000]);
  expect(sent[1]).toBe(sent[0]);
});
