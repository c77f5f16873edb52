import { evictDurableObject } from "cloudflare:test";
import { expect } from "vitest";
import type { OutputOf } from "#src/contract/operations.ts";
import type { Connection, Message } from "./connection.ts";
import { aChat, it, TestWorkspace, wait } from "./support.ts";

type Change = OutputOf<"state.changes">["changes"][number];

/** Changes as a watch was told them, in the order of the frames. */
function changesOf(messages: readonly Message[], watch: string): Change[] {
  return messages
    .filter(({ method, params }) => method === "state.changes" && params?.["watch"] === watch)
    .flatMap(({ params }) => params?.["changes"] as Change[]);
}

function keysOf(messages: readonly Message[], watch: string): string[] {
  return changesOf(messages, watch).map(({ key }) => key);
}

function methodsOf(messages: readonly Message[]): (string | undefined)[] {
  return messages.map(({ method }) => method);
}

function ack(connection: Connection, watch: string, revision: number): void {
  connection.send({ jsonrpc: "2.0", method: "state.watch-ack", params: { watch, revision } });
}

/** Sets so many keys in one update. */
async function setMany(workspace: TestWorkspace, prefix: string, count: number): Promise<void> {
  const writes = Array.from({ length: count }, (_, n) => ({ op: "set", key: `${prefix}${n}`, value: n }) as const);
  await workspace.ask("state.update", { writes });
}

it("[DO5] a watch receives each change below its prefix once, in order, updates whole", async ({ workspace }) => {
  const connection = await workspace.connect();
  const watched = await connection.ask("state.watch", { watch: "w", prefix: "a/", after: 0 });
  expect(watched).toEqual({ watch: "w", revision: 0 });
  for (const key of ["a/1", "b/1", "a/2", "a/1"]) await workspace.ask("state.set", { key, value: key });
  await setMany(workspace, "a/m", 3);
  await workspace.ask("state.delete", { key: "a/2" });
  const told = await connection.told();
  expect(changesOf(told, "w").map(({ revision, key, op }) => [revision, key, op])).toEqual([
    [1, "a/1", "set"],
    [3, "a/2", "set"],
    [4, "a/1", "set"],
    [5, "a/m0", "set"],
    [6, "a/m1", "set"],
    [7, "a/m2", "set"],
    [8, "a/2", "delete"],
  ]);
  expect(told).toHaveLength(5);
  expect(told[3]?.params?.["changes"]).toHaveLength(3);
});

it("[DO39] each frame names the revision of the one before, so that a lost one is noticed", async ({ workspace }) => {
  await setMany(workspace, "a/", 2);
  const connection = await workspace.connect();
  await connection.ask("state.watch", { watch: "w", prefix: "a/", after: 2 });
  for (const key of ["a/1", "b/1", "b/2", "a/2", "b/3"]) await workspace.ask("state.set", { key, value: key });
  await evictDurableObject(workspace.stub);
  await workspace.ask("state.set", { key: "a/3", value: 3 });
  const told = (await connection.told()).filter(({ method }) => method === "state.changes");
  const places = told.map(({ params }) => [params?.["after"], params?.["revision"]]);
  expect(places).toEqual([
    [2, 3],
    [3, 6],
    [6, 8],
  ]);
});

it("[DO5] the answer to a watch comes before what happened since", async ({ workspace }) => {
  await setMany(workspace, "a/", 5);
  const connection = await workspace.connect();
  const { before, answer } = await connection.exchange("state.watch", { watch: "w", prefix: "a/", after: 2 });
  expect([before, answer.result]).toEqual([[], { watch: "w", revision: 2 }]);
  expect(keysOf(await connection.told(), "w")).toEqual(["a/2", "a/3", "a/4"]);
});

it("[DO5] a watch continues from its revision on any connection, also after a sleep", async ({ workspace }) => {
  const first = await workspace.connect();
  await first.ask("state.watch", { watch: "w", prefix: "a/", after: 0 });
  await setMany(workspace, "a/", 3);
  const told = await first.told();
  const revision = told.at(-1)?.params?.["revision"] as number;
  first.close();
  await workspace.ask("state.set", { key: "a/later", value: 1 });
  const second = await workspace.connect();
  await second.ask("state.watch", { watch: "again", prefix: "a/", after: revision });
  expect(keysOf(await second.told(), "again")).toEqual(["a/later"]);
  await evictDurableObject(workspace.stub);
  await workspace.ask("state.set", { key: "a/last", value: 1 });
  expect(keysOf(await second.told(), "again")).toEqual(["a/last"]);
});

