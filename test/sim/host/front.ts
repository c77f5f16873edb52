import type { ChatRow } from "#src/coordination/kernel/chat-rows.ts";
import type { Presence, Actor, Hint } from "#src/coordination/kernel/tx.ts";
import type { Sim } from "../sim.ts";
import type { RecordingSql } from "./recording-sql.ts";
import type { Refusal } from "#src/contract/errors.ts";
import { type RpcRequest, toAnswer, leaveMethod } from "#src/contract/protocol.ts";
import type { CheckedInputOf } from "#src/contract/operations.ts";
import * as changes from "#src/coordination/kernel/changes.ts";
import { checkFields } from "#src/shared/check-input.ts";
import { type EngineOperation, isEngineOperation } from "#src/coordination/engine.ts";
import { err, ok, type Result } from "#src/shared/result.ts";
import { servedAs, type Served } from "#harness/edge/fake-edge.ts";
import type { Reply, Request, SimHost } from "./sim-host.ts";

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

  lastSeen(chat: string): number | null {
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
    if (old && old !== connection && (connection !== null || old.incarnation !== incarnation)) {
      this.end(chat, "chat.replaced");
    }
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
    const heardAt = presence.lastSeen(chat);
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

  #ofConnection(name: string, params: unknown, { watches }: Connection): Result<object, Refusal> | null {
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
