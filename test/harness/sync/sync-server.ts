import type { ServerResponse } from "node:http";
import type { InputOf } from "#src/contract/operations.ts";
import { isEngineOperation } from "#src/coordination/engine.ts";
import { ok } from "#src/shared/result.ts";
import { openBetterSqlite3 } from "#src/store/driver-better-sqlite3.ts";
import { LocalHost } from "#harness/coordinator/local-host.ts";
import { fromQuery, health, operationAt, servedAs, type Served } from "#harness/edge/fake-edge.ts";
import { RealServer, type Seen } from "#harness/edge/real-server.ts";

export function tokenOf(machine: string, scope = "work"): string {
  return `shim_${Buffer.from(JSON.stringify({ m: machine, s: scope })).toString("base64url")}.x`;
}

/** Workspace `team` on the real engine, over HTTP as the worker offers it; each request is of the machine of its token. */
export class SyncServer {
  readonly host = new LocalHost(openBetterSqlite3);
  readonly http: RealServer;
  isDown = false;
  /** Answers instead of the engine, by path. */
  readonly fixed: Record<string, unknown> = { ...notOfTheEngine };
  /** Does what it is asked under this path, and its answer is lost on the way. */
  losesAnswersOf: string | null = null;

  private constructor(http: RealServer) {
    this.http = http;
    http.answer = (request, response) => {
      if (this.isDown) return void response.destroy();
      void this.#respond(request, response);
    };
  }

  static async listen(): Promise<SyncServer> {
    return new SyncServer(await RealServer.listen());
  }

  get url(): string {
    return this.http.url;
  }

  async #respond(request: Seen, response: ServerResponse): Promise<void> {
    const { status, body } = await this.#answer(request);
    if (this.losesAnswersOf !== null && request.url.endsWith(this.losesAnswersOf)) return void response.destroy();
    response.writeHead(status, { "content-type": "application/json" }).end(body);
  }

  async #answer({ method, url, headers, body }: Seen): Promise<Served> {
    const { pathname, searchParams } = new URL(url, this.url);
    const made = this.fixed[pathname];
    if (made) return servedAs(ok(made));
    const name = operationAt(method, pathname.replace(base, ""));
    if (!name || !isEngineOperation(name)) return { status: 404, body: "{}", retryAfter: null };
    const input = (method === "GET" ? fromQuery(name, searchParams) : JSON.parse(body)) as InputOf<typeof name>;
    const actor = { machine: machineOf(headers.authorization ?? ""), isAdmin: false };
    return servedAs(await this.host.call(name, input, actor));
  }
}

const base = "/v1/workspaces/team";
const notOfTheEngine: Readonly<Record<string, unknown>> = {
  "/v1/workspaces": { workspace: "team", token: tokenOf("m1", "admin") },
  [`${base}/tokens`]: { id: "tok_1", token: tokenOf("m1") },
  [`${base}/health`]: { ...health, epoch: 0 },
};

function machineOf(authorization: string): string {
  const claims = Buffer.from(authorization.replace("Bearer shim_", "").split(".")[0] ?? "", "base64url").toString();
  return (JSON.parse(claims) as { m: string }).m;
}
