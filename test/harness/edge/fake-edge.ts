import { statusOf, type Failure } from "#src/contract/errors.ts";
import { notificationFrame, readRequests, toAnswer, toWire } from "#src/contract/protocol.ts";
import { isOperation, operations, type InputOf, type OperationName } from "#src/contract/operations.ts";
import { isEngineOperation } from "#src/coordination/engine.ts";
import * as changes from "#src/coordination/kernel/changes.ts";
import type { Actor, Hint } from "#src/coordination/kernel/tx.ts";
import type { Fetch, FetchResponse, OpenSocket, Socket, SocketEvents } from "#src/coordinator-client/edge/platform.ts";
import { openBetterSqlite3 } from "#src/store/driver-better-sqlite3.ts";
import { fromTexts } from "#src/shared/input-fields.ts";
import { err, ok, type Result } from "#src/shared/result.ts";
import { FakeTime } from "#harness/clock/fake-time.ts";
import { admin, m1 } from "#harness/coordinator/engine-host.ts";
import { LocalHost } from "#harness/coordinator/local-host.ts";

type Reply = Result<unknown>;

type Arrived = Readonly<{ way: "http" | "socket"; name: string; input: Readonly<Record<string, unknown>> }>;

export type Passing = Readonly<{ way: "http" | "socket"; direction: "up" | "down"; text: string }>;

class Faults {
  isUnreachable = false;
  refusesSockets = false;
  latencyMs = 5;
  loses: (passing: Passing) => boolean = () => false;
  refuses: (arrived: Arrived) => Failure | null = () => null;
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

  readonly fetch: Fetch = (url, { method, headers, body = "{}", signal }) => {
    const { faults, time } = this;
    return new Promise<FetchResponse>((resolve, reject) => {
      const abort = (): void => reject(new DOMException("aborted", "AbortError"));
      if (signal.aborted) return abort();
      signal.addEventListener("abort", abort);
      time.setTimer(() => {
        const cause = Object.assign(new Error("connect ECONNREFUSED"), { code: "ECONNREFUSED" });
        if (faults.isUnreachable) return reject(new TypeError("fetch failed", { cause }));
        if (faults.loses({ way: "http", direction: "up", text: `${method} ${url} ${body}` })) return;
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
      if (this.faults.isUnreachable || this.faults.refusesSockets || !isServed) return connection.clientEnds(1006, "");
      this.connections = [...this.connections, connection];
      connection.accept(actor.value);
    }, this.faults.latencyMs);
    return connection.client;
  };

  #actorOf(headers: Record<string, string>): Result<Actor> {
    if (headers["shim-protocol"] !== "1") return err({ code: "unsupported_protocol", message: "protocol 1 is served" });
    const given = (headers["authorization"] ?? "").replace("Bearer ", "");
    if (this.revoked.has(given)) return err({ code: "unauthenticated", message: "the token was revoked" });
    if (given === token) return ok(m1);
    return given === adminToken ? ok(admin) : err({ code: "unauthenticated", message: "a valid token is needed" });
  }

  async run(way: Arrived["way"], actor: Actor, name: string, input: unknown): Promise<Reply> {
    const arrived = { way, name, input: input as Record<string, unknown> };
    this.arrived.push(arrived);
    const refused = this.faults.refuses(arrived);
    if (refused) return err(refused);
    if (name === "health") return ok(health);
    if (name === "tokens.create" && actor.isAdmin) return ok({ id: "tok_1", token: "shim_new" });
    if (!isOperation(name) || !isEngineOperation(name)) return err({ code: "bad_input", message: `not here: ${name}` });
    return this.host.call(name, input as InputOf<typeof name>, actor);
  }

  /** Sends what was committed to the chats that it concerns. */
  tell(): void {
    const hints = this.host.hints.splice(0);
    for (const one of this.connections) {
      if (hints.some(({ kind }) => kind === "changes")) one.tellChanges();
      for (const hint of hints) this.#tellOne(one, hint);
    }
    const watching = this.connections.filter((one) => one.isWatching("$task/"));
    if (watching.length === 0) return;
    const tasks = JSON.stringify(this.host.sql.all("SELECT task, state FROM tasks"));
    if (tasks !== this.#tasks) for (const one of watching) one.tellChanges("$task/");
    this.#tasks = tasks;
  }

  #tellOne(connection: FakeConnection, hint: Hint): void {
    if (hint.kind === "changes" || hint.kind === "dispatch" || hint.kind === "boxes") return;
    if (hint.kind === "sync") return connection.notify("sync.changed", { isDeath: hint.isDeath });
    for (const chat of hint.chat === null ? connection.chats : [hint.chat]) {
      if (!connection.chats.has(chat)) continue;
      if (hint.kind === "lease") connection.notify("lease.granted", { chat, resource: hint.resource });
      else if (hint.kind === "message") connection.notify("messages.new", { chat });
      else if (hint.kind === "task") connection.notify("tasks.new", { chat });
      // It may be back by now.
      else if (this.host.sql.all("SELECT 1 FROM chats WHERE chat = ? AND status = 'offline'", chat).length > 0)
        connection.end(chat, "chat.offline");
    }
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

  async #served(method: string, url: string, headers: Record<string, string>, body: string): Promise<Served> {
    const actor = this.#actorOf(headers);
    const { name = "", input } = readRequest(method, url.replace(base, ""), body) ?? {};
    const result = actor.ok ? await this.run("http", actor.value, name, input) : actor;
    this.tell();
    return servedAs(result);
  }
}

export type Served = Readonly<{ status: number; body: string; retryAfter: string | null }>;

export function servedAs(result: Reply): Served {
  if (result.ok) return { status: 200, body: JSON.stringify(result.value), retryAfter: null };
  const { retryAfterMs, code } = result.error;
  const retryAfter = retryAfterMs === undefined ? null : String(Math.ceil(retryAfterMs / 1_000));
  return { status: statusOf(code), body: JSON.stringify({ error: toWire(result.error) }), retryAfter };
}

export function answerOf({ status, body, retryAfter }: Served): FetchResponse {
  const headers = { get: (name: string) => (name === "retry-after" ? retryAfter : null) };
  return { status, headers, text: () => Promise.resolve(body) };
}

type NamedInput = Readonly<{ name: OperationName; input: unknown }>;

/** @param target path below the workspace, with the query */
export function readRequest(method: string, target: string, body: string): NamedInput | null {
  const { pathname, searchParams } = new URL(target, "http://path.only");
  const names = Object.keys(operations).filter(isOperation);
  const name = names.find((one) => operations[one].method === method && operations[one].path === pathname);
  if (!name) return null;
  if (method !== "GET") return { name, input: JSON.parse(body) };
  return { name, input: fromTexts(operations[name].input, Object.fromEntries(searchParams)) };
}

const idle = { alarmInMs: null, overdueRows: 0, outboxDepth: 0, storage: null, sockets: 0, chats: 0 };
export const health = { ...idle, schemaVersion: 1, epoch: 1, revision: 0, protocol: 1 };

interface Watch {
  readonly prefix: string;
  /** Up to which the client was hinted. */
  revision: number;
}

class FakeConnection {
  readonly client: Socket;
  readonly chats = new Set<string>();
  pings = 0;
  readonly #server: FakeEdge;
  readonly #events: SocketEvents;
  readonly #watches = new Map<string, Watch>();
  #actor: Actor = { machine: "none", isAdmin: false };
  /** Nothing is delivered any more, and neither side notices. */
  #isFrozen = false;
  #isOpen = false;
  #isClientDone = false;
  readonly #lastArrival = { up: 0, down: 0 };

