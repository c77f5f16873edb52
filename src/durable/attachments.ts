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
