import { expect, vi } from "vitest";
import type { Failure } from "#src/contract/errors.ts";
import type { Operation } from "#src/contract/operation.ts";
import { operationNames, operations, type OperationName } from "#src/contract/operations.ts";
import { effectOf, keepsWork, LoadShedder } from "#src/durable/load-limits.ts";
import { hashOf } from "#src/pairing/sealing.ts";
import type { Result } from "#src/shared/result.ts";
import { errorResponse } from "#src/worker/inputs.ts";
import { aChat, bearer, bindings, it, request, stopClock, TestWorkspace, wait, type Joined } from "./support.ts";

function frame(count: number, method: string, params: object): object[] {
  return Array.from({ length: count }, (_, id) => ({ jsonrpc: "2.0", id, method, params }));
}

const slow = { maxOperationsPerSecond: 10 };

it("operations of a token are bounded, not those of others or renewals", async ({ workspace }) => {
  const { token } = await workspace.tokenOf("work");
  const connection = await workspace.connect(token);
  const { incarnation } = await connection.ask("chats.register", aChat("c1"));
  const self = { chat: "c1", incarnation };
  const lease = await connection.ask("leases.acquire", { self, resource: "r", requestId: "q" });
  await workspace.ask("settings.set", { settings: slow });
  const parts = await connection.frame(frame(100, "state.get", { key: "k" }));
  const refused = parts.flatMap(({ error }) => (error ? [error.data] : []));
  expect(parts.length - refused.length).toBeLessThanOrEqual(30);
  for (const data of refused) expect(data).toMatchObject({ code: "throttled", retryable: true });
  const answer = await workspace.call("state.get", { key: "k" }, token);
  expect([answer.status, answer.error?.code]).toEqual([429, "throttled"]);
  expect(Number(answer.headers.get("retry-after"))).toBeGreaterThanOrEqual(1);
  expect(await workspace.refusal("state.get", { key: "k" })).toBeNull();
  // Its own share.
  const held = { self, resource: "r", token: lease.state === "granted" ? lease.lease.token : 0 };
  expect(await connection.refusal("chats.heartbeat", { self })).toBeNull();
  expect(await connection.refusal("leases.renew", held)).toBeNull();
  expect(await connection.refusal("leases.release", held)).toBeNull();
  wait(5_000);
  // What is rolled back with another request of its frame, and done again, counts once.
  const stale = frame(1, "state.set", { key: "k", value: 1, ifVersion: 9 });
  const answers = await connection.frame([...frame(25, "state.get", { key: "k" }), ...stale]);
  expect(answers.flatMap(({ error }) => error?.data.code ?? [])).toEqual(["version_mismatch"]);
});

it("a request beyond a limit counts as ten more", async ({ workspace }) => {
  await workspace.ask("state.set", { key: "k", value: 1 });
  await workspace.ask("settings.set", { settings: { ...slow, maxKeys: 1 } });
  const connection = await workspace.connect((await workspace.tokenOf("work")).token);
  const codes: (string | null)[] = [];
  for (let times = 0; times < 4; times++) codes.push(await connection.refusal("state.set", { key: "more", value: 1 }));
  expect(codes).toEqual(["quota_exceeded", "quota_exceeded", "quota_exceeded", "throttled"]);
});

it("a throttled client that continues is closed with 4006 and refused for a while", async ({ workspace }) => {
  await workspace.ask("settings.set", { settings: slow });
  const { token } = await workspace.tokenOf("observe");
  const connection = await workspace.connect(token);
  for (let times = 0; times < 20; times++) connection.send(frame(100, "settings.get", {}));
  expect((await connection.closed).code).toBe(4006);
  const refused = await workspace.upgrade(token);
  const { error } = await refused.json<{ error: { code: string; retryAfterMs: number } }>();
  expect([refused.status, error.code]).toEqual([429, "throttled"]);
  await workspace.connect();
  wait(error.retryAfterMs);
  await workspace.connect(token);
});

