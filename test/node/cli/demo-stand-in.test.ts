import { mkdtempSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { PassThrough } from "node:stream";
import { expect, it, onTestFinished } from "vitest";
import { McpConnection, type Message } from "../../../src/cli/commands/setup/demo/mcp-connection.ts";
import { standIn, type Order } from "../../../src/cli/commands/setup/demo/stand-in.ts";
import { sourceEnv, sources } from "../../support/source-programs.ts";

it("the stand-in client serves, runs hooks and tools, calls, and leaves", async () => {
  const { folder, env } = aPlace();
  const client = aStandIn(folder, env);
  const served = await client.order({ do: "serve", program: { command: process.execPath, args: [sources.mcp] } });
  expect(served["result"]).toMatchObject({ instructions: expect.stringContaining("shim_check_recovery") });
  const start = { do: "hook", program: { command: process.execPath, args: [sources.hook, "SessionStart"] } } as const;
  const hooked = await client.order({ ...start, input: { session_id: "s1", source: "startup" } });
  expect(hooked["result"]).toMatchObject({ code: 0, stdout: "" });
  const called = await client.order({ do: "call", tool: "shim_session_status", given: {} });
  // The hook's client and the server's client are this process, so both mean the same session.
  expect(called["result"]).toMatchObject({ isError: false, data: { session: "s1" } });
  expect(await client.order({ do: "run", program: node("console.log(process.cwd()); process.exit(3)") })).toMatchObject(
    {
      result: { code: 3, stdout: `${folder}\n`, stderr: "" },
    },
  );
  const begun = await client.order({ do: "begin", program: node("") });
  expect(begun["result"]).toEqual({ pid: expect.any(Number) });
  const left = await client.order({ do: "leave" });
  expect(left["result"]).toEqual({ code: 0, signal: null, stray: [] });
  await client.end();
});

it("the stand-in client answers what it cannot do with the reason, and goes on", async () => {
  const { folder, env } = aPlace();
  const client = aStandIn(folder, env);
  expect(await client.order({ do: "call", tool: "x", given: {} })).toMatchObject({
    error: "no MCP server was started",
  });
  const missing = { command: join(folder, "missing"), args: [] };
  expect(await client.order({ do: "begin", program: missing })).toMatchObject({
    error: expect.stringContaining("missing"),
  });
  expect(await client.order({ do: "run", program: missing })).toMatchObject({
    error: expect.stringContaining("ENOENT"),
  });
  expect(await client.order({ do: "leave" })).toMatchObject({ result: {} });
  await client.end();
});

it("the connection keeps what is no protocol, passes on errors, and fails what a dead server did not answer", async () => {
  const { folder, env } = aPlace();
  const answers = `const lines = require("node:readline").createInterface({ input: process.stdin });
    console.log("not json"); console.log("[1]"); console.error("some trouble");
    lines.on("line", (line) => {
      const { id, method } = JSON.parse(line);
      if (method === "die") process.exit(7);
      console.log(JSON.stringify({ jsonrpc: "2.0", id: 99, result: {} }));
      console.log(JSON.stringify({ jsonrpc: "2.0", id, error: { code: -1, message: "refused" } }));
    });`;
  const connection = new McpConnection({ ...node(answers), env, cwd: folder });
  await expect(connection.request("x")).rejects.toThrow('x: {"code":-1,"message":"refused"}');
  expect(connection.stray).toEqual(["not json", "[1]"]);
  await expect(connection.request("die")).rejects.toThrow(/has ended \(exit code 7\)\. some trouble/);
  await expect(connection.request("x")).rejects.toThrow(/has ended/);
  expect(await connection.ended).toEqual({ code: 7, signal: null });
  const none = new McpConnection({ command: join(folder, "missing"), args: [], env, cwd: folder });
  await expect(none.request("x")).rejects.toThrow(/ENOENT/);
});

interface Told {
  order(order: Order): Promise<Message>;
  end(): Promise<void>;
}

function aStandIn(cwd: string, env: NodeJS.ProcessEnv): Told {
  const [input, output] = [new PassThrough(), new PassThrough()];
  const waiting = new Map<unknown, (answer: Message) => void>();
  createInterface({ input: output }).on("line", (line) => {
    const answer = JSON.parse(line) as Message;
    waiting.get(answer["id"])?.(answer);
  });
  const over = standIn({ input, output }, { cwd, env, pid: process.pid });
  let id = 0;
  return {
    order: (order) =>
      new Promise((resolve) => {
        waiting.set((id += 1), resolve);
        input.write(`${JSON.stringify({ id, ...order })}\n`);
      }),
    async end() {
      input.end();
      await over;
    },
  };
}

function aPlace(): { folder: string; env: NodeJS.ProcessEnv } {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), "shim-stand-in-")));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return { folder, env: { ...sourceEnv(folder), SHIM_HOME: join(folder, "home") } };
}

function node(code: string): { command: string; args: string[] } {
  return { command: process.execPath, args: ["-e", code] };
}
