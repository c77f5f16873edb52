import { maxChatsPerSocket } from "#src/contract/protocol.ts";
import { WorkspaceClient } from "#src/coordinator-client/client.ts";
import { sender } from "#src/coordinator-client/edge/http-transport.ts";
import { PhoneRelay } from "#src/coordinator-client/phone-relay.ts";
import { askRelay, nothing } from "#src/coordinator-client/relay-request.ts";
import { nodePlatform, type OpenSocket, type SocketEvents } from "#src/coordinator-client/edge/platform.ts";
import { EdgeSockets } from "#src/coordinator-client/edge/socket.ts";
import { Machine } from "#harness/clock/fake-time.ts";
import { expect, it, onTestFinished } from "vitest";
import { aChat, aClient, onEdge, platformOf, registered, withoutSockets } from "#harness/edge/edge-runtime.ts";
import { ofType, statesOf } from "#harness/edge/edge-runtime.ts";
import { codeOf, given } from "#harness/coordinator/peers.ts";
import { chatOf } from "#harness/coordinator/views.ts";
import { adminToken, edgeUrl, FakeEdge, token } from "#harness/edge/fake-edge.ts";
import { RealServer } from "#harness/edge/real-server.ts";
import { admin } from "#harness/coordinator/engine-host.ts";

const headers = { authorization: `Bearer ${token}`, "shim-protocol": "1" };

it("a client connects at its first use, with its token in a header, and asks over the socket", async () => {
  const { edge, call, ...made } = aClient();
  await edge.time.pass(60_000);
  expect(edge.upgrades).toEqual([]);
  given(await call("state.set", { key: "a", value: 1 }));
  expect(given(await call("state.get", { key: "a" }))).toMatchObject({ entry: { value: 1 } });
  expect(statesOf(made)).toEqual(["connecting", "connected"]);
  expect(edge.arrived.map(({ way, name }) => `${way} ${name}`)).toEqual(["socket state.set", "socket state.get"]);
  made.client.close();
  await edge.time.pass(60_000);
  expect(edge.upgrades).toEqual([{ url: "wss://edge.example/v1/workspaces/w1/connect", headers }]);
});

it("a command that asks once needs no socket: each operation by its method and path", async () => {
  const { edge, call, ...made } = aClient(new FakeEdge(), { connectsFor: "chat" });
  given(await call("state.set", { key: "a/b c&d", value: { one: [1] } }));
  const listed = given(await call("state.list", { prefix: "a/b c&", limit: 3 }));
  expect(listed.entries).toMatchObject([{ key: "a/b c&d", value: { one: [1] } }]);
  expect(given(await call("state.delete", { key: "a/b c&d" }))).toMatchObject({ isDeleted: true });
  expect(codeOf(await call("chats.get", { chat: "unknown" }))).toBe("unknown_chat");
  edge.faults.loses = ({ direction }) => direction === "down";
  // Only what has an id is asked again.
  expect(codeOf(await call("state.set", { key: "k", value: 1 }, 1_000))).toBe("outcome_unknown");
  expect(codeOf(await call("settings.get", {}, 1_000))).toBe("outcome_unknown");
  expect([edge.count("state.set"), edge.count("settings.get")]).toEqual([3, 1]);
  expect([statesOf(made), edge.upgrades]).toEqual([[], []]);
});

it("what the coordinator takes over HTTP alone goes over HTTP, also while a socket is open", async () => {
  const { edge, call, client } = aClient(new FakeEdge(), { adminToken });
  expect(given(await call("tokens.create", { machine: "m2", scope: "work" })).token).toBe("shim_new");
  expect(client.state).toBe("connected");
  expect(edge.arrived.map(({ way, name }) => `${way} ${name}`)).toEqual(["http tokens.create"]);
  // The admin's token is for that alone.
  const byHttp = aClient(edge, { adminToken, connectsFor: "chat" });
  expect(codeOf(await byHttp.call("chats.register", aChat("c", { machine: "m9" })))).toBe("forbidden");
});

it("a coordinator that sends without limit is cut off, and asked again later", async () => {
  const { edge, call, ...made } = aClient();
  given(await call("state.set", { key: "a", value: 1 }));
  for (let frames = 0; frames < 3_100; frames += 1)
    for (const connection of edge.connections) connection.notify("sync.changed", { isDeath: false });
  await edge.time.pass(60_000);
  expect([edge.upgrades.length, statesOf(made).at(-1)]).toEqual([2, "connected"]);
});

