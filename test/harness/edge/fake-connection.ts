import type { Refusal } from "#src/contract/errors.ts";
import { toWire } from "#src/contract/protocol.ts";
import type { Actor } from "#src/coordination/kernel/tx.ts";
import type { Socket, SocketEvents } from "#src/coordinator-client/edge/platform.ts";
import { ok, type Result } from "#src/shared/result.ts";
import type { FakeEdge } from "./fake-edge.ts";

interface Watch {
  readonly prefix: string;
  /** Up to which the client was hinted. */
  revision: number;
}

/** A WebSocket and both of its ends. */
export class FakeConnection {
  readonly client: Socket;
  readonly #server: FakeEdge;
  /** That it represents. */
  readonly chats = new Set<string>();
  readonly #events: SocketEvents;
  readonly #watches = new Map<string, Watch>();
  #actor: Actor | null = null;
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
    for (const [watch, { prefix: watched }] of this.#watches)
      if (watched === prefix) this.notify("state.changed", { watch });
  }

  /** It no longer represents the chat. */
  end(chat: string, method: "chat.offline" | "chat.replaced"): void {
    if (this.chats.delete(chat)) this.notify(method, { chat });
  }

  accept(actor: Result<Actor, Refusal>): void {
    if (!actor.ok) return this.refuse();
    this.#actor = actor.value;
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

  /** The client sees the end, the server has forgotten the connection. */
  vanish(): void {
    this.#isOpen = false;
    this.#server.lose(this);
    this.#travel("down", "close 1006", () => this.#clientEnds(1006, ""));
  }

  notify(method: string, params: object): void {
    this.sendText(JSON.stringify({ jsonrpc: "2.0", method, params }));
  }

  tellChanges(): void {
    if (!this.#isOpen) return;
    for (const [id, watch] of this.#watches) void this.#tellWatch(id, watch);
  }

  /** As it is, whatever it is. */
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
    this.#server.lose(this);
    for (const chat of this.chats) void this.#server.host.disconnect(chat);
    this.chats.clear();
    this.#server.tell();
  }

  async #take(text: string): Promise<void> {
    if (!this.#isOpen) return;
    if (text === "ping") return this.#pong();
    const frame = parse(text);
    if (frame === null) return this.close(4003, "not a JSON-RPC 2.0 frame");
    const answers: object[] = [];
    for (const { id, method, params } of frame.requests) {
      const result = await this.#answer(method, params);
      if (id !== undefined) answers.push(answerOf(id, result));
    }
    if (answers.length > 0) this.sendText(JSON.stringify(frame.isBatch ? answers : answers[0]));
    this.#server.tell();
    this.tellChanges();
  }

  #pong(): void {
    this.pings += 1;
    for (const chat of this.chats) void this.#server.host.ping(chat);
    this.sendText("pong");
  }

  async #answer(method: string, params: unknown): Promise<Result<unknown, Refusal>> {
    switch (method) {
      case "chats.leave":
        return this.#leave(params as { chat: string });
      case "state.watch":
        return this.#watch(params as { watch: string; prefix: string });
      case "state.unwatch":
        return ok({ isRemoved: this.#watches.delete((params as { watch: string }).watch) });
      case "chats.register":
        return this.#register(params as { chat: string });
      default:
        return this.#run(method, params);
    }
  }

  #run(method: string, params: unknown): Promise<Result<unknown, Refusal>> {
    return this.#server.run("socket", this.#actor ?? { machine: "nobody", isAdmin: false }, method, params);
  }

  async #register(params: { chat: string }): Promise<Result<unknown, Refusal>> {
    const result = await this.#run("chats.register", params);
    if (result.ok) await this.#bind(params.chat);
    return result;
  }

  async #bind(chat: string): Promise<void> {
    for (const other of this.#server.connections) {
      if (other !== this) other.end(chat, "chat.replaced");
    }
    this.chats.add(chat);
    await this.#server.host.connect(chat);
  }

  async #leave({ chat }: { chat: string }): Promise<Result<unknown, Refusal>> {
    if (this.chats.delete(chat)) await this.#server.host.disconnect(chat);
    return ok({});
  }

  async #watch(input: { watch: string; prefix: string }): Promise<Result<unknown, Refusal>> {
    const { watch, prefix } = input;
    this.#server.arrived.push({ way: "socket", name: "state.watch", input });
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

interface Frame {
  readonly isBatch: boolean;
  readonly requests: readonly { readonly id?: number; readonly method: string; readonly params: unknown }[];
}

function parse(text: string): Frame | null {
  try {
    const value = JSON.parse(text) as Frame["requests"] | Frame["requests"][number];
    const requests = (Array.isArray(value) ? value : [value]) as Frame["requests"];
    const isGood = requests.every((one) => typeof one === "object" && one !== null && "method" in one);
    return isGood ? { isBatch: Array.isArray(value), requests } : null;
  } catch {
    return null;
  }
}

function answerOf(id: number, result: Result<unknown, Refusal>): object {
  if (result.ok) return { jsonrpc: "2.0", id, result: result.value };
  return { jsonrpc: "2.0", id, error: { code: -32_000, message: result.error.message, data: toWire(result.error) } };
}
