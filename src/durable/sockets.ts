import { notificationFrame, type RpcRequest } from "../contract/frames.ts";
import type { Refusal } from "../contract/errors.ts";
import { closeCodes } from "../contract/protocol.ts";
import { syncHintEveryMs } from "../contract/sync.ts";
import * as chatRows from "../coordination/kernel/chat-rows.ts";
import type { Hint, Presence, Tx } from "../coordination/kernel/tx.ts";
import { isEngineOperation } from "../coordination/engine.ts";
import * as inboxes from "../coordination/messages/inboxes.ts";
import { isWithin } from "../shared/elapsed.ts";
import { err, type Result } from "../shared/result.ts";
import type { Sql } from "../shared/sql.ts";
import { attach, attachmentOf } from "./attachments.ts";
import { MessageHints } from "./message-hints.ts";
import type { Outgoing } from "./outgoing.ts";
import type { StorageSql } from "./storage-sql.ts";
import { TableHints } from "./table-hints.ts";
import type { Watches } from "./watches.ts";

/** State lives in the sockets' attachments, which outlive a hibernation. */
export class Sockets implements Presence {
  readonly #ctx: Pick<DurableObjectState, "getWebSockets" | "getWebSocketAutoResponseTimestamp">;
  readonly #sql: Sql;
  readonly #outgoing: Outgoing;
  readonly #watches: Watches;
  readonly #seen = new Map<string, number | null>();
  readonly #syncHintedAt = new WeakMap<WebSocket, number>();
  readonly #tableHints: TableHints;