it("it pings every 10 s, and as often as its registration says", async () => {
  const { edge, client } = aClient();
  client.connect();
  await edge.time.pass(35_000);
  expect(edge.connections.map(({ pings }) => pings)).toEqual([4]);
  await edge.host.call("settings.set", { settings: { chatTtlMs: 6_000 } }, admin);
  given(await edge.time.until(client.register(aChat("a"))));
  await edge.time.pass(20_500);
  expect(edge.connections.map(({ pings }) => pings)).toEqual([14]);
  expect((await chatOf(edge.host, "a")).status).toBe("idle");
});

it("a client without a chat leaves the pings of its socket as frequent as a chat on it needs", async () => {
  const chats = new Chats();
  await chats.edge.host.call("settings.set", { settings: { chatTtlMs: 6_000 } }, admin);
  await chats.join("a");
  given(await chats.edge.time.until(chats.open().call("state.get", { key: "k" })));
  await chats.edge.time.pass(20_500);
  expect(chats.edge.connections.map(({ pings }) => pings >= 10)).toEqual([true]);
});

it("a connection on which nothing comes after a ping is ended, and another one is opened", async () => {
  const { edge, ...made } = await onEdge();
  edge.connections[0]?.freeze();
  await edge.time.pass(14_900);
  expect(made.client.state).toBe("connected");
  await edge.time.pass(600);
  expect(statesOf(made)).toEqual(["connecting", "connected", "disconnected", "connecting", "connected"]);
  expect(ofType(made, "state")[2]?.reason).toContain("no answer to a ping within 5000 ms");
  expect(ofType(made, "chat-lost")).toEqual([]);
});

it("it reconnects by itself, later and later, each time after a random part of the delay", async () => {
  const { edge, ...made } = aClient();
  edge.faults.isUnreachable = true;
  made.client.connect();
  await edge.time.pass(180_000);
  const waits = ofType(made, "state").flatMap(({ retryInMs }) => (retryInMs === undefined ? [] : [retryInMs]));
  expect(waits.length).toBeGreaterThan(6);
  waits.forEach((ms, attempt) => expect(ms).toBeLessThan(Math.min(30_000, 500 * 2 ** attempt)));
  expect(Math.max(...waits)).toBeGreaterThan(10_000);
  expect(ofType(made, "state").at(-1)?.reason).toContain("ECONNREFUSED");
  edge.faults.isUnreachable = false;
  await edge.time.untilTrue(() => made.client.state === "connected", 30_000);
  await edge.time.pass(10_100);
  edge.closeAll();
  await edge.time.untilTrue(() => ofType(made, "state").at(-1)?.state === "disconnected");
  expect(ofType(made, "state").at(-1)?.retryInMs).toBeLessThan(500);
  const before = ofType(made, "state").length;
  for (let times = 0; times < 8; times++) {
    await edge.time.untilTrue(() => made.client.state === "connected");
    // A ping is answered meanwhile.
    await edge.time.pass(100);
    edge.closeAll();
    await edge.time.untilTrue(() => made.client.state !== "connected");
  }
  // A connection that soon ends is no reason to come back sooner.
  const later = ofType(made, "state").slice(before);
  expect(Math.max(...later.map(({ retryInMs = 0 }) => retryInMs))).toBeGreaterThan(5_000);
});

it("a socket that does not open within 10 s is given up", async () => {
  const { edge, client } = aClient();
  edge.faults.latencyMs = 60_000;
  client.connect();
  await edge.time.pass(9_900);
  expect(client.state).toBe("connecting");
  edge.faults.latencyMs = 5;
  await edge.time.pass(200);
  expect(client.state).toBe("fallback");
});

it("a coordinator that has too much to do is asked again no sooner than it says", async () => {
  const { edge, ...made } = aClient();
  edge.faults.refusesSockets = true;
  edge.faults.refuses = () => ({ code: "overloaded", message: "too much to do", retryAfterMs: 7_000 });
  made.client.connect();
  await edge.time.pass(6_900);
  expect(edge.upgrades.length).toBe(1);
  const { state, retryInMs = 0 } = ofType(made, "state").at(-1) ?? {};
  expect([state, retryInMs >= 7_000, retryInMs <= 7_500]).toEqual(["disconnected", true, true]);
  await edge.time.pass(600);
  expect(edge.upgrades.length).toBe(2);
});

