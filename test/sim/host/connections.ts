import type { ChatRow } from "#src/coordination/kernel/chat-rows.ts";
import type { Presence } from "#src/coordination/kernel/tx.ts";
import type { Sim } from "../sim.ts";
import type { RecordingSql } from "./recording-sql.ts";

/** A socket between one process and the host. */
export interface Connection {
  chat: string;
  incarnation: number;
  /** When the host received its last ping. */
  lastSeen: number;
  /** As the host knows it. */
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

/** The code of a socket that ends without a close. */
const vanished = 1006;

/** The present connection of each chat. Connections outlive an eviction of the host, and no deploy. */
export class Connections implements Presence {
  readonly #sim: Sim;
  readonly #byChat = new Map<string, Connection>();
  onHeard: (chat: string) => void = () => undefined;

  constructor(sim: Sim) {
    this.#sim = sim;
  }

  lastSeen(chat: string): number | null {
    return this.#byChat.get(chat)?.lastSeen ?? null;
  }

  /** @returns whether the ping is answered */
  ping(connection: Connection): boolean {
    if (!connection.isOpen) return false;
    if (this.#byChat.get(connection.chat) === connection) this.onHeard(connection.chat);
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

  /** @returns whether it was the present connection of its chat */
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
