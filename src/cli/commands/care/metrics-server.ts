import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import type { Sample } from "../../../contract/metrics.ts";
import type { CliResult } from "../../answer.ts";
import { codeOf, messageOf } from "../../../shared/error.ts";
import { contentType, toExposition } from "../../../shared/exposition.ts";
import * as loopbackServer from "../../../platform/loopback-server.ts";
import { hasBearerToken } from "../../../platform/bearer-token.ts";
import { isOwnHost, loopbackOrigins } from "../../../shared/page-security.ts";
import { createPrivateFolder, writeAtomically } from "../../../platform/private-files.ts";

export interface ListenAddress {
  readonly host: string;
  readonly port: number;
}

export interface MetricsServer {
  readonly url: string;
  close(): Promise<void>;
}

interface ServeOptions {
  readonly home: string;
  readonly address: ListenAddress;
  readonly read: () => Promise<CliResult<readonly Sample[]>>;
}

/** `credentials_file` of Prometheus: readable by this user only, the same after a restart. */
export function tokenFile(home: string): string {
  return join(home, "metrics-token");
}

/** [OB7] Serves the metrics on loopback. @returns why it cannot, in words */
export async function serveMetrics({ home, address, read }: ServeOptions): Promise<MetricsServer | string> {
  const token = ensureToken(home);
  const server = createServer((request, response) => {
    void answer(server, token, request, read)
      .catch((error: unknown) => ({ status: 500, text: `${messageOf(error)}\n` }))
      .then((reply) => send(response, reply));
  });
  try {
    await loopbackServer.listen(server, address.host, address.port);
  } catch (error) {
    const isBusy = codeOf(error) === "EADDRINUSE";
    return isBusy ? `port ${address.port} is in use; name another with --listen` : messageOf(error);
  }
  const { port } = server.address() as AddressInfo;
  const host = address.host.includes(":") ? `[${address.host}]` : address.host;
  return {
    url: `http://${host}:${port}/metrics`,
    close: () => loopbackServer.close(server),
  };
}

function ensureToken(home: string): string {
  const path = tokenFile(home);
  try {
    const text = readFileSync(path, "utf8").trim();
    if (text.length >= 32) return text;
  } catch (error) {
    if (codeOf(error) !== "ENOENT") throw error;
  }
  createPrivateFolder(home);
  const token = randomBytes(32).toString("base64url");
  writeAtomically(path, `${token}\n`);
  return token;
}

interface Reply {
  readonly status: number;
  readonly text: string;
  readonly type?: string;
}

/** [OB7] Checks the Host before anything else: a rebound name must not reach the metrics. */
async function answer(
  server: Server,
  token: string,
  request: IncomingMessage,
  read: ServeOptions["read"],
): Promise<Reply> {
  const { port } = server.address() as AddressInfo;
  if (!isOwnHost(request.headers.host, loopbackOrigins(port)))
    return { status: 421, text: "use 127.0.0.1 or localhost\n" };
  if (request.method !== "GET" || request.url?.split("?")[0] !== "/metrics")
    return { status: 404, text: "only GET /metrics is served\n" };
  if (!hasBearerToken(request.headers.authorization, token))
    return { status: 401, text: "the bearer token of the metrics-token file is needed\n" };
  const samples = await read();
  if (!samples.ok) return { status: 503, text: `${samples.error.message}\n` };
  return { status: 200, text: await toExposition(samples.value), type: contentType };
}

function send(response: ServerResponse, { status, text, type = "text/plain; charset=utf-8" }: Reply): void {
  response.writeHead(status, {
    "content-type": type,
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    ...(status === 401 ? { "www-authenticate": "Bearer" } : {}),
  });
  response.end(text);
}
