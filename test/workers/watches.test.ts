import { evictDurableObject } from "cloudflare:test";
import { expect, onTestFinished, vi } from "vitest";
import type { Connection, Message } from "./connection.ts";
import { counted } from "./costs.ts";
import { aChat, it, wait, type TestWorkspace } from "./support.ts";

const second = 1_000;

/** Timers of the object, which the test lets ring; all others are the runtime's. */
function holdTimers(): { readonly ms: () => number[]; readonly ring: (workspace: TestWorkspace) => Promise<void> } {
  let held: { readonly work: () => void; readonly ms: number }[] = [];
  const real = globalThis.setTimeout;
  const spy = vi.spyOn(globalThis, "setTimeout").mockImplementation(((work: () => void, ms = 0) => {
    if (ms === 0 || ms > second) return real(work, ms);
    held.push({ work, ms });
    return 0;
  }) as typeof setTimeout);
  onTestFinished(() => spy.mockRestore());
  return {
    ms: () => held.map(({ ms }) => ms),
    ring: async (workspace) => {
      const due = held;
      held = [];
      await workspace.inside(() => {
        for (const { work } of due) work();
      });
    },
  };
}

function methodsOf(messages: readonly Message[]): (string | undefined)[] {
  return messages.map(({ method }) => method);
}

/** Names of the watches that were hinted. */
function hintsIn(messages: readonly Message[]): unknown[] {
  return messages.filter(({ method }) => method === "state.changed").map(({ params }) => params?.["watch"]);
}

async function hints(connection: Connection): Promise<unknown[]> {
  return hintsIn(await connection.told());
}

async function watch(connection: Connection, ...prefixes: readonly string[]): Promise<void> {
  for (const prefix of prefixes) await connection.ask("state.watch", { watch: prefix.slice(1, -1) || "all", prefix });
}

function submit(workspace: TestWorkspace): Promise<unknown> {
  return workspace.ask("tasks.submit", { tasks: [{ type: "build" }] });
}

it("a watch is hinted at what changes below its prefix, and at nothing else", async ({ workspace }) => {
  await workspace.ask("state.set", { key: "a/1", value: 1 });
  const connection = await workspace.connect();
  expect(await connection.ask("state.watch", { watch: "w", prefix: "a/" })).toEqual({ watch: "w", revision: 1 });
  await connection.ask("state.watch", { watch: "chats", prefix: "$chat/" });
  await connection.ask("state.watch", { watch: "all" });
  await workspace.ask("state.set", { key: "b/1", value: 1 });
  expect(await hints(connection)).toEqual(["all"]);
  wait(second);
  const writes = ["a/2", "b/2", "a/3"].map((key) => ({ op: "set", key, value: 1 }) as const);
  await workspace.ask("state.update", { writes });
  expect(await hints(connection)).toEqual(["w", "all"]);
  wait(second);
  await workspace.register("c1");
  expect(await hints(connection)).toEqual(["chats", "all"]);
});

it("watches of a connection are separate; the same name replaces the older", async ({ workspace }) => {
  const connection = await workspace.connect();
  await connection.ask("state.watch", { watch: "a", prefix: "a/" });
  await connection.ask("state.watch", { watch: "all" });
  await connection.ask("state.watch", { watch: "a", prefix: "b/" });
  expect(await connection.ask("state.unwatch", { watch: "all" })).toEqual({ isRemoved: true });
  expect(await connection.ask("state.unwatch", { watch: "all" })).toEqual({ isRemoved: false });
  await workspace.ask("state.set", { key: "a/2", value: 1 });
  expect(await hints(connection)).toEqual([]);
  await workspace.ask("state.set", { key: "b/2", value: 1 });
  expect(await hints(connection)).toEqual(["a"]);
});

