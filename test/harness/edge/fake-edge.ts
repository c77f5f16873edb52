import * as z from "zod";
import { errorTable, type Refusal } from "#src/contract/errors.ts";
import { toWire } from "#src/contract/protocol.ts";
import { isOperation, operations, type InputOf, type OperationName } from "#src/contract/operations.ts";
import { isEngineOperation } from "#src/coordination/engine.ts";
import type { Actor, Hint } from "#src/coordination/kernel/tx.ts";
import type { Fetch, FetchResponse, OpenSocket } from "#src/coordinator-client/edge/platform.ts";
import { openBetterSqlite3 } from "#src/store/driver-better-sqlite3.ts";
import { err, ok, type Result } from "#src/shared/result.ts";
import { FakeConnection } from "./fake-connection.ts";
import { FakeTime } from "#harness/clock/fake-time.ts";
import { admin, m1 } from "#harness/coordinator/engine-host.ts";
import { LocalHost } from "#harness/coordinator/local-host.ts";

/** One request as it arrived. */
export interface Arrived {
  readonly way: "http" | "socket";
  readonly name: string;
  readonly input: Readonly<Record<string, unknown>>;
}

/** One thing on its way: a request or an answer over HTTP, or a frame. */
export interface Passing {
  readonly way: "http" | "socket";
  readonly direction: "up" | "down";
  readonly text: string;
}

/** What may go wrong; a test sets it. */
export interface Faults {
  /** Connections are refused. */
  isUnreachable: boolean;
  /** HTTP works, an upgrade is refused. */
  refusesSockets: boolean;
  /** One way, in ms. */
  latencyMs: number;
  /** What is lost on its way. */
  loses: (passing: Passing) => boolean;
  /** Answers instead of the engine. */
  refuses: (arrived: Arrived) => Refusal | null;
}

export const edgeUrl = "https://edge.example";
export const token = "shim_secret.of-m1";
export const adminToken = "shim_secret.of-the-admin";
const base = `${edgeUrl}/v1/workspaces/w1`;

/** The engine behind the worker's protocol, in this process: no port, no clock of its own. */
export class FakeEdge {
  readonly time: FakeTime;
  readonly host = new LocalHost(openBetterSqlite3);
  readonly arrived: Arrived[] = [];
  readonly faults: Faults = {
    isUnreachable: false,
    refusesSockets: false,
    latencyMs: 5,
    loses: () => false,
    refuses: () => null,
  };
  readonly revoked = new Set<string>();
  /** Headers of each try to open a socket. */
  readonly upgrades: { readonly url: string; readonly headers: Record<string, string> }[] = [];
  #connections: FakeConnection[] = [];
  /** The tasks with their states, as the connections that watch them were last told. */
  #tasks = "";

  constructor(time = new FakeTime()) {
    this.time = time;
    // What becomes of it when the power goes is not the client's matter, and costs most of the time.
    this.host.sql.run("PRAGMA synchronous = OFF");
    const began = this.host.now();
    time.onPassing(async () => {
      this.host.wait(began + Math.floor(time.now) - this.host.now());
      await this.host.ring();
      this.tell();
    });
  }

  /** How often an operation arrived. */
  count(name: OperationName, way?: Arrived["way"]): number {
    return this.arrived.filter((one) => one.name === name && (way === undefined || one.way === way)).length;
  }

  get connections(): readonly FakeConnection[] {
    return this.#connections;
  }

