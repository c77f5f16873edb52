import { closeCodes } from "#src/contract/protocol.ts";
import type { Presence } from "#src/coordination/kernel/tx.ts";
import type { Sim } from "../sim.ts";
import type { HostQuirks } from "./quirks.ts";

/** A socket between one process and the host. */
export interface Connection {
  chat: string;
  incarnation: number;
  /** When the host heard its last ping. */
  lastSeen: number;
  /** As the host knows it. */
  isOpen: boolean;
  readonly watches: Map<string, Watched>;
  /** Tells the client's end, which notices later. */
  readonly onClosed: (code: number) => void;
  /** Over the connection. */
  readonly notify: (method: string, params: object) => void;
}

/** How far a watch has been sent what is below its prefix. */
export interface Watched {
  readonly prefix: string;
  /** Compared up to this revision. */
  sent: number;
  /** The revision of the last frame. */
  notified: number;
}

/** Of a socket that ends without a close. */
const vanished = 1006;

/** Which chats the host hears. They outlive an eviction, not a deploy. */
export class Connections implements Presence {
  readonly #sim: Sim;
  readonly #quirks: HostQuirks;
  readonly #byChat = new Map<string, Connection>();
  onHeard: (chat: string) => void = () => undefined;
  /** For a planted bug. */
  readonly #ever = new Set<string>();

  constructor(sim: Sim, quirks: HostQuirks) {
    this.#sim = sim;
    this.#quirks = quirks;
  }

  lastSeen(chat: string): number | null {
    if (this.#quirks.hearsGhosts && this.#ever.has(chat)) return this.#sim.hostNow;
    return this.#byChat.get(chat)?.lastSeen ?? null;
  }

  /** A ping came. @returns whether it is answered */
  ping(connection: Connection): boolean {
    if (!connection.isOpen) return false;
    if (this.#byChat.get(connection.chat) === connection) this.onHeard(connection.chat);
    if (!this.#quirks.isDeaf) connection.lastSeen = this.#sim.hostNow;
    return true;
  }

  /** A registration succeeded, over a connection or without one. Those of other incarnations are closed. */
  bind(chat: string, incarnation: number, connection: Connection | null): void {
    const old = this.#byChat.get(chat);
    if (old && old !== connection && (connection !== null || old.incarnation !== incarnation)) {
      this.shut(chat, closeCodes.replaced);
    }
    if (!connection) return;
    this.#ever.add(chat);
    Object.assign(connection, { chat, incarnation, lastSeen: this.#sim.hostNow });
    this.#byChat.set(chat, connection);
  }

  of(chat: string): Connection | undefined {
    return this.#byChat.get(chat);
  }

  has(chat: string, incarnation: number): boolean {
    return this.#byChat.get(chat)?.incarnation === incarnation;
  }

  /** The host closes what a chat has. */
  shut(chat: string, code: number): void {
    const connection = this.#byChat.get(chat);
    if (!connection) return;
    this.#byChat.delete(chat);
    connection.isOpen = false;
    connection.onClosed(code);
  }

  /** Closed from without. @returns whether it was the chat's present one */
  close(connection: Connection): boolean {
    connection.isOpen = false;
    if (this.#byChat.get(connection.chat) !== connection) return false;
    this.#byChat.delete(connection.chat);
    return true;
  }

  loseAll(): void {
    for (const chat of this.#byChat.keys()) this.shut(chat, vanished);
  }

  open(): readonly Connection[] {
    return [...this.#byChat.values()];
  }
}