it("a read has no effect on the storage, and an operation that makes it grow may be refused for it", () => {
  const empty = { all: () => [], run: () => 0 };
  for (const name of operationNames) {
    const { method, errors, example, input }: Operation = operations[name];
    const effect = effectOf(name, input.parse(example) as never, empty);
    if (method === "GET") expect([name, effect]).toEqual([name, "read"]);
    if (effect === "grow") expect([name, errors]).toEqual([name, expect.arrayContaining(["quota_exceeded"])]);
  }
  const updating = (write: object) => effectOf("state.update", { writes: [write], guards: [] } as never, empty);
  expect([updating({ op: "set", key: "k", value: 1 }), updating({ op: "delete", key: "k" })]).toEqual(["grow", "free"]);
});

function refusedAfter(waitMs: number): OperationName[] {
  const load = new LoadShedder();
  load.beginEvent(waitMs);
  return operationNames.filter((name) => load.refuse(name));
}

it("first what adds and can come later is refused, then the rest, never what keeps or ends work", () => {
  expect(refusedAfter(999)).toEqual([]);
  const first = refusedAfter(1_000);
  expect(first).toEqual(expect.arrayContaining(["tasks.submit", "plans.submit", "messages.send", "sync.put"]));
  for (const name of first) expect([name, operations[name].method]).not.toEqual([name, "GET"]);
  const all = refusedAfter(4_000);
  expect(all).toEqual(expect.arrayContaining([...first, "state.get", "tasks.claim", "leases.acquire", "health"]));
  expect(refusedAfter(1e9)).toEqual(all);
  for (const name of operationNames.filter(keepsWork)) expect(all).not.toContain(name);
  for (const name of ["flow.read", "tokens.revoke", "settings.set"]) expect(all).not.toContain(name);
});

type Asked = readonly [name: OperationName, input: object];

/** Asks all while a write is being committed, so that they are one event; null: done. */
async function askTogether(workspace: TestWorkspace, asked: readonly Asked[], waitMs = 0): Promise<(Failure | null)[]> {
  const credentials = { id: workspace.tokenId, hash: await hashOf(workspace.token) };
  return workspace.inside(async (_state, object) => {
    const call = async (...[name, input]: Asked): Promise<Result<string>> => object.call(credentials, name, input);
    void call("state.set", { key: "first", value: 1 });
    const answers = asked.map((one) => call(...one));
    wait(waitMs);
    return (await Promise.all(answers)).map((answer) => (answer.ok ? null : answer.error));
  });
}

it("in a crowd submits above the bound are refused; acks, heartbeats and reads are done", async ({ workspace }) => {
  await workspace.ask("settings.set", { settings: { maxOperationsPerSecond: 100_000 } });
  const self = await workspace.register("c1", { capacity: 5 });
  await workspace.ask("tasks.submit", { tasks: [{ type: "t", payload: 1 }] });
  const [held] = (await workspace.ask("tasks.claim", { self, requestId: "q", limit: 1 })).claims;
  const submit: Asked = ["tasks.submit", { tasks: [{ type: "crowd" }] }];
  const claim: Asked = ["tasks.claim", { self, requestId: "late", limit: 1 }];
  const beat: Asked = ["chats.heartbeat", { self, progress: "half" }];
  const ack: Asked = ["tasks.ack", { self, task: held?.task, claim: held?.claim, result: 1 }];
  const last: Asked[] = [["state.get", { key: "first" }], beat, ack];
  const crowd = Array.from({ length: 12_000 }, () => submit);
  const codes = (await askTogether(workspace, [...crowd, ...last])).map((refusal) => refusal?.code ?? "ok");
  const accepted = codes.indexOf("overloaded");
  expect(accepted).toBeGreaterThan(4_000);
  expect(accepted).toBeLessThan(10_000);
  const refused = Array.from({ length: 12_000 - accepted }, () => "overloaded");
  expect(codes.slice(accepted)).toEqual([...refused, "ok", "ok", "ok"]);
  expect((await workspace.ask("tasks.stats", { type: "crowd" })).types).toMatchObject([{ queued: accepted }]);
  // Nothing has to happen before it accepts again; what has waited for long is refused.
  expect(await askTogether(workspace, [submit])).toEqual([null]);
  const [late, ...others] = await askTogether(workspace, [submit, claim, beat], 1_100);
  expect(others).toEqual([null, null]);
  const response = late ? errorResponse(late) : null;
  expect([response?.status, response?.headers.get("retry-after")]).toEqual([503, "2"]);
  expect(await askTogether(workspace, [claim, beat], 4_000)).toMatchObject([{ code: "overloaded" }, null]);
});

