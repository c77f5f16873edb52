import { createMcpHandler, isInitializeRequest, Server } from "@modelcontextprotocol/server";
import { protocolVersion } from "../contract/protocol.ts";
import { logProblem } from "../durable/log-problem.ts";
import { dataWarning } from "../shared/fence.ts";
import type { TokenCaller } from "./callers.ts";
import { appExtension, appResources, linkApp, readAppResource, showsApps, withAppSession } from "./mcp-app.ts";
import { callTool } from "./mcp-call.ts";
import { listTools } from "./mcp-tools.ts";

/** The list of a token never changes. */
const hint = { ttlMs: 3_600_000, cacheScope: "private" } as const;

/** [RM1] Answers one request of either era; nothing of it is kept. */
export async function serveMcp(caller: TokenCaller, request: Request, parsedBody: unknown): Promise<Response> {
  const isShown = showsApps(request, parsedBody);
  const handler = createMcpHandler(() => createServer(caller, isShown), {
    // A stream would wait for changes that never come.
    maxSubscriptions: 0,
    onerror: (error) => logProblem("an MCP request was refused", { error: error.message }),
  });
  const answer = await handler.fetch(request, { parsedBody });
  return isShown && isInitializeRequest(parsedBody) ? withAppSession(answer) : answer;
}

function createServer(caller: TokenCaller, isShown: boolean): Server {
  const apps = isShown ? { resources: {}, extensions: { [appExtension]: {} } } : {};
  const server = new Server(
    { name: "shim-coordinator", title: "SHIM", version: String(protocolVersion) },
    {
      capabilities: { tools: {}, ...apps },
      instructions: instructionsFor(caller),
      cacheHints: {
        "tools/list": hint,
        "resources/list": hint,
        "resources/templates/list": hint,
        "resources/read": hint,
      },
    },
  );
  const tools = listTools(caller.claims.scope);
  server.setRequestHandler("tools/list", () => ({ tools: isShown ? tools.map(linkApp) : tools }));
  server.setRequestHandler("tools/call", ({ params }) => callTool(caller, params.name, params.arguments));
  if (isShown) serveApps(server);
  return server;
}

/** [RM18] */
function serveApps(server: Server): void {
  server.setRequestHandler("resources/list", () => ({ resources: [...appResources] }));
  server.setRequestHandler("resources/templates/list", () => ({ resourceTemplates: [] }));
  server.setRequestHandler("resources/read", ({ params }) => readAppResource(params.uri));
}

function instructionsFor({ workspace, claims }: TokenCaller): string {
  return [
    `The team of chats in the SHIM workspace ${workspace}; scope ${claims.scope}.`,
    dataWarning.replace(" in it", ""),
    "Tasks are taken by chats that run on machines, not here. Contents of sessions are sealed and cannot be read here.",
  ].join(" ");
}
