import { expect, test, vi } from "vitest";
import * as dispatch from "#src/coordination/scheduling/dispatch.ts";
import { ok } from "#src/shared/result.ts";
import { openBetterSqlite3 } from "#src/store/driver-better-sqlite3.ts";
import { Peer, ask, given, refused } from "#harness/coordinator/peers.ts";
import { cancel, endsOf, submit, taskOf } from "#harness/coordinator/tasks.ts";
import { second } from "#harness/coordinator/times.ts";
import { LocalHost, assignQueued, takersOf, tokens } from "#harness/coordinator/local-host.ts";

const it = test.extend("host", () => new LocalHost(openBetterSqlite3));

const taker = takersOf(2);
const build = { type: "build" };

async function chatsOf(host: LocalHost): Promise<Record<number, string | null>> {
  const { tasks } = await ask(host, "tasks.list", { limit: 200 });
  return Object.fromEntries(tasks.map(({ task, chat }) => [task, chat]));
}

async function claimed(peer: Peer, requestId = "r"): Promise<number[]> {
  return (await peer.claim({ requestId, limit: 10 })).map(({ task }) => task);
}

it("while one token is under way no other is sent, and none where no chat could take anything", async ({ host }) => {
  await Peer.join(host, "asks-itself");
  await submit(host, build);
  expect(tokens(host)).toBe(0);
  await taker(host, "a");
  await submit(host, build, build, build);
  await submit(host, build);
  expect(tokens(host)).toBe(1);
  assignQueued(host);
  await submit(host, build);
  // Two of six are given, and nobody has room for the others.
  expect(tokens(host)).toBe(0);
});

it("what the queue has not dispatched after 5 s the alarm does, a hundred tasks at a time", async ({ host }) => {
  for (const chat of ["a", "b"]) await takersOf(100)(host, chat);
  await submit(host, ...Array.from({ length: 150 }, () => build));
  expect(tokens(host)).toBe(1);
  await pass(host, 5 * second - 1, "a", "b");
  expect(await assigned(host)).toBe(0);
  await pass(host, 1, "a", "b");
  expect([await assigned(host), tokens(host)]).toEqual([100, 1]);
  await pass(host, 1, "a", "b");
  expect([await assigned(host), tokens(host), host.sql.all("SELECT * FROM outbox")]).toEqual([150, 0, []]);
});

async function assigned(host: LocalHost): Promise<number> {
  return (await ask(host, "tasks.list", { state: "assigned", limit: 200 })).tasks.length;
}

it("a chat that is stuck is given nothing; when it is not stuck any more it is notified", async ({ host }) => {
  const a = await taker(host, "a");
  await a.beat({ status: "stuck" });
  const [task] = await submit(host, build);
  expect([tokens(host), assignQueued(host)]).toEqual([0, 0]);
  await a.beat({ status: "idle" });
  expect([tokens(host), assignQueued(host)]).toEqual([1, 1]);
  expect(await claimed(a)).toEqual([task]);
});

it("a cancelled task makes room for the next one, and its chat is notified", async ({ host }) => {
  const a = await taker(host, "a", { capacity: 1 });
  const [task, next] = await submit(host, build, build);
  assignQueued(host);
  host.hints.length = 0;
  given(await host.call("tasks.cancel", { task, reason: "not wanted" }));
  expect(host.hints).toContainEqual({ kind: "task", chat: "a" });
  expect([tokens(host), assignQueued(host)]).toEqual([1, 1]);
  expect(await claimed(a)).toEqual([next]);
});

it("tasks that only a full chat could take keep no other task from its turn", async ({ host }) => {
  const capabilities = Array.from({ length: 30 }, (_, at) => `c${at}`);
  await taker(host, "a", { taskTypes: ["x"], capabilities });
  await taker(host, "b", { taskTypes: ["y"] });
  await submit(host, ...capabilities.map((one) => ({ type: "x", capabilities: [one], priority: 9 })));
  const last = await submit(host, { type: "y" }, { type: "x", priority: 0 }, { type: "y", priority: 0 });
  expect(assignQueued(host)).toBe(4);
  const taken = await chatsOf(host);
  expect(last.map((task) => taken[task])).toEqual(["b", null, "b"]);
});

