import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import {
  localhostHostValidation,
  localhostOriginValidation,
  NodeStreamableHTTPServerTransport,
  toNodeHandler,
  toWebRequest,
} from "@modelcontextprotocol/node";
import { createMcpHandler, isLegacyRequest, McpServer, type McpServerOptions } from "@modelcontextprotocol/server";
import { Chat } from "#src/local-mcp/mcp/chat/chat.ts";
import { registerAll } from "#src/local-mcp/mcp/server.ts";
import type { TempRuntime } from "#harness/machine/temp-runtime.ts";
import { registerRounds, verifyState } from "./fixture-rounds.ts";
import { registerPrompts, registerResources } from "./fixture-texts.ts";
import { registerTools } from "./fixture-tools.ts";

/**
 * The server of the tools over HTTP, for the conformance suite, which knows no stdio. SHIM itself never listens: this is of the tests only, as are
 * the fixtures, which the suite finds beside the tools.
 */
export async function conformanceHost(runtime: TempRuntime) {
  const chat = new Chat({
    runtime,
    server: runtime.processes.start(500, 400),
    client: runtime.processes.start(400),
    clientInfo: () => ({ name: "conformance", version: "1" }),
    team: null,
  });
  const make = (options: McpServerOptions = {}): McpServer => {
    const server = new McpServer(
      { name: "shim", version: "1.2.3" },
      { requestState: { verify: verifyState }, ...options },
    );
    registerAll(server, { chat, version: "1.2.3", afterAnswer: () => undefined });
    registerTools(server, modern.notify);
    registerRounds(server);
    registerResources(server);
    registerPrompts(server);
    return server;
  };
  const modern = createMcpHandler(() => make(), { legacy: "reject" });
  const serveModern = toNodeHandler(modern);
  const serveLegacy = sessions(() => make({ capabilities: { logging: {}, resources: { subscribe: true } } }));
  const isFromHere = [localhostHostValidation(), localhostOriginValidation()];
  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    if (!isFromHere.every((isAllowed) => isAllowed(request, response))) return;
    const body = request.method === "POST" ? await bodyOf(request) : undefined;
    // Of Node's own types; the SDK's know no undefined.
    const given = request as IncomingMessage & { method: string; url: string };
    const isLegacy = await isLegacyRequest(await toWebRequest(given, body));
    await (isLegacy ? serveLegacy(request, response, body) : serveModern(given, response, body));
  };
  const http = createServer((request, response) => void serve(request, response));
  http.listen(0, "127.0.0.1");
  await once(http, "listening");
  const { port } = http.address() as AddressInfo;
  const close = async (): Promise<void> => {
    await modern.close();
    http.closeAllConnections();
    http.close();
    await once(http, "close");
  };
  return { url: `http://127.0.0.1:${port}/mcp`, close };
}

type Serve = (request: IncomingMessage, response: ServerResponse, body: unknown) => Promise<void>;

/** Until 2025 a connection had a session, and its server asked the client on it. */
function sessions(make: () => McpServer): Serve {
  const open = new Map<string, NodeStreamableHTTPServerTransport>();
  return async (request, response, body) => {
    const id = request.headers["mcp-session-id"];
    const known = typeof id === "string" ? open.get(id) : undefined;
    if (known) return known.handleRequest(request, response, body);
    if (id !== undefined) return void response.writeHead(404).end();
    const transport = new NodeStreamableHTTPServerTransport({
      sessionIdGenerator: randomUUID,
      onsessioninitialized: (made) => void open.set(made, transport),
      onsessionclosed: (gone) => void open.delete(gone),
    });
    const server = make();
    // SHIM's own server has neither these nor a log: 2026 has dropped them.
    server.server.setRequestHandler("resources/subscribe", () => ({}));
    server.server.setRequestHandler("resources/unsubscribe", () => ({}));
    await server.connect(transport);
    await transport.handleRequest(request, response, body);
  };
}

async function bodyOf(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return JSON.parse(Buffer.concat(chunks).toString("utf8"));
}
