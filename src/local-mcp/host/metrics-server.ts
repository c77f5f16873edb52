import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import type { Sample } from "../../contract/metrics.ts";
import { hasBearerToken } from "../../platform/bearer-token.ts";
import * as loopbackServer from "../../platform/loopback-server.ts";
import { createPrivateFolder, writeAtomically } from "../../platform/private-files.ts";
import { codeOf, messageOf } from "../../shared/error.ts";
import { contentType, toExposition } from "../../shared/exposition.ts";
import { isOwnHost, loopbackOrigins } from "../../shared/page-security.ts";
import { err, ok } from "../../shared/result.ts";
import type { HostResult, MetricsServing, ServedMetrics } from "./host.ts";

type Read = () => Promise<HostResult<readonly Sample[]>>;

/** [OB7] Serves the metrics on loopback. */
export async function serveMetrics(
  home: string,
  { host, port: wanted }: Pick<MetricsServing, "host" | "port">,
  read: Read,
): Promise<HostResult<ServedMetrics>> {
  // `credentials_file` of Prometheus: readable by this user only, the same after a restart.
  const tokenFile = join(home, "metrics-token");
  const token = ensureToken(home, tokenFile);
  const server = createServer((request, response) => {
    void answer(server, token, request, read)
      .catch((error: unknown) => ({ status: 500, text: `${messageOf(error)}\n` }))
      .then((reply) => send(response, reply));
  });
  try {
    const port = await loopbackServer.listen(server, host, wanted);
    const url = `http://${host.includes(":") ? `[${host}]` : host}:${port}/metrics`;
    return ok({ url, tokenFile, close: () => loopbackServer.close(server) });
  } catch (error) {
    const isBusy = codeOf(error) === "EADDRINUSE";
    const message = isBusy ? `port ${wanted} is in use; name another with --listen` : messageOf(error);
    return err({ code: "port_unusable", message });
  }
}

function ensureToken(home: string, path: string): string {
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
async function answer(server: Server, token: string, request: IncomingMessage, read: Read): Promise<Reply> {
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
