import { expect, it } from "vitest";
import type { Target } from "#src/contract/messages.ts";
import type { InputOf } from "#src/contract/operations.ts";
import { openBetterSqlite3 } from "#src/store/driver-better-sqlite3.ts";
import { Peer, second } from "#harness/coordinator/peers.ts";
import { LocalHost, look, takersOf, tokens } from "#harness/coordinator/local-host.ts";
import { ask, given } from "#harness/coordinator/state-calls.ts";

const taker = takersOf(2);

async function submit(
  host: LocalHost,
  ...tasks: Partial<InputOf<"tasks.submit">["tasks"][number]>[]
): Promise<number[]> {
  const made = await ask(host, "tasks.submit", { tasks: tasks.map((task) => Object.assign({ type: "build" }, task)) });
  return made.tasks.map(({ task }) => task);
}

async function holders(host: LocalHost): Promise<Record<number, string | null>> {
  const { tasks } = await ask(host, "tasks.list", { limit: 200 });
  return Object.fromEntries(tasks.map(({ task, chat }) => [task, chat]));
}

async function claimed(peer: Peer, requestId = "r"): Promise<number[]> {
  const claim = given(await peer.host.call("tasks.claim", { self: peer.self, requestId, limit: 10 }, peer.actor));
  return claim.claims.map(({ task }) => task);
}

it("while one token is under way no other is sent, and none where no chat could take anything", async () => {
  const host = new LocalHost(openBetterSqlite3);
  await Peer.join(host, "asks-itself");
  await submit(host, {});
  expect(tokens(host)).toBe(0);
  await taker(host, "a");
  await submit(host, {}, {}, {});
  await submit(host, {});
  expect(tokens(host)).toBe(1);
  look(host);
  await submit(host, {});
  // Two of six are given, and nobody has room for the others.
  expect(tokens(host)).toBe(0);
});

it("a token that brought no request is sent again after 30 s, as long as something is queued", async () => {
  const host = new LocalHost(openBetterSqlite3);
  const a = await taker(host, "a");
  await submit(host, {});
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

it("by priority, then by number, each to the least loaded that can do it", async () => {
  const host = new LocalHost(openBetterSqlite3);
  await taker(host, "a", { capacity: 3 });
  await taker(host, "b", { capacity: 1, capabilities: ["gpu"] });
  await taker(host, "c", { capacity: 1, taskTypes: ["build"] });
  const [low, gpu, review, last] = await submit(
    host,
    { priority: 1 },
    { capabilities: ["gpu"] },
    { type: "review", priority: 9 },
    { priority: 0 },
  );
  look(host);
  const given = await holders(host);
  // Of the two without a task the first by name; then b has what only it can do, and the rest is for who has room.
  expect([given[review ?? 0], given[gpu ?? 0], given[low ?? 0], given[last ?? 0]]).toEqual(["a", "b", "c", "a"]);
});

it("nothing is given to a chat that is gone, drains, has no connection or takes no tasks", async () => {
  const host = new LocalHost(openBetterSqlite3);
  const draining = await taker(host, "draining");
  await ask(host, "chats.drain", { chat: draining.chat, reason: "asked" });
  await (await taker(host, "gone")).leave();
  await Peer.join(host, "unconnected", { taskTypes: ["*"] });
  await Peer.join(host, "silent");
  await host.connect("silent");
  await submit(host, {});
  expect(look(host)).toBe(0);
});

it("a chat that is stuck is given nothing; when it is not stuck any more it is notified", async () => {
  const host = new LocalHost(openBetterSqlite3);
  const a = await taker(host, "a");
  const beat = (status: "stuck" | "idle") => host.call("chats.heartbeat", { self: a.self, status }, a.actor);
  await beat("stuck");
  const [task] = await submit(host, {});
  expect([tokens(host), look(host)]).toEqual([0, 0]);
  await beat("idle");
  expect([tokens(host), look(host)]).toEqual([1, 1]);
  expect(await claimed(a)).toEqual([task]);
});

it("a cancelled task makes room for the next one, though its chat has never asked for it", async () => {
  const host = new LocalHost(openBetterSqlite3);
  const a = await taker(host, "a", { capacity: 1 });
  const [task = 0, next] = await submit(host, {}, {});
  look(host);
  tokens(host);
  given(await host.call("tasks.cancel", { task, reason: "not wanted" }));
  expect(tokens(host)).toBe(1);
  look(host);
  expect(await claimed(a)).toEqual([next]);
});

it("tasks that only a full chat could take keep no other task from its turn", async () => {
  const host = new LocalHost(openBetterSqlite3);
  const capabilities = Array.from({ length: 30 }, (_, at) => `c${at}`);
  await taker(host, "a", { taskTypes: ["x"], capabilities });
  await taker(host, "b", { taskTypes: ["y"] });
  await submit(host, ...capabilities.map((one) => ({ type: "x", capabilities: [one], priority: 9 })));
  const last = await submit(host, { type: "y" }, { type: "x", priority: 0 }, { type: "y", priority: 0 });
  expect(look(host)).toBe(4);
  const taken = await holders(host);
  expect(last.map((task) => taken[task])).toEqual(["b", null, "b"]);
});

it("a hint names a committed message, the chat of a cancelled task, and nothing else", async () => {
  const host = new LocalHost(openBetterSqlite3);
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
  const [task = 0] = await submit(host, {});
  expect(await claimed(a)).toEqual([task]);
  expect(hinted()).toEqual([]);
  given(await host.call("tasks.cancel", { task, reason: "not wanted" }));
  expect(hinted()).toEqual([["task", "a"]]);
});
