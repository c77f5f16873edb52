import { expect, it } from "vitest";
import { sender } from "#src/coordinator-client/edge/http-transport.ts";
import { nodePlatform } from "#src/coordinator-client/edge/platform.ts";
import { RealServer } from "#harness/edge/real-server.ts";

const token = "shim_secret.real";
const headers = { authorization: `Bearer ${token}`, "shim-protocol": "1" };

it("a WebSocket is opened with the headers and without an origin, and reports texts and the code of its close", async () => {
  const server = await RealServer.listen();
  server.onText = (text, connection) => {
    connection.send(`heard ${text}`);
    connection.close(4002, "this chat counts as gone");
  };
  const events: string[] = [];
  const path = "/v1/workspaces/w1/connect?chat=a%3Ab";
  await new Promise<void>((resolve) => {
    const socket = nodePlatform().openSocket(`${server.url.replace("http", "ws")}${path}`, headers, {
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
    });
  });
  expect(events).toEqual(["open", "text heard ping", "close 4002 this chat counts as gone"]);
  expect(server.seen).toMatchObject([{ method: "GET", url: path, headers }]);
  expect(server.seen[0]?.headers.origin).toBeUndefined();
});

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
