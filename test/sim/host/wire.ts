import * as changes from "#src/coordination/kernel/changes.ts";
import type { ChatRow } from "#src/coordination/kernel/chat-rows.ts";
import type { Presence, Actor, Hint } from "#src/coordination/kernel/tx.ts";
import type { Sim } from "../sim.ts";
import type { RecordingSql } from "./recording-sql.ts";
import { type RpcRequest, toAnswer, leaveMethod, notificationFrame } from "#src/contract/protocol.ts";
import type { CheckedInputOf } from "#src/contract/operations.ts";
import { checkFields } from "#src/shared/check-input.ts";
import { type EngineOperation, isEngineOperation } from "#src/coordination/engine.ts";
import { err, ok, type Result } from "#src/shared/result.ts";
import { servedAs, type Served, answerOf, readRequest } from "#harness/edge/fake-edge.ts";
import type { Reply, Request, SimHost } from "./sim-host.ts";
import { pingText, pongText } from "#src/contract/sockets.ts";
import type { Fetch, FetchResponse, Platform, Socket, SocketEvents } from "#src/coordinator-client/edge/platform.ts";
import { seededRandom, SleepingClocks } from "#harness/clock/fake-time.ts";
import type { Client } from "../client/client.ts";

/** A socket between one process and the host. */
export interface Connection {
  chat: string;
  incarnation: number;
  lastSeen: number;
  isOpen: boolean;
  readonly watches: Map<string, Watched>;
  /** Tells the client's end, which notices later. */
  readonly onClosed: (code: number) => void;
  readonly notify: (method: string, params: object) => void;
}

export interface Watched {
  readonly prefix: string;
  /** The revision up to which the connection knows of changes. */
  known: number;
}

const vanished = 1006;

/** The present connection of each chat. Connections outlive an eviction of the host, and no deploy. */
export class Connections implements Presence {
  readonly #sim: Sim;
  readonly #byChat = new Map<string, Connection>();

  constructor(sim: Sim) {
    this.#sim = sim;
  }

  lastSeen({ chat }: { readonly chat: string }): number | null {
    return this.#byChat.get(chat)?.lastSeen ?? null;
  }

  ping(connection: Connection): boolean {
    if (!connection.isOpen) return false;
    connection.lastSeen = this.#sim.hostNow;
    return true;
  }