it("with sockets blocked it works over HTTP, and returns to a socket when one opens", async () => {
  const { edge, ...made } = await withoutSockets();
  expect(statesOf(made)).toEqual(["connecting", "fallback"]);
  given(await edge.time.until(made.client.call("state.set", { key: "a", value: 1 })));
  await edge.time.pass(95_000);
  expect(edge.count("chats.heartbeat", "http")).toBeGreaterThanOrEqual(8);
  expect(edge.upgrades.length).toBeLessThanOrEqual(8);
  expect(ofType(made, "registered").length).toBe(1);
  edge.faults.refusesSockets = false;
  await edge.time.pass(46_000);
  expect(statesOf(made)).toEqual(["connecting", "fallback", "connected"]);
  const beats = edge.count("chats.heartbeat");
  await edge.time.pass(60_000);
  expect(edge.count("chats.heartbeat")).toBe(beats);
  expect(await chatOf(edge.host, "a")).toMatchObject({ isConnected: true, incarnation: 1 });
});

it("when HTTP stops as well it is disconnected, until the coordinator answers again", async () => {
  const { edge, ...made } = await withoutSockets();
  edge.faults.isUnreachable = true;
  await edge.time.pass(12_000);
  expect(made.client.state).not.toBe("fallback");
  edge.faults.isUnreachable = false;
  await edge.time.untilTrue(() => made.client.state === "fallback");
  expect(given(await edge.time.until(made.client.call("chats.get", { chat: "a" })))).toMatchObject({ status: "idle" });
  made.client.close();
  await edge.time.pass(60_000);
  expect(edge.time.timers).toBe(0);
});

it("a token that is revoked closes the client at once, over a socket and over HTTP", async () => {
  const edge = new FakeEdge();
  const connected = await registered(edge, "a");
  edge.revoke(token);
  await edge.time.pass(100);
  const reason: unknown = expect.stringContaining("revoked");
  expect(ofType(connected, "state").at(-1)).toMatchObject({ state: "closed", reason });
  expect(await connected.call("state.get", { key: "a" })).toMatchObject({ error: { code: "closed", message: reason } });
  edge.revoked.clear();
  edge.faults.refusesSockets = true;
  const byHttp = aClient(edge);
  given(await byHttp.call("state.get", { key: "a" }));
  edge.revoke(token);
  expect(codeOf(await byHttp.call("state.get", { key: "a" }))).toBe("unauthenticated");
  expect(byHttp.client.state).toBe("closed");
});

it("after a sleep the connection is checked with the first call, and replaced when it is dead", async () => {
  const { edge, ...made } = await onEdge();
  await edge.time.pass(1_000);
  edge.connections[0]?.freeze();
  await made.machine.sleep(3_600_000);
  const got = await edge.time.until(made.client.call("state.get", { key: "a" }), 8_000);
  expect(codeOf(got)).toBe("ok");
  expect(ofType(made, "clock-jump")[0]?.byMs).toBe(3_600_000);
  expect(ofType(made, "registered").length).toBe(2);
});

it("a machine that wakes up does not wait for the rest of a long backoff", async () => {
  const { edge, ...made } = aClient();
  edge.faults.isUnreachable = true;
  made.client.connect();
  await edge.time.untilTrue(() => (ofType(made, "state").at(-1)?.retryInMs ?? 0) > 10_000);
  edge.faults.isUnreachable = false;
  await made.machine.sleep(60_000);
  expect(codeOf(await edge.time.until(made.client.call("state.get", { key: "a" }), 1_000))).toBe("ok");
});

/** The chats of one process, each with a client of its own. */
class Chats {
  readonly edge = new FakeEdge();
  readonly sockets = new EdgeSockets();
  readonly #platform = platformOf(this.edge, new Machine(this.edge.time));