const takesFour = takersOf(4);

/** So long, with everybody heard of. */
async function pass(host: LocalHost, ms: number, ...chats: string[]): Promise<void> {
  host.wait(ms);
  for (const chat of chats) await host.ping(chat);
  await host.ring();
}

/** A day may use so many tokens. */
async function setDay(host: LocalHost, tokensOfDay: number): Promise<void> {
  await ask(host, "settings.set", { settings: { budgets: { task: {}, chat: {}, day: { tokens: tokensOfDay } } } });
}

/** With the next day, not before, one look is asked for, after which the chat has what waited for it. */
async function givenTomorrow(host: LocalHost, waiting: number, chat: string): Promise<void> {
  const { dayEndsInMs } = await ask(host, "budgets.get", {});
  tokens(host);
  await pass(host, dayEndsInMs - 1, chat);
  expect(tokens(host)).toBe(0);
  await pass(host, 1, chat);
  expect([tokens(host), assignQueued(host)]).toEqual([1, 1]);
  expect(await holders(host, [waiting])).toEqual([chat]);
}

async function holders(host: LocalHost, tasks: readonly number[]): Promise<(string | null)[]> {
  return Promise.all(tasks.map(async (task) => (await taskOf(host, task)).chat));
}

const x = { type: "x" } as const;
const four = [x, x, x, x] as const;

it("what has not started moves to a later chat that has less to do, under a new claim", async ({ host }) => {
  const a = await takesFour(host, "a");
  const tasks = await submit(host, ...four);
  assignQueued(host);
  const [begun, ...others] = await a.claim({ limit: 4, isStarted: false });
  if (!begun) throw new Error("four were given");
  await a.do("tasks.heartbeat", begun, {});
  const b = await takesFour(host, "b");
  host.hints.length = 0;
  await pass(host, 5 * second, "a", "b");
  const where = await holders(host, tasks);
  expect(where.filter((chat) => chat === "b")).toHaveLength(2);
  expect(where[tasks.indexOf(begun.task)]).toBe("a");
  const moved = others.filter(({ task }) => where[tasks.indexOf(task)] === "b");
  const hinted = host.hints.filter(({ kind }) => kind === "task").map((hint) => "chat" in hint && hint.chat);
  expect(hinted).toEqual(moved.flatMap(() => ["a", "b"]));
  for (const held of moved) {
    expect(refused(await a.try("tasks.heartbeat", held, {})).code).toBe("stale_claim");
    expect(await endsOf(host, held.task)).toEqual(["moved"]);
    expect(await taskOf(host, held.task)).toMatchObject({ failures: 0, stalls: 0, lostChats: 0 });
  }
  expect((await b.claim({ limit: 4 })).map(({ task }) => task)).toEqual(moved.map(({ task }) => task));
});

it("in later rounds nothing moves back or on; where nothing waits there are none", async ({ host }) => {
  const a = await takesFour(host, "a");
  const tasks = await submit(host, ...four);
  assignQueued(host);
  const b = await takesFour(host, "b");
  await pass(host, 5 * second, "a", "b");
  const after = await holders(host, tasks);
  for (let round = 0; round < 3; round++) await pass(host, 5 * second, "a", "b");
  expect(await holders(host, tasks)).toEqual(after);
  expect(host.sql.all("SELECT * FROM meta WHERE key = 'rebalance_at'")).toHaveLength(1);
  for (const chat of [a, b]) await chat.claim({ limit: 4 });
  await pass(host, 30 * second, "a", "b");
  await pass(host, 5 * second, "a", "b");
  expect(host.sql.all("SELECT * FROM meta WHERE key = 'rebalance_at'")).toEqual([]);
});

it("only to chats that take the type and can do it; a draining one gives all away", async ({ host }) => {
  const a = await takesFour(host, "a", { capabilities: ["gpu"] });
  const [gpu, review] = await submit(host, { type: "x", capabilities: ["gpu"] }, { type: "review" });
  assignQueued(host);
  await takesFour(host, "b", { taskTypes: ["x"] });
  await ask(host, "chats.drain", { chat: a.chat });
  await pass(host, 5 * second, "a", "b");
  expect(await holders(host, [gpu, review])).toEqual(["a", "a"]);
  await takesFour(host, "c", { taskTypes: ["review"], capacity: 1 });
  await pass(host, 5 * second, "a", "b", "c");
  expect(await holders(host, [gpu, review])).toEqual(["a", "c"]);
});

