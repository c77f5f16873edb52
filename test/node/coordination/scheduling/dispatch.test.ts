import { expect, test } from "vitest";
import type { Target } from "#src/contract/messages.ts";
import { openBetterSqlite3 } from "#src/store/driver-better-sqlite3.ts";
import { endsOf, Peer, second, submit, taskOf, ask, given, refused } from "#harness/coordinator/peers.ts";
import { LocalHost, assignQueued, takersOf, tokens } from "#harness/coordinator/local-host.ts";

const it = test.extend("host", () => new LocalHost(openBetterSqlite3));

const taker = takersOf(2);
const build = { type: "build" };

async function chatsOf(host: LocalHost): Promise<Record<number, string | null>> {
  const { tasks } = await ask(host, "tasks.list", { limit: 200 });
  return Object.fromEntries(tasks.map(({ task, chat }) => [task, chat]));
}

async function claimed(peer: Peer, requestId = "r"): Promise<number[]> {
  const claim = given(await peer.host.call("tasks.claim", { self: peer.self, requestId, limit: 10 }, peer.actor));
  return claim.claims.map(({ task }) => task);
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

it("a token that brought no request is sent again after 30 s, as long as something is queued", async ({ host }) => {
  const a = await taker(host, "a");
  await submit(host, build);
  expect(tokens(host)).toBe(1);
  host.wait(29 * second);
  await host.ping("a");
  await host.ring();
  expect(tokens(host)).toBe(0);
  host.wait(second);
  await host.ring();
  expect(tokens(host)).toBe(1);
  const [held] = given(await host.call("tasks.claim", { self: a.self, requestId: "r" }, a.actor)).claims;
  await ask(host, "tasks.ack", { self: a.self, task: held?.task ?? 0, claim: held?.claim ?? 0, result: null });
  host.wait(60 * second);
  await host.ring();
  expect(tokens(host)).toBe(0);
  expect(host.sql.all("SELECT * FROM outbox")).toEqual([]);
});

it("by priority, then by number, each to the least loaded that can do it", async ({ host }) => {
  await taker(host, "a", { capacity: 3 });
  await taker(host, "b", { capacity: 1, capabilities: ["gpu"] });
  await taker(host, "c", { capacity: 1, taskTypes: ["build"] });
  const [low, gpu, review, last] = await submit(
    host,
    { ...build, priority: 1 },
    { ...build, capabilities: ["gpu"] },
    { type: "review", priority: 9 },
    { ...build, priority: 0 },
  );
  assignQueued(host);
  const given = await chatsOf(host);
  // Of the two without a task the first by name; then b has what only it can do, and the rest is for who has room.
  expect([given[review ?? 0], given[gpu ?? 0], given[low ?? 0], given[last ?? 0]]).toEqual(["a", "b", "c", "a"]);
});

it("nothing is given to a chat that is gone, drains, has no connection or takes no tasks", async ({ host }) => {
  const draining = await taker(host, "draining");
  await ask(host, "chats.drain", { chat: draining.chat, reason: "asked" });
  await (await taker(host, "gone")).leave();
  await Peer.join(host, "unconnected", { taskTypes: ["*"] });
  await Peer.join(host, "silent");
  await host.connect("silent");
  await submit(host, build);
  expect(assignQueued(host)).toBe(0);
});

it("a chat that is stuck is given nothing; when it is not stuck any more it is notified", async ({ host }) => {
  const a = await taker(host, "a");
  const beat = (status: "stuck" | "idle") => host.call("chats.heartbeat", { self: a.self, status }, a.actor);
  await beat("stuck");
  const [task] = await submit(host, build);
  expect([tokens(host), assignQueued(host)]).toEqual([0, 0]);
  await beat("idle");
  expect([tokens(host), assignQueued(host)]).toEqual([1, 1]);
  expect(await claimed(a)).toEqual([task]);
});

it("a cancelled task makes room for the next one, though its chat has never asked for it", async ({ host }) => {
  const a = await taker(host, "a", { capacity: 1 });
  const [task, next] = await submit(host, build, build);
  assignQueued(host);
  tokens(host);
  given(await host.call("tasks.cancel", { task, reason: "not wanted" }));
  expect(tokens(host)).toBe(1);
  assignQueued(host);
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

it("a hint names a committed message, the chat of a cancelled task, and nothing else", async ({ host }) => {
  const [a, b] = [await Peer.join(host, "a"), await Peer.join(host, "b")];
  const hinted = (): unknown[] => host.hints.splice(0).map(({ kind, ...hint }) => [kind, "chat" in hint && hint.chat]);
  hinted();
  const send = (target: Target) => host.call("messages.send", { self: b.self, target, body: 1 });
  await send({ to: "chat", chat: "a" });
  await send({ to: "all" });
  await send({ to: "chat", chat: "none" });
  expect(hinted()).toEqual([
    ["message", "a"],
    ["message", null],
  ]);
  const [task] = await submit(host, build);
  expect(await claimed(a)).toEqual([task]);
  expect(hinted()).toEqual([]);
  given(await host.call("tasks.cancel", { task, reason: "not wanted" }));
  expect(hinted()).toEqual([["task", "a"]]);
});

const takesFour = takersOf(4);

/** So long, with everybody heard of. */
async function pass(host: LocalHost, ms: number, ...chats: string[]): Promise<void> {
  host.wait(ms);
  for (const chat of chats) await host.ping(chat);
  await host.ring();
}

/** With the next day, who has what waited for it, after so many looks that were asked for. */
async function tomorrow(host: LocalHost, waiting: number): Promise<{ looks: number; chat: string | null }> {
  const { dayEndsInMs } = await ask(host, "budgets.get", {});
  tokens(host);
  await pass(host, dayEndsInMs, "a");
  const looks = tokens(host);
  assignQueued(host);
  return { looks, chat: (await taskOf(host, waiting)).chat };
}

async function holders(host: LocalHost, tasks: readonly number[]): Promise<(string | null)[]> {
  return Promise.all(tasks.map(async (task) => (await taskOf(host, task)).chat));
}

const four = [{ type: "x" }, { type: "x" }, { type: "x" }, { type: "x" }] as const;

it("what was assigned and has not started goes to a chat that came later and has less to do, under a new claim", async ({
  host,
}) => {
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

it("in the next rounds nothing moves back or on, and without anything that waits there are no rounds", async ({
  host,
}) => {
  await takesFour(host, "a");
  const tasks = await submit(host, ...four);
  assignQueued(host);
  const b = await takesFour(host, "b");
  await pass(host, 5 * second, "a", "b");
  const after = await holders(host, tasks);
  for (let round = 0; round < 3; round++) await pass(host, 5 * second, "a", "b");
  expect(await holders(host, tasks)).toEqual(after);
  expect(host.sql.all("SELECT * FROM meta WHERE key = 'rebalance_at'")).toHaveLength(1);
  await b.claim({ limit: 4 });
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

it("of chats with the same load the one that has done better with the type gets a task", async ({ host }) => {
  const [a, b] = [await takesFour(host, "a"), await takesFour(host, "b")];
  await submit(host, { type: "x", affinity: "a", maxAttempts: 1 }, { type: "x", affinity: "b" });
  assignQueued(host);
  await a.nack(await a.take());
  await b.ack(await b.take());
  const [x, y] = await submit(host, { type: "x" }, { type: "y" });
  assignQueued(host);
  // Of type y nobody is known, and both were given something at the same time: the first by name, who has less to do.
  expect(await holders(host, [x, y])).toEqual(["b", "a"]);
});

it("of chats that are alike the one that has waited longest for a new task gets it", async ({ host }) => {
  const hands = new Map([await takesFour(host, "a"), await takesFour(host, "b")].map((one) => [one.chat, one]));
  const got: (string | null)[] = [];
  for (let turn = 0; turn < 4; turn++) {
    const [task] = await submit(host, { type: `t${turn}` });
    assignQueued(host);
    got.push(...(await holders(host, [task])));
    const hand = hands.get(got.at(-1) ?? "");
    await hand?.ack(await hand.take());
    await pass(host, second, "a", "b");
  }
  expect(got).toEqual(["a", "b", "a", "b"]);
});

it("load of each live chat, and what it has done in the last hour", async ({ host }) => {
  const [a] = [await takesFour(host, "a"), await takesFour(host, "b", { capacity: 2 })];
  await submit(host, { type: "x" }, { type: "x", maxAttempts: 1 }, { type: "x" });
  const [one, two, three] = await a.claim({ limit: 3 });
  if (!one || !two || !three) throw new Error("three were there");
  host.wait(4 * second);
  await a.ack(one);
  host.wait(4 * second);
  await a.nack(two);
  expect(await ask(host, "tasks.load", {})).toEqual({
    chats: [
      { chatId: "a", currentTasks: 1, utilizationRate: 0.25, throughput: 1 },
      { chatId: "b", currentTasks: 0, utilizationRate: 0, throughput: 0 },
    ],
  });
  await takesFour(host, "a", { capacity: 0 });
  expect((await ask(host, "tasks.load", {})).chats).toMatchObject([{ currentTasks: 1, utilizationRate: 1 }, {}]);
});

it("with the next day, and with a limit that is raised, waiting tasks are dispatched", async ({ host }) => {
  const a = await takesFour(host, "a");
  await ask(host, "settings.set", { settings: { budgets: { task: {}, chat: {}, day: { tokens: 10 } } } });
  await submit(host, { type: "x" });
  assignQueued(host);
  await a.do("tasks.ack", await a.take(), { usage: { tokens: 10 } });
  tokens(host);
  await submit(host, { type: "x" });
  expect([tokens(host), assignQueued(host)]).toEqual([0, 0]);
  await ask(host, "settings.set", { settings: { budgets: { task: {}, chat: {}, day: { tokens: 11 } } } });
  expect([tokens(host), assignQueued(host)]).toEqual([1, 1]);
  await a.do("tasks.ack", await a.take(), { usage: { tokens: 1 } });
  await submit(host, { type: "x" });
  expect(assignQueued(host)).toBe(0);
  const { dayEndsInMs } = await ask(host, "budgets.get", {});
  await pass(host, dayEndsInMs - 1, "a");
  expect(tokens(host)).toBe(0);
  await pass(host, 1, "a");
  expect([tokens(host), assignQueued(host)]).toEqual([1, 1]);
  expect((await ask(host, "budgets.get", {})).today.tokens).toBe(0);
});

it("a task from before the day was used up is dispatched the next day, though claims were refused", async ({
  host,
}) => {
  const a = await takesFour(host, "a", { capacity: 1 });
  await ask(host, "settings.set", { settings: { budgets: { task: {}, chat: {}, day: { tokens: 10 } } } });
  const [, waiting] = await submit(host, { type: "x" }, { type: "x" });
  assignQueued(host);
  await a.do("tasks.ack", await a.take(), { usage: { tokens: 10 } });
  expect(refused(await a.tryClaim()).code).toBe("budget_exceeded");
  expect(await tomorrow(host, waiting)).toEqual({ looks: 1, chat: "a" });
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