  /** After a registration, over a connection or without one. A connection of another incarnation is replaced. */
  bind(chat: string, incarnation: number, connection: Connection | null): void {
    const old = this.#byChat.get(chat);
    if (old && old !== connection && (connection !== null || old.incarnation !== incarnation))
      this.end(chat, "chat.replaced");
    if (!connection) return;
    Object.assign(connection, { chat, incarnation, lastSeen: this.#sim.hostNow });
    this.#byChat.set(chat, connection);
  }

  of(chat: string): Connection | undefined {
    return this.#byChat.get(chat);
  }

  has(chat: string, incarnation: number): boolean {
    return this.#byChat.get(chat)?.incarnation === incarnation;
  }

  /** The connection stays open, but no longer represents the chat. */
  end(chat: string, method: "chat.offline" | "chat.replaced"): void {
    const connection = this.#byChat.get(chat);
    this.#byChat.delete(chat);
    connection?.notify(method, { chat });
  }

  unbind(connection: Connection): boolean {
    if (this.#byChat.get(connection.chat) !== connection) return false;
    this.#byChat.delete(connection.chat);
    return true;
  }

  loseAll(): void {
    for (const connection of this.#byChat.values()) {
      connection.isOpen = false;
      connection.onClosed(vanished);
    }
    this.#byChat.clear();
  }

  open(): readonly Connection[] {
    return [...this.#byChat.values()];
  }
}

export type IsGone = (chat: string, incarnation: number) => boolean;

/** Judges whether a chat lives at this moment of a transaction, without the engine's code. */
export function goneIn(sim: Sim, sql: RecordingSql, presence: Presence, ttlMs: () => number): IsGone {
  return (chat, incarnation) => {
    const [row] = sql.peek<ChatRow>("SELECT * FROM chats WHERE chat = ?", chat);
    if (!row || row.incarnation !== incarnation || row.status === "offline") return true;
    const heardAt = presence.lastSeen(row);
    if (heardAt !== null) return Math.max(heardAt, row.lastSeenAt) + ttlMs() <= sim.hostNow;
    if (row.graceUntil !== null) return row.graceUntil <= sim.hostNow;
    return row.isConnected === 0 && row.lastSeenAt + ttlMs() <= sim.hostNow;
  };
}

/** The wire protocol in front of the engine, as the worker and its object speak it. */
export class Front {
  readonly #sim: Sim;
  readonly #host: SimHost;

  constructor(sim: Sim, host: SimHost) {
    this.#sim = sim;
    this.#host = host;
    host.onHint = (hint) => this.#hint(hint);
  }

  http(name: string, input: unknown, actor: Actor): Served | null {
    const reply = name === "health" ? ok({}) : this.#run(name, input, actor, null);
    return reply && servedAs(reply);
  }

  frame({ id, method, params }: RpcRequest, actor: Actor, connection: Connection): string | null {
    if (method === leaveMethod) {
      if (connection.chat === (params as { chat: string }).chat) this.#host.left(connection);
      return null;
    }
    const reply = this.#ofConnection(method, params, connection) ?? this.#run(method, params, actor, connection);
    return reply && JSON.stringify(toAnswer(id, reply));
  }

  /** Notifies a connection of each watch below whose prefix something has changed. */
  follow(connection: Connection): void {
    for (const [watch, watched] of connection.watches) {
      const { keys, revision } = changes.keysAfter(this.#host.sql, watched.known);
      watched.known = revision;
      if (keys === null || keys.some((key) => key.startsWith(watched.prefix)))
        connection.notify("state.changed", { watch });
    }
  }

  #run(name: string, input: unknown, actor: Actor, connection: Connection | null): Reply | null {
    if (!isEngineOperation(name)) return err({ code: "bad_input", message: `${name} is not served here` });
    const isBinding = connection !== null && name === "chats.register";
    const reply = this.#host.handle({ ...this.#checked(name, input, actor), ...(isBinding ? { connection } : {}) });
    this.#sim.note(() => `  ${name} ${JSON.stringify(input)} -> ${JSON.stringify(reply)}`);
    return reply;
  }

  #checked(name: EngineOperation, input: unknown, actor: Actor): Request {
    const checked = checkFields(name, input);
    if (!checked.ok) this.#sim.fail("requests", `the client sent what the contract refuses: ${checked.error.message}`);
    return { name, input: checked.value.input as never, actor };
  }

  #ofConnection(name: string, params: unknown, { watches }: Connection): Result<object> | null {
    if (name === "state.unwatch")
      return ok({ isRemoved: watches.delete((params as CheckedInputOf<"state.unwatch">).watch) });
    if (name !== "state.watch") return null;
    const { watch, prefix } = params as CheckedInputOf<"state.watch">;
    const { revision } = changes.readTotals(this.#host.sql);
    watches.set(watch, { prefix, known: revision });
    return ok({ watch, revision });
  }

  #hint(hint: Hint): void {
    const { connections } = this.#host;
    // Hints of watches are never lost.
    if (hint.kind === "changes") for (const connection of connections.open()) this.follow(connection);
    if (hint.kind === "lease") this.#push(hint.chat, "lease.granted", { resource: hint.resource });
    if (hint.kind === "task") this.#push(hint.chat, "tasks.new");
    if (hint.kind !== "message") return;
    // A message for all is hinted to some chats only.
    const all = (): Connection[] => connections.open().filter(() => this.#sim.rng.chance(0.1));
    for (const chat of hint.chat === null ? all().map((one) => one.chat) : [hint.chat])
      this.#push(chat, "messages.new");
  }

  #push(chat: string, method: string, params: object = {}): void {
    this.#host.connections.of(chat)?.notify(method, { chat, ...params });
  }
}

export class Machine extends SleepingClocks {
  readonly name: string;
  boot = 1;

  constructor(sim: Sim, name: string, rate: number) {
    super(sim, rate);
    this.name = name;
  }
}

export function platformOf(client: Client): Platform {
  return {
    clock: client.identity.machine.clock,
    setTimer: (work, ms) => setTimer(client, work, ms),
    random: seededRandom(client.world.sim.rng.below(2 ** 31)),
    fetch: fetchOf(client),
    openSocket: (_url, _headers, events) => {
      if (!client.identity.hasSockets) return blockedSocket(client, events);
      const socket = new SimSocket(client, events);
      client.socket = socket;
      return socket;
    },
  };
}

/** Runs by the machine's monotonic clock, which stands still in a suspend. A process that does not run gets its timer late. */
function setTimer(client: Client, work: () => void, ms: number): () => void {
  const { clock, rate } = client.identity.machine;
  const due = clock.monotonic() + ms;
  let isOver = false;
  const fire = (): boolean | void => {
    if (isOver) return false;
    const leftMs = due - clock.monotonic();
    if (leftMs > 0) return wait(leftMs);
    isOver = true;
    work();
  };
  const wait = (leftMs: number): void => {
    // Timers of Node, too, never fire within the same millisecond.
    const trueMs = Math.max(1, Math.ceil(leftMs / rate));
    client.world.sim.later(trueMs, "timer", () => (isOver ? false : client.deliver(fire)));
  };
  wait(ms);
  return () => void (isOver = true);
}

function fetchOf(client: Client): Fetch {
  const { front, network } = client.world;
  return (url, { method, body, signal }) =>
    new Promise<FetchResponse>((resolve, reject) => {
      const abort = (): void => reject(new DOMException("aborted", "AbortError"));
      if (signal.aborted) return abort();
      signal.addEventListener("abort", abort);
      const request = readRequest(method, url.replace(/^.*\/workspaces\/\w+/, ""), body ?? "{}");
      if (!request) throw new Error(`no operation is at ${method} ${url}`);
      const { name, input } = request;
      const withheld = client.leasing.withhold(name, input);
      if (withheld) return client.later(0, "not sent", () => resolve(answerOf(servedAs(withheld))));
      network.send<Served>(client, {
        serve: () => front.http(name, input, client.actor),
        onReply: (reply) => resolve(answerOf(reply)),
        onReset: () => reject(new TypeError("fetch failed")),
      });
    });
}

function blockedSocket(client: Client, events: SocketEvents): Socket {
  client.later(1, "no socket opens", () => events.onClose(1006, "no socket was opened"));
  return { send: () => undefined, close: () => undefined };
}

/** Part of the HTTP loss that hits sockets: a socket that loses something is dead from then on. */
const lossPart = 0.15;

/** A WebSocket with both of its ends. It keeps its order until it is dead; then nothing arrives, and neither end is notified. */
export class SimSocket implements Socket, Connection {
  chat = "";
  incarnation = 0;
  lastSeen = 0;
  isOpen = true;
  readonly watches = new Map<string, Watched>();
  readonly #client: Client;
  readonly #events: SocketEvents;
  readonly #arrivedAt = { up: 0, down: 0 };
  #isDead = false;
  #isClosedHere = false;

  constructor(client: Client, events: SocketEvents) {
    this.#client = client;
    this.#events = events;
    this.#pass("up", "socket opens", () => this.#down("socket is open", () => events.onOpen()));
  }

  send(text: string): void {
    if (this.#isClosedHere) return;
    if (text !== pingText) return this.#request(text);
    this.#pass("up", "ping", () => {
      if (this.#client.world.host.connections.ping(this)) this.#downText("pong", pongText);
    });
  }

  close(): void {
    if (this.#isClosedHere) return;
    this.#isClosedHere = true;
    this.#pass("up", "socket closed", () => this.#client.world.host.closed(this));
  }

  notify(method: string, params: object): void {
    this.#downText("hint", notificationFrame(method, params));
  }

  onClosed(code: number): void {
    const noticeMs = this.#client.world.sim.rng.between(5, 2_000);
    this.#down("notices a closed socket", () => this.#events.onClose(code, ""), noticeMs);
  }

  /** The network ends the connection; both ends notice later. */
  breakOff(): void {
    this.#isDead = true;
    const { sim } = this.#client.world;
    this.#client.later(sim.rng.between(5, 500), "notices a closed socket", () => this.#events.onClose(1006, ""));
    this.endsAtHost();
  }

  endsAtHost(): void {
    const { sim, host } = this.#client.world;
    sim.later(sim.rng.between(5, 500), "socket closed", () => host.closed(this));
  }

  #request(text: string): void {
    const { front } = this.#client.world;
    const frame = JSON.parse(text) as RpcRequest;
    const withheld = this.#client.leasing.withhold(frame.method, frame.params);
    if (withheld) {
      const answer = JSON.stringify(toAnswer(frame.id, withheld));
      return this.#client.later(0, "not sent", () => this.#events.onText(answer));
    }
    const arrived = (): void => {
      if (!this.isOpen) return;
      const answer = front.frame(frame, this.#client.actor, this);
      if (answer !== null) this.#downText("reply", answer);
      if (frame.method === "state.watch") front.follow(this);
    };
    this.#pass("up", "request", arrived);
  }

  #downText(label: string, text: string): void {
    this.#down(label, () => this.#events.onText(text));
  }

  #down(label: string, work: () => void, delayMs?: number): void {
    this.#pass("down", label, () => this.#client.deliver(work), delayMs);
  }

  /** Delivers after everything that was sent before in the same direction. */
  #pass(
    direction: "up" | "down",
    label: string,
    work: () => boolean | void,
    delayMs = this.#client.world.network.delay(),
  ): void {
    const { sim, network } = this.#client.world;
    if (this.#isDead) return;
    if (network.isLost(lossPart)) return this.#dies();
    const at = Math.max(this.#arrivedAt[direction], sim.now + delayMs);
    this.#arrivedAt[direction] = at;
    sim.later(at - sim.now, label, () => {
      if (this.#isDead) return false;
      return this.#client.isCut ? this.#dies() : work();
    });
  }

  #dies(): void {
    this.#isDead = true;
    this.#client.world.sim.count("socket went dead");
  }
}