  open(by = token): WorkspaceClient {
    const options = { edge: edgeUrl, workspace: "w1", token: by };
    const client = given(WorkspaceClient.open(options, this.#platform, this.sockets));
    onTestFinished(() => client.close());
    return client;
  }

  async join(chat: string): Promise<WorkspaceClient> {
    const client = this.open();
    given(await this.edge.time.until(client.register(aChat(chat))));
    return client;
  }

  async stateOf(chat: string): Promise<[string, boolean]> {
    const { status, isConnected } = await chatOf(this.edge.host, chat);
    return [status, isConnected];
  }
}

it("the chats of a process share one socket to a workspace, and each is registered on it", async () => {
  const chats = new Chats();
  const clients = [await chats.join("a"), await chats.join("b"), await chats.join("c")];
  await chats.edge.time.pass(25_000);
  expect(chats.edge.connections.map(({ pings }) => pings)).toEqual([2]);
  expect(chats.edge.upgrades).toHaveLength(1);
  for (const chat of ["a", "b", "c"]) expect(await chats.stateOf(chat)).toEqual(["idle", true]);

  // A hint reaches the chat that it concerns.
  const heard: string[] = [];
  for (const client of clients) client.onHint((hint) => heard.push(`${client.self?.chat} ${hint}`));
  const [first] = clients as [WorkspaceClient];
  const sent = first.call("messages.send", { target: { to: "chat", chat: "b" }, body: "x" });
  given(await chats.edge.time.until(sent));
  await chats.edge.time.pass(100);
  expect(heard).toEqual(["b message"]);
});

it("a chat that closes leaves the socket to the others; the last one closes it", async () => {
  const chats = new Chats();
  const [a, b] = [await chats.join("a"), await chats.join("b")];
  a.onChanges("k/", () => undefined);
  await chats.edge.time.pass(100);
  const [socket] = chats.edge.connections;
  expect(socket?.isWatching("k/")).toBe(true);
  const late = a.call("state.get", { key: "k" });
  a.close();
  expect(await chats.edge.time.until(late)).toMatchObject({ ok: false });
  await chats.edge.time.pass(100);
  expect([await chats.stateOf("a"), socket?.isWatching("k/")]).toEqual([["idle", false], false]);
  expect(await chats.stateOf("b")).toEqual(["idle", true]);
  given(await chats.edge.time.until(b.call("state.get", { key: "k" })));
  await chats.join("a");
  expect(await chats.stateOf("a")).toEqual(["idle", true]);
  expect(chats.edge.upgrades).toHaveLength(1);
  for (const client of [b, a]) client.close();
});

it("a chat that is taken over, or counts as gone, gives up its part of the socket alone", async () => {
  const chats = new Chats();
  const [a, b] = [await chats.join("a"), await chats.join("b")];
  const lost: string[] = [];
  for (const client of [a, b]) client.onLost((reason) => lost.push(reason));
  chats.edge.connections[0]?.end("a", "chat.replaced");
  await chats.edge.time.pass(100);
  expect(lost).toEqual(["another connection of this chat took over"]);
  expect([a.self, b.self?.chat, b.state]).toEqual([null, "b", "connected"]);

  chats.edge.connections[0]?.end("b", "chat.offline");
  await chats.edge.time.pass(2_000);
  expect(b.state).toBe("connected");
  expect(await chats.stateOf("b")).toEqual(["idle", true]);
});

it("another token, and a chat for which a socket has no room, get a socket of their own", async () => {
  const chats = new Chats();
  for (let n = 0; n < maxChatsPerSocket; n++) await chats.join(`c${n}`);
  expect(chats.edge.connections).toHaveLength(1);
  await chats.join("one-more");
  expect(chats.edge.connections.map((connection) => connection.chats.size)).toEqual([maxChatsPerSocket, 1]);
  chats.open("shim_secret.of-the-admin").connect();
  await chats.edge.time.pass(100);
  expect(chats.edge.connections).toHaveLength(3);
});

it("a WebSocket is opened with the headers and without an origin, and reports texts and the code of its close", async () => {
  const server = await RealServer.listen();
  server.onText = (text, connection) => {
    connection.send(`heard ${text}`);
    connection.close(4002, "this chat counts as gone");
  };
  const events: string[] = [];
  const path = "/v1/workspaces/w1/connect?chat=a%3Ab";
  await new Promise<void>((resolve) => {
    const socket = nodePlatform().openSocket(
      `${server.url.replace("http", "ws")}${path}`,
      headers,
      {
        onOpen: () => {
          events.push("open");
          socket.send("ping");
        },
        onText: (text) => events.push(`text ${text}`),
        onClose: (code, reason) => {
          events.push(`close ${code} ${reason}`);
          // A second end would come in the same turn or the next.
          setImmediate(resolve);
        },
      },
      1_000,
    );
  });
  expect(events).toEqual(["open", "text heard ping", "close 4002 this chat counts as gone"]);
  expect(server.seen).toMatchObject([{ method: "GET", url: path, headers }]);
  expect(server.seen[0]?.headers.origin).toBeUndefined();
});

it("a frame that is announced as longer than any is refused unread, of a coordinator and of a phone", async () => {
  const server = await RealServer.listen();
  const edge = { url: server.url, workspace: "w1", token };
  const address = server.url.replace("http", "ws");
  const bound = await boundOfClient();
  for (const [most, open] of [
    [1_000_000, (events: SocketEvents) => new PhoneRelay(edge).connect("p", events)],
    [16_777_216, (events: SocketEvents) => nodePlatform().openSocket(address, headers, events, bound)],
  ] as const)
    for (const bytes of [most + 1, 2 ** 40]) {
      server.onText = (_text, connection) => connection.announce(bytes);
      const closed = Promise.withResolvers<string>();
      const socket = open({
        onOpen: () => socket.send("ping"),
        onText: () => closed.resolve("a text"),
        onClose: (_code, reason) => closed.resolve(reason),
      });
      expect(await closed.promise).toMatch(/payload size/i);
    }
});

it("a client ends a connection that floods it, and takes hints, and answers as long as any", async () => {
  const { edge, call, ...made } = aClient();
  given(await call("state.set", { key: "a", value: "x".repeat(100_000) }));
  const flood = async (frames: number, text = '{"jsonrpc":"2.0","method":"tasks.new","params":{"chat":"c1"}}') => {
    const opened = edge.upgrades.length;
    for (let sent = 0; sent < frames; sent++) edge.connections.at(-1)?.sendText(text);
    await edge.time.pass(60_000);
    return edge.upgrades.length - opened;
  };
  expect(await flood(1_500)).toBe(0);
  // An answer that nobody waits for.
  expect(await flood(1, `{"jsonrpc":"2.0","id":99,"result":"${"x".repeat(700_000)}"}`)).toBe(1);
  expect(await flood(4_000)).toBe(1);
  for (let times = 0; times < 5; times++)
    expect(given(await call("state.get", { key: "a" }))).toMatchObject({ entry: { value: "x".repeat(100_000) } });
  expect(statesOf(made).filter((state) => state === "disconnected")).toHaveLength(2);
});

/** The bound with which a client of a workspace opens its socket, in bytes. */
async function boundOfClient(): Promise<number> {
  const bound = Promise.withResolvers<number>();
  const openSocket: OpenSocket = (_url, _headers, _events, maxBytes) => {
    bound.resolve(maxBytes);
    return { send: () => undefined, close: () => undefined };
  };
  const opened = WorkspaceClient.open({ edge: edgeUrl, workspace: "w1", token }, { ...nodePlatform(), openSocket });
  if (!opened.ok) throw new Error(opened.error);
  onTestFinished(() => opened.value.close());
  opened.value.connect();
  return bound.promise;
}

it("over HTTP headers, query and body arrive; what was not sent is known; a redirect is not followed", async () => {
  const server = await RealServer.listen();
  const base = `${server.url}/v1/workspaces/w1`;
  const { signal } = new AbortController();
  const send = sender({ platform: nodePlatform(), address: { http: base, socket: "" }, token, signal });
  server.answer = (_request, response) => void response.end('{"entry":null}');
  expect(await send("state.get", { key: "a b&c" }, 5_000)).toMatchObject({ kind: "answered", result: { ok: true } });
  server.answer = (_request, response) => void response.end('{"version":3}');
  expect(await send("state.set", { key: "k", value: "ä" }, 5_000)).toMatchObject({ result: { value: { version: 3 } } });
  expect(server.seen).toMatchObject([
    { method: "GET", url: "/v1/workspaces/w1/state?key=a+b%26c", headers, body: "" },
    { method: "PUT", headers: { ...headers, "content-type": "application/json" }, body: '{"key":"k","value":"ä"}' },
  ]);
  server.answer = (_request, response) => void response.writeHead(302, { location: "/elsewhere" }).end();
  expect(await send("state.get", { key: "k" }, 5_000)).toMatchObject({ kind: "lost", isSent: true });
  expect(server.seen.length).toBe(3);
  server.answer = () => undefined;
  expect(await send("state.get", { key: "k" }, 50)).toMatchObject({ kind: "lost", isSent: true });
  server.close();
  const refused = { kind: "lost", isSent: false, message: "no answer over HTTP: ECONNREFUSED" };
  expect(await send("state.get", { key: "k" }, 5_000)).toEqual(refused);
});

it("a request about phones or hand-overs ends in time, follows no redirect, and says no more than is known", async () => {
  const server = await RealServer.listen();
  const relay = new PhoneRelay({ url: server.url, workspace: "w1", token });
  const unknown = '{"error":{"code":"unknown_phone","message":"?","retryable":false}}';
  const answers = [
    [200, '{"introduction":null,"isPaired":true,"endsInMs":0}', true],
    [200, '{"introduction":null,"isPaired":false,"endsInMs":0}', null],
    [404, unknown, false],
    [503, "<html>", null],
    [302, "", null],
  ] as const;
  for (const [status, body, isPaired] of answers) {
    server.answer = (_request, response) => void response.writeHead(status, { location: "/elsewhere" }).end(body);
    expect([status, body, await relay.isPaired("p")]).toEqual([status, body, isPaired]);
  }
  expect(server.seen).toHaveLength(answers.length);
  server.answer = () => undefined;
  const late = await askRelay(server.url, { method: "GET", output: nothing, timeoutMs: 50 });
  expect(late).toMatchObject({ error: { code: "unreachable", message: expect.stringContaining("does not answer") } });
});
