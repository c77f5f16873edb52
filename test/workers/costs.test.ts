import { expect, it, vi } from "vitest";
import type { InputOf, OperationName } from "../../src/contract/operations.ts";
import type { Settings } from "../../src/contract/workspaces.ts";
import type { Connection } from "./connection.ts";
import { counted } from "./counted-rows.ts";
import { bindings, stopClock, TestWorkspace, type Self } from "./support.ts";

/** What one participant stores makes no operation of another one dearer: rows that are read, so not by the clock. */

interface Place {
  readonly workspace: TestWorkspace;
  readonly connection: Connection;
  readonly self: Self;
}

async function place(settings: Partial<Settings> = {}): Promise<Place> {
  stopClock();
  const workspace = await TestWorkspace.create();
  await workspace.ask("settings.set", {
    settings: { chatTtlMs: 600_000, maxOperationsPerSecond: 1_000_000, ...settings },
  });
  return { workspace, ...(await workspace.join("own", { capacity: 100 })) };
}

type Call<Name extends OperationName = OperationName> = { readonly method: Name; readonly params: InputOf<Name> };

/** Many requests, a frame for each hundred. */
async function all({ connection }: Place, calls: readonly Call[]): Promise<void> {
  for (let from = 0; from < calls.length; from += 100) {
    const frame = calls
      .slice(from, from + 100)
      .map((call, at) => Object.assign({ jsonrpc: "2.0", id: from + at }, call));
    connection.send(frame);
    const answers = await answersOf(connection);
    expect(answers.filter(({ error }) => error !== undefined)).toEqual([]);
  }
}

/** Of the next frame with many; what is told of itself comes between. */
async function answersOf(connection: Connection): Promise<{ error?: unknown }[]> {
  for (;;) {
    const frame = JSON.parse(await connection.text()) as unknown;
    if (Array.isArray(frame)) return frame as { error?: unknown }[];
  }
}

function times<T>(count: number, make: (at: number) => T): T[] {
  return Array.from({ length: count }, (_, at) => make(at));
}

/** Rows that each of the works reads, where there is so much of something. */
async function reads(
  fill: (at: Place, count: number) => Promise<void>,
  works: Record<string, (at: Place) => Promise<unknown>>,
  counts: readonly number[],
  settings: Partial<Settings> = {},
): Promise<Record<string, number[]>> {
  const found: Record<string, number[]> = {};
  for (const count of counts) {
    const at = await place(settings);
    await fill(at, count);
    for (const [name, work] of Object.entries(works)) {
      const { read } = await counted(at.workspace, () => work(at));
      (found[name] ??= []).push(read);
    }
  }
  return found;
}

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

it("[LE21] a name costs the same, however many wait for it: to release, to cancel, and to be refused; a new wait counts those before it", async () => {
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

it("[LE21] a path costs no more than in proportion to those who wait for paths of its project, and nothing for others", async () => {
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

/** So many lanes, one of them of a type of its own: the others have many types, or one type and many capabilities that nobody has. */
function manyLanes(laneOf: (at: number) => { type: string; capabilities?: string[] }) {
  return async ({ workspace }: Place, count: number): Promise<void> => {
    const others = times(count - 1, (at) => ({ ...laneOf(at), priority: 9 }));
    await workspace.ask("tasks.submit", { tasks: others });
    await workspace.ask("tasks.submit", { tasks: times(3, () => ({ type: "own" })) });
  };
}

const manyTypes = manyLanes((at) => ({ type: `t${at}` }));
const manyCapabilities = manyLanes((at) => ({ type: "own", capabilities: [`c${at}`] }));

function submitOwn({ workspace }: Place): Promise<unknown> {
  return workspace.ask("tasks.submit", { tasks: [{ type: "own" }] });
}

/** All that a workspace has at a time. */
const mostLanes = 1_000;

it.each([
  ["types", manyTypes],
  ["capabilities", manyCapabilities],
])(
  "[TA28] a claim costs the same however many lanes there are, whether it names types or not: many %s",
  async (_, fill) => {
    let asked = 0;
    const claim = (more: Partial<InputOf<"tasks.claim">>) => async (at: Place) => {
      const wish = { self: at.self, requestId: `q${(asked += 1)}`, ...more };
      expect((await at.connection.ask("tasks.claim", wish)).claims).toHaveLength(1);
    };
    const works = { "by type": claim({ types: ["own"] }), "of anything": claim({}) };
    const found = await reads(fill, works, [15, mostLanes]);
    for (const [name, [few = 0, more]] of Object.entries(found)) {
      expect([name, more]).toEqual([name, few]);
      expect(few).toBeLessThan(60);
    }
  },
);

/** Beside lanes that it takes nothing of. */
function taker(taskTypes: string[]) {
  return async (at: Place, count: number): Promise<void> => {
    await manyTypes(at, count);
    // What comes by the queue is no part of the submit.
    vi.spyOn(bindings.DISPATCH, "send").mockResolvedValue({
      metadata: { metrics: { backlogCount: 0, backlogBytes: 0 } },
    });
    await at.workspace.join("taker", { taskTypes, capacity: 3 });
  };
}

it.each([[["*"]], [["zzz"]]])(
  "[TA28] a submit costs the same however many lanes there are, also where somebody waits for tasks of %s",
  async (types) => {
    const { submitted = [] } = await reads(taker(types), { submitted: submitOwn }, [15, mostLanes]);
    expect(submitted[1]).toBe(submitted[0]);
  },
);

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

async function beatWithOneUnread({ connection, self }: Place): Promise<void> {
  expect((await connection.ask("chats.heartbeat", { self })).unread).toBe(1);
}

it("[MS15] a heartbeat costs the same, however many messages to others lie behind what is unread", async () => {
  const { heartbeat = [] } = await reads(manyMessages, { heartbeat: beatWithOneUnread }, [1_200, 4_000]);
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

it("[MS15] [MS17] a pull, an acknowledgement and a heartbeat cost the same, however many messages to others lie before what is unread", async () => {
  const found = await reads(
    behindOthers,
    {
      pull: async ({ connection, self }) => {
        expect(await connection.ask("messages.pull", { self, limit: 1 })).toMatchObject({ messages: [], isMore: true });
      },
      acknowledgement: ({ connection, self }) => connection.ask("messages.ack", { self, cursor: 1 }),
      heartbeat: beatWithOneUnread,
    },
    [16_000, 64_000],
  );
  const most: Record<string, number> = { pull: 2_300, acknowledgement: 2_300, heartbeat: 10_200 };
  for (const [name, [few = 0, more]] of Object.entries(found)) {
    expect([name, more]).toEqual([name, few]);
    expect([name, few < (most[name] ?? 0)]).toEqual([name, true]);
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

async function takersThatEnded({ workspace }: Place, count: number): Promise<void> {
  for (let n = 0; n < count; n++) {
    const self = await workspace.register(`t${n}`, { taskTypes: ["*"] });
    await workspace.ask("chats.unregister", { self });
  }
}

it("[QU6] a submit costs the same, however many chats that took tasks have ended", async () => {
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

it("[LE15] [SV13] a list of what begins with a prefix, or of what one chat holds, costs the same however much others have", async () => {
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
