import { expect, vi } from "vitest";
import { flowMarkMethod, flowReadMethod, maxAnswerChars, maxFrameChars } from "#src/contract/protocol.ts";
import type { InputOf } from "#src/contract/operations.ts";
import { Outgoing } from "#src/durable/attachments.ts";
import { type Message, aChat, it, stopClock, TestWorkspace, wait } from "./support.ts";

function rpc(id: unknown, method: string, params: unknown = {}): object {
  return { jsonrpc: "2.0", ...(id === undefined ? {} : { id }), method, params };
}

function set(id: unknown, key: string, value: unknown, more: object = {}): object {
  return rpc(id, "state.set", { key, value, ...more });
}

const range = <T>(n: number, make: (at: number) => T): T[] => Array.from({ length: n }, (_, at) => make(at));

function codesOf(answers: readonly Message[]): unknown[] {
  return answers.map(({ id, error }) => [id, error?.data.code ?? "ok"]);
}

it("a refused request undoes no other, and nothing is done or sent twice; a frame's answers are one frame", async ({
  workspace,
}) => {
  const [connection, watcher] = [await workspace.connect(), await workspace.connect()];
  await watcher.ask("state.watch", { watch: "w", prefix: "" });
  const refused = [set("two", "a", 2, { ifVersion: 7 }), rpc(3, "nothing.of-this")];
  const unanswered = [set(undefined, "b", 1), set(null, "c", 1)];
  const frame = [set(1, "a", 1), ...refused, ...unanswered, rpc(4, "state.get", { key: "a" })];
  expect(await connection.frame(frame)).toMatchObject([
    { jsonrpc: "2.0", id: 1, result: { version: 1 } },
    { jsonrpc: "2.0", id: "two", error: { code: -32_000, data: { code: "version_mismatch", retryable: false } } },
    { jsonrpc: "2.0", id: 3, error: { code: -32_601, data: { code: "unknown_operation" } } },
    { jsonrpc: "2.0", id: 4, result: { entry: { value: 1 } } },
  ]);
  expect(await watcher.told()).toMatchObject([{ method: "state.changed" }]);
  // Notifications are done and not answered.
  const { changes } = await connection.ask("state.changes", { after: 0 });
  expect(changes.map(({ key, revision }) => `${key} ${revision}`)).toEqual(["a 1", "b 2", "c 3"]);
  connection.send(rpc(5, "state.get", { key: "a", b: 1 }));
  expect(await connection.next()).toMatchObject({ id: 5, error: { code: -32_602, data: { code: "bad_input" } } });
  expect(await connection.refusal("tokens.create", { machine: "m1", scope: "work" })).toBe("bad_input");
  // What is rolled back with another request, and done again, is told once.
  const { connection: receiver, self } = await workspace.join("c1");
  const message = rpc(1, "messages.send", { self, target: { to: "chat", chat: "c1" }, body: 1 });
  await connection.frame([message, set(2, "a", 2, { ifVersion: 7 })]);
  expect((await receiver.told()).map(({ method }) => method)).toEqual(["messages.new"]);
});

it("what is no frame is answered, and the connection is closed with 4003", async ({ workspace }) => {
  const wrong: [string | Uint8Array, string][] = [
    ["", "bad_input"],
    ["Ping", "bad_input"],
    ["[]", "bad_input"],
    [JSON.stringify(range(101, (n) => rpc(n, "settings.get"))), "bad_input"],
    [JSON.stringify(set(1, "a", "x".repeat(maxFrameChars))), "too_large"],
    [new TextEncoder().encode(JSON.stringify(rpc(1, "settings.get"))), "bad_input"],
  ];
  for (const [frame, code] of wrong) {
    const { connection } = await workspace.join("c1");
    connection.socket.send(frame);
    expect(await connection.next()).toMatchObject({ jsonrpc: "2.0", id: null, error: { data: { code } } });
    expect((await connection.closed).code).toBe(4003);
    // Its chat has its grace from then on.
    expect(await workspace.chat("c1")).toMatchObject({ status: "idle", isConnected: false });
  }
  expect((await workspace.ask("state.list", {})).entries).toEqual([]);
});

