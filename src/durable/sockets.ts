import { notificationFrame, type RpcRequest, maxChatsPerSocket } from "../contract/protocol.ts";
import type { Failure } from "../contract/errors.ts";
import { syncHintEveryMs } from "../contract/sync.ts";
import * as chatRows from "../coordination/kernel/chat-rows.ts";
import type { Hint, Presence, Tx } from "../coordination/kernel/tx.ts";
import { isEngineOperation } from "../coordination/engine.ts";
import * as inboxes from "../coordination/messages/inboxes.ts";
import { isWithin } from "../shared/known-time.ts";
import { fail, type Result } from "../shared/result.ts";
import type { Sql } from "../shared/sql.ts";
import { attach, attachmentOf, type Outgoing } from "./attachments.ts";
import type { Watches } from "./watches.ts";

/** At 40 µs each they take 8 ms. */
const hintsAtOnce = 200;

/** State lives in the sockets' attachments, which outlive a hibernation. */
export class Sockets implements Presence {
  readonly #ctx: Pick<DurableObjectState, "getWebSockets" | "getWebSocketAutoResponseTimestamp">;
  readonly #sql: Sql;
  readonly #outgoing: Outgoing;
  readonly #watches: Watches;
  /** The connection that represents each chat; null: unknown since the start. */
  #bound: Map<string, WebSocket> | null = null;
  readonly #syncHintedAt = new WeakMap<WebSocket, number>();

  constructor(ctx: DurableObjectState, sql: Sql, outgoing: Outgoing, watches: Watches) {
    this.#ctx = ctx;
    this.#sql = sql;
    this.#outgoing = outgoing;
    this.#watches = watches;
  }

  /** Last auto-answered ping, or the opening, of the connection that represents the chat. */
  lastSeen({ chat }: { readonly chat: string }): number | null {
    const socket = this.#find(chat);
    return socket && this.seenAt(socket);
  }

  seenAt(socket: WebSocket): number {
    const pinged = this.#ctx.getWebSocketAutoResponseTimestamp(socket)?.getTime() ?? 0;
    return Math.max(pinged, attachmentOf(socket)?.openedAt ?? 0);
  }

  /** @param tag of those of a token; absent: all */
  open(tag?: string): WebSocket[] {
    return this.#ctx.getWebSockets(tag).filter(({ readyState }) => readyState === WebSocket.OPEN);
  }

  #byChat(): Map<string, WebSocket> {
    const pairs = (socket: WebSocket) => this.chatsOf(socket).map((chat) => [chat, socket] as const);
    return (this.#bound ??= new Map(this.open().flatMap(pairs)));
  }

