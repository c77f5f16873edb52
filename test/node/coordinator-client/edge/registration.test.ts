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
import { FakeEdge } from "#harness/edge/fake-edge.ts";
import { admin } from "#harness/coordinator/engine-host.ts";

it("a connection registers the chat before anything else", async () => {
  const { edge, client } = aClient();
  const answer = client.register(aChat("a:b@c"));
  const early = client.call("state.get", { key: "k" });
  expect(value(await edge.time.until(answer))).toMatchObject({ chat: "a:b@c", incarnation: 1, isNew: true });
  value(await edge.time.until(early));
  expect(edge.upgrades).toMatchObject([{ url: expect.stringMatching(/\/connect$/) as string }]);
  expect(client.self).toEqual({ chat: "a:b@c", incarnation: 1 });
  edge.closeAll();
  const late = client.call("state.get", { key: "k" });
  await edge.time.pass(20);
  const second = client.call("state.get", { key: "k" });
  await edge.time.until(Promise.all([late, second]));
  const names = edge.arrived.map(({ name }) => name);
  expect(names.slice(0, 2)).toEqual(["chats.register", "state.get"]);
  expect(names.slice(names.lastIndexOf("chats.register"))).toEqual(["chats.register", "state.get", "state.get"]);
});

it("a client that is connected already registers its chat there, and another chat instead", async () => {
  const { edge, call, client } = aClient();
  value(await call("state.get", { key: "k" }));
  value(await edge.time.until(client.register(aChat("a"))));
  value(await edge.time.until(client.register(aChat("a", { capabilities: ["typescript"] }))));
  value(await edge.time.until(client.register(aChat("b"))));
  expect(edge.upgrades).toHaveLength(1);
  expect(value(await edge.host.call("chats.get", { chat: "a" }))).toMatchObject({
    capabilities: ["typescript"],
    isConnected: false,
  });
  expect(value(await edge.host.call("chats.get", { chat: "b" })).isConnected).toBe(true);
  expect(client.self?.chat).toBe("b");
});

it("a chat that is registered over HTTP, while a socket is being opened, is registered on the socket, too", async () => {
  const edge = new FakeEdge();
  edge.faults.refusesSockets = true;
  const made = aClient(edge);
  value(await edge.time.until(made.client.call("state.get", { key: "k" })));
  edge.faults.latencyMs = 2_000;
  await edge.time.untilTrue(() => edge.upgrades.length === 2);
  edge.faults.refusesSockets = false;
  value(await edge.time.until(made.client.register(aChat("a"))));
  await edge.time.pass(60_000);
  expect(made.client.state).toBe("connected");
  expect(edge.upgrades).toHaveLength(2);
  expect(value(await edge.host.call("chats.get", { chat: "a" }))).toMatchObject({ isConnected: true, status: "idle" });
});

it("a chat that counts as gone is registered again, after a close and after a refusal", async () => {
  const { edge, call, ...made } = await onEdge();
  await edge.host.call("chats.attest-death", { chat: "a", machine: "m1", process: "process of a" });
  edge.tell();
  await edge.time.pass(1_000);
  expect(ofType(made, "registered").length).toBe(2);
  expect(statesOf(made)).toContain("disconnected");
  edge.connections[0]?.end("a", "chat.offline");
  await edge.time.pass(1_000);
  expect(ofType(made, "registered").length).toBe(3);
  edge.faults.refuses = ({ name }) => (name === "messages.pull" ? { code: "chat_offline", message: "gone" } : null);
  expect(codeOf(await call("messages.pull", {}))).toBe("chat_offline");
  await edge.time.pass(100);
  expect(ofType(made, "registered").length).toBe(4);
  expect(edge.count("chats.register")).toBe(4);
});

it("a registration reports whether the chat had counted as gone, or only lost its connection", async () => {
  const { edge, ...made } = await onEdge();
  edge.closeAll();
  await edge.time.pass(3_000);
  await edge.host.call("chats.attest-death", { chat: "a", machine: "m1", process: "process of a" });
  edge.tell();
  await edge.time.pass(3_000);
  expect(ofType(made, "registered").map(({ isNew, wasOffline }) => [isNew, wasOffline])).toEqual([
    [true, false],
    [false, false],
    [false, true],
  ]);
});

it("over HTTP a chat that counts as gone is noticed by its heartbeat", async () => {
  const { edge, ...made } = await withoutSockets();
  await edge.host.call("chats.attest-death", { chat: "a", machine: "m1", process: "process of a" });
  await edge.time.pass(10_100);
  expect(ofType(made, "registered").length).toBe(2);
  expect(value(await edge.host.call("chats.get", { chat: "a" })).status).toBe("idle");
});

it("a chat that another process has taken over is given up, and this is reported", async () => {
  const { edge, call, ...made } = await onEdge();
  await edge.host.call("chats.attest-death", { chat: "a", machine: "m1", process: "process of a" });
  edge.tell();
  await edge.host.call("chats.register", aChat("a", { process: "another" }));
  await edge.host.connect("a");
  edge.tell();
  await edge.time.pass(2_000);
  expect(ofType(made, "chat-lost")).toMatchObject([{ chat: "a", error: { code: "session_in_use" } }]);
  expect(made.client.self).toBeNull();
  expect(made.client.state).toBe("connected");
  expect(codeOf(await call("messages.pull", {}))).toBe("not_registered");
  await edge.time.pass(120_000);
  expect(edge.count("chats.register")).toBe(2);
});

