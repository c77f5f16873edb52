import { expect, it } from "vitest";
import type { Message } from "#src/contract/messages.ts";
import { onEdge, aChat, ofType, registered, value } from "#harness/edge/edge-clients.ts";
import { FakeEdge } from "#harness/edge/fake-edge.ts";

/** Sent by another chat of the workspace, without a client. */
async function sender(edge: FakeEdge): Promise<(body: string, priority?: Message["priority"]) => Promise<void>> {
  const { chat, incarnation } = value(await edge.host.call("chats.register", aChat("sender")));
  await edge.host.connect("sender");
  const keepAlive = (): void => {
    void edge.host.ping("sender");
    edge.time.setTimer(keepAlive, 10_000);
  };
  keepAlive();
  return async (body, priority = "normal") => {
    const self = { chat, incarnation };
    value(await edge.host.call("messages.send", { self, target: { to: "all" }, body, priority }));
    edge.tell();
  };
}

/** A chat that takes its messages in. */
async function anInbox(edge = new FakeEdge()) {
  const { client } = await registered(edge, "a");
  const send = await sender(edge);
  const taken: unknown[] = [];
  client.inbox(({ body }) => void taken.push(body));
  await edge.time.pass(100);
  return { edge, client, send, taken };
}

async function unread(edge: FakeEdge, chat: string): Promise<number> {
  const self = { chat, incarnation: 1 };
  return value(await edge.host.call("messages.pull", { self })).unread;
}

it("[EC17] [EC47] messages come when they are hinted at, in order, and are acknowledged", async () => {
  const { edge, send, taken } = await anInbox();
  for (const body of ["one", "two", "three"]) await send(body);
  await edge.time.pass(100);
  expect(taken).toEqual(["one", "two", "three"]);
  expect(await unread(edge, "a")).toBe(0);
  expect(edge.count("messages.pull")).toBeLessThan(5);
});

it("[EC17] higher priorities come first, and more than a page comes at once", async () => {
  const { edge, client } = await onEdge();
  const send = await sender(edge);
  for (let at = 0; at < 120; at++) await send(`${at}`, at === 110 ? "high" : "normal");
  const taken: unknown[] = [];
  client.inbox(({ body }) => void taken.push(body));
  await edge.time.pass(500);
  expect(taken.length).toBe(120);
  expect(taken.slice(0, 3)).toEqual(["110", "0", "1"]);
  expect(await unread(edge, "a")).toBe(0);
});

it("[EC17] a message whose hint was lost comes within 30 s, and one that was sent meanwhile with the reconnect", async () => {
  const { edge, client, send, taken } = await anInbox();
  edge.faults.loses = ({ text }) => text.includes("messages.new");
  await send("quiet");
  await edge.time.pass(29_000);
  expect(taken).toEqual([]);
  await edge.time.pass(1_500);
  expect(taken).toEqual(["quiet"]);
  edge.faults.isUnreachable = true;
  edge.closeAll();
  await edge.time.pass(2_000);
  await send("meanwhile");
  edge.faults.isUnreachable = false;
  await edge.time.untilTrue(() => client.state === "connected");
  await edge.time.pass(100);
  expect(taken).toEqual(["quiet", "meanwhile"]);
});

it("[EC17] [MS29] messages come behind thousands to others, over which a pull takes several turns @night", async () => {
  const { edge, client } = await onEdge();
  const send = await sender(edge);
  const self = { chat: "a", incarnation: 1 };
  value(await edge.host.call("messages.subscribe", { self, pattern: "news.*" }));
  for (let at = 0; at < 4_500; at++) {
    const target = { to: "topic", topic: "other" } as const;
    value(await edge.host.call("messages.send", { self: { ...self, chat: "sender" }, target, body: at }));
  }
  await send("last");
  const taken: unknown[] = [];
  client.inbox(({ body }) => void taken.push(body));
  await edge.time.pass(500);
  expect(taken).toEqual(["last"]);
});

it("[EC17] over HTTP the heartbeat reports that there are messages", async () => {
  const edge = new FakeEdge();
  edge.faults.refusesSockets = true;
  const { send, taken } = await anInbox(edge);
  await send("one");
  await edge.time.pass(10_500);
  expect(taken).toEqual(["one"]);
});

it("[EC47] a message that could not be handled comes again, and does not delay the others", async () => {
  const { edge, ...made } = await onEdge();
  const send = await sender(edge);
  const taken: unknown[] = [];
  let isBroken = true;
  made.client.inbox(async ({ body }) => {
    await Promise.resolve();
    if (body === "bad" && isBroken) throw new Error("not now");
    taken.push(body);
  });
  for (const body of ["one", "bad", "two"]) await send(body);
  await edge.time.pass(1_000);
  expect(taken).toEqual(["one", "two"]);
  expect(ofType(made, "problem")[0]?.message).toBe("message 2 was not handled and will be delivered again: not now");
  expect(await unread(edge, "a")).toBe(1);
  const pulls = edge.count("messages.pull");
  await edge.time.pass(20_000);
  expect(edge.count("messages.pull")).toBe(pulls);
  isBroken = false;
  await edge.time.pass(15_000);
  expect(taken).toEqual(["one", "two", "bad"]);
  expect(await unread(edge, "a")).toBe(0);
});

it("[EC47] a lost acknowledgement does not bring a message twice to the same process", async () => {
  const { edge, send, taken } = await anInbox();
  edge.faults.refuses = ({ name }) => (name === "messages.ack" ? { code: "rate_limited", message: "slow down" } : null);
  await send("one");
  await edge.time.pass(65_000);
  expect(edge.count("messages.ack")).toBeGreaterThan(1);
  expect(taken).toEqual(["one"]);
  edge.faults.refuses = () => null;
  await edge.time.pass(31_000);
  expect(await unread(edge, "a")).toBe(0);
  expect(taken).toEqual(["one"]);
});

it("[EC17] a closed inbox takes nothing in, and a message that was not reached stays", async () => {
  const { edge, client } = await onEdge();
  const send = await sender(edge);
  const taken: unknown[] = [];
  const close = client.inbox(({ body }) => {
    taken.push(body);
    close();
  });
  for (const body of ["one", "two"]) await send(body);
  await edge.time.pass(61_000);
  expect(taken).toEqual(["one"]);
  expect(await unread(edge, "a")).toBe(1);
});