  constructor(ctx: DurableObjectState, sql: StorageSql, outgoing: Outgoing, watches: Watches, now: () => number) {
    this.#ctx = ctx;
    this.#tableHints = new TableHints({
      writesTo: (table) => sql.writesTo(table),
      send: (prefix, text) => this.#sendToWatchers(prefix, text),
      now,
      setTimer: (work, ms) => void setTimeout(work, ms),
    });
    this.#sql = sql;
    this.#outgoing = outgoing;
    this.#watches = watches;
  }

  /** [DO2] Last auto-answered ping or opening over the chat's open connections. */
  lastSeen(chat: string): number | null {
    const cached = this.#seen.get(chat);
    if (cached !== undefined) return cached;
    const seen = this.#listBound(chat).map((socket) => this.seenAt(socket));
    const last = seen.length === 0 ? null : Math.max(...seen);
    this.#seen.set(chat, last);
    return last;
  }

  beginEvent(): void {
    this.#seen.clear();
  }

  seenAt(socket: WebSocket): number {
    const pinged = this.#ctx.getWebSocketAutoResponseTimestamp(socket)?.getTime() ?? 0;
    return Math.max(pinged, attachmentOf(socket)?.openedAt ?? 0);
  }

  get count(): number {
    return this.#open().length;
  }

  all(): readonly WebSocket[] {
    return this.#open();
  }

  #open(tag?: string): WebSocket[] {
    return this.#ctx.getWebSockets(tag).filter(({ readyState }) => readyState === WebSocket.OPEN);
  }

  #listBound(chat: string): WebSocket[] {
    return this.#open(`chat:${chat}`).filter((socket) => boundChat(socket) !== null);
  }

  /** [DO7] Closes the chat's other connections; over HTTP, only those of an earlier process. */
  bind(chat: string, incarnation: number, socket: WebSocket | null): void {
    for (const other of this.#listBound(chat)) {
      const isOver = socket !== null || attachmentOf(other)?.incarnation !== incarnation;
      if (other === socket || !isOver) continue;
      unbind(other);
      close(other, closeCodes.replaced, "another connection of this chat took over");
    }
    const attachment = socket && attachmentOf(socket);
    if (attachment) attach(socket, { ...attachment, incarnation });
    this.#seen.delete(chat);
  }

  /** Runs after a commit. A closed connection finds what it missed by asking. */
  notify(hints: readonly Hint[], tx: () => Tx): void {
    if (hints.some(({ kind }) => kind === "changes")) this.notifyChanges();
    const messageHints = new MessageHints(this.#outgoing, tx);
    for (const hint of hints) {
      if (hint.kind === "lease") this.#send(hint.chat, notificationFrame("lease.granted", { resource: hint.resource }));
      if (hint.kind === "message") this.#notifyMessage(hint, messageHints);
      if (hint.kind === "task") this.#send(hint.chat, notificationFrame("tasks.new", {}));
      if (hint.kind === "sync") this.#notifySync(hint.machine, tx().now);
      if (hint.kind === "offline") this.#closeAllOf(hint.chat);
    }
    this.#tableHints.notify();
  }

  #notifyMessage({ chat, topic }: Extract<Hint, { kind: "message" }>, messageHints: MessageHints): void {
    for (const receiver of chat === null ? this.#listReceivers(topic) : [chat])
      for (const socket of this.#listBound(receiver)) messageHints.send(socket, receiver);
  }

  /** [SY101] */
  #notifySync(machine: string, now: number): void {
    for (const socket of this.#open()) {
      const chat = boundChat(socket);
      const isSoon = isWithin(now - (this.#syncHintedAt.get(socket) ?? 0), syncHintEveryMs);
      if (chat === null || isSoon || chatRows.findLiveness({ sql: this.#sql }, chat)?.machine === machine) continue;
      this.#syncHintedAt.set(socket, now);
      this.#outgoing.send(socket, notificationFrame("sync.changed", {}));
    }
  }

  /** @param topic null: all chats */
  #listReceivers(topic: string | null): Iterable<string> {
    if (topic !== null) return inboxes.listReceivers(this.#sql, topic);
    return new Set(this.#open().flatMap((socket) => boundChat(socket) ?? []));
  }

  #send(chat: string, text: string): void {
    for (const socket of this.#listBound(chat)) this.#outgoing.send(socket, text);
  }

  /** [DO10] Skips a chat that came back in the same event. */
  #closeAllOf(chat: string): void {
    const status = chatRows.findLiveness({ sql: this.#sql }, chat)?.status ?? "offline";
    if (status !== "offline") return;
    for (const socket of this.#listBound(chat)) {
      unbind(socket);
      close(socket, closeCodes.chat, "this chat is offline; register it again");
    }
  }

  listOfToken(id: string): WebSocket[] {
    return this.#open(`token:${id}`);
  }

  #sendToWatchers(prefix: string, text: string): void {
    for (const socket of this.#watches.listOf(prefix, () => this.#open())) this.#outgoing.send(socket, text);
  }

  notifyChanges(): void {
    this.#watches.notify(() => this.#open());
  }
}

/** [DO7] The runtime finds connections by the chat in their address. */
export function rejectForeignChat(socket: WebSocket | null, name: string, input: unknown): Refusal | null {
  if (!socket || name !== "chats.register") return null;
  const { chat } = input as { chat: string };
  if (attachmentOf(socket)?.chat === chat) return null;
  return { code: "bad_input", message: `this connection was opened for another chat; open .../connect?chat=${chat}` };
}

/** Whether a rollback undoes everything: the operation touches no connection. */
export function canRollBack(request: RpcRequest | null): boolean {
  return request === null || (request.method !== "chats.register" && isEngineOperation(request.method));
}

export function socketOnly(name: string): Result<never, Refusal> {
  return err({ code: "bad_input", message: `${name} concerns a connection: use it over a socket` });
}

function boundChat(socket: WebSocket): string | null {
  const attachment = attachmentOf(socket);
  return attachment && attachment.incarnation !== null ? attachment.chat : null;
}

/** [DO7] [DO8] The close of this socket must have no effect on the chat. */
export function unbind(socket: WebSocket): void {
  const attachment = attachmentOf(socket);
  if (attachment) attach(socket, { ...attachment, incarnation: null });
}

export function close(socket: WebSocket, code: number, reason: string): void {
  try {
    socket.close(code, reason);
  } catch {
    // Closed already.
  }
}