it("a chat that was replaced learns it from the next refusal, or from its heartbeat", async () => {
  const edge = new FakeEdge();
  for (const refusesSockets of [false, true]) {
    edge.faults.refusesSockets = refusesSockets;
    edge.faults.refuses = () => null;
    const made = await registered(edge, `a-${refusesSockets}`);
    edge.faults.refuses = ({ name }) =>
      name === "messages.pull" || name === "chats.heartbeat" ? { code: "chat_replaced", message: "replaced" } : null;
    if (refusesSockets) await edge.time.pass(11_000);
    else expect(codeOf(await edge.time.until(made.client.call("messages.pull", {})))).toBe("chat_replaced");
    expect(ofType(made, "chat-lost")).toMatchObject([{ error: { code: "chat_replaced" } }]);
    expect(made.client.self).toBeNull();
  }
});

it("of two clients of one chat the later one stays, and they do not take turns", async () => {
  const edge = new FakeEdge();
  const first = await registered(edge, "a");
  const second = await registered(edge, "a");
  await edge.time.pass(120_000);
  expect(ofType(first, "chat-lost")).toMatchObject([{ error: { code: "chat_replaced" } }]);
  expect(ofType(second, "chat-lost")).toEqual([]);
  expect(edge.upgrades.length).toBe(3);
  expect(second.client.self).toEqual({ chat: "a", incarnation: 1 });
});

it("a refusal of the first registration is the caller's answer, and it is not tried again", async () => {
  const edge = new FakeEdge();
  await registered(edge, "a");
  const other = aClient(edge);
  const refused = await edge.time.until(other.client.register(aChat("b", { session: "ses_a" })));
  expect(refused).toMatchObject({ error: { code: "session_in_use", retryAfterMs: expect.any(Number) } });
  expect(codeOf(await edge.time.until(other.client.register(aChat("c", { machine: "m9" }))))).toBe("forbidden");
  expect(other.client.self).toBeNull();
  await edge.time.pass(60_000);
  expect(edge.count("chats.register")).toBe(3);
  expect(ofType(other, "chat-lost")).toEqual([]);
  await edge.host.call("settings.set", { settings: { maxConcurrentChats: 1 } }, admin);
  expect(codeOf(await edge.time.until(other.client.register(aChat("d"))))).toBe("too_many_chats");
});

it("a coordinator that cannot register now is asked again until the deadline", async () => {
  const { edge, ...made } = aClient();
  edge.faults.refuses = ({ name }) =>
    name === "chats.register" ? { code: "overloaded", message: "too much to do", retryAfterMs: 3_000 } : null;
  const answer = made.client.register(aChat("a"));
  await edge.time.pass(10_000);
  expect(edge.count("chats.register")).toBeLessThanOrEqual(4);
  edge.faults.refuses = () => null;
  value(await edge.time.until(answer));
  expect(ofType(made, "problem")[0]?.message).toContain("the chat is not registered: too much to do");
});

it("a registration that could not be renewed is renewed later", async () => {
  const { edge, ...made } = await onEdge();
  edge.faults.refuses = ({ name }) =>
    name === "chats.register" ? { code: "too_many_chats", message: "full", retryAfterMs: 5_000 } : null;
  edge.closeAll();
  await edge.time.pass(4_000);
  expect(made.client.state).toBe("connected");
  edge.faults.refuses = () => null;
  await edge.time.pass(7_000);
  expect(ofType(made, "registered").length).toBe(2);
  expect(ofType(made, "chat-lost")).toEqual([]);
});

it("without a coordinator a registration ends at its deadline, and says whether it may have happened", async () => {
  const { edge, client } = aClient();
  edge.faults.isUnreachable = true;
  expect(codeOf(await edge.time.until(client.register(aChat("a"), 5_000)))).toBe("unreachable");
  edge.faults.isUnreachable = false;
  edge.faults.loses = ({ direction, text }) => direction === "down" && text.includes("incarnation");
  expect(codeOf(await edge.time.until(client.register(aChat("a"), 40_000)))).toBe("outcome_unknown");
  expect(client.self).toBeNull();
});

it("a chat that leaves is not registered again", async () => {
  const { edge, ...made } = await onEdge();
  value(await edge.time.until(made.client.hold({ resource: "r" })));
  await edge.time.until(made.client.leave(5_000));
  await edge.time.pass(60_000);
  expect(edge.count("chats.register")).toBe(1);
  expect(value(await edge.host.call("chats.get", { chat: "a" }))).toMatchObject({ status: "offline", reason: "left" });
  expect(edge.count("chats.unregister")).toBe(1);
  expect(codeOf(await edge.time.until(made.client.hold({ resource: "r" })))).toBe("not_registered");
  expect(codeOf(await edge.time.until(made.client.lead({ name: "l" })))).toBe("not_registered");
});
