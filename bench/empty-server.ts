/** The least that an MCP server of this SDK is: one tool that does nothing. `hooks`: with an unlisted tool that answers each event with nothing. */
import { McpServer, Server } from "@modelcontextprotocol/server";
import { serveStdio } from "@modelcontextprotocol/server/stdio";
import * as z from "zod";

serveStdio(() => {
  if (process.argv.includes("hooks")) {
    const server = new Server({ name: "empty", version: "1" }, { capabilities: { tools: {} } });
    server.setRequestHandler("tools/list", () => ({ tools: [] }));
    server.setRequestHandler("tools/call", () => ({ content: [] }));
    return server;
  }
  const server = new McpServer({ name: "empty", version: "1" });
  server.registerTool("empty", { inputSchema: z.object({}) }, () => ({ content: [{ type: "text", text: "" }] }));
  return server;
});