type Place = Joined & Readonly<{ workspace: TestWorkspace }>;

async function place(): Promise<Place> {
  stopClock();
  const workspace = await TestWorkspace.create();
  await workspace.ask("settings.set", { settings: { chatTtlMs: 600_000, maxOperationsPerSecond: 1_000_000 } });
  return { workspace, ...(await workspace.join("own", { capacity: 100 })) };
}

type Works = Record<string, (at: Place) => Promise<unknown>>;

/** Rows that each of the works reads, where there is so much of something. */
async function reads(counts: readonly number[], fill: (at: Place, count: number) => Promise<unknown>, works: Works) {
  const found: Record<string, number[]> = {};
  for (const count of counts) {
    const at = await place();
    await fill(at, count);
    for (const [name, work] of Object.entries(works))
      (found[name] ??= []).push((await counted(at.workspace, () => work(at))).read);
  }
  // Ids are drawn: by where they fall an entry of an index more is read, or less.
  for (const [name, [few = 0, more = Infinity]] of Object.entries(found))
    expect([name, Math.abs(more - few)]).toEqual([name, expect.toSatisfy((apart: number) => apart <= 2)]);
  return found;
}

/** Rows that the work makes the object read and write, index entries among them; setting the alarm counts as one. */
async function counted(workspace: TestWorkspace, work: () => Promise<unknown>) {
  const cursors: { rowsRead: number; rowsWritten: number }[] = [];
  let alarms = 0;
  await workspace.inside(({ storage }) => {
    const { sql } = storage;
    const [exec, setAlarm] = [sql.exec.bind(sql), storage.setAlarm.bind(storage)];
    sql.exec = ((...given: Parameters<typeof exec>) => {
      const cursor = exec(...given);
      cursors.push(cursor);
      return cursor;
    }) as typeof sql.exec;
    storage.setAlarm = (...given) => {
      alarms += 1;
      return setAlarm(...given);
    };
  });
  await work();
  return workspace.inside(({ storage }) => {
    Reflect.deleteProperty(storage.sql, "exec");
    Reflect.deleteProperty(storage, "setAlarm");
    const read = cursors.reduce((sum, { rowsRead }) => sum + rowsRead, 0);
    return { read, written: cursors.reduce((sum, { rowsWritten }) => sum + rowsWritten, alarms) };
  });
}

async function addTypes({ workspace }: Place, count: number): Promise<void> {
  for (let from = 0; from < count; from += 100)
    await workspace.ask("tasks.submit", {
      tasks: Array.from({ length: 100 }, (_, of) => ({ type: `t${from + of}`, priority: 1 })),
    });
  await workspace.ask("tasks.submit", { tasks: Array.from({ length: 3 }, () => ({ type: "own" })) });
  // What comes by the queue is no part of the submit.
  const metadata = { metrics: { backlogCount: 0, backlogBytes: 0 } };
  vi.spyOn(bindings.DISPATCH, "send").mockResolvedValue({ metadata });
  await workspace.join("taker", { taskTypes: ["*"], capacity: 3 });
}

