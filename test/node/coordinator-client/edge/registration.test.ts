import { expect, it } from "vitest";
import { onEdge, aChat, aClient, ofType, registered, statesOf } from "#harness/edge/edge-runtime.ts";
import { codeOf, given } from "#harness/coordinator/peers.ts";
import { chatOf } from "#harness/coordinator/views.ts";
import { FakeEdge } from "#harness/edge/fake-edge.ts";
import { admin } from "#harness/coordinator/engine-host.ts";

it("a connection registers the chat before anything else", async () => {
  const { edge, client } = aClient();
  const answer = client.register(aChat("a:b@c"));
  const early = client.call("state.get", { key: "k" });
  expect(given(await edge.time.until(answer))).toMatchObject({ chat: "a:b@c", incarnation: 1, isNew: true });
  given(await edge.time.until(early));
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
  given(await call("state.get", { key: "k" }));
  for (const chat of [aChat("a"), aChat("a", { capabilities: ["typescript"] }), aChat("b")])
    given(await edge.time.until(client.register(chat)));
  expect(edge.upgrades).toHaveLength(1);
  expect(await chatOf(edge.host, "a")).toMatchObject({ capabilities: ["typescript"], isConnected: false });
  expect(await chatOf(edge.host, "b")).toMatchObject({ isConnected: true });
  expect(client.self?.chat).toBe("b");
});

it("a chat that is registered instead, while another one's registration is not answered, is registered", async () => {
  const edge = new FakeEdge();
  for (const { client } of [await registered(edge, "a"), aClient(edge)]) {
    const early = client.register(aChat("b"));
    await edge.time.pass(7);
    const late = client.register(aChat("c"));
    expect(codeOf(await edge.time.until(early))).toBe("closed");
    expect(given(await edge.time.until(late, 5_000)).chat).toBe("c");
    await edge.time.until(client.leave(1_000));
  }
});

it("a chat that is registered over HTTP, while a socket is being opened, is registered on the socket, too", async () => {
  const edge = new FakeEdge();
  edge.faults.refusesSockets = true;
  // Also while HTTP is only tried.
  const early = aClient(edge).client;
  void early.call("state.get", { key: "k" });
  await edge.time.untilTrue(() => edge.count("health") === 1);
  given(await edge.time.until(early.register(aChat("b")), 5_000));
  early.close();
  const made = aClient(edge);
  given(await edge.time.until(made.client.call("state.get", { key: "k" })));
  edge.faults.latencyMs = 2_000;
  const before = edge.upgrades.length;
  await edge.time.untilTrue(() => edge.upgrades.length > before);
  edge.faults.refusesSockets = false;
  given(await edge.time.until(made.client.register(aChat("a"))));
  await edge.time.pass(60_000);
  expect(made.client.state).toBe("connected");
  expect(edge.upgrades).toHaveLength(before + 1);
  expect(await chatOf(edge.host, "a")).toMatchObject({ isConnected: true, status: "idle" });
});

const death = { chat: "a", machine: "m1", process: "process of a" };

it("a chat that counts as gone is registered again, after a close and after a refusal", async () => {
  const { edge, call, ...made } = await onEdge();
  const registeredTimes = async (times: number): Promise<void> => {
    await edge.time.pass(1_000);
    expect(ofType(made, "registered").length).toBe(times);
  };
  await edge.host.call("chats.attest-death", death);
  edge.tell();
  await registeredTimes(2);
  expect(statesOf(made)).toContain("disconnected");
  edge.connections[0]?.end("a", "chat.offline");
  await registeredTimes(3);
  edge.faults.refuses = ({ name }) => (name === "messages.pull" ? { code: "chat_offline", message: "gone" } : null);
  expect(codeOf(await call("messages.pull", {}))).toBe("chat_offline");
  await registeredTimes(4);
});

it("a chat that another process has taken over is given up, and this is reported", async () => {
  const { edge, call, ...made } = await onEdge();
  await edge.host.call("chats.attest-death", death);
  edge.tell();
  await edge.host.call("chats.register", aChat("a", { process: "another" }));
  await edge.host.connect("a");
  edge.tell();
  await edge.time.pass(2_000);
  expect(ofType(made, "chat-lost")).toMatchObject([{ error: { code: "session_in_use" } }]);
  expect([made.client.self, made.client.state]).toEqual([null, "connected"]);
  expect(codeOf(await call("messages.pull", {}))).toBe("not_registered");
  await edge.time.pass(120_000);
  expect(edge.count("chats.register")).toBe(2);
});

it("a chat that was replaced is given up with the next refusal, over a socket and over HTTP", async () => {
  for (const refusesSockets of [false, true]) {
    const edge = new FakeEdge();
    edge.faults.refusesSockets = refusesSockets;
    const made = await registered(edge, "a");
    // What an earlier or another process is refused says nothing of this one.
    const other = { self: { chat: "a", incarnation: 2 } };
    expect(codeOf(await edge.time.until(made.client.call("messages.pull", other)))).toBe("chat_replaced");
    expect(made.client.self).toEqual({ chat: "a", incarnation: 1 });
    edge.faults.refuses = ({ name }) =>
      ["messages.pull", "chats.heartbeat"].includes(name) ? { code: "chat_replaced", message: "replaced" } : null;
    expect(codeOf(await edge.time.until(made.client.call("messages.pull", {})))).toBe("chat_replaced");
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

it("without a coordinator a registration ends at its deadline, and says whether it may have happened", async () => {
  const { edge, client } = aClient();
  edge.faults.isUnreachable = true;
  expect(codeOf(await edge.time.until(client.register(aChat("a"), 5_000)))).toBe("unreachable");
  edge.faults.isUnreachable = false;
  edge.faults.loses = ({ direction, text }) => direction === "down" && text.includes("incarnation");
  expect(codeOf(await edge.time.until(client.register(aChat("a"), 40_000)))).toBe("outcome_unknown");
  expect(client.self).toBeNull();
});

it("a registration that is refused for now until its deadline says why", async () => {
  const { edge, client } = aClient();
  await edge.host.call("workspace.freeze", { ms: 60_000 }, admin);
  expect(await edge.time.until(client.register(aChat("a"), 5_000))).toMatchObject({
    error: { code: "frozen", message: expect.stringContaining("read only until") as string },
  });
  expect(client.self).toBeNull();
});
