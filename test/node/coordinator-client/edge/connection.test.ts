import { expect, it } from "vitest";
import {
  onEdge,
  aChat,
  aClient,
  codeOf,
  ofType,
  registered,
  statesOf,
  value,
  withoutSockets,
} from "#harness/edge/edge-clients.ts";
import { adminToken, edgeUrl, FakeEdge, token } from "#harness/edge/fake-edge.ts";
import { admin } from "#harness/coordinator/engine-host.ts";

it("a client connects at its first use, with its token in a header, and asks over the socket", async () => {
  const { edge, call, ...made } = aClient();
  await edge.time.pass(60_000);
  expect(edge.upgrades).toEqual([]);
  const set = await call("state.set", { key: "a", value: 1 });
  expect(value(set).version).toBeGreaterThan(0);
  const got = await call("state.get", { key: "a" });
  expect(value(got)).toMatchObject({ entry: { value: 1 } });
  expect(statesOf(made)).toEqual(["connecting", "connected"]);
  expect(edge.arrived.map(({ way, name }) => `${way} ${name}`)).toEqual(["socket state.set", "socket state.get"]);
  expect(edge.upgrades).toEqual([
    {
      url: "wss://edge.example/v1/workspaces/w1/connect",
      headers: { authorization: `Bearer ${token}`, "shim-protocol": "1" },
    },
  ]);
});

it("a command that asks once needs no socket: each operation by its method and path", async () => {
  const { edge, client, ...made } = aClient(new FakeEdge(), { connectsFor: "chat" });
  value(await edge.time.until(client.call("state.set", { key: "a/b c&d", value: { one: [1] } })));
  const listed = value(await edge.time.until(client.call("state.list", { prefix: "a/b c&", limit: 3 })));
  expect(listed.entries).toMatchObject([{ key: "a/b c&d", value: { one: [1] } }]);
  expect(value(await edge.time.until(client.call("state.delete", { key: "a/b c&d" })))).toMatchObject({
    isDeleted: true,
  });
  expect(codeOf(await edge.time.until(client.call("chats.get", { chat: "nobody" })))).toBe("unknown_chat");
  expect(statesOf(made)).toEqual([]);
  expect(edge.upgrades).toEqual([]);
});

it("what the coordinator takes over HTTP alone goes over HTTP, also while a socket is open", async () => {
  const { edge, call, client } = aClient(new FakeEdge(), { token: adminToken });
  expect(value(await call("tokens.create", { machine: "m2", scope: "work" })).token).toBe("shim_new");
  expect(client.state).toBe("connected");
  expect(edge.arrived.map(({ way, name }) => `${way} ${name}`)).toEqual(["http tokens.create"]);
});

