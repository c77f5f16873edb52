import { abortAllDurableObjects, evictDurableObject } from "cloudflare:test";
import { expect, vi, onTestFinished } from "vitest";
import { pingText, pongText } from "#src/contract/sockets.ts";
import { Outgoing } from "#src/durable/attachments.ts";
import { Connection, aChat, bearer, it, origin, request, send, TestWorkspace, wait } from "./support.ts";

const connected = { status: "idle", isConnected: true };

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
  expect(await workspace.chat("c1")).toMatchObject(connected);
  await evictDurableObject(workspace.stub);
  // Woken by a frame: the connection still represents its chat, and is told what concerns it.
  await connection.ask("chats.heartbeat", { self });
  await workspace.ask("messages.send", { self, target: { to: "chat", chat: "c1" }, body: "x" });
  expect(await connection.next()).toMatchObject({ method: "messages.new", params: { chat: "c1" } });
  // Nor was it taken for one that is lost: its end has the usual grace.
  connection.close();
  await workspace.disconnected("c1");
  wait(20_000);
  expect(await workspace.chat("c1")).toMatchObject({ status: "offline", reason: "closed" });
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
  expect(await first.connection.next()).toMatchObject({ method: "chat.replaced", params: { chat: "c1" } });
  first.connection.close();
  await first.connection.closed;
  expect(await workspace.chat("c1")).toMatchObject(connected);
  // Registering again over its own connection closes nothing, nor does it over HTTP.
  await second.connection.ask("chats.register", aChat("c1"));
  await workspace.register("c1");
  await second.connection.ask("chats.heartbeat", { self: second.self });
  expect(await workspace.chat("c1")).toMatchObject(connected);
  expect((await workspace.ask("health", {})).sockets).toBe(1);
});

it("the connection of a chat that is offline hears so, and represents it no longer", async ({ workspace }) => {
  const { connection, self } = await workspace.join("c2");
  await workspace.ask("leases.acquire", { self, resource: "r", requestId: "q" });
  wait(30_000);
  await workspace.ring();
  expect(await connection.next()).toMatchObject({ method: "chat.offline", params: { chat: "c2" } });
  expect(await workspace.chat("c2")).toMatchObject({ status: "offline", reason: "timeout", isConnected: false });
});

it("a crash of the object declares no chat dead before it had 90 seconds to come back", async ({ workspace }) => {
  await workspace.join("c1");
  await abortAllDurableObjects();
  expect(await workspace.chat("c1")).toMatchObject({ status: "idle", isConnected: false });
  wait(89_999);
  expect(await workspace.chat("c1")).toMatchObject({ status: "idle" });
  wait(1);
  expect(await workspace.chat("c1")).toMatchObject({ status: "offline" });
});

async function aTicket({ name, token: own }: TestWorkspace, token = own): Promise<string> {
  const answer = await send(`/v1/workspaces/${name}/tickets`, "POST", {}, token);
  return (await answer.json<{ ticket: string }>()).ticket;
}

/** As a browser opens a socket of the deployment's own page. */
function open({ name }: TestWorkspace, ticket: string, more: Record<string, string> = {}): Promise<Response> {
  const own = { upgrade: "websocket", host: new URL(origin).host, origin, "sec-fetch-site": "same-origin" };
  const headers = { ...own, "sec-websocket-protocol": `shim.page, ${ticket}`, ...more };
  return request(`/v1/workspaces/${name}/connect`, { headers });
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
  const changed = `${ticket.slice(0, -4)}${ticket.endsWith("AAAA") ? "BBBB" : "AAAA"}`;
  const given = ["ticket.e30.x", workspace.token, changed, ticket.replace("ticket.", "")];
  const protocols = ["shim.page", ticket, ...given.map((one) => `shim.page, ${one}`)];
  const cases: Record<string, string>[] = [
    ...["https://evil.test", "null", "http://shim.example"].map((page) => ({ origin: page })),
    { "sec-fetch-site": "cross-site" },
    ...protocols.map((one) => ({ "sec-websocket-protocol": one })),
    { ...bearer(workspace.token), "sec-websocket-protocol": "shim.page, none" },
  ];
  for (const headers of cases)
    expect([headers, (await open(workspace, ticket, headers)).status]).toEqual([headers, 403]);
  const path = `/v1/workspaces/${workspace.name}`;
  for (const text of [ticket, ticket.replace("ticket.", "shim_"), ticket.replace("ticket.", "")])
    expect((await request(`${path}/health`, { headers: bearer(text) })).status).toBe(401);
  expect((await request(`${path}/tickets`, { method: "POST", body: "{}" })).status).toBe(401);
  expect((await open(workspace, ticket)).status).toBe(101);
});