  #find(chat: string): WebSocket | null {
    const socket = this.#byChat().get(chat);
    return socket?.readyState === WebSocket.OPEN ? socket : null;
  }

  /** Chats that the connection represents. */
  chatsOf(socket: WebSocket): string[] {
    return attachmentOf(socket)?.chats.map(([chat]) => chat) ?? [];
  }

  /** Takes the chat off another connection; over HTTP, only off an earlier process. */
  bind(chat: string, incarnation: number, socket: WebSocket | null): void {
    const other = this.#find(chat);
    const known = (other && attachmentOf(other))?.chats.find(([one]) => one === chat)?.[1];
    const isOver = socket !== null || known !== incarnation;
    if (other && other !== socket && isOver) this.#end(other, chat, "chat.replaced");
    const attachment = socket && attachmentOf(socket);
    if (!attachment) return;
    const chats = [...attachment.chats.filter(([one]) => one !== chat), [chat, incarnation] as const];
    attach(socket, { ...attachment, chats });
    this.#byChat().set(chat, socket);
  }

  /** The end of the connection has no effect on the chat any more. */
  unbind(socket: WebSocket, chat: string): void {
    const attachment = attachmentOf(socket);
    if (attachment) attach(socket, { ...attachment, chats: attachment.chats.filter(([one]) => one !== chat) });
    if (this.#byChat().get(chat) === socket) this.#byChat().delete(chat);
  }

  #end(socket: WebSocket, chat: string, method: "chat.offline" | "chat.replaced"): void {
    this.unbind(socket, chat);
    this.#outgoing.send(socket, notificationFrame(method, { chat }));
  }

  /** Runs after a commit. A closed connection finds what it missed by asking. */
  notify(hints: readonly Hint[], tx: () => Tx): void {
    this.#watches.notify(hints.some(({ kind }) => kind === "changes"));
    for (const hint of hints) {
      if (hint.kind === "lease") this.#send(hint.chat, "lease.granted", { resource: hint.resource });
      if (hint.kind === "message") {
        const { chat, topic } = hint;
        const ofAll = (): string[] =>
          topic === null ? [...this.#byChat().keys()] : inboxes.listReceivers(this.#sql, topic);
        void this.#announceMessage(chat === null ? ofAll() : [chat]);
      }
      if (hint.kind === "task") this.#send(hint.chat, "tasks.new");
      if (hint.kind === "sync") this.#notifySync(hint, tx().now);
      if (hint.kind === "offline") this.#endIfOffline(hint.chat);
    }
  }

  #notifySync({ machine, isDeath }: Extract<Hint, { kind: "sync" }>, now: number): void {
    for (const socket of this.open()) {
      // A token is of one machine, and so are the chats of its connections.
      const [chat] = this.chatsOf(socket);
      const isSoon = !isDeath && isWithin(now - (this.#syncHintedAt.get(socket) ?? 0), syncHintEveryMs);
      if (chat === undefined || isSoon || chatRows.findLiveness({ sql: this.#sql }, chat)?.machine === machine)
        continue;
      this.#syncHintedAt.set(socket, now);
      this.#outgoing.send(socket, notificationFrame("sync.changed", { isDeath }));
    }
  }

  /** Lets other events run in between. Hints that are lost with the object are found by asking. */
  async #announceMessage(chats: readonly string[]): Promise<void> {
    for (let from = 0; from < chats.length; from += hintsAtOnce) {
      if (from > 0) await scheduler.wait(0);
      for (const chat of chats.slice(from, from + hintsAtOnce)) this.#send(chat, "messages.new");
    }
  }

  #send(chat: string, method: string, params: object = {}): void {
    const socket = this.#find(chat);
    if (socket) this.#outgoing.send(socket, notificationFrame(method, { chat, ...params }));
  }

  /** Skips a chat that came back in the same event. */
  #endIfOffline(chat: string): void {
    const status = chatRows.findLiveness({ sql: this.#sql }, chat)?.status ?? "offline";
    const socket = status === "offline" ? this.#find(chat) : null;
    if (socket) this.#end(socket, chat, "chat.offline");
  }
}

/** Tag of the sockets of a token. */
export function tagOf(token: string): string {
  return `token:${token}`;
}

/** Whether the connection can represent one more chat. */
export function rejectChat(socket: WebSocket | null, name: string, input: unknown): Failure | null {
  const attachment = socket && name === "chats.register" ? attachmentOf(socket) : null;
  if (!attachment) return null;
  if (attachment.isPage) return { code: "forbidden", message: "chats are not open to web pages" };
  const { chat } = input as { chat: string };
  const isKnown = attachment.chats.some(([one]) => one === chat);
  if (isKnown || attachment.chats.length < maxChatsPerSocket) return null;
  const message = `a connection represents at most ${maxChatsPerSocket} chats; open another one`;
  return { code: "quota_exceeded", message };
}

/** Whether a rollback undoes everything: the operation touches no connection. */
export function canRollBack(request: RpcRequest | null): boolean {
  return request === null || (request.method !== "chats.register" && isEngineOperation(request.method));
}

export function socketOnly(name: string): Result<never> {
  return fail("bad_input", `${name} concerns a connection: use it over a socket`);
}

export function close(socket: WebSocket, code: number, reason: string): void {
  try {
    socket.close(code, reason);
  } catch {
    // Closed already.
  }
}
