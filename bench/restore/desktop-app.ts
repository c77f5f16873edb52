/**
 * A process that speaks to SHIM's server as Claude Desktop does: 2025 era, in the root folder, with few variables. It
 * obeys lines of JSON, so that it can be killed as the app would be. Arguments: the command line of the server.
 */
import { createInterface } from "node:readline";
import { Client } from "@modelcontextprotocol/client";
import { StdioClientTransport } from "@modelcontextprotocol/client/stdio";
import type { AppAnswer, AppOrder } from "./desktop-orders.ts";

const [command = "", ...args] = process.argv.slice(2);
const env = Object.fromEntries(["HOME", "PATH", "SHIM_HOME"].map((name) => [name, process.env[name] ?? ""]));
const client = new Client({ name: "claude-ai", version: "0.1.0" }, { versionNegotiation: { mode: "legacy" } });
await client.connect(new StdioClientTransport({ command, args, env, cwd: "/", stderr: "ignore" }));

for await (const line of createInterface({ input: process.stdin })) {
  const answer: AppAnswer = await obey(JSON.parse(line) as AppOrder);
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
await client.close();

async function obey(order: AppOrder): Promise<AppAnswer> {
  if (order.do === "read") {
    const { tools } = await client.listTools();
    return { text: JSON.stringify({ instructions: client.getInstructions(), tools }), session: null };
  }
  const { content, structuredContent, isError } = await client.callTool({ name: order.name, arguments: order.input });
  const text = content.map((part) => (part.type === "text" ? part.text : "")).join("\n");
  if (isError === true) throw new Error(`${order.name}: ${text}`);
  const { session } = structuredContent as { session?: string };
  return { text, session: session ?? null };
}
