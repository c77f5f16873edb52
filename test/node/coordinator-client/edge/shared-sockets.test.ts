import { expect, it, onTestFinished } from "vitest";
import { maxChatsPerSocket } from "#src/contract/protocol.ts";
import { WorkspaceClient } from "#src/coordinator-client/client.ts";
import { EdgeSockets } from "#src/coordinator-client/edge/socket.ts";
import { aChat, platformOf, value } from "#harness/edge/edge-clients.ts";
import { edgeUrl, FakeEdge, token } from "#harness/edge/fake-edge.ts";
import { Machine } from "#harness/clock/fake-time.ts";

/** The chats of one process, each with a client of its own. */
class Chats {
  readonly edge = new FakeEdge();
  readonly sockets = new EdgeSockets();
  readonly #platform = platformOf(this.edge, new Machine(this.edge.time));

  open(by = token): WorkspaceClient {
    const options = { edge: edgeUrl, workspace: "w1", token: by };
    const client = value(WorkspaceClient.open(options, this.#platform, this.sockets));
    onTestFinished(() => client.close());
    return client;
  }

  async join(chat: string): Promise<WorkspaceClient> {
    const client = this.open();
    value(await this.edge.time.until(client.register(aChat(chat))));
    return client;
  }

  async stateOf(chat: string): Promise<[string, boolean]> {
    const { status, isConnected } = value(await this.edge.host.call("chats.get", { chat }));
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
  value(await chats.edge.time.until(sent));
  await chats.edge.time.pass(100);
  expect(heard).toEqual(["b message"]);
});

it("a chat that closes leaves the socket to the others; the last one closes it", async () => {
  const chats = new Chats();
  const [a, b] = [await chats.join("a"), await chats.join("b")];
  const late = a.call("state.get", { key: "k" });
  a.close();
  expect(await chats.edge.time.until(late)).toMatchObject({ ok: false });
  await chats.edge.time.pass(100);
  expect(await chats.stateOf("a")).toEqual(["idle", false]);
  expect(await chats.stateOf("b")).toEqual(["idle", true]);
  value(await chats.edge.time.until(b.call("state.get", { key: "k" })));
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

it("when the socket breaks all its chats come back on one", async () => {
  const chats = new Chats();
  const clients = [await chats.join("a"), await chats.join("b"), await chats.join("c")];
  chats.edge.closeAll();
  await chats.edge.time.pass(5_000);
  expect(clients.map(({ state }) => state)).toEqual(["connected", "connected", "connected"]);
  expect(chats.edge.connections.map((connection) => [...connection.chats].toSorted())).toEqual([["a", "b", "c"]]);
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