  constructor(server: FakeEdge, events: SocketEvents) {
    this.#server = server;
    this.#events = events;
    this.client = {
      send: (text) => this.#travel("up", text, () => void this.#take(text)),
      close: () => {
        if (!this.#isClientDone) this.#travel("up", "close", () => this.#serverEnds());
        this.clientEnds(1000, "");
      },
    };
  }

  isWatching(prefix: string): boolean {
    return [...this.#watches.values()].some((watch) => watch.prefix === prefix);
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

  /** A cable was pulled: neither side notices. */
  freeze(): void {
    this.#isFrozen = true;
  }

  close(code: number, reason: string): void {
    if (!this.#isOpen) return;
    this.#travel("down", `close ${code}`, () => this.clientEnds(code, reason));
    this.#serverEnds();
  }

  vanish(): void {
    this.#isOpen = false;
    this.#leaves();
    this.#travel("down", "close 1006", () => this.clientEnds(1006, ""));
  }

  notify(method: string, params: object): void {
    this.sendText(notificationFrame(method, params));
  }

  /** @param rows prefix of what is no state, of which something has changed */
  tellChanges(rows?: string): void {
    for (const [watch, one] of this.#watches) {
      const { keys, revision } = changes.keysAfter(this.#server.host.sql, one.revision);
      one.revision = revision;
      if (one.prefix === rows || keys === null || keys.some((key) => key.startsWith(one.prefix)))
        this.notify("state.changed", { watch });
    }
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

  clientEnds(code: number, reason: string): void {
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
    if (text === "ping") {
      this.pings += 1;
      for (const chat of this.chats) void this.#server.host.ping(chat);
      return this.sendText("pong");
    }
    const frame = readRequests(text);
    for (const request of frame.ok ? frame.value.requests : []) {
      const result = request && (await this.#answer(request.method, request.params));
      if (result && request.id !== null) this.sendText(JSON.stringify(toAnswer(request.id, result)));
    }
    this.#server.tell();
    this.tellChanges();
  }

  async #answer(method: string, params: unknown): Promise<Reply> {
    const { host, arrived, connections } = this.#server;
    const { chat, watch, prefix } = params as Readonly<Record<"chat" | "watch" | "prefix", string>>;
    if (method === "state.watch") {
      arrived.push({ way: "socket", name: method, input: { watch, prefix } });
      const { revision } = changes.readTotals(host.sql);
      this.#watches.set(watch, { prefix, revision });
      return ok({ watch, revision });
    }
    if (method === "state.unwatch") return ok({ isRemoved: this.#watches.delete(watch) });
    if (method === "chats.leave") {
      if (this.chats.delete(chat)) await host.disconnect(chat);
      return ok({});
    }
    const result = await this.#server.run("socket", this.#actor, method, params);
    if (method !== "chats.register" || !result.ok) return result;
    for (const other of connections) if (other !== this) other.end(chat, "chat.replaced");
    this.chats.add(chat);
    await host.connect(chat);
    return result;
  }
}
