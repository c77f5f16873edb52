/** What a hibernating socket remembers: at most 16 KB, so the number and the size of watches are bounded. */

/** Changed in place while the object is awake; what is stored of it may lag behind ({@link Watches}). */
export interface Watch {
  readonly id: string;
  readonly prefix: string;
  /** Compared up to this revision: what matches was sent. */
  sent: number;
  /** The revision of the last frame. */
  told: number;
  /** The client has taken in what was sent up to this revision; with the last frame, all that was compared. */
  taken: number;
  /** Characters of the frames that are not acknowledged. Absent: 0. */
  chars?: number;
  /** It does not follow: nothing more is sent before it asks anew. */
  isStalled: boolean;
}

/** A signed token as the worker has read it: the object looks whether it is still good. */
export interface Credentials {
  readonly id: string;
  readonly hash: string;
}

/** Stored with the socket. Add fields as optional. */
export interface Attachment {
  /** What it may do is asked with each frame: a token may be over by then. */
  readonly token: Credentials;
  readonly openedAt: number;
  /** The chat that the client has named in the address: only it can be registered here. */
  readonly chat: string | null;
  /** Set once it is registered: from then on the connection stands for the chat. */
  readonly incarnation: number | null;
  readonly watches: readonly Watch[];
}

/** So many watches, with prefixes of so many bytes together, stay below 16 KB also with the longest ids. */
export const maxWatches = 16;
export const maxPrefixBytes = 8_192;

export function prefixBytes(watches: readonly Pick<Watch, "prefix">[]): number {
  return watches.reduce((sum, { prefix }) => sum + bytesOf(prefix), 0);
}

/** V8 stores a text in which one sign is above U+00FF with two bytes for each. */
function bytesOf(text: string): number {
  return /[\u0100-\uffff]/.test(text) ? 2 * text.length : text.length;
}

/** Reading one anew takes longer than all else that a change costs a connection. */
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
