import { expect, vi } from "vitest";
import { maxFrameChars } from "#src/contract/protocol.ts";
import { aChat, it, TestWorkspace, type Self } from "./support.ts";

function rpc(id: string | number | null | undefined, method: string, params: unknown = {}): object {
  return { jsonrpc: "2.0", ...(id === undefined ? {} : { id }), method, params };
}

const set = (key: string, value: unknown): object => ({ key, value });

it("the requests of a frame are answered in their order in one frame, each on its own", async ({ workspace }) => {
  const connection = await workspace.connect();
  connection.send([
    rpc(1, "state.set", set("a", 1)),
    rpc("two", "state.set", { ...set("a", 2), ifVersion: 7 }),
    rpc(3, "nothing.of-this"),
    rpc(4, "state.get", { key: "a" }),
  ]);
  expect(await connection.next()).toMatchObject([
    { jsonrpc: "2.0", id: 1, result: { version: 1 } },
    { jsonrpc: "2.0", id: "two", error: { code: -32_000, data: { code: "version_mismatch", retryable: false } } },
    { jsonrpc: "2.0", id: 3, error: { code: -32_601, data: { code: "unknown_operation" } } },
    { jsonrpc: "2.0", id: 4, result: { entry: { value: 1 } } },
  ]);
  connection.send(rpc(5, "state.get", { key: "a", b: 1 }));
  expect(await connection.next()).toMatchObject({ id: 5, error: { code: -32_602, data: { code: "bad_input" } } });
});

it("what a request of a frame changes holds for the next one", async ({ workspace }) => {
  const connection = await workspace.connect();
  connection.send([
    rpc(1, "state.set", set("a", 1)),
    rpc(2, "settings.set", { settings: { maxKeys: 1 } }),
    rpc(3, "state.set", set("b", 1)),
    rpc(4, "epoch.raise", { reason: "x" }),
    rpc(5, "epoch.raise", { reason: "x" }),
  ]);
  const answers = (await connection.next()) as unknown as { result?: { epoch: number } }[];
  expect(answers).toMatchObject([
    { id: 1, result: {} },
    { id: 2, result: { settings: { maxKeys: 1 } } },
    { id: 3, error: { data: { code: "quota_exceeded" } } },
    { id: 4, result: { epoch: expect.any(Number) } },
    { id: 5, result: { epoch: expect.any(Number) } },
  ]);
  expect(answers[4]?.result?.epoch).toBeGreaterThan(answers[3]?.result?.epoch ?? 0);
});

it("a refused request undoes no other, and nothing is done or sent twice", async ({ workspace }) => {
  const [connection, watcher] = [await workspace.connect(), await workspace.connect()];
  watcher.send(rpc(1, "state.watch", { watch: "w", prefix: "" }));
  await watcher.next();
  connection.send([
    rpc(1, "state.set", set("a", 1)),
    rpc(2, "state.set", { ...set("b", 1), ifVersion: 7 }),
    rpc(3, "state.set", set("c", 1)),
  ]);
  expect(await connection.next()).toMatchObject([
    { result: { version: 1 } },
    { error: { data: { code: "version_mismatch" } } },
    { result: { version: 2 } },
  ]);
  expect(await watcher.next()).toMatchObject({ method: "state.changed" });
  const { changes } = await connection.ask("state.changes", { after: 0 });
  expect(changes.map(({ key, revision }) => [key, revision])).toEqual([
    ["a", 1],
    ["c", 2],
  ]);
});

it("what a request changes of a chat holds for the next request of that chat", async ({ workspace }) => {
  const connection = await workspace.connect();
  const self = await workspace.register("c1");
  const acquire = (resource: string): object => ({ self, resource, requestId: "r" });
  connection.send([
    rpc(1, "leases.acquire", acquire("a")),
    rpc(2, "leases.acquire", acquire("b")),
    rpc(3, "chats.heartbeat", { self, status: "busy" }),
    rpc(4, "chats.heartbeat", { self }),
    rpc(5, "chats.unregister", { self }),
    rpc(6, "leases.list", {}),
  ]);
  expect(await connection.next()).toMatchObject([
    { result: { state: "granted" } },
    { result: { state: "granted" } },
    { result: { status: "busy" } },
    { result: { status: "busy" } },
    { result: { released: 2 } },
    { result: { leases: [] } },
  ]);
  const again = await workspace.register("c1");
  connection.send([
    rpc(7, "chats.heartbeat", { self: again }),
    rpc(8, "chats.unregister", { self: again }),
    rpc(9, "leases.acquire", { ...acquire("a"), self: again }),
  ]);
  expect(await connection.next()).toMatchObject([{}, {}, { error: { data: { code: "chat_offline" } } }]);
});

