import { notificationFrame, flowMarkMethod } from "../contract/protocol.ts";

export interface Watch {
  readonly id: string;
  readonly prefix: string;
}

export interface Credentials {
  readonly id: string;
  readonly hash: string;
}

/** Headers of the Worker's request for a socket: an address may be logged. */
export const innerHeaders = { token: "shim-token", hash: "shim-token-hash", ticket: "shim-ticket" } as const;

/** Stored with the socket. */
export interface Attachment {
  readonly token: Credentials;
  readonly openedAt: number;
  /** A page registers no chat. */
  readonly isPage: boolean;
  /** Registered over this connection; a pair takes less than an object. */
  readonly chats: readonly (readonly [chat: string, incarnation: number])[];
  readonly watches: readonly Watch[];
}

/** With all chats that it may have, and the longest ids, an attachment stays below 16 KB. */
export const maxWatches = 16;
export const maxPrefixBytes = 6_144;

export function prefixBytes(watches: readonly Pick<Watch, "prefix">[]): number {
  return watches.reduce((sum, { prefix }) => sum + bytesOf(prefix), 0);
}

/** V8 stores a string with a character above U+00FF as two bytes per character. */
function bytesOf(text: string): number {
  return /[\u0100-\uffff]/.test(text) ? 2 * text.length : text.length;
}

/** Deserializing an attachment costs more than the rest of a change. */
const cache = new WeakMap<WebSocket, Attachment>();

export function attachmentOf(socket: WebSocket): Attachment | null {
  const found = cache.get(socket);
  if (found) return found;
  // Written by attach() of this or an older program.
  const stored = socket.deserializeAttachment() as Attachment | null;
  if (stored) cache.set(socket, stored);
  return stored;
}

export function attach(socket: WebSocket, attachment: Attachment): void {
  cache.set(socket, attachment);
  socket.serializeAttachment(attachment);
}

/** Characters after which a client must acknowledge that it has read them. */
const charsPerMark = 262_144;
/** Unread characters of one connection, and of all unacknowledged ones together. */
const maxUnreadChars = 12_000_000;
const maxUnreadOfAll = 48_000_000;

interface Unread {
  chars: number;
  mark: string | null;
  charsAtMark: number;
}

/**
 * Tracks what a client may not have read, since the runtime buffers it without a bound. The
 * client sends back a mark that it finds only by reading.
 */
export class Outgoing {
  readonly #unread = new Map<WebSocket, Unread>();
  readonly #awaitingMark = new Map<WebSocket, Unread>();
  readonly #newMark: () => string;

  constructor(newMark: () => string) {
    this.#newMark = newMark;
  }

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
    trySend(socket, notificationFrame(flowMarkMethod, { mark: unread.mark }));
  }

  read(socket: WebSocket, mark: unknown): void {
    const unread = this.#awaitingMark.get(socket);
    if (!unread || unread.mark !== mark) return;
    this.#awaitingMark.delete(socket);
    unread.chars -= unread.charsAtMark;
    unread.mark = null;
    this.#mark(socket, unread);
  }

  /** Whether the client owes a mark: it may be slow. */
  isBehind(socket: WebSocket): boolean {
    return this.#awaitingMark.has(socket);
  }

  forget(socket: WebSocket): void {
    this.#unread.delete(socket);
    this.#awaitingMark.delete(socket);
  }

  /** Connections above their own limit, and the largest while the total exceeds its limit. */
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
    // The runtime throws for a socket that has just closed.
    return false;
  }
}