it("a watch is hinted at once, then once a second, and never while nothing changes", async ({ workspace }) => {
  const timers = holdTimers();
  const [page, chat] = [await workspace.connect(), await workspace.connect()];
  await watch(page, "$task/", "$file/");
  await watch(chat, "$chat/");
  await submit(workspace);
  expect(await hints(page)).toEqual(["task"]);
  wait(400);
  for (let times = 0; times < 5; times++) await submit(workspace);
  expect([await hints(page), timers.ms()]).toEqual([[], [second]]);
  wait(second);
  await timers.ring(workspace);
  expect([await hints(page), timers.ms()]).toEqual([["task"], []]);
  wait(10 * second);
  await workspace.ask("tasks.list", {});
  await workspace.ask("state.set", { key: "k", value: 1 });
  expect([await hints(page), timers.ms()]).toEqual([[], []]);
  await submit(workspace);
  expect(await hints(page)).toEqual(["task"]);
  expect(await hints(chat)).toEqual([]);
});

it("messages and what is acknowledged are hinted, and tasks are not with them", async ({ workspace }) => {
  const page = await workspace.connect();
  const [from, to] = [await workspace.register("c1"), await workspace.register("c2")];
  await watch(page, "$task/", "$message/");
  await workspace.ask("messages.send", { self: from, target: { to: "chat", chat: "c2" }, body: "hi" });
  expect(await hints(page)).toEqual(["message"]);
  wait(second);
  await workspace.ask("messages.ack", { self: to, cursor: 1 });
  expect(await hints(page)).toEqual(["message"]);
});

it("a hint writes no row, and over hibernations none is missed or repeated", async ({ workspace }) => {
  await submit(workspace);
  const before = await counted(workspace, () => submit(workspace));
  const page = await workspace.connect();
  await watch(page, "$task/", "mine/");
  expect((await counted(workspace, () => submit(workspace))).written).toBe(before.written);
  expect(await hints(page)).toEqual(["task"]);
  for (const [key, hinted] of [
    ["other", []],
    ["mine/1", ["ine"]],
    ["mine/2", ["ine"]],
  ] as const) {
    await evictDurableObject(workspace.stub);
    wait(second);
    await workspace.ask("health", {});
    expect(await hints(page)).toEqual([]);
    await workspace.ask("state.set", { key, value: 1 });
    expect(await hints(page)).toEqual(hinted);
  }
  await evictDurableObject(workspace.stub);
  await submit(workspace);
  expect(await hints(page)).toEqual(["task"]);
});

it("chats and watches of a connection are bounded in number and size", async ({ workspace }) => {
  const connection = await workspace.connect();
  const id = "w".repeat(126);
  for (let n = 10; n < 42; n++)
    await connection.ask("chats.register", aChat(`${"c".repeat(126)}${n}`, { session: `s${n}` }));
  expect(await connection.refusal("chats.register", aChat("one-more"))).toBe("quota_exceeded");
  await connection.ask("chats.register", aChat(`${"c".repeat(126)}10`, { session: "s10" }));
  for (let n = 10; n < 26; n++) {
    await connection.ask("state.watch", { watch: `${id}${n}`, prefix: "p".repeat(384) });
  }
  expect(await connection.refusal("state.watch", { watch: "one-more" })).toBe("quota_exceeded");
  for (let n = 10; n < 26; n++) await connection.ask("state.unwatch", { watch: `${id}${n}` });
  for (let n = 10; n < 18; n++) {
    await connection.ask("state.watch", { watch: `${id}${n}`, prefix: "\u6f22".repeat(384) });
  }
  const wide = { watch: "wide", prefix: "\u6f22" };
  expect(await connection.refusal("state.watch", wide)).toBe("quota_exceeded");
  await connection.ask("state.watch", { watch: "narrow" });
  await workspace.ask("state.set", { key: "\u6f22", value: 1 });
  expect(hintsIn(await connection.told())).toContain("narrow");
});