it("a frame is handled without a pause, so all that it writes is one commit", async ({ workspace }) => {
  await workspace.connect();
  await workspace.inside((state, instance) => {
    const [socket] = state.getWebSockets();
    if (!socket) throw new Error("no socket");
    const frame = [1, 2, 3].map((n) => rpc(n, "state.set", set(`k${n}`, n)));
    const done: unknown = instance.webSocketMessage(socket, JSON.stringify(frame));
    expect(done).toBeUndefined();
    expect(state.storage.sql.exec("SELECT count(*) AS n FROM state").one()).toEqual({ n: 3 });
  });
});

it("notifications are done and not answered", async ({ workspace }) => {
  const connection = await workspace.connect();
  connection.send(rpc(undefined, "state.set", set("a", 1)));
  connection.send([rpc(undefined, "state.set", set("b", 1)), rpc(null, "state.set", set("c", 1))]);
  connection.send([rpc(undefined, "state.set", set("d", 1)), rpc(1, "state.get", { key: "d" })]);
  expect(await connection.next()).toMatchObject([{ id: 1, result: { entry: { value: 1 } } }]);
  expect((await workspace.ask("state.list", {})).entries.map(({ key }) => key)).toEqual(["a", "b", "c", "d"]);
});

it("what is no frame is answered, and the connection is closed with 4003", async ({ workspace }) => {
  const many = Array.from({ length: 101 }, (_, n) => rpc(n, "settings.get"));
  const long = JSON.stringify(rpc(1, "state.set", set("a", "x".repeat(maxFrameChars))));
  const wrong: [string | Uint8Array, string][] = [
    ["", "bad_input"],
    ["Ping", "bad_input"],
    ["{", "bad_input"],
    ["[]", "bad_input"],
    [JSON.stringify(many), "bad_input"],
    [long, "too_large"],
    [new TextEncoder().encode(JSON.stringify(rpc(1, "settings.get"))), "bad_input"],
  ];
  for (const [frame, code] of wrong) {
    const { connection } = await workspace.join("c1");
    connection.socket.send(frame);
    expect(await connection.next()).toMatchObject({ jsonrpc: "2.0", id: null, error: { data: { code } } });
    expect((await connection.closed).code).toBe(4003);
    // Its chat has its grace from then on.
    expect(await workspace.rows("SELECT isConnected, graceUntil FROM chats")).toEqual([
      { isConnected: 0, graceUntil: Date.now() + 20_000 },
    ]);
  }
  expect((await workspace.ask("state.list", {})).entries).toEqual([]);
});

it("a part of a frame that is no request is answered alone", async ({ workspace }) => {
  const connection = await workspace.connect();
  const parts = [
    5,
    null,
    "x",
    [],
    {},
    { jsonrpc: "1.0", id: 1, method: "health" },
    rpc({} as never, "health"),
    rpc(2, 7 as never),
  ];
  connection.send([...parts, rpc(9, "settings.get")]);
  const answers = (await connection.next()) as unknown as { id: unknown; error?: { data: { code: string } } }[];
  expect(answers.map(({ id, error }) => [id, error?.data.code])).toEqual([
    ...parts.map(() => [null, "bad_input"]),
    [9, undefined],
  ]);
  for (const part of parts.filter((one) => !Array.isArray(one))) {
    connection.send(JSON.stringify(part));
    expect(await connection.next()).toMatchObject({ id: null, error: { data: { code: "bad_input" } } });
  }
});