const second = 1_000;

/** Timers of the object, which the test lets ring; all others are the runtime's. */
function holdTimers() {
  const held: { readonly work: () => void; readonly ms: number }[] = [];
  const real = globalThis.setTimeout;
  const spy = vi
    .spyOn(globalThis, "setTimeout")
    .mockImplementation(((work: () => void, ms = 0) =>
      ms === 0 || ms > second ? real(work, ms) : held.push({ work, ms })) as typeof setTimeout);
  onTestFinished(() => spy.mockRestore());
  const ring = (): void => held.splice(0).forEach(({ work }) => work());
  return { ms: () => held.map(({ ms }) => ms), ring: (workspace: TestWorkspace) => workspace.inside(ring) };
}

/** Names of the watches that were hinted. */
async function hints(connection: Connection): Promise<unknown[]> {
  const told = await connection.told();
  return told.filter(({ method }) => method === "state.changed").map(({ params }) => params?.["watch"]);
}

function submit(workspace: TestWorkspace): Promise<unknown> {
  return workspace.ask("tasks.submit", { tasks: [{ type: "build" }] });
}

it("a watch is hinted at what changes below its prefix, and at nothing else", async ({ workspace }) => {
  const connection = await workspace.connect();
  expect(await connection.ask("state.watch", { watch: "w", prefix: "a/" })).toEqual({ watch: "w", revision: 0 });
  await connection.ask("state.watch", { watch: "chats", prefix: "$chat/" });
  await connection.ask("state.watch", { watch: "all" });
  await workspace.ask("state.set", { key: "b/a/1", value: 1 });
  expect(await hints(connection)).toEqual(["all"]);
  wait(second);
  await workspace.ask("state.set", { key: "a/2", value: 1 });
  expect(await hints(connection)).toEqual(["w", "all"]);
  // The same name replaces the older watch.
  await connection.ask("state.watch", { watch: "w", prefix: "b/" });
  expect(await connection.ask("state.unwatch", { watch: "all" })).toEqual({ isRemoved: true });
  wait(second);
  await workspace.ask("state.set", { key: "a/2", value: 1 });
  await workspace.register("c1");
  expect(await hints(connection)).toEqual(["chats"]);
  // Too many changes to compare may be below any prefix.
  await workspace.ask("settings.set", { settings: { maxOperationsPerSecond: 100_000 } });
  const writes = Array.from({ length: 100 }, (_, n) => ({ op: "set", key: `c/${n}`, value: 1 }));
  const updates = Array.from({ length: 20 }, (_, id) => ({
    jsonrpc: "2.0",
    id,
    method: "state.update",
    params: { writes },
  }));
  wait(second);
  await (await workspace.connect()).frame(updates);
  expect(await hints(connection)).toEqual(["chats", "w"]);
});

it("a watch is hinted at once, then once a second, and never while nothing changes", async ({ workspace }) => {
  const timers = holdTimers();
  const page = await workspace.connect();
  await page.ask("state.watch", { watch: "task", prefix: "$task/" });
  await page.ask("state.watch", { watch: "file", prefix: "$file/" });
  await submit(workspace);
  expect(await hints(page)).toEqual(["task"]);
  wait(400);
  for (let times = 0; times < 5; times++) await submit(workspace);
  expect([await hints(page), timers.ms()]).toEqual([[], [second]]);
  wait(second);
  await timers.ring(workspace);
  expect([await hints(page), timers.ms()]).toEqual([["task"], []]);
  wait(10 * second);
  await workspace.ask("state.set", { key: "k", value: 1 });
  expect([await hints(page), timers.ms()]).toEqual([[], []]);
  await submit(workspace);
  expect(await hints(page)).toEqual(["task"]);
});

