import { notificationFrame } from "../contract/frames.ts";
import type { Tx } from "../coordination/kernel/tx.ts";
import { findCarried } from "../coordination/messages/carried.ts";
import type { Outgoing } from "./outgoing.ts";

/** Chats per event whose unread messages are read for a hint. */
const maxLookups = 100;

/** [DO15] [MS34] The hints of one event; each chat's unread messages are read once. */
export class MessageHints {
  readonly #outgoing: Outgoing;
  readonly #tx: () => Tx;
  readonly #texts = new Map<string, string>();

  constructor(outgoing: Outgoing, tx: () => Tx) {
    this.#outgoing = outgoing;
    this.#tx = tx;
  }

  send(socket: WebSocket, chat: string): void {
    this.#outgoing.send(socket, this.#outgoing.isBehind(socket) ? plainHint(chat) : this.#textFor(chat));
  }

  #textFor(chat: string): string {
    const known = this.#texts.get(chat);
    if (known !== undefined || this.#texts.size === maxLookups) return known ?? plainHint(chat);
    const message = findCarried(this.#tx(), chat);
    const text = message ? notificationFrame("messages.new", { chat, message }) : plainHint(chat);
    this.#texts.set(chat, text);
    return text;
  }
}

function plainHint(chat: string): string {
  return notificationFrame("messages.new", { chat });
}