  readonly fetch: Fetch = (url, { method, headers, body, signal }) => {
    const { faults, time } = this;
    return new Promise<FetchResponse>((resolve, reject) => {
      const abort = (): void => reject(new DOMException("aborted", "AbortError"));
      if (signal.aborted) return abort();
      signal.addEventListener("abort", abort);
      time.setTimer(() => {
        if (faults.isUnreachable) return reject(new TypeError("fetch failed", { cause: refusedConnection() }));
        if (faults.loses({ way: "http", direction: "up", text: `${method} ${url} ${body ?? ""}` })) return;
        void this.#served(method, url, headers, body).then((answer) =>
          time.setTimer(() => {
            if (!faults.loses({ way: "http", direction: "down", text: answer.body })) resolve(answerOf(answer));
          }, faults.latencyMs),
        );
      }, faults.latencyMs);
    });
  };

  readonly openSocket: OpenSocket = (url, headers, events) => {
    this.upgrades.push({ url, headers });
    const connection = new FakeConnection(this, events);
    this.time.setTimer(() => {
      const isServed = url === `${base.replace("https", "wss")}/connect` && this.actorOf(headers).ok;
      if (this.faults.isUnreachable || this.faults.refusesSockets || !isServed) return connection.refuse();
      this.#connections.push(connection);
      connection.accept(this.actorOf(headers));
    }, this.faults.latencyMs);
    return connection.client;
  };

  actorOf(headers: Record<string, string>): Result<Actor, Refusal> {
    if (headers["shim-protocol"] !== "1") return err({ code: "unsupported_protocol", message: "protocol 1 is served" });
    const given = (headers["authorization"] ?? "").replace("Bearer ", "");
    if (this.revoked.has(given)) return err({ code: "unauthenticated", message: "the token was revoked" });
    if (given === token) return ok(m1);
    return given === adminToken ? ok(admin) : err({ code: "unauthenticated", message: "a valid token is needed" });
  }

  /** One request, by whichever way. */
  async run(way: Arrived["way"], actor: Actor, name: string, input: unknown): Promise<Result<unknown, Refusal>> {
    const arrived = { way, name, input: input as Record<string, unknown> };
    this.arrived.push(arrived);
    const refused = this.faults.refuses(arrived);
    if (refused) return err(refused);
    if (name === "health") return ok(health);
    if (name === "tokens.create") return way === "http" ? ok({ id: "tok_1", token: "shim_new" }) : err(onlyHttp);
    if (!isOperation(name) || !isEngineOperation(name)) return err({ code: "bad_input", message: `not here: ${name}` });
    return this.host.call(name, input as InputOf<typeof name>, actor);
  }

  /** Sends what was committed to the chats that it concerns. */
  tell(): void {
    const hints = this.host.hints.splice(0);
    if (hints.some(({ kind }) => kind === "changes")) for (const one of this.#connections) one.tellChanges();
    for (const hint of hints) for (const one of this.#connections) this.#tellOne(one, hint);
    this.#tellTasks();
  }

  /** Without its limit of one a second. */
  #tellTasks(): void {
    const watching = this.#connections.filter((one) => one.isWatching("$task/"));
    if (watching.length === 0) return;
    const tasks = JSON.stringify(this.host.sql.all("SELECT task, state FROM tasks"));
    if (tasks !== this.#tasks) for (const one of watching) one.hintAt("$task/");
    this.#tasks = tasks;
  }

  #tellOne(connection: FakeConnection, hint: Hint): void {
    if (hint.kind === "changes" || hint.kind === "dispatch") return;
    if (hint.kind === "sync") return connection.notify("sync.changed", { isDeath: hint.isDeath });
    for (const chat of hint.chat === null ? connection.chats : [hint.chat]) {
      if (!connection.chats.has(chat)) continue;
      if (hint.kind === "lease") connection.notify("lease.granted", { chat, resource: hint.resource });
      else if (hint.kind === "message") connection.notify("messages.new", { chat });
      else if (hint.kind === "task") connection.notify("tasks.new", { chat });
      else if (this.#isOffline(chat)) connection.end(chat, "chat.offline");
    }
  }

  /** It may be back by now. */
  #isOffline(chat: string): boolean {
    return this.host.sql.all("SELECT 1 FROM chats WHERE chat = ? AND status = 'offline'", chat).length > 0;
  }

  lose(connection: FakeConnection): void {
    this.#connections = this.#connections.filter((one) => one !== connection);
  }

  revoke(given: string): void {
    this.revoked.add(given);
    for (const one of this.#connections) one.close(4001, "the token was revoked");
  }

  closeAll(code = 1012): void {
    for (const one of this.#connections) one.close(code, "");
  }

  /** A deploy: all connections are gone at once, without a close that the coordinator would see. */
  async deploy(): Promise<void> {
    for (const one of this.#connections) one.vanish();
    await this.host.loseConnections();
  }

  async #served(method: string, url: string, headers: Record<string, string>, body?: string): Promise<Served> {
    const result = await this.#http(method, new URL(url), headers, body);
    this.tell();
    return servedAs(result);
  }

  async #http(
    method: string,
    url: URL,
    headers: Record<string, string>,
    body = "{}",
  ): Promise<Result<unknown, Refusal>> {
    const actor = this.actorOf(headers);
    if (!actor.ok) return actor;
    const path = url.href.split("?")[0] ?? "";
    if (!path.startsWith(base)) return err({ code: "unknown_workspace", message: "no such workspace" });
    const name = operationAt(method, path.replace(base, ""));
    if (!name) return err({ code: "unknown_operation", message: "nothing there" });
    const input: unknown = method === "GET" ? fromQuery(name, url.searchParams) : JSON.parse(body);
    return this.run("http", actor.value, name, input);
  }
}

export interface Served {
  readonly status: number;
  readonly body: string;
  readonly retryAfter: string | null;
}

/** An answer as the worker gives it over HTTP. */
export function servedAs(result: Result<unknown, Refusal>): Served {
  if (result.ok) return { status: 200, body: JSON.stringify(result.value), retryAfter: null };
  const { retryAfterMs, code } = result.error;
  const retryAfter = retryAfterMs === undefined ? null : String(Math.ceil(retryAfterMs / 1_000));
  return { status: errorTable[code].status, body: JSON.stringify({ error: toWire(result.error) }), retryAfter };
}

/** @param path below that of the workspace */
export function operationAt(method: string, path: string): OperationName | undefined {
  const names = Object.keys(operations).filter(isOperation);
  return names.find((one) => operations[one].method === method && operations[one].path === path);
}

export const health = {
  alarmInMs: null,
  overdueRows: 0,
  outboxDepth: 0,
  storage: null,
  sockets: 0,
  chats: 0,
  schemaVersion: 1,
  epoch: 1,
  revision: 0,
  protocol: 1,
};
const onlyHttp: Refusal = { code: "bad_input", message: "tokens are created over HTTP" };

function answerOf({ status, body, retryAfter }: Served): FetchResponse {
  const headers = { get: (name: string) => (name === "retry-after" ? retryAfter : null) };
  return { status, headers, text: () => Promise.resolve(body) };
}

function refusedConnection(): Error {
  return Object.assign(new Error("connect ECONNREFUSED"), { code: "ECONNREFUSED" });
}

/** The schema says what is a number. */
export function fromQuery(name: OperationName, query: URLSearchParams): Record<string, unknown> {
  const { properties = {} } = z.toJSONSchema(operations[name].input, { io: "input" });
  return Object.fromEntries(
    [...query].map(([field, text]) => {
      const schema = properties[field];
      const isNumber = typeof schema === "object" && (schema.type === "integer" || schema.type === "number");
      return [field, isNumber ? Number(text) : text];
    }),
  );
}