it("of chats with the same load the better one at the type gets a task, else who waited longest", async ({ host }) => {
  const hands = [await takesFour(host, "a"), await takesFour(host, "b")];
  const got: (string | null)[] = [];
  for (const type of ["t", "t", "t", "u", "v"]) {
    const [task] = await submit(host, { type, maxAttempts: 1 });
    assignQueued(host);
    const { chat } = await taskOf(host, task);
    got.push(chat);
    const hand = hands.find((one) => one.chat === chat);
    if (got.length === 1) await hand?.nack(await hand.take());
    else await hand?.ack(await hand.take());
    await pass(host, second, "a", "b");
  }
  expect(got).toEqual(["a", "b", "b", "a", "b"]);
});

it("load of each live chat, and what it has done in the last hour", async ({ host }) => {
  const [a] = [await takesFour(host, "a"), await takesFour(host, "b", { capacity: 2 })];
  await submit(host, { type: "x" }, { type: "x", maxAttempts: 1 }, { type: "x" });
  const [one, two] = [await a.take(), await a.take(), await a.take()];
  host.wait(4 * second);
  await a.ack(one);
  host.wait(4 * second);
  await a.nack(two);
  const atWork = { chatId: "a", currentTasks: 1, utilizationRate: 0.25, throughput: 1 };
  const idle = { chatId: "b", currentTasks: 0, utilizationRate: 0, throughput: 0 };
  expect(await ask(host, "tasks.load", {})).toEqual({ chats: [atWork, idle] });
  await takesFour(host, "a", { capacity: 0 });
  expect((await ask(host, "tasks.load", {})).chats).toMatchObject([{ currentTasks: 1, utilizationRate: 1 }, {}]);
});

it("with the next day, and with a limit that is raised, waiting tasks are dispatched", async ({ host }) => {
  const a = await takesFour(host, "a");
  await setDay(host, 10);
  await submit(host, { type: "x" });
  assignQueued(host);
  await a.do("tasks.ack", await a.take(), { usage: { tokens: 10 } });
  tokens(host);
  await submit(host, { type: "x" });
  expect([tokens(host), assignQueued(host)]).toEqual([0, 0]);
  await setDay(host, 11);
  expect([tokens(host), assignQueued(host)]).toEqual([1, 1]);
  await a.do("tasks.ack", await a.take(), { usage: { tokens: 1 } });
  const [waiting] = await submit(host, { type: "x" });
  expect(assignQueued(host)).toBe(0);
  await givenTomorrow(host, waiting, "a");
  expect((await ask(host, "budgets.get", {})).today.tokens).toBe(0);
});

it("what waited when the day was used up is dispatched the next day", async ({ host }) => {
  const a = await takesFour(host, "a", { capacity: 1 });
  await setDay(host, 10);
  const [, waiting] = await submit(host, { type: "x" }, { type: "x" });
  assignQueued(host);
  await a.do("tasks.ack", await a.take(), { usage: { tokens: 10 } });
  expect(refused(await a.tryClaim()).code).toBe("budget_exceeded");
  await givenTomorrow(host, waiting, "a");
});

it("what moves away makes room for what only the one that had it can do", async ({ host }) => {
  await takesFour(host, "a", { capacity: 2, capabilities: ["gpu"] });
  const last = { type: "x", capabilities: ["gpu"], priority: 1 };
  const [, , special] = await submit(host, { type: "x" }, { type: "x" }, last);
  assignQueued(host);
  await takesFour(host, "b");
  tokens(host);
  await pass(host, 5 * second, "a", "b");
  expect(tokens(host)).toBe(1);
  assignQueued(host);
  expect(await holders(host, [special])).toEqual(["a"]);
});

