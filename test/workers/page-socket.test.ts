import { evictDurableObject } from "cloudflare:test";
import { expect } from "vitest";
import { pingText, pongText } from "#src/contract/protocol.ts";
import { Connection } from "./connection.ts";
import { aChat, bearer, it, origin, request, TestWorkspace, wait } from "./support.ts";

type Headers = Readonly<Record<string, string>>;

async function aTicket(workspace: TestWorkspace, token = workspace.token): Promise<string> {
  const path = `/v1/workspaces/${workspace.name}/tickets`;
  const answer = await request(path, { method: "POST", headers: bearer(token), body: "{}" });
  expect(answer.headers.get("cache-control")).toBe("no-store");
  const { ticket, expiresInMs } = await answer.json<{ ticket: string; expiresInMs: number }>();
  expect(expiresInMs).toBe(30_000);
  return ticket;
}

/** As a browser opens a socket of the deployment's own page. */
function connect(workspace: TestWorkspace, ticket: string, more: Headers = {}, query = ""): Promise<Response> {
  return request(`/v1/workspaces/${workspace.name}/connect${query}`, {
    headers: {
      upgrade: "websocket",
      host: new URL(origin).host,
      origin,
      "sec-fetch-site": "same-origin",
      "sec-websocket-protocol": `shim.page, ${ticket}`,
      ...more,
    },
  });
}

it("a ticket opens one socket, which answers as the token's own would", async ({ workspace }) => {
  const ticket = await aTicket(workspace);
  const opened = await connect(workspace, ticket);
  expect([opened.status, opened.headers.get("sec-websocket-protocol")]).toEqual([101, "shim.page"]);
  const socket = new Connection(opened.webSocket as WebSocket);
  const { answer } = await socket.exchange("health", {});
  expect(answer.result).toMatchObject({ sockets: 1 });
  expect((await connect(workspace, ticket)).status).toBe(401);
  expect((await socket.exchange("chats.register", aChat("c1"))).answer.error?.data.code).toBe("forbidden");
  const { answer: after } = await socket.exchange("health", {});
  expect(after.result).toMatchObject({ sockets: 1 });
});

it("a used ticket stays used when the object is evicted, and so does a page's socket", async ({ workspace }) => {
  const ticket = await aTicket(workspace);
  const opened = await connect(workspace, ticket);
  const socket = new Connection(opened.webSocket as WebSocket);
  await evictDurableObject(workspace.stub);
  expect((await connect(workspace, ticket)).status).toBe(401);
  socket.send(pingText);
  expect(await socket.text()).toBe(pongText);
  const { answer } = await socket.exchange("health", {});
  expect(answer.result).toMatchObject({ sockets: 1 });
});

it("a ticket is good for 30 seconds, for its workspace, and while its token is", async ({ workspace }) => {
  const other = await TestWorkspace.create();
  const old = await aTicket(workspace);
  wait(30_000);
  expect((await connect(workspace, old)).status).toBe(401);
  expect((await connect(other, await aTicket(workspace))).status).toBe(403);
  const created = await workspace.call("tokens.create", { machine: "browser", scope: "observe" });
  const { id, token } = created.value;
  const ticket = await aTicket(workspace, token);
  await workspace.call("tokens.revoke", { id });
  expect((await connect(workspace, ticket)).status).toBe(401);
});

it("no socket opens for another Origin, without a ticket, or with a changed one", async ({ workspace }) => {
  const ticket = await aTicket(workspace);
  const [head, signature] = [ticket.slice(0, -4), ticket.slice(-4)] as const;
  const cases: readonly (readonly [Headers, string])[] = [
    [{ origin: "https://evil.test" }, ticket],
    [{ origin: "null" }, ticket],
    [{ origin: "http://shim.example" }, ticket],
    [{ "sec-fetch-site": "cross-site" }, ticket],
    [{ "sec-websocket-protocol": "shim.page" }, ticket],
    [{ "sec-websocket-protocol": ticket }, ticket],
    [{ "sec-websocket-protocol": "shim.page, ticket.e30.x" }, ticket],
    [{ "sec-websocket-protocol": `shim.page, ${workspace.token}` }, ticket],
    [{}, `${head}${signature === "AAAA" ? "BBBB" : "AAAA"}`],
    [{}, ticket.replace("ticket.", "")],
    [bearer(workspace.token), "none"],
  ];
  for (const [headers, given] of cases) {
    const { status } = await connect(workspace, given, headers);
    expect([headers, given, status]).toEqual([headers, given, 403]);
  }
  expect((await connect(workspace, ticket)).status).toBe(101);
});

it("a ticket is no token, and only a token gets one", async ({ workspace }) => {
  const ticket = await aTicket(workspace);
  const path = `/v1/workspaces/${workspace.name}`;
  for (const text of [ticket, ticket.replace("ticket.", "shim_"), ticket.replace("ticket.", "")])
    expect((await request(`${path}/health`, { headers: bearer(text) })).status).toBe(401);
  expect((await request(`${path}/tickets`, { method: "POST", body: "{}" })).status).toBe(401);
  expect((await request(`${path}/tickets`, { headers: bearer(workspace.token) })).status).toBe(404);
});