it("over hibernations no hint is missed or repeated", async ({ workspace }) => {
  const page = await workspace.connect();
  await page.ask("state.watch", { watch: "w", prefix: "mine/" });
  for (const [key, hinted] of [
    ["other", []],
    ["mine/1", ["w"]],
    ["mine/2", ["w"]],
  ] as const) {
    await evictDurableObject(workspace.stub);
    wait(second);
    await workspace.ask("health", {});
    expect(await hints(page)).toEqual([]);
    await workspace.ask("state.set", { key, value: 1 });
    expect(await hints(page)).toEqual(hinted);
  }
});

it("chats and watches of a connection are bounded in number and size", async ({ workspace }) => {
  const connection = await workspace.connect();
  const [id, chat] = ["w".repeat(126), "c".repeat(126)];
  for (let n = 10; n < 42; n++) await connection.ask("chats.register", aChat(`${chat}${n}`, { session: `s${n}` }));
  expect(await connection.refusal("chats.register", aChat("one-more"))).toBe("quota_exceeded");
  await connection.ask("chats.register", aChat(`${chat}10`, { session: "s10" }));
  for (let n = 10; n < 26; n++) await connection.ask("state.watch", { watch: `${id}${n}`, prefix: "p".repeat(384) });
  expect(await connection.refusal("state.watch", { watch: "one-more" })).toBe("quota_exceeded");
  for (let n = 10; n < 26; n++) await connection.ask("state.unwatch", { watch: `${id}${n}` });
  const wide = "\u6f22".repeat(384);
  for (let n = 10; n < 18; n++) await connection.ask("state.watch", { watch: `${id}${n}`, prefix: wide });
  expect(await connection.refusal("state.watch", { watch: "wide", prefix: "\u6f22" })).toBe("quota_exceeded");
  await connection.ask("state.watch", { watch: "narrow" });
  await workspace.ask("state.set", { key: "\u6f22", value: 1 });
  expect(await hints(connection)).toContain("narrow");
});

it("a hint names its chat, and goes to its connection alone, also from an alarm", async ({ workspace }) => {
  const [one, two, three] = [await workspace.join("c1"), await workspace.join("c2"), await workspace.join("c3")];
  // It stands for no chat.
  const outsider = await workspace.connect();
  const self = await workspace.register("sender");
  await two.connection.ask("messages.subscribe", { self: two.self, pattern: "build.*" });
  await three.connection.ask("messages.subscribe", { self: three.self, pattern: "build.web" });
  const told = async (): Promise<string[]> => {
    const all: string[] = [];
    for (const connection of [one.connection, two.connection, three.connection, outsider])
      for (const { method, params } of await connection.told())
        all.push(`${method} ${Object.values(params ?? {}).join(" ")}`);
    return all;
  };
  for (const [target, chats] of [
    [{ to: "chat", chat: "c1" }, ["c1"]],
    [{ to: "topic", topic: "build.web" }, ["c2", "c3"]],
    [{ to: "topic", topic: "build.api" }, ["c2"]],
    [{ to: "all" }, ["c1", "c2", "c3"]],
  ] as const) {
    await workspace.ask("messages.send", { self, target, body: "x" });
    expect(await told()).toEqual(chats.map((chat) => `messages.new ${chat}`));
  }
  await one.connection.ask("leases.acquire", { self: one.self, resource: "r", requestId: "q", ttlMs: 10_000 });
  await two.connection.ask("leases.acquire", { self: two.self, resource: "r", requestId: "q", waitMs: 60_000 });
  wait(10_000);
  await workspace.ring();
  expect(await told()).toEqual(["lease.granted c2 r"]);
});

const keyId = "0123456789abcdef";

function put(workspace: TestWorkspace, session: string, token: string, key = keyId): Promise<unknown> {
  const record = { kind: "session" as const, session, ageMs: 0, envelope: "AAAA", replaces: 0 };
  return workspace.call("sync.put", { device: "d2", keyId: key, records: [record] }, token);
}

