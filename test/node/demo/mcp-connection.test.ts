import { mkdtempSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { McpConnection } from "../../../demo/mcp-connection.ts";

it("the connection keeps what is no protocol, passes on errors, and fails what a dead server did not answer", async () => {
  const cwd = realpathSync(mkdtempSync(join(tmpdir(), "shim-connection-")));
  onTestFinished(() => rmSync(cwd, { recursive: true, force: true }));
  const { env } = process;
  const answers = `const lines = require("node:readline").createInterface({ input: process.stdin });
    console.log("not json"); console.log("[1]"); console.error("some trouble");
    lines.on("line", (line) => {
      const { id, method } = JSON.parse(line);
      if (method === "die") process.exit(7);
      console.log(JSON.stringify({ jsonrpc: "2.0", id: 99, result: {} }));
      console.log(JSON.stringify({ jsonrpc: "2.0", id, error: { code: -1, message: "refused" } }));
    });`;
  const connection = new McpConnection({ command: process.execPath, args: ["-e", answers], env, cwd });
  await expect(connection.request("x")).rejects.toThrow('x: {"code":-1,"message":"refused"}');
  expect(connection.stray).toEqual(["not json", "[1]"]);
  await expect(connection.request("die")).rejects.toThrow(/has ended \(exit code 7\)\. some trouble/);
  await expect(connection.request("x")).rejects.toThrow(/has ended/);
  expect(await connection.ended).toEqual({ code: 7, signal: null });
  const none = new McpConnection({ command: join(cwd, "missing"), args: [], env, cwd });
  await expect(none.request("x")).rejects.toThrow(/ENOENT/);
});