it("a submit, and a claim that names its types, cost the same however many partition keys there are", async () => {
  await reads([100, 900], addTypes, {
    claim: ({ connection, self }) => connection.ask("tasks.claim", { self, requestId: "q", types: ["own"] }),
    submit: ({ workspace }) => workspace.ask("tasks.submit", { tasks: [{ type: "own" }] }),
    list: ({ workspace }) => workspace.ask("tasks.list", { state: "running" }),
  });
});

async function addMessages({ connection, self, workspace }: Place, count: number): Promise<void> {
  await connection.ask("messages.subscribe", { self, pattern: "news.**" });
  await workspace.rows(
    `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
       INSERT INTO messages (id, target, fromChat, body, priority, at, expiresAt)
       SELECT i, 'topic:other', 'x', '0', 1, 0, ? FROM n`,
    count,
    Number.MAX_SAFE_INTEGER,
  );
  const from = await workspace.register("from");
  await workspace.ask("messages.send", { self: from, target: { to: "topic", topic: "news.own" }, body: 1 });
}

it("pull, ack and heartbeat cost the same, however many messages to others lie before the unread ones", async () => {
  const found = await reads([16_000, 64_000], addMessages, {
    pull: async ({ connection, self }) => {
      expect(await connection.ask("messages.pull", { self, limit: 1 })).toMatchObject({ messages: [], isMore: true });
    },
    acknowledgement: ({ connection, self }) => connection.ask("messages.ack", { self, cursor: 1 }),
    heartbeat: async ({ connection, self }) => {
      expect((await connection.ask("chats.heartbeat", { self })).unread).toBe(1);
    },
  });
  for (const [name, [few = 0]] of Object.entries(found)) expect([name, few < 2_300]).toEqual([name, true]);
});

/** Chats of the machine that have ended, where another machine has a token. */
async function addEnded({ workspace }: Place, count: number): Promise<void> {
  await workspace.tokenOf("work", "another machine");
  await workspace.ask("settings.set", { settings: { maxConcurrentChats: 2, machineChatShare: 0.5 } });
  const [own] = await workspace.rows<Record<string, string>>("SELECT * FROM chats WHERE chat = 'own'");
  const columns = Object.keys(own ?? {}).filter((name) => !["chat", "session", "status", "dueAt"].includes(name));
  await workspace.rows(
    `WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
       INSERT INTO chats (chat, session, status, dueAt, ${columns.join(", ")})
       SELECT 'ended' || i, 'ended' || i, 'offline', 9e15, ${columns.join(", ")} FROM n, chats WHERE chat = 'own'`,
    count,
  );
}

it("a registration reads no ended chat, also where the workspace or the machine is full", async () => {
  await reads([100, 900], addEnded, {
    "of another chat, refused": async ({ workspace }) =>
      expect((await workspace.call("chats.register", aChat("more"))).error?.code).toBe("too_many_chats"),
    "of a new chat": async ({ workspace }) => {
      await workspace.ask("settings.set", { settings: { maxConcurrentChats: 200 } });
      await workspace.register("new");
    },
    "of a known chat": ({ workspace }) => workspace.register("own"),
    "of a chat that had ended": ({ workspace }) => workspace.register("ended5", { session: "ended5" }),
    "of a machine that has too many": async ({ workspace }) => {
      await workspace.ask("settings.set", { settings: { maxOfflineChatsPerMachine: 50 } });
      expect((await workspace.call("chats.register", aChat("other"))).error?.code).toBe("throttled");
    },
  });
});

