import * as z from "zod";
import { errorTable, type Refusal } from "#src/contract/errors.ts";
import { toWire } from "#src/contract/protocol.ts";
import { isOperation, operations, type InputOf, type OperationName } from "#src/contract/operations.ts";
import { isEngineOperation } from "#src/coordination/engine.ts";
import type { Actor, Hint } from "#src/coordination/kernel/tx.ts";
import type { Fetch, FetchResponse, OpenSocket, Socket, SocketEvents } from "#src/coordinator-client/edge/platform.ts";
import { openBetterSqlite3 } from "#src/store/driver-better-sqlite3.ts";
import { err, ok, type Result } from "#src/shared/result.ts";
import { FakeTime } from "#harness/clock/fake-time.ts";
import { admin, m1 } from "#harness/coordinator/engine-host.ts";
import { LocalHost } from "#harness/coordinator/local-host.ts";

type Answered = Promise<Result<unknown, Refusal>>;

interface Arrived {
  readonly way: "http" | "socket";
  readonly name: string;
  readonly input: Readonly<Record<string, unknown>>;
}

export interface Passing {
  readonly way: "http" | "socket";
  readonly direction: "up" | "down";
  readonly text: string;
}

class Faults {
  isUnreachable = false;
  refusesSockets = false;
  latencyMs = 5;
  loses: (passing: Passing) => boolean = () => false;
  refuses: (arrived: Arrived) => Refusal | null = () => null;
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
  readonly faults = new Faults();
  readonly revoked = new Set<string>();
  readonly upgrades: { readonly url: string; readonly headers: Record<string, string> }[] = [];
  connections: readonly FakeConnection[] = [];
  /** The tasks with their states, as those who watch them were last told. */
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

  count(name: OperationName, way?: Arrived["way"]): number {
    return this.arrived.filter((one) => one.name === name && (way === undefined || one.way === way)).length;
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
      const actor = this.#actorOf(headers);
      const isServed = url === `${base.replace("https", "wss")}/connect` && actor.ok;
      if (this.faults.isUnreachable || this.faults.refusesSockets || !isServed) return connection.refuse();
      this.connections = [...this.connections, connection];
      connection.accept(actor.value);
    }, this.faults.latencyMs);
    return connection.client;
  };

  #actorOf(headers: Record<string, string>): Result<Actor, Refusal> {
    if (headers["shim-protocol"] !== "1") return err({ code: "unsupported_protocol", message: "protocol 1 is served" });
    const given = (headers["authorization"] ?? "").replace("Bearer ", "");
    if (this.revoked.has(given)) return err({ code: "unauthenticated", message: "the token was revoked" });
    if (given === token) return ok(m1);
    return given === adminToken ? ok(admin) : err({ code: "unauthenticated", message: "a valid token is needed" });
  }

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
    if (hints.some(({ kind }) => kind === "changes")) for (const one of this.connections) one.tellChanges();
    for (const hint of hints) for (const one of this.connections) this.#tellOne(one, hint);
    this.#tellTasks();
  }

  /** Without its limit of one a second. */
  #tellTasks(): void {
    const watching = this.connections.filter((one) => one.isWatching("$task/"));
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

  revoke(given: string): void {
    this.revoked.add(given);
    for (const one of this.connections) one.close(4001, "the token was revoked");
  }

  closeAll(code = 1012): void {
    for (const one of this.connections) one.close(code, "");
  }

  /** A deploy: all connections are gone at once, without a close that the coordinator would see. */
  async deploy(): Promise<void> {
    for (const one of this.connections) one.vanish();
    await this.host.loseConnections();
  }

  async #served(method: string, url: string, headers: Record<string, string>, body?: string): Promise<Served> {
    const result = await this.#http(method, new URL(url), headers, body);
    this.tell();
    return servedAs(result);
  }

  async #http(method: string, url: URL, headers: Record<string, string>, body = "{}"): Answered {
    const actor = this.#actorOf(headers);
    if (!actor.ok) return actor;
    const name = operationAt(method, url.href.replace(base, "").split("?")[0] ?? "");
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

export function servedAs(result: Result<unknown, Refusal>): Served {
  if (result.ok) return { status: 200, body: JSON.stringify(result.value), retryAfter: null };
  const { retryAfterMs, code } = result.error;
  const retryAfter = retryAfterMs === undefined ? null : String(Math.ceil(retryAfterMs / 1_000));
  return { status: errorTable[code].status, body: JSON.stringify({ error: toWire(result.error) }), retryAfter };
}

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

interface Watch {
  readonly prefix: string;
  /** Up to which the client was hinted. */
  revision: number;
}

class FakeConnection {
  readonly client: Socket;
  readonly #server: FakeEdge;
  readonly chats = new Set<string>();
  readonly #events: SocketEvents;
  readonly #watches = new Map<string, Watch>();
  #actor: Actor = { machine: "none", isAdmin: false };
  /** Nothing is delivered any more, and neither side notices. */
  #isFrozen = false;
  #isOpen = false;
  #isClientDone = false;
  readonly #lastArrival = { up: 0, down: 0 };
  pings = 0;

  constructor(server: FakeEdge, events: SocketEvents) {
    this.#server = server;
    this.#events = events;
    this.client = {
      send: (text) => this.#travel("up", text, () => void this.#take(text)),
      close: () => this.#clientCloses(),
    };
  }