it("it pings every 10 s, and as often as its registration says", async () => {
  const { edge, client } = aClient();
  client.connect();
  await edge.time.pass(35_000);
  expect(edge.connections.map(({ pings }) => pings)).toEqual([4]);
  await edge.host.call("settings.set", { settings: { chatTtlMs: 6_000 } }, admin);
  value(await edge.time.until(client.register(aChat("a"))));
  await edge.time.pass(20_500);
  expect(edge.connections.map(({ pings }) => pings)).toEqual([14]);
  expect(value(await edge.host.call("chats.get", { chat: "a" })).status).toBe("idle");
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

it("a long frame before the pong is a sign of life, silence after it is not", async () => {
  const { edge, ...made } = await onEdge();
  edge.faults.loses = ({ text }) => text === "pong";
  await edge.time.pass(11_000);
  edge.connections[0]?.notify("messages.new", { chat: "a" });
  await edge.time.pass(8_000);
  expect(statesOf(made)).not.toContain("disconnected");
  await edge.time.pass(2_000);
  expect(statesOf(made)).toContain("disconnected");
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
});

it("a connection that never proves itself does not begin the backoff anew", async () => {
  const { edge, ...made } = aClient();
  made.client.on((event) => {
    if (event.type === "state" && event.state === "connected") edge.time.setTimer(() => edge.closeAll(), 1_000);
  });
  made.client.connect();
  await edge.time.pass(300_000);
  expect(edge.upgrades.length).toBeLessThan(40);
  expect(edge.upgrades.length).toBeGreaterThan(8);
});

it("a coordinator that has too much to do is asked again no sooner than it says", async () => {
  const { edge, ...made } = aClient();
  edge.faults.refusesSockets = true;
  edge.faults.refuses = () => ({ code: "overloaded", message: "too much to do", retryAfterMs: 7_000 });
  made.client.connect();
  await edge.time.pass(6_900);
  expect(edge.upgrades.length).toBe(1);
  const [state] = ofType(made, "state").slice(-1);
  expect(state).toMatchObject({ state: "disconnected" });
  expect(state?.retryInMs).toBeGreaterThanOrEqual(7_000);
  expect(state?.retryInMs).toBeLessThanOrEqual(7_500);
  await edge.time.pass(600);
  expect(edge.upgrades.length).toBe(2);
});

it("after a deploy all chats are connected again before they count as gone", async () => {
  const edge = new FakeEdge();
  const chats = await Promise.all(["a", "b", "c"].map((chat, seed) => registered(edge, chat, { seed })));
  await edge.time.pass(25_000);
  await edge.deploy();
  await edge.time.pass(2_000);
  expect(chats.map(({ client }) => client.state)).toEqual(["connected", "connected", "connected"]);
  const { chats: told } = value(await edge.host.call("chats.list", {}));
  expect(told.map(({ status, incarnation, isConnected }) => [status, incarnation, isConnected])).toEqual([
    ["idle", 1, true],
    ["idle", 1, true],
    ["idle", 1, true],
  ]);
});

it("with sockets blocked it works over HTTP, and returns to a socket when one opens", async () => {
  const { edge, ...made } = await withoutSockets();
  expect(statesOf(made)).toEqual(["connecting", "fallback"]);
  value(await edge.time.until(made.client.call("state.set", { key: "a", value: 1 })));
  await edge.time.pass(95_000);
  expect(edge.count("chats.heartbeat", "http")).toBeGreaterThanOrEqual(8);
  expect(edge.upgrades.length).toBeGreaterThanOrEqual(3);
  expect(edge.upgrades.length).toBeLessThanOrEqual(8);
  expect(value(await edge.host.call("chats.get", { chat: "a" }))).toMatchObject({
    status: "idle",
    statusAgeMs: expect.any(Number),
  });
  expect(ofType(made, "registered").length).toBe(1);
  edge.faults.refusesSockets = false;
  await edge.time.pass(46_000);
  expect(statesOf(made)).toEqual(["connecting", "fallback", "connected"]);
  const beats = edge.count("chats.heartbeat");
  await edge.time.pass(60_000);
  expect(edge.count("chats.heartbeat")).toBe(beats);
  expect(value(await edge.host.call("chats.get", { chat: "a" }))).toMatchObject({ isConnected: true, incarnation: 1 });
});

it("where a socket has been open before, one that does not open is tried again within seconds", async () => {
  const { edge, ...made } = await onEdge();
  await edge.time.pass(10_000);
  edge.faults.refusesSockets = true;
  edge.closeAll();
  await edge.time.untilTrue(() => made.client.state === "fallback");
  edge.faults.refusesSockets = false;
  await edge.time.pass(8_000);
  expect(made.client.state).toBe("connected");
  edge.faults.refusesSockets = true;
  edge.closeAll();
  await edge.time.untilTrue(() => made.client.state === "fallback");
  const tried = edge.upgrades.length;
  await edge.time.pass(60_000);
  expect(edge.upgrades.length - tried).toBeGreaterThanOrEqual(4);
  expect(edge.upgrades.length - tried).toBeLessThanOrEqual(8);
});

it("when HTTP stops as well it is disconnected, until the coordinator answers again", async () => {
  const { edge, ...made } = await withoutSockets();
  edge.faults.isUnreachable = true;
  await edge.time.pass(12_000);
  expect(made.client.state).not.toBe("fallback");
  edge.faults.isUnreachable = false;
  await edge.time.untilTrue(() => made.client.state === "fallback");
  expect(value(await edge.time.until(made.client.call("chats.get", { chat: "a" })))).toMatchObject({ status: "idle" });
});

it("a request that is lost over HTTP means nothing for a later way", async () => {
  const { edge, ...made } = await withoutSockets();
  await edge.time.pass(5_000);
  edge.faults.loses = ({ text }) => text.includes("/state?key=old");
  const old = made.client.call("state.get", { key: "old" }, 15_000);
  await edge.time.pass(3_000);
  edge.faults.isUnreachable = true;
  await edge.time.untilTrue(() => made.client.state === "disconnected");
  edge.faults.isUnreachable = false;
  await edge.time.untilTrue(() => made.client.state === "fallback");
  edge.faults.loses = () => false;
  const before = statesOf(made);
  expect(codeOf(await edge.time.until(old))).toBe("ok");
  expect(statesOf(made)).toEqual(before);
});

it("with a token that is not accepted it is closed for good", async () => {
  const { edge, call, ...made } = aClient(new FakeEdge(), { token: "shim_secret.wrong" });
  const refused = await call("state.get", { key: "a" });
  expect(codeOf(refused)).toBe("closed");
  expect(ofType(made, "state").at(-1)).toMatchObject({ state: "closed", reason: "a valid token is needed" });
  await edge.time.pass(120_000);
  expect(edge.upgrades.length).toBe(1);
  expect(codeOf(await edge.time.until(made.client.register(aChat("a"))))).toBe("closed");
});

it("a token that is revoked closes the client at once, over a socket and over HTTP", async () => {
  const edge = new FakeEdge();
  const connected = await registered(edge, "a");
  edge.revoke(token);
  await edge.time.pass(100);
  expect(ofType(connected, "state").at(-1)).toMatchObject({
    state: "closed",
    reason: expect.stringContaining("revoked"),
  });
  edge.revoked.clear();
  edge.faults.refusesSockets = true;
  const byHttp = aClient(edge);
  value(await edge.time.until(byHttp.client.call("state.get", { key: "a" })));
  edge.revoke(token);
  expect(codeOf(await edge.time.until(byHttp.client.call("state.get", { key: "a" })))).toBe("unauthenticated");
  expect(byHttp.client.state).toBe("closed");
});

it("with an unknown workspace it is closed for good", async () => {
  const { call, ...made } = aClient(new FakeEdge(), { workspace: "nowhere", edge: edgeUrl });
  expect(codeOf(await call("state.get", { key: "a" }))).toBe("closed");
  expect(made.client.state).toBe("closed");
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

it("a clock that was set is reported, drift is not", async () => {
  const { edge, ...made } = await onEdge();
  for (let times = 0; times < 20; times++) {
    made.machine.setWall(-400);
    await edge.time.pass(10_000);
  }
  expect(ofType(made, "clock-jump")).toEqual([]);
  made.machine.setWall(-7_200_000);
  await edge.time.pass(10_000);
  expect(ofType(made, "clock-jump")).toEqual([{ type: "clock-jump", byMs: -7_200_000 }]);
  expect(made.client.state).toBe("connected");
});

it("a closed client does nothing any more, and says so", async () => {
  const { edge, call, ...made } = await onEdge();
  const waiting = made.client.call("state.get", { key: "a" });
  await edge.time.pass(1);
  made.client.close();
  expect(codeOf(await edge.time.until(waiting))).toBe("outcome_unknown");
  expect(codeOf(await call("state.get", { key: "a" }))).toBe("closed");
  expect(statesOf(made).at(-1)).toBe("closed");
  await edge.time.pass(60_000);
  expect(edge.upgrades.length).toBe(1);
  expect(value(await edge.host.call("chats.get", { chat: "a" })).status).toBe("offline");
});