it("a part of a frame that is no request, or too deep, is answered alone", async ({ workspace }) => {
  const connection = await workspace.connect();
  const older = { jsonrpc: "1.0", id: 1, method: "health" };
  const parts = [5, null, "x", [], {}, older, rpc({}, "health"), rpc(2, 7 as never)];
  const answers = await connection.frame([...parts, rpc(9, "settings.get")]);
  expect(codesOf(answers)).toEqual([...parts.map(() => [null, "bad_input"]), [9, "ok"]]);
  const deep = `${"[".repeat(5_000)}${"]".repeat(5_000)}`;
  connection.send(`{"jsonrpc":"2.0","id":1,"method":"state.set","params":{"key":"deep","value":${deep}}}`);
  expect(await connection.next()).toMatchObject({ id: 1, error: { data: { code: "bad_input" } } });
  for (const params of [[], 5, "x", true])
    expect([params, await connection.refusal("settings.get", params)]).toEqual([params, "bad_input"]);
  expect(await connection.refusal("settings.get", null)).toBeNull();
});

it("an operation that fails is logged, answered as internal, undone, and keeps no other from its turn", async () => {
  const log = vi.spyOn(console, "error").mockReset().mockReturnValue();
  const workspace = await TestWorkspace.create();
  const connection = await workspace.connect();
  const broken = "BEFORE INSERT ON changes WHEN new.key = 'b' BEGIN SELECT RAISE(ABORT, 'no'); END";
  await workspace.rows(`CREATE TRIGGER broken ${broken}`);
  const writes = ["a", "b"].map((key) => ({ op: "set", key, value: 2 }));
  const frame = [set(1, "a", 1), rpc(2, "state.update", { writes }), rpc(3, "state.get", { key: "a" })];
  expect(await connection.frame(frame)).toMatchObject([
    { id: 1, result: {} },
    { id: 2, error: { code: -32_603, data: { code: "internal", retryable: true, retryAfterMs: 1_000 } } },
    { id: 3, result: { entry: { value: 1 } } },
  ]);
  const sets = ["c", "b", "d"].map((key, id) => set(id, key, 1));
  expect(codesOf(await connection.frame(sets)).map(String)).toEqual(["0,ok", "1,internal", "2,ok"]);
  expect(log).toHaveBeenCalledTimes(2);
  expect(String(log.mock.calls[0])).toContain("an operation failed");
});

it("a connection represents the chats that are registered over it, until they leave it", async ({ workspace }) => {
  const connection = await workspace.connect();
  await workspace.register("c1");
  expect((await workspace.chat("c1")).isConnected).toBe(false);
  for (const chat of ["c1", "c2", "c3"]) await connection.ask("chats.register", aChat(chat));
  for (const chat of ["c1", "c9", "", null]) connection.send(rpc(undefined, "chats.leave", { chat }));
  await connection.ask("settings.get", {});
  const { chats } = await workspace.ask("chats.list", {});
  expect(chats.map((one) => `${one.chat} ${one.isConnected}`)).toEqual(["c1 false", "c2 true", "c3 true"]);
});

/** All rows but those that name the token, which is another one in each workspace. */
async function rowsOf(workspace: TestWorkspace): Promise<object> {
  const { tokens: _, meta: __, audit, ...rows } = await workspace.tables();
  return { ...rows, audit: audit?.filter(({ kind }) => kind !== "token.created") };
}