  isWatching(prefix: string): boolean {
    return [...this.#watches.values()].some((watch) => watch.prefix === prefix);
  }

  hintAt(prefix: string): void {
    for (const [watch, one] of this.#watches) if (one.prefix === prefix) this.notify("state.changed", { watch });
  }

  /** It no longer represents the chat. */
  end(chat: string, method: "chat.offline" | "chat.replaced"): void {
    if (this.chats.delete(chat)) this.notify(method, { chat });
  }

  accept(actor: Actor): void {
    this.#actor = actor;
    this.#isOpen = true;
    if (!this.#isClientDone) this.#events.onOpen();
  }

  refuse(): void {
    this.#clientEnds(1006, "");
  }

  /** A cable was pulled: neither side notices. */
  freeze(): void {
    this.#isFrozen = true;
  }

  close(code: number, reason: string): void {
    if (!this.#isOpen) return;
    this.#travel("down", `close ${code}`, () => this.#clientEnds(code, reason));
    this.#serverEnds();
  }

  vanish(): void {
    this.#isOpen = false;
    this.#leaves();
    this.#travel("down", "close 1006", () => this.#clientEnds(1006, ""));
  }

  notify(method: string, params: object): void {
    this.sendText(JSON.stringify({ jsonrpc: "2.0", method, params }));
  }

  tellChanges(): void {
    if (!this.#isOpen) return;
    for (const [id, watch] of this.#watches) void this.#tellWatch(id, watch);
  }

  sendText(text: string): void {
    if (!this.#isOpen) return;
    this.#travel("down", text, () => {
      if (!this.#isClientDone) this.#events.onText(text);
    });
  }

  /** In its order, whatever happens to the latency meanwhile. */
  #travel(direction: "up" | "down", text: string, arrive: () => void): void {
    const { time, faults } = this.#server;
    const at = Math.max(this.#lastArrival[direction], time.now + faults.latencyMs);
    this.#lastArrival[direction] = at;
    time.setTimer(() => {
      if (!this.#isFrozen && !faults.loses({ way: "socket", direction, text })) arrive();
    }, at - time.now);
  }

  #clientCloses(): void {
    if (this.#isClientDone) return;
    this.#travel("up", "close", () => this.#serverEnds());
    this.#clientEnds(1000, "");
  }

  #clientEnds(code: number, reason: string): void {
    if (this.#isClientDone) return;
    this.#isClientDone = true;
    this.#events.onClose(code, reason);
  }

  #serverEnds(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#leaves();
    for (const chat of this.chats) void this.#server.host.disconnect(chat);
    this.chats.clear();
    this.#server.tell();
  }

  #leaves(): void {
    this.#server.connections = this.#server.connections.filter((one) => one !== this);
  }

  async #take(text: string): Promise<void> {
    if (!this.#isOpen) return;
    if (text === "ping") return this.#pong();
    const frame = JSON.parse(text) as Request | Request[];
    const answers: object[] = [];
    for (const { id, method, params } of [frame].flat()) {
      const result = await this.#answer(method, params);
      if (id !== undefined) answers.push(frameOf(id, result));
    }
    if (answers.length > 0) this.sendText(JSON.stringify(Array.isArray(frame) ? answers : answers[0]));
    this.#server.tell();
    this.tellChanges();
  }

  #pong(): void {
    this.pings += 1;
    for (const chat of this.chats) void this.#server.host.ping(chat);
    this.sendText("pong");
  }

  async #answer(method: string, params: unknown): Answered {
    const { chat, watch, prefix } = params as Readonly<Record<"chat" | "watch" | "prefix", string>>;
    if (method === "state.watch") return this.#watch(watch, prefix);
    if (method === "state.unwatch") return ok({ isRemoved: this.#watches.delete(watch) });
    if (method === "chats.leave") {
      if (this.chats.delete(chat)) await this.#server.host.disconnect(chat);
      return ok({});
    }
    const result = await this.#server.run("socket", this.#actor, method, params);
    if (method === "chats.register" && result.ok) await this.#represent(chat);
    return result;
  }

  async #represent(chat: string): Promise<void> {
    for (const other of this.#server.connections) if (other !== this) other.end(chat, "chat.replaced");
    this.chats.add(chat);
    await this.#server.host.connect(chat);
  }

  async #watch(watch: string, prefix: string): Answered {
    this.#server.arrived.push({ way: "socket", name: "state.watch", input: { watch, prefix } });
    const listed = await this.#server.host.call("state.list", { limit: 1 });
    if (!listed.ok) return listed;
    const { revision } = listed.value;
    this.#watches.set(watch, { prefix, revision });
    return ok({ watch, revision });
  }

  async #tellWatch(id: string, watch: Watch): Promise<void> {
    const { revision: after, prefix } = watch;
    const pulled = await this.#server.host.call("state.changes", { prefix, after, limit: 500 });
    // Meanwhile another call has told it.
    if (watch.revision !== after) return;
    if (pulled.ok) watch.revision = pulled.value.revision;
    if (!pulled.ok || pulled.value.changes.length > 0) this.notify("state.changed", { watch: id });
    if (pulled.ok && pulled.value.isMore) await this.#tellWatch(id, watch);
  }
}

interface Request {
  readonly id?: number;
  readonly method: string;
  readonly params: unknown;
}

function frameOf(id: number, result: Result<unknown, Refusal>): object {
  if (result.ok) return { jsonrpc: "2.0", id, result: result.value };
  return { jsonrpc: "2.0", id, error: { code: -32_000, message: result.error.message, data: toWire(result.error) } };
}
