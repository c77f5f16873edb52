import { abortAllDurableObjects, evictDurableObject } from "cloudflare:test";
import { expect, vi } from "vitest";
import { pingText, pongText } from "#src/contract/protocol.ts";
import { aChat, it, TestWorkspace, wait } from "./support.ts";

const replaced = { method: "chat.replaced", params: { chat: "c1" } };
const grace = "SELECT isConnected, graceUntil FROM chats WHERE chat = ?";

async function statusOf(workspace: TestWorkspace, chat: string): Promise<[string, string | null, boolean]> {
  const { status, reason, isConnected } = await workspace.chat(chat);
  return [status, reason, isConnected];
}

it("a ping does not wake the object, and connections survive its sleep", async ({ workspace }) => {
  const { connection, self } = await workspace.join("c1");
  await connection.ask("state.watch", { watch: "w", prefix: "a/" });
  await evictDurableObject(workspace.stub, { webSockets: "hibernate" });
  connection.send(pingText);
  expect(await connection.text()).toBe(pongText);
  // Only a running object can be evicted.
  await expect(evictDurableObject(workspace.stub)).rejects.toThrow();

  await workspace.ask("state.set", { key: "a/1", value: "x" });
  expect(await connection.next()).toMatchObject({ method: "state.changed", params: { watch: "w" } });
  expect(await statusOf(workspace, "c1")).toEqual(["idle", null, true]);
  expect(await workspace.ask("health", {})).toMatchObject({ sockets: 1, chats: 1 });
  expect(await workspace.rows(grace, "c1")).toEqual([{ isConnected: 1, graceUntil: null }]);
  await evictDurableObject(workspace.stub);
  // Woken by a frame: the connection still represents its chat, and is told what concerns it.
  await connection.ask("chats.heartbeat", { self });
  await workspace.ask("messages.send", { self, target: { to: "chat", chat: "c1" }, body: "x" });
  expect(await connection.next()).toMatchObject({ method: "messages.new", params: { chat: "c1" } });
});

it("a chat lives by its last ping, or by the opening of its connection", async () => {
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() - 20_000 });
  const workspace = await TestWorkspace.create();
  const { connection } = await workspace.join("c1");
  const openedAt = Date.now();
  vi.useRealTimers();
  expect((await workspace.chat("c1")).lastSeenAgeMs).toBeGreaterThanOrEqual(20_000);
  connection.send(pingText);
  expect(await connection.text()).toBe(pongText);
  expect((await workspace.chat("c1")).lastSeenAgeMs).toBeLessThan(20_000);
  // No row was written for it.
  expect(await workspace.rows("SELECT lastSeenAt FROM chats")).toEqual([{ lastSeenAt: openedAt }]);
});

it("a connection closed by the coordinator counts as closed at once", async ({ workspace }) => {
  await workspace.join("c1");
  await workspace.inside((state, instance) => {
    const [socket] = state.getWebSockets();
    if (!socket) throw new Error("no socket");
    void instance.webSocketMessage(socket, "no frame");
    expect(state.storage.sql.exec(grace, "c1").toArray()).toEqual([
      { isConnected: 0, graceUntil: Date.now() + 20_000 },
    ]);
    // What comes later of it begins no second grace.
    wait(5_000);
    void instance.webSocketClose(socket, 4003);
    expect(state.storage.sql.exec(grace, "c1").toArray()).toEqual([
      { isConnected: 0, graceUntil: Date.now() + 15_000 },
    ]);
  });
});

it("a connection without a chat may come and go", async ({ workspace }) => {
  const { connection } = await workspace.join("c1");
  const others = [await workspace.connect(), await workspace.connect(), await workspace.connect()];
  for (const other of others) {
    other.close();
    await other.closed;
  }
  expect(await workspace.rows(grace, "c1")).toEqual([{ isConnected: 1, graceUntil: null }]);
  await connection.ask("settings.get", {});
});

it("a second connection of a chat replaces the first, whose end means nothing", async ({ workspace }) => {
  const first = await workspace.join("c1");
  const second = await workspace.join("c1");
  expect(second.self).toEqual(first.self);
  expect(await first.connection.next()).toMatchObject(replaced);
  first.connection.close();
  await first.connection.closed;
  expect(await workspace.rows(grace, "c1")).toEqual([{ isConnected: 1, graceUntil: null }]);
  expect(await statusOf(workspace, "c1")).toEqual(["idle", null, true]);
  await second.connection.ask("chats.heartbeat", { self: second.self });
  // Registering again over its own connection closes nothing, nor does it over HTTP.
  await second.connection.ask("chats.register", aChat("c1"));
  await workspace.register("c1");
  await second.connection.ask("chats.heartbeat", { self: second.self });
  expect(await workspace.rows(grace, "c1")).toEqual([{ isConnected: 1, graceUntil: null }]);
  expect((await workspace.ask("health", {})).sockets).toBe(1);
});

