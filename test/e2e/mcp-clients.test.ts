import { execFile } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { Client as Client2 } from "@modelcontextprotocol/client";
import { StdioClientTransport as Transport2 } from "@modelcontextprotocol/client/stdio";
import { Client as Client1 } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport as Transport1 } from "@modelcontextprotocol/sdk/client/stdio.js";
import { slashCommands } from "#src/contract/slash-commands.ts";
import { expect, it, onTestFinished } from "vitest";
import { record, type Message } from "#src/platform/mcp-connection.ts";
import type { Paths } from "#src/platform/paths.ts";
import {
  answered,
  built,
  envOf,
  integrityOf,
  spawnServer,
  startServer,
  storeOf,
} from "#harness/machine/mcp-process.ts";
import { tempHome } from "#harness/store/temp-store.ts";

const short =
  "auto_checkpoint chats check_recovery clear_state files force_checkpoint inbox monitor_signals next report send session_status state_set submit";
const names = short.split(" ").map((name) => `shim_${name}`);
const goal = "speak with every client";

/** What a test needs of a client, whichever it is. */
interface AnyClient {
  getInstructions(): string | undefined;
  listTools(): Promise<{ tools: { name: string }[] }>;
  callTool(call: { name: string; arguments: Message }): Promise<Message>;
  listPrompts(): Promise<{ prompts: { name: string }[] }>;
  getPrompt(what: { name: string; arguments: Record<string, string> }): Promise<{ messages: unknown[] }>;
  close(): Promise<void>;
}

const modern = "2026-07-28";
const clients: Record<string, (paths: Paths) => Promise<AnyClient>> = {
  "SDK 1.x": async (paths) => {
    const client = new Client1({ name: "one", version: "1" });
    await client.connect(new Transport1(parameters(paths)));
    return client;
  },
  "SDK 2.x, 2025 era": (paths) => connect2(paths, "legacy", "legacy"),
  "SDK 2.x, 2026 era": (paths) => connect2(paths, { pin: modern }, "modern"),
  "SDK 2.x, asking for the era": (paths) => connect2(paths, "auto", "modern"),
};

it.each(Object.entries(clients))("%s: tools and prompts over stdio", async (_name, connect) => {
  const paths = tempHome();
  const client = await connect(paths);
  onTestFinished(() => client.close());
  expect(client.getInstructions()).toContain("shim_check_recovery");
  expect((await client.listTools()).tools.map((tool) => tool.name).sort()).toEqual(names);
  const saved = await client.callTool({ name: "shim_force_checkpoint", arguments: { goal } });
  const { session } = record(saved["structuredContent"]);
  expect(saved["isError"] ?? false).toBe(false);
  const refused = await client.callTool({ name: "shim_check_recovery", arguments: { of: "nobody" } });
  expect(refused).toMatchObject({ isError: true, content: [{ text: expect.stringContaining("unknown_session: ") }] });
  expect((await client.listPrompts()).prompts.map((prompt) => prompt.name)).toEqual(Object.keys(slashCommands));
  const prompt = await client.getPrompt({ name: "resume", arguments: { words: String(session) } });
  expect(prompt.messages).toEqual([
    { role: "user", content: { type: "text", text: expect.stringContaining(String(session)) } },
  ]);
  expect(integrityOf(storeOf(paths))).toEqual(["ok"]);
});

it("MCP Inspector's command line: tools and prompts, in both eras @night", async () => {
  const paths = tempHome();
  const dead = await startServer(paths);
  await answered(dead, "shim_force_checkpoint", { goal });
  dead.process.kill("SIGKILL");
  await dead.ended;
  for (const era of ["legacy", "modern"]) {
    const inspect = inspector(paths, era);
    const listed = await inspect("tools/list", "--strict");
    expect((listed["tools"] as { name: string }[]).map((tool) => tool.name).sort()).toEqual(names);
    const status = await inspect("tools/call", "--tool-name", "shim_session_status", "--tool-arg", "detail=detailed");
    const answer = { session: expect.stringMatching(/^ses_/), store: "better-sqlite3" };
    expect(status["structuredContent"]).toMatchObject(answer);
  }
  const inspect = inspector(paths, "legacy");
  expect(await inspect("prompts/list")).toMatchObject({
    prompts: Object.keys(slashCommands).map((name) => ({ name })),
  });
  const prompt = await inspect("prompts/get", "--prompt-name", "resume");
  expect(JSON.stringify(prompt["messages"])).toContain("shim_check_recovery");
});

it("server/discover is answered as the first message, and nothing is written for it", async () => {
  const paths = tempHome();
  const server = spawnServer(paths);
  const _meta = {
    "io.modelcontextprotocol/protocolVersion": modern,
    "io.modelcontextprotocol/clientInfo": { name: "prober", version: "1" },
    "io.modelcontextprotocol/clientCapabilities": {},
  };
  const found = await server.request("server/discover", { _meta });
  expect(found).toMatchObject({ supportedVersions: expect.arrayContaining([modern]), capabilities: { tools: {} } });
  server.process.stdin.end();
  expect(await server.ended).toEqual({ code: 0, signal: null });
  expect(server.stray).toEqual([]);
  expect(storeOf(paths).read(() => true, false)).toBe(false);
});

async function connect2(paths: Paths, mode: "legacy" | "auto" | { pin: string }, era: string): Promise<AnyClient> {
  const client = new Client2({ name: "two", version: "1" }, { versionNegotiation: { mode } });
  await client.connect(new Transport2(parameters(paths)));
  expect(client.getProtocolEra()).toBe(era);
  return client;
}

function parameters(paths: Paths): { command: string; args: string[]; env: Record<string, string>; stderr: "ignore" } {
  const env = Object.fromEntries(Object.entries(envOf(paths)).map(([name, value]) => [name, value ?? ""]));
  return { command: process.execPath, args: [built.mcp], env, stderr: "ignore" };
}

type Inspect = (method: string, ...args: string[]) => Promise<Message>;

function inspector(paths: Paths, protocolEra: string): Inspect {
  const { command, args, env } = parameters(paths);
  const home = dirname(paths.home);
  const config = join(home, `inspector-${protocolEra}.json`);
  mkdirSync(home, { recursive: true });
  writeFileSync(config, JSON.stringify({ mcpServers: { shim: { type: "stdio", command, args, env, protocolEra } } }));
  const script = createRequire(import.meta.url).resolve(
    "@modelcontextprotocol/inspector/clients/launcher/build/index.js",
  );
  return async (method, ...more) => {
    const options = ["--cli", "--config", config, "--server", "shim", "--format", "json"];
    const given = [script, ...options, "--method", method, ...more];
    const { stdout } = await promisify(execFile)(command, given, { env: { ...env, NO_COLOR: "1" } });
    return record((JSON.parse(stdout) as Message)["result"]);
  };
}
