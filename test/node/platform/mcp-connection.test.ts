import { expect, it } from "vitest";
import { McpConnection } from "#harness/machine/mcp-connection.ts";
import { LineReader } from "#src/platform/line-reader.ts";
import { temporaryFolder } from "#harness/machine/git-project.ts";

/** Answers with what it was asked, after a line and two messages that answer nothing. */
const server = `
const say = (message) => console.log(JSON.stringify({ jsonrpc: "2.0", ...message }));
require("node:readline").createInterface({ input: process.stdin }).on("line", (line) => {
  const { id, method, params } = JSON.parse(line);
  if (method === "initialize") {
    console.log("hello");
    say({ id, method: "roots/list" });
    say({ id: 99, result: {} });
    say({ id, result: params.clientInfo });
  }
  if (method === "tools/call" && params.name === "plain") say({ id, result: { content: "no list", structuredContent: [1] } });
  else if (method === "tools/call") {
    const content = [{ type: "text", text: "one" }, { type: "text", text: "two" }];
    say({ id, result: { isError: params.name === "bad", content, structuredContent: params.arguments } });
  }
  if (method === "refuse") say({ id, error: { code: -32601 } });
  if (method === "end") { console.error("x".repeat(10_000) + "gone"); process.exitCode = 3; process.stdin.destroy(); }
});
`;

function connect(command: string, args: readonly string[]): McpConnection {
  return new McpConnection({ command, args, env: {}, cwd: temporaryFolder() });
}

it("a connection gives each request its own answer, and every one an error when the process ends", async () => {
  const connection = connect(process.execPath, ["-e", server]);
  expect(connection.pid).toBeGreaterThan(0);
  expect(await connection.initialize("test")).toEqual({ name: "test", version: "1" });
  expect(connection.stray).toEqual(["hello"]);
  const [good, bad, plain] = ["good", "bad", "plain"].map((name) => connection.callTool(name, { name }));
  expect(await good).toEqual({ isError: false, text: "one\ntwo", data: { name: "good" } });
  expect(await bad).toMatchObject({ isError: true, data: { name: "bad" } });
  expect(await plain).toEqual({ isError: false, text: "", data: {} });
  await expect(connection.request("refuse")).rejects.toThrow('refuse: {"code":-32601}');
  const over = `the MCP process has ended (exit code 3). ${"x".repeat(9_995)}gone`;
  const waiting = [connection.request("end"), connection.request("unanswered")];
  for (const one of await Promise.allSettled(waiting)) expect(one).toMatchObject({ reason: { message: over } });
  await expect(connection.request("late")).rejects.toThrow(over);
  expect(await connection.ended).toEqual({ code: 3, signal: null });
});

it("a program that is not there is an error of the first request, with its name", async () => {
  const connection = connect("no-such-program", []);
  expect(connection.pid).toBe(-1);
  await expect(connection.initialize("test")).rejects.toThrow(/^the MCP process has ended .*no-such-program ENOENT$/);
});

it("lines end with a line feed alone, in parts of any size, and of one that is too long the beginning counts", () => {
  const lines: string[] = [];
  const reader = new LineReader((line) => lines.push(line), 3);
  for (const part of ["ab", "cd\u2028e\r\ngh", "\r\n\ni"]) reader.push(part);
  reader.end();
  expect(lines).toEqual(["abc", "gh", "", "i"]);
});
