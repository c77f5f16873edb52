import { abortAllDurableObjects, evictDurableObject } from "cloudflare:test";
import { expect, vi } from "vitest";
import { pingText, pongText } from "#src/contract/protocol.ts";
import { Connection } from "./connection.ts";
import { aChat, bearer, it, origin, request, TestWorkspace, wait } from "./support.ts";

const replaced = { method: "chat.replaced", params: { chat: "c1" } };

function graceOf(workspace: TestWorkspace): Promise<unknown[]> {
  return workspace.rows("SELECT isConnected, graceUntil FROM chats WHERE chat = 'c1'");
}

const offline = (chat: string) => ({ method: "chat.offline", params: { chat } });

const connected = [{ isConnected: 1, graceUntil: null }];

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
  expect(await workspace.ask("health", {})).toMatchObject({ sockets: 1, chats: 1 });
  expect(await graceOf(workspace)).toEqual(connected);
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

it("a second connection of a chat replaces the first, whose end means nothing", async ({ workspace }) => {
  const first = await workspace.join("c1");
  const second = await workspace.join("c1");
  expect(second.self).toEqual(first.self);
  expect(await first.connection.next()).toMatchObject(replaced);
  first.connection.close();
  await first.connection.closed;
  expect(await graceOf(workspace)).toEqual(connected);
  await second.connection.ask("chats.heartbeat", { self: second.self });
  // Registering again over its own connection closes nothing, nor does it over HTTP.
  await second.connection.ask("chats.register", aChat("c1"));
  await workspace.register("c1");
  await second.connection.ask("chats.heartbeat", { self: second.self });
  expect(await graceOf(workspace)).toEqual(connected);
  expect((await workspace.ask("health", {})).sockets).toBe(1);
});

it("the connection of a chat that is offline hears so, and represents it no longer", async ({ workspace }) => {
  const left = await workspace.join("c1");
  await workspace.ask("chats.unregister", { self: left.self });
  expect(await left.connection.next()).toMatchObject(offline("c1"));
  const silent = await workspace.join("c2");
  await workspace.ask("leases.acquire", { self: silent.self, resource: "r", requestId: "q" });
  wait(30_000);
  await workspace.ring();
  expect(await silent.connection.next()).toMatchObject(offline("c2"));
  expect(await statusOf(workspace, "c2")).toEqual(["offline", "timeout", false]);
  const attested = await workspace.join("c3");
  await workspace.ask("chats.attest-death", { chat: "c3", machine: "m1", process: "boot-1/1/100" });
  expect(await attested.connection.next()).toMatchObject(offline("c3"));
});

it("a crash of the object declares nobody dead", async ({ workspace }) => {
  const { self } = await workspace.join("c1");
  await workspace.ask("leases.acquire", { self, resource: "r", requestId: "q", isBound: true });
  await abortAllDurableObjects();
  wait(1_000);
  expect(await statusOf(workspace, "c1")).toEqual(["idle", null, false]);
  expect(await graceOf(workspace)).toEqual([{ isConnected: 0, graceUntil: Date.now() + 90_000 }]);
  expect((await workspace.ask("leases.list", {})).leases).toHaveLength(1);
});

async function aTicket(workspace: TestWorkspace, token = workspace.token): Promise<string> {
  const path = `/v1/workspaces/${workspace.name}/tickets`;
  const answer = await request(path, { method: "POST", headers: bearer(token), body: "{}" });
  return (await answer.json<{ ticket: string }>()).ticket;
}

/** As a browser opens a socket of the deployment's own page. */
function open(workspace: TestWorkspace, ticket: string, more: Record<string, string> = {}): Promise<Response> {
  const own = { upgrade: "websocket", host: new URL(origin).host, origin, "sec-fetch-site": "same-origin" };
  const headers = { ...own, "sec-websocket-protocol": `shim.page, ${ticket}`, ...more };
  return request(`/v1/workspaces/${workspace.name}/connect`, { headers });
}

it("a page's ticket opens one socket, which reads, also after the object has slept", async ({ workspace }) => {
  const ticket = await aTicket(workspace);
  const opened = await open(workspace, ticket);
  expect([opened.status, opened.headers.get("sec-websocket-protocol")]).toEqual([101, "shim.page"]);
  const socket = new Connection(opened.webSocket as WebSocket);
  for (const sleep of [() => undefined, () => evictDurableObject(workspace.stub)]) {
    await sleep();
    expect((await open(workspace, ticket)).status).toBe(401);
    expect(await socket.ask("health", {})).toMatchObject({ sockets: 1 });
    expect(await socket.refusal("chats.register", aChat("c1"))).toBe("forbidden");
  }
});

it("a ticket is good for 30 seconds, for its workspace, and while its token is", async ({ workspace }) => {
  const other = await TestWorkspace.create();
  const old = await aTicket(workspace);
  wait(30_000);
  expect((await open(workspace, old)).status).toBe(401);
  expect((await open(other, await aTicket(workspace))).status).toBe(403);
  const { id, token } = await workspace.tokenOf("observe");
  const ticket = await aTicket(workspace, token);
  await workspace.ask("tokens.revoke", { id });
  expect((await open(workspace, ticket)).status).toBe(401);
});

it("no socket opens for another Origin or without its ticket; a ticket is no token", async ({ workspace }) => {
  const ticket = await aTicket(workspace);
  const cases: readonly (readonly [Record<string, string>, string])[] = [
    ...["https://evil.test", "null", "http://shim.example"].map((page) => [{ origin: page }, ticket] as const),
    [{ "sec-fetch-site": "cross-site" }, ticket],
    ...["shim.page", ticket, "shim.page, ticket.e30.x", `shim.page, ${workspace.token}`].map(
      (text) => [{ "sec-websocket-protocol": text }, ticket] as const,
    ),
    [{}, `${ticket.slice(0, -4)}${ticket.endsWith("AAAA") ? "BBBB" : "AAAA"}`],
    [{}, ticket.replace("ticket.", "")],
    [bearer(workspace.token), "none"],
  ];
  for (const [headers, given] of cases)
    expect([headers, given, (await open(workspace, given, headers)).status]).toEqual([headers, given, 403]);
  const path = `/v1/workspaces/${workspace.name}`;
  for (const text of [ticket, ticket.replace("ticket.", "shim_"), ticket.replace("ticket.", "")])
    expect((await request(`${path}/health`, { headers: bearer(text) })).status).toBe(401);
  expect((await request(`${path}/tickets`, { method: "POST", body: "{}" })).status).toBe(401);
  expect((await open(workspace, ticket)).status).toBe(101);
});
