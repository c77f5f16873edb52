import type { Scope } from "../contract/workspaces.ts";

/** What a hibernating socket remembers: at most 16 KB, so the number and the size of watches are bounded. */

export interface Watch {
  readonly id: string;
  readonly prefix: string;
  /** Told up to this revision. */
  readonly sent: number;
  /** The client has taken in what was told up to this revision. */
  readonly taken: number;
  /** It does not follow: nothing more is told before it asks anew. */
  readonly isStalled: boolean;
}

/** Stored with the socket. Add fields as optional. */
export interface Attachment {
  readonly tokenId: string;
  readonly machine: string;
  readonly scope: Scope;
  readonly openedAt: number;
  /** The chat that the client has named in the address: only it can be registered here. */
  readonly chat: string | null;
  /** Set once it is registered. */
  readonly incarnation: number | null;
  readonly watches: readonly Watch[];
}

/** 16 watches of 512 characters each stay below 16 KB also with the longest ids. */
export const maxWatches = 16;

export function attachmentOf(socket: WebSocket): Attachment | null {
  // Written by attach() of this or an older program.
  return socket.deserializeAttachment() as Attachment | null;
}

export function attach(socket: WebSocket, attachment: Attachment): void {
  socket.serializeAttachment(attachment);
}