it("[DO5] watches of a connection are separate; the same name replaces the older", async ({ workspace }) => {
  const connection = await workspace.connect();
  await connection.ask("state.watch", { watch: "a", prefix: "a/", after: 0 });
  await connection.ask("state.watch", { watch: "all", after: 0 });
  await connection.ask("state.watch", { watch: "chats", prefix: "$chat/", after: 0 });
  await workspace.ask("state.set", { key: "a/1", value: 1 });
  await workspace.register("c1");
  const told = await connection.told();
  expect([keysOf(told, "a"), keysOf(told, "all"), keysOf(told, "chats")]).toEqual([
    ["a/1"],
    ["a/1", "$chat/c1"],
    ["$chat/c1"],
  ]);
  await connection.ask("state.watch", { watch: "a", prefix: "b/", after: 2 });
  expect(await connection.ask("state.unwatch", { watch: "all" })).toEqual({ isRemoved: true });
  expect(await connection.ask("state.unwatch", { watch: "all" })).toEqual({ isRemoved: false });
  await workspace.ask("state.set", { key: "a/2", value: 1 });
  await workspace.ask("state.set", { key: "b/2", value: 1 });
  const later = await connection.told();
  expect([keysOf(later, "a"), later.length]).toEqual([["b/2"], 1]);
});

it("[DO41] chats and watches of a connection are bounded in number and size", async ({ workspace }) => {
  const connection = await workspace.connect();
  const id = "w".repeat(126);
  for (let n = 10; n < 42; n++)
    await connection.ask("chats.register", aChat(`${"c".repeat(126)}${n}`, { session: `s${n}` }));
  expect(await connection.refusal("chats.register", aChat("one-more"))).toBe("quota_exceeded");
  await connection.ask("chats.register", aChat(`${"c".repeat(126)}10`, { session: "s10" }));
  for (let n = 10; n < 26; n++) {
    await connection.ask("state.watch", { watch: `${id}${n}`, prefix: "p".repeat(384), after: 0 });
  }
  expect(await connection.refusal("state.watch", { watch: "one-more", after: 0 })).toBe("quota_exceeded");
  for (let n = 10; n < 26; n++) await connection.ask("state.unwatch", { watch: `${id}${n}` });
  for (let n = 10; n < 18; n++) {
    await connection.ask("state.watch", { watch: `${id}${n}`, prefix: "\u6f22".repeat(384), after: 0 });
  }
  const wide = { watch: "wide", prefix: "\u6f22", after: 0 };
  expect(await connection.refusal("state.watch", wide)).toBe("quota_exceeded");
  await connection.ask("state.watch", { watch: "narrow", after: 0 });
  await workspace.ask("state.set", { key: "\u6f22", value: 1 });
  expect(keysOf(await connection.told(), "narrow").at(-1)).toBe("\u6f22");
});

it("[DO40] a watch from below what is kept, or from above what there is, is compacted", async ({ workspace }) => {
  await workspace.ask("state.set", { key: "a", value: 1 });
  await workspace.ask("state.set", { key: "a", value: 2 });
  wait(2 * 3_600_000);
  await workspace.ask("state.set", { key: "a", value: 3 });
  const connection = await workspace.connect();
  await connection.ask("state.watch", { watch: "w", after: 0 });
  await workspace.ring();
  for (const after of [0, 1, 4, 1e9]) {
    const { answer } = await connection.exchange("state.watch", { watch: "v", after });
    expect([after, answer.error?.data]).toMatchObject([
      after,
      { code: "compacted", details: { floor: 2, revision: 3 } },
    ]);
  }
  expect(await connection.ask("state.watch", { watch: "v", after: 2 })).toEqual({ watch: "v", revision: 2 });
  expect(keysOf(await connection.told(), "v")).toEqual(["a"]);
});

it("[DO14] a watch a thousand changes behind gets resync once, and then nothing more", async ({ workspace }) => {
  const connection = await workspace.connect();
  await connection.ask("state.watch", { watch: "w", prefix: "a/", after: 0 });
  await connection.ask("state.watch", { watch: "other", prefix: "b/", after: 0 });
  for (let times = 0; times < 10; times++) await setMany(workspace, "a/", 100);
  expect(changesOf(await connection.told(), "w")).toHaveLength(1_000);
  await workspace.ask("state.set", { key: "a/over", value: 1 });
  const [resync, ...rest] = await connection.told();
  expect([resync, rest]).toMatchObject([{ method: "resync", params: { watch: "w", revision: 0 } }, []]);
  for (let times = 0; times < 3; times++) await workspace.ask("state.set", { key: "a/over", value: 1 });
  ack(connection, "w", 1_000);
  await workspace.ask("state.set", { key: "b/1", value: 1 });
  const quiet = await connection.told();
  expect([keysOf(quiet, "w"), keysOf(quiet, "other"), methodsOf(quiet)]).toEqual([[], ["b/1"], ["state.changes"]]);
  await connection.ask("state.watch", { watch: "w", prefix: "a/", after: 1_000 });
  expect(keysOf(await connection.told(), "w")).toEqual(["a/over", "a/over", "a/over", "a/over"]);
});