it("no operation writes more rows than it needs; a heartbeat without news, a ping, a read and a refusal write none", async () => {
  const { workspace, connection, self } = await place();
  await workspace.ask("state.set", { key: "before", value: 1 });
  const target = { to: "all" } as const;
  await connection.ask("messages.send", { self, target, body: "first" });
  await connection.ask("messages.subscribe", { self, pattern: "a" });
  const take = (resource: string) =>
    connection.ask("leases.acquire", { self, resource, requestId: "q", ttlMs: 60_000 });
  const taken = await take("first");
  const token = taken.state === "granted" ? taken.lease.token : 0;
  const health = { cpu: 0.52, memory: 0.31, uptimeMs: 1_000 };
  const slightly = { ...health, cpu: 0.53 };
  const same = { self, status: "busy", taskCount: 1, progress: "half" } as const;
  const once = { key: "a", value: 3, requestId: "q" };
  const works: Record<string, [most: number, work: () => Promise<unknown>]> = {
    "leases.acquire": [4, () => take("next")],
    "leases.renew": [2, () => connection.ask("leases.renew", { self, resource: "first", token })],
    "leases.release": [4, () => connection.ask("leases.release", { self, resource: "first", token })],
    "chats.register, new": [7, () => workspace.register("c9")],
    "chats.register, again": [3, () => workspace.register("c9")],
    "chats.heartbeat, news": [4, () => connection.ask("chats.heartbeat", { ...same, health })],
    "state.set, new": [2, () => workspace.ask("state.set", { key: "a", value: 1 })],
    "state.set, with a request id": [4, () => workspace.ask("state.set", once)],
    "state.set, repeated": [0, () => workspace.ask("state.set", once)],
    "state.delete": [2, () => workspace.ask("state.delete", { key: "a" })],
    "messages.send": [2, () => connection.ask("messages.send", { self, target, body: "x" })],
    "messages.ack": [2, () => connection.ask("messages.ack", { self, cursor: 2 })],
    "chats.heartbeat, no news": [0, () => connection.ask("chats.heartbeat", { ...same, health: slightly })],
    "state.watch": [0, () => connection.ask("state.watch", { watch: "w", prefix: "a" })],
    "messages.pull": [0, () => connection.ask("messages.pull", { self })],
    health: [0, () => workspace.ask("health", {})],
    refusal: [0, () => connection.refusal("state.set", { key: "before", value: 2, ifVersion: 99 })],
    "elections.campaign": [7, () => connection.ask("elections.campaign", { self, name: "main", requestId: "q" })],
    "chats.unregister": [10, () => connection.ask("chats.unregister", { self })],
  };
  const over: string[] = [];
  for (const [name, [most, work]] of Object.entries(works)) {
    if (name === "chats.heartbeat, no news") wait(10_000);
    const { written } = await counted(workspace, work);
    if (written > most) over.push(`${name}: ${written} instead of ${most}`);
  }
  expect(over).toEqual([]);
});

it("a workspace is scraped with one of its tokens, its figures at most ten seconds old", async ({ workspace }) => {
  await workspace.join("c1");
  const { id, token } = await workspace.tokenOf("observe");
  const path = `/v1/workspaces/${workspace.name}/metrics`;
  const queued = async (): Promise<string | undefined> => {
    const answer = await request(path, { headers: bearer(token) });
    return /^shim_tasks\{state="queued"\} (\d+)$/m.exec(await answer.text())?.[1];
  };
  const answer = await request(path, { headers: bearer(token) });
  expect(answer.headers.get("content-type")).toBe("text/plain; version=0.0.4; charset=utf-8");
  const text = await answer.text();
  for (const line of ["# TYPE shim_tasks gauge", 'shim_chats{status="idle"} 1', "shim_sockets 1"])
    expect(text).toContain(`\n${line}\n`);
  await workspace.ask("tasks.submit", { tasks: [{ type: "build" }] });
  wait(9_999);
  expect(await queued()).toBe("0");
  wait(1);
  expect(await queued()).toBe("1");
  await workspace.ask("tokens.revoke", { id });
  for (const headers of [{}, bearer("shim_a.b"), bearer(token), bearer(bindings.SHIM_ADMIN_SECRET)]) {
    const refused = await request(path, { headers });
    expect([refused.status, (await refused.text()).includes("shim_")]).toEqual([401, false]);
  }
});
