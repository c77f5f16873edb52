import type { ServerResponse } from "node:http";
import { type InputOf, type OperationName, operations } from "#src/contract/operations.ts";
import { errorTable } from "#src/contract/errors.ts";
import { toWire } from "#src/contract/wire-error.ts";
import { isEngineOperation } from "#src/coordination/engine.ts";
import { openNodeSqlite } from "#src/store/driver-node-sqlite.ts";
import { EmbeddedHost } from "#harness/coordinator/embedded-host.ts";
import { RealServer, type Seen } from "#harness/edge/real-server.ts";

/** A token as the worker makes them, as far as a client reads it. */
export function tokenOf(machine: string, scope = "work"): string {
  return `shim_${Buffer.from(JSON.stringify({ m: machine, s: scope })).toString("base64url")}.x`;
}

/** Workspace `team` on the real engine, over HTTP as the worker offers it; whoever asks is the machine of the token. */
export class SyncServer {
  readonly host = new EmbeddedHost(openNodeSqlite);
  readonly http: RealServer;
  isDown = false;
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
    const { status, body } = this.#ofWorkspaces(request) ?? (await this.#answer(request));
    if (this.losesAnswersOf !== null && request.url.endsWith(this.losesAnswersOf)) return void response.destroy();
    response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
  }

  /** What is not the engine's. */
  #ofWorkspaces({ url }: Seen): Answer | null {
    const made: Record<string, unknown> = {
      "/v1/workspaces": { workspace: "team", token: tokenOf("m1", "admin") },
      [`${base}/tokens`]: { id: "tok_1", token: tokenOf("m1") },
      [`${base}/health`]: health,
    };
    const body = made[new URL(url, "http://x").pathname];
    return body === undefined ? null : { status: 200, body };
  }

  async #answer({ method, url, headers, body }: Seen): Promise<Answer> {
    const { pathname, searchParams } = new URL(url, "http://x");
    const path = pathname.replace(base, "");
    const found = Object.entries(operations).find(([, one]) => one.method === method && one.path === path);
    const name = found?.[0] as OperationName | undefined;
    if (!name || !isEngineOperation(name)) return { status: 404, body: {} };
    const input = (method === "GET" ? fromQuery(searchParams) : JSON.parse(body)) as InputOf<typeof name>;
    const actor = { machine: machineOf(headers.authorization ?? ""), isAdmin: false };
    const answer = await this.host.call(name, input, actor);
    if (answer.ok) return { status: 200, body: answer.value };
    return { status: errorTable[answer.error.code].status, body: { error: toWire(answer.error) } };
  }
}

interface Answer {
  readonly status: number;
  readonly body: unknown;
}

const base = "/v1/workspaces/team";
const health = {
  alarmInMs: null,
  overdueRows: 0,
  outboxDepth: 0,
  storage: null,
  sockets: 0,
  chats: 0,
  schemaVersion: 1,
  epoch: 0,
  revision: 0,
  protocol: 1,
};

function fromQuery(query: URLSearchParams): Record<string, unknown> {
  return Object.fromEntries([...query].map(([key, text]) => [key, /^\d+$/.test(text) ? Number(text) : text]));
}

function machineOf(authorization: string): string {
  const claims = Buffer.from(authorization.replace("Bearer shim_", "").split(".")[0] ?? "", "base64url").toString();
  return (JSON.parse(claims) as { m: string }).m;
}