it("a hundred requests are one frame; parameters nested too deep are refused", async ({ workspace }) => {
  const connection = await workspace.connect();
  connection.send(Array.from({ length: 100 }, (_, n) => rpc(n, "state.set", set(`k${n}`, n))));
  expect(await connection.next()).toHaveLength(100);
  const deep = `${"[".repeat(5_000)}${"]".repeat(5_000)}`;
  connection.send(`{"jsonrpc":"2.0","id":1,"method":"state.set","params":{"key":"deep","value":${deep}}}`);
  expect(await connection.next()).toMatchObject({ id: 1, error: { data: { code: "bad_input" } } });
  for (const params of [null, [], 5, "x", true]) {
    const wanted = params === null ? null : "bad_input";
    expect([params, await connection.refusal("settings.get", params)]).toEqual([params, wanted]);
    connection.send(rpc(undefined, "flow.read", params));
  }
  await connection.ask("settings.get", {});
});

it("an operation that fails is logged, answered as internal, undone, and keeps no other from its turn", async () => {
  const log = vi.spyOn(console, "error").mockReset().mockReturnValue();
  const workspace = await TestWorkspace.create();
  const connection = await workspace.connect();
  await workspace.failChangesOf("b");
  const both = [
    { op: "set", key: "a", value: 2 },
    { op: "set", key: "b", value: 2 },
  ];
  const [first, last] = [rpc(1, "state.set", set("a", 1)), rpc(3, "state.get", { key: "a" })];
  connection.send([first, rpc(2, "state.update", { writes: both }), last]);
  expect(await connection.next()).toMatchObject([
    { id: 1, result: {} },
    { id: 2, error: { code: -32_603, data: { code: "internal", retryable: true, retryAfterMs: 1_000 } } },
    { id: 3, result: { entry: { value: 1 } } },
  ]);
  expect(log).toHaveBeenCalledTimes(1);
  expect(String(log.mock.calls[0])).toContain("an operation failed");
});

it("a connection represents the chats that are registered over it", async ({ workspace }) => {
  const connection = await workspace.connect();
  await workspace.register("c1");
  expect((await workspace.chat("c1")).isConnected).toBe(false);
  const selves: Self[] = [];
  for (const chat of ["c1", "c2", "c3"]) {
    const { incarnation } = await connection.ask("chats.register", aChat(chat));
    selves.push({ chat, incarnation });
    expect((await workspace.chat(chat)).isConnected).toBe(true);
  }
  // Each chat's hints name it; those of all chats come for each.
  await workspace.ask("messages.send", { self: selves[0] as Self, target: { to: "chat", chat: "c2" }, body: "x" });
  expect(await connection.next()).toMatchObject({ method: "messages.new", params: { chat: "c2" } });
  await workspace.register("c4");
  await workspace.ask("messages.send", { self: { chat: "c4", incarnation: 1 }, target: { to: "all" }, body: "y" });
  const told = await connection.told();
  expect(told.map(({ params }) => params)).toMatchObject([{ chat: "c1" }, { chat: "c2" }, { chat: "c3" }]);
});

it("a chat that leaves a connection begins its grace; the others on it stay", async ({ workspace }) => {
  const connection = await workspace.connect();
  for (const chat of ["c1", "c2"]) await connection.ask("chats.register", aChat(chat));
  for (const chat of ["c1", "c9", "", null])
    connection.send({ jsonrpc: "2.0", method: "chats.leave", params: { chat } });
  await connection.ask("settings.get", {});
  const grace = "SELECT chat, isConnected, graceUntil FROM chats ORDER BY chat";
  expect(await workspace.rows(grace)).toEqual([
    { chat: "c1", isConnected: 0, graceUntil: Date.now() + 20_000 },
    { chat: "c2", isConnected: 1, graceUntil: null },
  ]);
  await connection.ask("chats.register", aChat("c1"));
  connection.close();
  for (const chat of ["c1", "c2"]) await workspace.disconnected(chat);
  expect((await workspace.rows(grace)).map((row) => row["isConnected"])).toEqual([0, 0]);
});

it("tokens are created over HTTP only", async ({ workspace }) => {
  const connection = await workspace.connect();
  expect(await connection.refusal("tokens.create", { machine: "m1", scope: "work" })).toBe("bad_input");
});
