import { flowMarkMethod } from "../contract/protocol.ts";
import { notification } from "./frames.ts";

/** After so many characters a client is asked for a sign that it has read them. */
const charsPerMark = 262_144;
/** Characters that one connection, and all that owe a sign together, may have unread. */
export const maxUnreadChars = 12_000_000;
const maxUnreadOfAll = 48_000_000;

interface Unread {
  chars: number;
  /** What the client is to send back; null: nothing was asked. */
  mark: string | null;
  /** How much was sent before the mark. */
  charsAtMark: number;
}

/**
 * [DO22] What was sent and may not have been read: the runtime keeps it in memory until the client takes it, without a bound, and does not say how
 * much that is. So the client says it, by sending back a mark which it finds only by reading.
 */
export class Outgoing {
  readonly #unread = new Map<WebSocket, Unread>();
  /** Of those, the ones that have been asked for a sign. */
  readonly #awaitingMark = new Map<WebSocket, Unread>();
  readonly #newMark: () => string;

  /** @param newMark a text that nobody can guess */
  constructor(newMark: () => string) {
    this.#newMark = newMark;
  }

  /** A connection that is closing takes nothing more; its client asks when it is back. */
  send(socket: WebSocket, text: string): void {
    if (!trySend(socket, text)) return;
    const unread = this.#unread.get(socket) ?? { chars: 0, mark: null, charsAtMark: 0 };
    this.#unread.set(socket, unread);
    unread.chars += text.length;
    this.#mark(socket, unread);
  }

  #mark(socket: WebSocket, unread: Unread): void {
    if (unread.mark !== null || unread.chars < charsPerMark) return;
    unread.mark = this.#newMark();
    this.#awaitingMark.set(socket, unread);
    unread.charsAtMark = unread.chars;
    trySend(socket, notification(flowMarkMethod, { mark: unread.mark }));
  }

  /** The client has read everything before this mark. */
  read(socket: WebSocket, mark: unknown): void {
    const unread = this.#awaitingMark.get(socket);
    if (!unread || unread.mark !== mark) return;
    this.#awaitingMark.delete(socket);
    unread.chars -= unread.charsAtMark;
    unread.mark = null;
    this.#mark(socket, unread);
  }

  forget(socket: WebSocket): void {
    this.#unread.delete(socket);
    this.#awaitingMark.delete(socket);
  }

  /** The connections that have too much unread: each that does alone, and the largest while all together have. */
  listOverfull(): WebSocket[] {
    if (this.#awaitingMark.size === 0) return [];
    let sum = [...this.#awaitingMark.values()].reduce((chars, unread) => chars + unread.chars, 0);
    const largest = [...this.#awaitingMark].toSorted(([, a], [, b]) => b.chars - a.chars);
    const found: WebSocket[] = [];
    for (const [socket, { chars }] of largest) {
      if (chars <= maxUnreadChars && sum <= maxUnreadOfAll) break;
      found.push(socket);
      sum -= chars;
    }
    return found;
  }
}

function trySend(socket: WebSocket, text: string): boolean {
  try {
    socket.send(text);
    return true;
  } catch {
    // The runtime throws for a socket that was closed in the same moment.
    return false;
  }
}