it("[DO14] the same holds for a connection that has no other watch", async ({ workspace }) => {
  const connection = await workspace.connect();
  await connection.ask("state.watch", { watch: "w", prefix: "a/", after: 0 });
  for (let times = 0; times < 10; times++) await setMany(workspace, "a/", 100);
  expect(changesOf(await connection.told(), "w")).toHaveLength(1_000);
  await workspace.ask("state.set", { key: "b", value: 1 });
  expect(await connection.told()).toMatchObject([{ method: "resync", params: { watch: "w", revision: 0 } }]);
});

it("[DO42] a watch that acknowledges never gets resync, however far back it begins", async ({ workspace }) => {
  for (let times = 0; times < 25; times++) await setMany(workspace, "a/", 100);
  const connection = await workspace.connect();
  await connection.ask("state.watch", { watch: "w", prefix: "a/", after: 0 });
  const seen: number[] = [];
  while (seen.length < 2_500) {
    const message = await connection.next();
    expect(message.method).toBe("state.changes");
    seen.push(...changesOf([message], "w").map(({ revision }) => revision));
    ack(connection, "w", message.params?.["revision"] as number);
  }
  expect(seen).toEqual(Array.from({ length: 2_500 }, (_, n) => n + 1));
  expect(await connection.told()).toEqual([]);
});

it("[DO42] changes for others do not put a watch behind", async ({ workspace }) => {
  const connection = await workspace.connect();
  await connection.ask("state.watch", { watch: "w", prefix: "a/", after: 0 });
  const others = async (): Promise<void> => {
    for (let times = 0; times < 11; times++) await setMany(workspace, "b/", 100);
  };
  // Others write much before the client has said that it has taken in its change, and after that.
  for (const isLater of [false, true]) {
    await workspace.ask("state.set", { key: "a/1", value: 1 });
    if (!isLater) await others();
    const told = await connection.told();
    expect(keysOf(told, "w")).toEqual(["a/1"]);
    ack(connection, "w", told[0]?.params?.["revision"] as number);
    if (isLater) await others();
    for (const key of ["a/2", "a/3", "a/4"]) await workspace.ask("state.set", { key, value: 1 });
    const more = await connection.told();
    expect([keysOf(more, "w"), methodsOf(more)]).toEqual([["a/2", "a/3", "a/4"], Array(3).fill("state.changes")]);
    ack(connection, "w", more[2]?.params?.["revision"] as number);
  }
});

it("[DO44] an acknowledgement of nothing sent changes nothing", async ({ workspace }) => {
  const connection = await workspace.connect();
  await connection.ask("state.watch", { watch: "w", after: 0 });
  for (const params of [
    {},
    { watch: "w" },
    { watch: "x", revision: 1 },
    { watch: "w", revision: -5 },
    { watch: "w", revision: 1e15 },
  ]) {
    connection.send({ jsonrpc: "2.0", method: "state.watch-ack", params });
  }
  await workspace.ask("state.set", { key: "a", value: 1 });
  expect(keysOf(await connection.told(), "w")).toEqual(["a"]);
});

it("[DO15] a freed lease is told only to the chat that waited for it", async ({ workspace }) => {
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

it("[DO15] a message is told to the connections of its receivers only", async ({ workspace }) => {
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

it("[DO15] hints follow all answers of their frame; a refusal sends none", async ({ workspace }) => {
  const { connection, self } = await workspace.join("c1");
  await connection.ask("state.watch", { watch: "w", prefix: "a", after: 1 });
  const send = { self, target: { to: "chat", chat: "c1" }, body: "x" };
  connection.send([
    { jsonrpc: "2.0", id: 1, method: "state.set", params: { key: "a", value: 1 } },
    { jsonrpc: "2.0", id: 2, method: "messages.send", params: send },
    { jsonrpc: "2.0", id: 3, method: "state.set", params: { key: "a", value: 2, ifVersion: 99 } },
  ]);
  expect(await connection.next()).toMatchObject([{ id: 1 }, { id: 2 }, { id: 3, error: {} }]);
  expect(methodsOf(await connection.told())).toEqual(["state.changes", "messages.new"]);
  const refused = { key: "a", value: 3, ifVersion: 99 };
  expect(await connection.refusal("state.set", refused)).toBe("version_mismatch");
  expect(await connection.told()).toEqual([]);
});

it("[DO15] what an alarm has done is told, too", async ({ workspace }) => {
  const holder = await workspace.register("c1");
  const { connection, self } = await workspace.join("c2");
  await workspace.ask("leases.acquire", { self: holder, resource: "r", requestId: "q", ttlMs: 10_000 });
  await connection.ask("leases.acquire", { self, resource: "r", requestId: "q", waitMs: 60_000 });
  const { version } = await workspace.ask("state.set", { key: "a", value: 1, ttlMs: 5_000 });
  await connection.ask("state.watch", { watch: "w", prefix: "a", after: version });
  wait(10_000);
  await workspace.ring();
  const told = await connection.told();
  expect(new Set(methodsOf(told))).toEqual(new Set(["lease.granted", "state.changes"]));
  expect(changesOf(told, "w")).toMatchObject([{ key: "a", op: "expire", value: null }]);
});