it("a frame of one operation costs few statements, and leaves what its requests leave one by one", async () => {
  stopClock();
  const [together, apart] = [await TestWorkspace.create(), await TestWorkspace.create()];
  const capacity = 20;
  const [one, other] = [await together.join("c1", { capacity }), await apart.join("c1", { capacity })];
  const { self } = one;
  const costs: number[] = [];
  const both = async (method: string, all: readonly object[]): Promise<Message[]> => {
    const calls = all.map((params, id) => rpc(id, method, params));
    const count = await together.inside(({ storage: { sql } }) => vi.spyOn(sql, "exec"));
    const answers = await one.connection.frame(calls);
    costs.push(count.mock.calls.length);
    count.mockRestore();
    const apartAnswers: Message[] = [];
    for (const call of calls) apartAnswers.push(...(await other.connection.frame([call])));
    expect(answers).toEqual(apartAnswers);
    expect(await rowsOf(together)).toEqual(await rowsOf(apart));
    return answers;
  };
  const names = range(60, (n) => (n % 3 === 0 ? `file:p/src/${n}` : `n${n}`));
  const bound = { isBound: true, lockDelayMs: 5 };
  const acquire = names.map((resource, n) => ({ self, resource, requestId: `r${n}`, ...(n % 7 === 0 ? bound : {}) }));
  const granted = await both("leases.acquire", acquire);
  const tokens = granted.map(({ result }) => (result as { lease: { token: number } }).lease.token);
  const held = names.map((resource, n) => ({ self, resource, token: tokens[n] }));
  const renew = held.map((params) => Object.assign({ ttlMs: 90_000 }, params));
  await both("leases.renew", renew);
  await both("leases.release", held);
  const keys = range(50, (n) => `k${n}`);
  const values = keys.map((key, n) => ({ key, value: { n, text: 'ü"\\\u0000' }, requestId: `s${n}`, by: "c1" }));
  await both("state.set", values);
  const named = keys.map((key) => ({ key }));
  for (const method of ["state.get", "state.delete"]) await both(method, named);
  expect(Math.max(...costs)).toBeLessThan(50);
  // Repeats, refusals and one key twice are done on their own.
  const again = await both("leases.acquire", [...acquire.slice(0, 20), ...acquire.slice(0, 2)]);
  await both("state.set", [...values.slice(0, 9), ...values.slice(0, 9)]);
  const twice = [...keys, "k1"].map((key, n) => ({ key, value: n, ifVersion: 0 }));
  await both("state.set", twice);
  // So are releases of what others wait for, and leases beyond the limit of a chat.
  for (const workspace of [together, apart]) {
    const waiter = await workspace.register("c2");
    await workspace.ask("leases.acquire", { self: waiter, resource: "n1", requestId: "w", waitMs: 60_000 });
    await workspace.ask("settings.set", { settings: { maxLeasesPerChat: 30 } });
  }
  const releases = again.slice(0, 20).map(({ result }) => {
    const { resource, token } = (result as { lease: { resource: string; token: number } }).lease;
    return { self, resource, token };
  });
  await both("leases.release", [...releases, ...releases.slice(0, 1)]);
  await both("leases.acquire", acquire.slice(20));
  // So are the last request ids that a machine may use.
  for (const workspace of [together, apart])
    await workspace.ask("settings.set", { settings: { maxRequestIdsPerMachine: 100 } });
  const numbered = range(60, (n) => ({ key: "k", value: n, requestId: `u${n}` }));
  const fresh = await both("state.set", numbered);
  expect(fresh.filter(({ error }) => error?.data.code === "throttled")).toHaveLength(10);
  // And ends of tasks, of which one comes twice, one is over, and one asks for more.
  const claims: InputOf<"tasks.ack">[][] = [];
  for (const [at, { connection }] of [one, other].entries()) {
    const tasks = range(9, () => ({ type: "x" }));
    await [together, apart][at]?.ask("tasks.submit", { tasks });
    const held = (await connection.ask("tasks.claim", { self, requestId: "q", limit: 7 })).claims;
    claims.push(held.map(({ task, claim }) => ({ self, task, claim })));
  }
  const [acks = [], same] = claims;
  expect(acks).toEqual(same);
  const odd = { 1: acks[0], 3: { ...acks[3], claim: 99 }, 4: { ...acks[4], next: { limit: 1 } } };
  await both("tasks.ack", Object.assign([...acks], odd));
});

/** Four of them have millions of characters. */
const lists = range(100, (n) => rpc(n, "state.list"));

async function fill(workspace: TestWorkspace): Promise<void> {
  for (let n = 0; n < 8; n++) await workspace.ask("state.set", { key: `large/${n}`, value: "x".repeat(124_000) });
}

