import {
  createServer,
  type IncomingHttpHeaders,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from "node:http";
import type { TelemetrySettings } from "../../contract/config.ts";
import { hasBearerToken } from "../../platform/bearer-token.ts";
import { close, readBody } from "../../platform/loopback-server.ts";
import { parseEvents, type TelemetryEvent } from "./otlp-events.ts";

export interface Receiver {
  close(): Promise<void>;
}

const address = "127.0.0.1";
/** A full batch of the client is half as large. */
const maxBodyBytes = 1_048_576;
const maxBodies = 8;
/** Each chat keeps one. */
const maxConnections = 256;
const timeoutMs = 5_000;

/** False: it can take no more now. */
type Accept = (events: readonly TelemetryEvent[]) => boolean;

/**
 * [OB20] Listens on loopback for the exports of logs of this machine's chats.
 * @returns null where another process has the port
 */
export function receive({ port, token }: TelemetrySettings, accept: Accept): Promise<Receiver | null> {
  let reading = 0;
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const refusal = refusalOf(request, { port, token }) ?? (reading >= maxBodies ? 429 : null);
    if (refusal !== null) return refuse(response, refusal);
    reading += 1;
    const status = await statusOf(request, accept).catch(() => 400);
    reading -= 1;
    if (status === 200) send(response, 200);
    else refuse(response, status);
  };
  const limits = { requestTimeout: timeoutMs, headersTimeout: timeoutMs };
  const server = createServer(limits, (request, response) => {
    answer(request, response).catch(() => response.destroy());
  });
  server.keepAliveTimeout = timeoutMs;
  server.maxConnections = maxConnections;
  return listen(server, port);
}

function listen(server: Server, port: number): Promise<Receiver | null> {
  return new Promise((resolve) => {
    server.on("error", () => resolve(null));
    server.listen(port, address, () => resolve({ close: () => close(server) }));
    // The process must end without it.
    server.unref();
  });
}

/** The Host first: a web page under a rebound name has no other address to send. */
function refusalOf({ headers, method, url }: IncomingMessage, { port, token }: TelemetrySettings): number | null {
  if (headers.host !== `${address}:${port}`) return 421;
  if (headers.origin !== undefined) return 403;
  if (url !== "/v1/logs") return 404;
  if (method !== "POST") return 405;
  return hasBearerToken(headers.authorization, token) ? contentRefusal(headers) : 401;
}

function contentRefusal(headers: IncomingHttpHeaders): number | null {
  const isJson = /^application\/json\s*(;|$)/i.test(headers["content-type"] ?? "");
  if (!isJson || headers["content-encoding"] !== undefined) return 415;
  return Number(headers["content-length"] ?? 0) > maxBodyBytes ? 413 : null;
}

async function statusOf(request: IncomingMessage, accept: Accept): Promise<number> {
  const body = await readBody(request, maxBodyBytes);
  if (body === null) return 413;
  const events = parseEvents(JSON.parse(body.toString("utf8")));
  if (events === null) return 400;
  return accept(events) ? 200 : 429;
}

function send(response: ServerResponse, status: number): void {
  response.writeHead(status, { "content-type": "application/json", "cache-control": "no-store" });
  response.end("{}");
}

/** A body that is not read must not be sent to its end. */
function refuse(response: ServerResponse, status: number): void {
  response.shouldKeepAlive = false;
  send(response, status);
  response.once("finish", () => response.socket?.destroySoon());
}