it("puts are hinted to chats of other machines, once for several; a death is at once", async ({ workspace }) => {
  const { token } = await workspace.tokenOf("work", "m2");
  const [other, own] = [await workspace.join("c1"), await workspace.join("c2", { machine: "m2" })];
  await put(workspace, "s1", token);
  expect(await other.connection.told()).toMatchObject([{ method: "sync.changed" }]);
  await put(workspace, "s7", token, "f".repeat(16));
  for (const session of ["s1", "s2", "s3"]) await put(workspace, session, token);
  expect([await other.connection.told(), await own.connection.told()]).toEqual([[], []]);
  const hinted: Record<string, unknown> = {};
  for (const chat of ["attested", "left"]) {
    const { self } = await workspace.join(chat, { machine: "m2", session: chat });
    await workspace.ask("leases.acquire", { self, resource: `session:${chat}`, requestId: "q", isBound: true }, token);
    await put(workspace, chat, token);
    if (chat === "left") await workspace.ask("chats.unregister", { self }, token);
    else await workspace.ask("chats.attest-death", { chat, machine: "m2", process: "boot-1/1/100" }, token);
    hinted[chat] = (await other.connection.told()).map(({ method }) => method);
  }
  expect(hinted).toEqual({ attested: ["sync.changed"], left: [] });
});

it("a chat that only calls over HTTP ages, is announced and deleted as others", async ({ workspace }) => {
  await workspace.register("c1");
  const self = await workspace.register("c2");
  const watcher = await workspace.join("watcher");
  await watcher.connection.ask("state.watch", { watch: "w", prefix: "$chat/c1" });
  wait(2 * 3_600_000 - 1_000);
  await workspace.ask("chats.register", aChat("c2"));
  wait(1_000);
  await workspace.ring();
  expect(await watcher.connection.next()).toMatchObject({ method: "state.changed", params: { watch: "w" } });
  expect(await workspace.rows("SELECT status, reason FROM chats WHERE chat = 'c1'")).toEqual([
    { status: "offline", reason: "timeout" },
  ]);
  expect(await workspace.chat("c2")).toMatchObject({ status: "idle" });
  wait(3_600_000);
  await workspace.ring();
  expect(await workspace.rows("SELECT status FROM chats WHERE chat = 'c2'")).toEqual([{ status: "offline" }]);
  expect(await workspace.refusal("chats.heartbeat", { self })).toBe("chat_offline");
  wait(86_400_000);
  await workspace.ring();
  expect(await workspace.rows("SELECT chat FROM chats WHERE chat = 'c1'")).toEqual([]);
});

it("a message to all is announced in parts, between which others are answered", async ({ workspace }) => {
  const sockets: Connection[] = [];
  for (let at = 0; at < 14; at += 1) {
    const connection = await workspace.connect();
    sockets.push(connection);
    const frame = Array.from({ length: 32 }, (_, nth) => {
      return { jsonrpc: "2.0", id: nth, method: "chats.register", params: aChat(`c${at * 32 + nth}`) };
    });
    await workspace.ask("settings.set", { settings: { maxConcurrentChats: 1_000 } });
    await connection.frame(frame);
  }
  const self = { chat: "c0", incarnation: 1 };
  const sent = vi.spyOn(Outgoing.prototype, "send");
  onTestFinished(() => sent.mockRestore());
  await workspace.ask("messages.send", { self, target: { to: "all" }, body: "x" });
  const hints = (): number => sent.mock.calls.filter(([, text]) => text.includes("messages.new")).length;
  const atOnce = hints();
  for (const connection of sockets) for (let chat = 0; chat < 32; chat += 1) await connection.next();
  expect([atOnce <= 200, hints()]).toEqual([true, 14 * 32]);
});

it("a token that was revoked gets no ticket", async ({ workspace }) => {
  const { id, token } = await workspace.tokenOf("observe");
  await workspace.ask("tokens.revoke", { id });
  const asked = send(`/v1/workspaces/${workspace.name}/tickets`, "POST", {}, token);
  expect((await asked).status).toBe(401);
});
