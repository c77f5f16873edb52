import { existsSync, readFileSync, statSync } from "node:fs";
import { expect, it } from "vitest";
import { edgeFile, forgetEdge, writeEdge } from "../../src/local-mcp/authority.ts";
import { aCliHome } from "../support/cli-home.ts";
import { RealServer } from "../support/edge-real-server.ts";

const edge = { url: "http://127.0.0.1:9", workspace: "team", machine: "m1", token: "shim_a.b" };

it("[EM3] without a workspace this machine decides, and its commands work at once", async () => {
  const home = aCliHome();
  expect((await home.shim("chats")).out).toBe("No chats at this machine.\n");
  expect((await home.shim("state", "set", "color", '"red"')).out).toMatch(/^color is set, version \d+\.\n$/);
  expect((await home.shim("state", "get", "color")).out).toBe('"red"\n');
  expect(await home.shim("state", "set", "color", "blue", "--if-version", "0")).toMatchObject({ code: 1 });
  expect((await home.shim("state", "list")).out).toContain("color");
  expect((await home.shim("send", "all", "hello")).out).toBe("Sent to all.\n");
  expect((await home.shim("inbox")).out).toBe("No messages.\n");
  expect((await home.shim("watch", "color", "--from", "0", "--once")).out).toMatch(/ set {2}color {2}"red"\n/);
  expect((await home.shim("state", "delete", "color")).code).toBe(0);
  expect(await home.shim("state", "get", "color")).toMatchObject({ code: 3 });
  expect(await home.shim("lease", "force-release", "x", "--reason", "test")).toMatchObject({ code: 3 });
  expect((await home.shim("edge", "status")).out).toMatch(/^Decided by this machine: /);
});

it("[EM3] the file that says who decides is private, and a machine leaves its workspace only when it is told to", async () => {
  const home = aCliHome();
  writeEdge(home.paths.home, edge);
  const path = edgeFile(home.paths.home);
  expect(statSync(path).mode & 0o777).toBe(0o600);
  const other = ["edge", "workspace", "create", "other", "--url", "http://127.0.0.1:9"];
  expect((await home.shim(...other)).err).toContain("This machine belongs to http://127.0.0.1:9, workspace team.");
  expect(JSON.parse(readFileSync(path, "utf8"))).toEqual(edge);
  expect((await home.shim("edge", "leave")).code).toBe(1);
  expect((await home.shim("edge", "leave", "--yes")).code).toBe(0);
  expect(existsSync(path)).toBe(false);
  expect(await home.shim("edge", "leave", "--yes")).toMatchObject({ code: 3 });
});

it("[EM3] what cannot be used is refused with what to do, and shows no token", async () => {
  const home = aCliHome();
  writeEdge(home.paths.home, edge);
  const lost = await home.shim("chats");
  expect(lost.code).toBe(1);
  expect(lost.err).toContain("http://127.0.0.1:9 did not answer");
  expect(lost.err).not.toContain("shim_a.b");
  writeEdge(home.paths.home, { ...edge, url: "http://example.com" });
  expect((await home.shim("chats")).err).toContain("plain http:// is only for this machine");
  forgetEdge(home.paths.home);
  for (const [args, why] of [
    [["edge", "workspace", "create", "Not A Name"], "is no name for a workspace"],
    [["edge", "join", "team", "--url", "ftp://x"], "https://"],
    [["chats", "--status", "asleep"], "is no status"],
    [["send", "all", "x", "--priority", "urgent"], "is no priority"],
    [["edge", "token", "create", "--machine", "m", "--scope", "god"], "is no scope"],
    [["edge", "token", "list"], "has joined no workspace"],
  ] as const) {
    expect((await home.shim(...args)).err).toContain(why);
  }
});

it("[CL28] a request whose answer is lost is sent a second time under the same id, and no third time", async () => {
  const home = aCliHome();
  const server = await RealServer.listen();
  const answers = [null, '{"id":"tok_1","token":"shim_x.y"}', null, null];
  server.answer = (_request, response) => {
    const text = answers.shift() ?? null;
    if (text === null) response.destroy();
    else response.end(text);
  };
  writeEdge(home.paths.home, { ...edge, url: server.url, adminToken: "shim_c.d" });
  expect(await home.shim("edge", "token", "create", "--machine", "m2")).toMatchObject({ code: 0, out: "shim_x.y\n" });
  const ids = server.seen.map(({ body }) => (JSON.parse(body) as { requestId?: unknown }).requestId);
  expect([ids.length, new Set(ids).size, typeof ids[0]]).toEqual([2, 1, "string"]);
  expect((await home.shim("edge", "token", "create", "--machine", "m2")).err).toContain("did not answer");
  expect(server.seen.length).toBe(4);
});