it("the late end of a connection that was replaced does not hide the last ping of the one that took its place", async () => {
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() - 20_000 });
  const workspace = await TestWorkspace.create();
  await workspace.join("c1");
  const openedAt = Date.now();
  const [replaced] = await workspace.inside((state) => state.getWebSockets());
  const { connection } = await workspace.join("c1");
  vi.useRealTimers();
  connection.send(pingText);
  await connection.text();
  await workspace.inside((state, instance) => {
    const present = state.getWebSockets().find(({ readyState }) => readyState === WebSocket.OPEN);
    if (!present || !replaced) throw new Error("no sockets");
    // Both are closing when the first of the two ends is told.
    present.close(1000);
    for (const socket of [replaced, present]) void instance.webSocketClose(socket, 1000);
  });
  const [row] = await workspace.rows<{ lastSeenAt: number }>("SELECT lastSeenAt FROM chats");
  expect(row?.lastSeenAt).toBeGreaterThan(openedAt + 10_000);
});

it("the connection of an earlier process says nothing of its successor", async ({ workspace }) => {
  const old = await workspace.join("c1");
  wait(30_000);
  const self = await workspace.register("c1", { process: "boot-1/2/200" });
  expect(self.incarnation).toBe(old.self.incarnation + 1);
  expect(await old.connection.next()).toMatchObject(replaced);
  // It lives by what it says over HTTP.
  for (let times = 0; times < 4; times++) {
    wait(15_000);
    await workspace.ask("chats.heartbeat", { self });
  }
  expect(await statusOf(workspace, "c1")).toEqual(["idle", null, false]);
});

it("the connection of a chat that is offline hears so, and represents it no longer", async ({ workspace }) => {
  const left = await workspace.join("c1");
  await workspace.ask("chats.unregister", { self: left.self });
  expect(await left.connection.next()).toMatchObject({ method: "chat.offline", params: { chat: "c1" } });

  const silent = await workspace.join("c2");
  await workspace.ask("leases.acquire", { self: silent.self, resource: "r", requestId: "q" });
  wait(30_000);
  await workspace.ring();
  expect(await silent.connection.next()).toMatchObject({ method: "chat.offline", params: { chat: "c2" } });
  expect(await statusOf(workspace, "c2")).toEqual(["offline", "timeout", false]);

  const attested = await workspace.join("c3");
  await workspace.ask("chats.attest-death", { chat: "c3", machine: "m1", process: "boot-1/1/100" });
  expect(await attested.connection.next()).toMatchObject({ method: "chat.offline", params: { chat: "c3" } });
  expect((await workspace.chat("c3")).isConnected).toBe(false);
});

it("the connection over which a chat returns represents it", async ({ workspace }) => {
  const { connection } = await workspace.join("c1");
  wait(60_000);
  const back = await connection.ask("chats.register", aChat("c1"));
  const self = { chat: "c1", incarnation: back.incarnation };
  await connection.ask("chats.heartbeat", { self });

  wait(60_000);
  const other = await workspace.join("c1");
  await other.connection.ask("chats.heartbeat", { self });
  expect(await connection.next()).toMatchObject(replaced);

  other.connection.send([
    { jsonrpc: "2.0", id: 1, method: "chats.unregister", params: { self } },
    { jsonrpc: "2.0", id: 2, method: "chats.register", params: aChat("c1") },
  ]);
  expect(await other.connection.next()).toMatchObject([
    { id: 1, result: {} },
    { id: 2, result: {} },
  ]);
  await other.connection.ask("chats.heartbeat", { self });
  expect(await statusOf(workspace, "c1")).toEqual(["idle", null, true]);
});

it("a crash of the object declares nobody dead", async ({ workspace }) => {
  const { self } = await workspace.join("c1");
  await workspace.ask("leases.acquire", { self, resource: "r", requestId: "q", isBound: true });
  await abortAllDurableObjects();
  wait(1_000);
  expect(await statusOf(workspace, "c1")).toEqual(["idle", null, false]);
  expect(await workspace.rows(grace, "c1")).toEqual([{ isConnected: 0, graceUntil: Date.now() + 90_000 }]);
  expect((await workspace.ask("leases.list", {})).leases).toHaveLength(1);
});

it("a chat that came back over HTTP while its connection was silent has it, too", async ({ workspace }) => {
  await workspace.join("c1");
  wait(60_000);
  await workspace.register("c1");
  await evictDurableObject(workspace.stub, { webSockets: "close" });
  expect(await workspace.rows(grace, "c1")).toEqual([{ isConnected: 0, graceUntil: Date.now() + 90_000 }]);
});

it("however many they are, all of them have it", async ({ workspace }) => {
  await workspace.register("c");
  await workspace.rows(
    `INSERT INTO chats (chat, session, process, incarnation, machine, client, role, isInteractive, status, statusAt, lastSeenAt,
       isConnected, capabilities, capacity, metadata)
     WITH RECURSIVE n (i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 500)
     SELECT chat || i, session || i, process, 1, machine, client, role, 1, 'idle', statusAt, lastSeenAt, 1, '[]', 1, '{}' FROM chats, n`,
  );
  await evictDurableObject(workspace.stub);
  const [row] = await workspace.rows("SELECT count(*) AS n FROM chats WHERE graceUntil IS NOT NULL");
  expect(row).toEqual({ n: 500 });
});