it("a claim that has expired is not moved", async ({ host }) => {
  await takesFour(host, "a");
  const tasks = await submit(host, ...four);
  assignQueued(host);
  await takesFour(host, "b");
  const [{ at } = { at: 0 }] = host.sql.all<{ at: number }>("SELECT min(dueAt) AS at FROM tasks");
  host.wait(at - host.now());
  for (const chat of ["a", "b"]) await host.ping(chat);
  expect(await host.sweep(0)).toEqual([]);
  expect(await holders(host, tasks)).toEqual(["a", "a", "a", "a"]);
});

it("a request assigns at once under up to 20 partition keys, and leaves more to the queue", async ({ host }) => {
  await takersOf(50)(host, "a");
  const [first] = await submit(host, ...Array.from({ length: 21 }, (_, at) => ({ type: `t${at}` })));
  const assign = (): unknown => host.commit((tx) => ok(dispatch.assignAtOnce(tx)));
  assign();
  expect(Object.values(await chatsOf(host)).filter((chat) => chat !== null)).toEqual([]);
  await cancel(host, first ?? 0);
  assign();
  expect(Object.values(await chatsOf(host)).filter((chat) => chat === "a")).toHaveLength(20);
});

it("of a chat 500 types are remembered", async ({ host }) => {
  const a = await takesFour(host, "a");
  const numbers = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 499) SELECT";
  host.sql.run(`INSERT INTO chat_performance (chat, type, successRate) ${numbers} 'a', i, 1 FROM n`);
  for (const type of ["x", "y"]) {
    await submit(host, { type });
    await a.ack(await a.take());
  }
  expect(host.sql.all("SELECT type FROM chat_performance WHERE type IN ('x', 'y')")).toEqual([{ type: "x" }]);
});

it("progress over 100,000 tasks does not claim to be of all", async ({ host }) => {
  const columns = "type, lane, priority, state, depth, tags, onDeath, maxAttempts, baseMs, capMs, hasJitter";
  const rest = "closeMs, heartbeatMs, at, notBefore";
  const numbers = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 99999) SELECT";
  const values = "'x', 'x', 5, 'done', 0, '[]', 'fail', 1, 1, 1, 0, 1, 1, 1, 1";
  host.sql.run(`INSERT INTO tasks (${columns}, ${rest}) ${numbers} ${values} FROM n`);
  expect(await ask(host, "tasks.progress", {})).toMatchObject({ totalTasks: 99_999, isAll: true });
  await submit(host, x);
  expect(await ask(host, "tasks.progress", {})).toMatchObject({ totalTasks: 100_000, isAll: false });
});

it("a dispatch reads the chats once, however many tasks it assigns", async ({ host }) => {
  for (let n = 0; n < 20; n++) await taker(host, `c${n}`, { taskTypes: ["x"] });
  await submit(host, ...Array.from({ length: 30 }, () => ({ type: "x" })));
  const all = vi.spyOn(host.sql, "all");
  expect(assignQueued(host)).toBe(30);
  const read = all.mock.results.map(({ value }) => (value as unknown[]).length);
  expect(read.filter((rows) => rows === 20)).toHaveLength(1);
});

it("tasks of all partition keys go by priority, then number; affinity selects among equals", async ({ host }) => {
  await taker(host, "a", { capacity: 1 });
  await taker(host, "b", { capacity: 1 });
  const wishes = [
    { type: "x", priority: 5 },
    { type: "y", priority: 9, affinity: "b" },
    { type: "x", priority: 8, capabilities: ["web"] },
    { type: "y", priority: 7 },
    { type: "x", priority: 8 },
    { type: "x", priority: 8 },
  ];
  const tasks = await submit(host, ...wishes);
  expect(assignQueued(host)).toBe(2);
  expect(await holders(host, tasks)).toEqual([null, "b", null, null, "a", null]);
});

it("who drains, is stuck, is cut off or takes no such type is given nothing", async ({ host }) => {
  const [drains, stuck] = [await taker(host, "a"), await taker(host, "b")];
  await taker(host, "c");
  await taker(host, "d", { taskTypes: ["y"] });
  await ask(host, "chats.drain", { chat: drains.chat });
  await stuck.beat({ status: "stuck" });
  await host.disconnect("c");
  const tasks = await submit(host, x, { type: "y" });
  expect(assignQueued(host)).toBe(1);
  expect(await holders(host, tasks)).toEqual([null, "d"]);
});