it("a frame is answered up to a bound; the rest is refused as too_large, not done", async ({ workspace }) => {
  await fill(workspace);
  const { token } = await workspace.tokenOf("submit");
  const connection = await workspace.connect(token);
  const parts = await connection.frame([...lists.slice(0, 99), set(99, "after", 1)]);
  const done = parts.filter(({ result }) => result !== undefined);
  expect(done.length).toBeLessThanOrEqual(3);
  expect(JSON.stringify(parts).length).toBeLessThan(maxAnswerChars + 1_500_000);
  const refused = range(100 - done.length, (at) => [done.length + at, "too_large"]);
  expect(codesOf(parts).slice(done.length)).toEqual(refused);
  expect((await workspace.ask("state.get", { key: "after" })).entry).toBeNull();
});

it("a client that does not read is closed with 4005; one that sends marks back is not", async ({ workspace }) => {
  await fill(workspace);
  await workspace.ask("settings.set", { settings: { maxOperationsPerSecond: 1_000_000 } });
  const connections = { reader: await workspace.connect(), other: await workspace.connect() };
  const asked = { reader: 0, other: 0 };
  for (const name of ["reader", "other"] as const) {
    const connection = connections[name];
    while (asked[name] < 12 && connection.socket.readyState === WebSocket.OPEN) {
      connection.send([...lists.slice(0, 4), rpc(undefined, flowReadMethod, { mark: "guessed" })]);
      asked[name] += 1;
      const next = async (): Promise<void> => {
        for (;;) {
          const message = await connection.next();
          if (Array.isArray(message)) return;
          if (name === "reader" && message.method === flowMarkMethod)
            connection.send(rpc(undefined, flowReadMethod, message.params));
        }
      };
      await Promise.race([next(), connection.closed]);
    }
  }
  expect([asked.reader, connections.reader.socket.readyState]).toEqual([12, WebSocket.OPEN]);
  expect((await connections.other.closed).code).toBe(4005);
  expect(asked.other).toBeLessThan(10);
});

it("of many connections that owe a mark and together too much, the largest are closed", () => {
  const outgoing = new Outgoing(() => "m");
  const sockets = range(8, () => ({ send: () => undefined }) as unknown as WebSocket);
  for (const [n, socket] of sockets.entries()) outgoing.send(socket, "x".repeat(5_000_000 + n * 800_000));
  // 62.4 million in all: the largest go until 48 million are left.
  expect(outgoing.listOverfull()).toEqual([sockets[7], sockets[6]]);
  for (const socket of sockets) outgoing.read(socket, "m");
  expect(outgoing.listOverfull()).toEqual([]);
  // A mark stands for what was sent before it.
  const [first = {} as WebSocket] = sockets;
  for (const length of [300_000, 12_000_001]) outgoing.send(first, "x".repeat(length));
  outgoing.read(first, "m");
  expect(outgoing.listOverfull()).toEqual([first]);
});

it("sockets of a token and a workspace are bounded; silent ones make room", async ({ workspace }) => {
  await workspace.ask("settings.set", { settings: { maxSocketsPerToken: 3, maxSockets: 4 } });
  const { token } = await workspace.tokenOf("work");
  const open = [await workspace.connect(token), await workspace.connect(token)];
  await open[0]?.ask("chats.register", aChat("c1"));
  wait(89_999);
  await workspace.connect(token);
  expect((await workspace.upgrade(token)).status).toBe(507);
  await workspace.connect();
  expect((await workspace.upgrade()).status).toBe(507);
  wait(1);
  await workspace.connect(token);
  for (const connection of open) expect((await connection.closed).code).toBe(4005);
  expect((await workspace.ask("health", {})).sockets).toBe(3);
});

it("frames sent before a close are done, then the chat's grace begins", async ({ workspace }) => {
  const { connection, self } = await workspace.join("c1");
  connection.send(rpc(1, "chats.heartbeat", { self, status: "busy" }));
  connection.send(set(2, "last", 1));
  connection.close();
  await workspace.disconnected("c1");
  expect(await workspace.ask("state.get", { key: "last" })).toMatchObject({ entry: { value: 1 } });
  expect(await workspace.chat("c1")).toMatchObject({ status: "busy", isConnected: false });
});
