import { createMcpHandler, Server } from "@modelcontextprotocol/server";
import { protocolVersion } from "../contract/protocol.ts";
import { logProblem } from "../durable/log-problem.ts";
import { dataWarning } from "../shared/fence.ts";
import type { TokenCaller } from "./callers.ts";
import { callTool } from "./mcp-call.ts";
import { listTools } from "./mcp-tools.ts";

/** The list of a token never changes. */
const listedForMs = 3_600_000;

/** [RM1] Answers one request of either era; nothing of it is kept. */
export function serveMcp(caller: TokenCaller, request: Request, parsedBody: unknown): Promise<Response> {
  const handler = createMcpHandler(() => createServer(caller), {
    // A stream would wait for changes that never come.
    maxSubscriptions: 0,
    onerror: (error) => logProblem("an MCP request was refused", { error: error.message }),
  });
  return handler.fetch(request, { parsedBody });
}

function createServer(caller: TokenCaller): Server {
  const server = new Server(
    { name: "shim-coordinator", title: "SHIM", version: String(protocolVersion) },
    {
      capabilities: { tools: {} },
      instructions: instructionsFor(caller),
      cacheHints: { "tools/list": { ttlMs: listedForMs, cacheScope: "private" } },
    },
  );
  server.setRequestHandler("tools/list", () => ({ tools: listTools(caller.claims.scope) }));
  server.setRequestHandler("tools/call", ({ params }) => callTool(caller, params.name, params.arguments));
  return server;
}

function instructionsFor({ workspace, claims }: TokenCaller): string {
  return [
    `The team of chats in the SHIM workspace ${workspace}; scope ${claims.scope}.`,
    dataWarning.replace(" in it", ""),
    "Tasks are taken by chats that run on machines, not here. Contents of sessions are sealed and cannot be read here.",
  ].join(" ");
}