it("a freed lease is told only to the chat that waited for it", async ({ workspace }) => {
  const [holder, waiter, other] = [await workspace.join("c1"), await workspace.join("c2"), await workspace.join("c3")];
  const held = await holder.connection.ask("leases.acquire", { self: holder.self, resource: "r", requestId: "q" });
  const token = held.state === "granted" ? held.lease.token : 0;
  const line = { self: waiter.self, resource: "r", requestId: "q", waitMs: 60_000 };
  expect(await waiter.connection.ask("leases.acquire", line)).toMatchObject({ state: "waiting", position: 1 });
  await holder.connection.ask("leases.release", { self: holder.self, resource: "r", token });
  expect(await waiter.connection.told()).toEqual([
    { jsonrpc: "2.0", method: "lease.granted", params: { chat: "c2", resource: "r" } },
  ]);
  expect([await holder.connection.told(), await other.connection.told()]).toEqual([[], []]);
  expect(await waiter.connection.ask("leases.acquire", line)).toMatchObject({ state: "granted" });
});

it("a message is told to the connections of its receivers only", async ({ workspace }) => {
  const chats = [await workspace.join("c1"), await workspace.join("c2"), await workspace.join("c3")];
  const [one, two, three] = chats as [(typeof chats)[0], (typeof chats)[0], (typeof chats)[0]];
  // Neither stands for a chat.
  const outsiders = [await workspace.connect(), await workspace.connect()];
  const self = await workspace.register("sender");
  await two.connection.ask("messages.subscribe", { self: two.self, pattern: "build.*" });
  await three.connection.ask("messages.subscribe", { self: three.self, pattern: "build.web" });
  const toldAfter = async (
    target: { to: "all" } | { to: "chat"; chat: string } | { to: "topic"; topic: string },
  ): Promise<number[]> => {
    await workspace.ask("messages.send", { self, target, body: "x" });
    const told = await Promise.all([one, two, three].map(({ connection }) => connection.told()));
    const outside = await Promise.all(outsiders.map((connection) => connection.told()));
    expect(outside).toEqual([[], []]);
    expect(told.flat().every(({ method }) => method === "messages.new")).toBe(true);
    return told.map((messages) => messages.length);
  };
  expect(await toldAfter({ to: "chat", chat: "c1" })).toEqual([1, 0, 0]);
  expect(await toldAfter({ to: "topic", topic: "build.web" })).toEqual([0, 1, 1]);
  expect(await toldAfter({ to: "topic", topic: "build.api" })).toEqual([0, 1, 0]);
  expect(await toldAfter({ to: "topic", topic: "deploy" })).toEqual([0, 0, 0]);
  expect(await toldAfter({ to: "all" })).toEqual([1, 1, 1]);
});

it("hints follow all answers of their frame; a refusal sends none", async ({ workspace }) => {
  const { connection, self } = await workspace.join("c1");
  await connection.ask("state.watch", { watch: "w", prefix: "a" });
  const send = { self, target: { to: "chat", chat: "c1" }, body: "x" };
  connection.send([
    { jsonrpc: "2.0", id: 1, method: "state.set", params: { key: "a", value: 1 } },
    { jsonrpc: "2.0", id: 2, method: "messages.send", params: send },
    { jsonrpc: "2.0", id: 3, method: "state.set", params: { key: "a", value: 2, ifVersion: 99 } },
  ]);
  expect(await connection.next()).toMatchObject([{ id: 1 }, { id: 2 }, { id: 3, error: {} }]);
  expect(methodsOf(await connection.told())).toEqual(["state.changed", "messages.new"]);
  const refused = { key: "a", value: 3, ifVersion: 99 };
  expect(await connection.refusal("state.set", refused)).toBe("version_mismatch");
  expect(await connection.told()).toEqual([]);
});

it("what an alarm has done is told, too", async ({ workspace }) => {
  const holder = await workspace.register("c1");
  const { connection, self } = await workspace.join("c2");
  await workspace.ask("leases.acquire", { self: holder, resource: "r", requestId: "q", ttlMs: 10_000 });
  await connection.ask("leases.acquire", { self, resource: "r", requestId: "q", waitMs: 60_000 });
  await workspace.ask("state.set", { key: "a", value: 1, ttlMs: 5_000 });
  await connection.ask("state.watch", { watch: "w", prefix: "a" });
  wait(10_000);
  await workspace.ring();
  const told = await connection.told();
  expect(new Set(methodsOf(told))).toEqual(new Set(["lease.granted", "state.changed"]));
});
