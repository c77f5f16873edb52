import type { Refusal } from "../contract/errors.ts";
import type { OutputOf } from "../contract/operations.ts";
import type { UnwatchState, WatchState } from "../contract/state.ts";
import * as changes from "../coordination/changes.ts";
import * as chatRows from "../coordination/chat-rows.ts";
import type { Hint, Presence } from "../coordination/tx.ts";
import { isEngineOperation } from "../coordination/engine.ts";
import * as inboxes from "../coordination/inboxes.ts";
import { err, ok, type Result } from "../shared/result.ts";
import type { Sql } from "../shared/sql.ts";
import { attach, attachmentOf, maxPrefixBytes, maxWatches, prefixBytes, type Watch } from "./attachments.ts";
import { notification, type RpcRequest } from "./frames.ts";

/** Why the coordinator closes a socket: a client that reads the first three must not simply come back. */
export const closeCodes = { token: 4001, chat: 4002, protocol: 4003, replaced: 4004 } as const;

/** Changes that a client may be behind in taking in before its watch stalls. */
const maxBehind = 1_000;
/** Changes in one frame. */
const changesPerFrame = 200;

/**
 * The connections of one object: who is heard, and what they are told. Everything that is remembered stands in the sockets' own attachments,
 * which outlive a hibernation.
 */
export class Sockets implements Presence {
  readonly #ctx: Pick<DurableObjectState, "getWebSockets" | "getWebSocketAutoResponseTimestamp">;
  readonly #sql: Sql;
  /** Of the present event only: one operation asks for the same chat several times. */
  readonly #seen = new Map<string, number | null>();

  constructor(ctx: DurableObjectState, sql: Sql) {
    this.#ctx = ctx;
    this.#sql = sql;
  }

  /** [DO2] The last ping, answered without waking the object, or the opening, over the chat's open connections. */
  lastSeen(chat: string): number | null {
    const known = this.#seen.get(chat);
    if (known !== undefined) return known;
    const seen = this.#bound(chat).map((socket) => this.seenAt(socket));
    const last = seen.length === 0 ? null : Math.max(...seen);
    this.#seen.set(chat, last);
    return last;
  }

  /** A new event: nothing of the one before holds. */
  begin(): void {
    this.#seen.clear();
  }

  seenAt(socket: WebSocket): number {
    const pinged = this.#ctx.getWebSocketAutoResponseTimestamp(socket)?.getTime() ?? 0;
    return Math.max(pinged, attachmentOf(socket)?.openedAt ?? 0);
  }

  get count(): number {
    return this.#open().length;
  }

  #open(tag?: string): WebSocket[] {
    return this.#ctx.getWebSockets(tag).filter(({ readyState }) => readyState === WebSocket.OPEN);
  }

  #bound(chat: string): WebSocket[] {
    return this.#open(`chat:${chat}`).filter((socket) => boundChat(socket) !== null);
  }

  /**
   * [DO7] A connection that registers a chat is the chat's only one from now on; the others are closed. Over HTTP only those of an earlier
   * process are.
   */
  bind(chat: string, incarnation: number, socket: WebSocket | null): void {
    for (const other of this.#bound(chat)) {
      const isOver = socket !== null || attachmentOf(other)?.incarnation !== incarnation;
      if (other === socket || !isOver) continue;
      release(other);
      close(other, closeCodes.replaced, "another connection of this chat took over");
    }
    const attachment = socket && attachmentOf(socket);
    if (attachment) attach(socket, { ...attachment, incarnation });
    this.#seen.delete(chat);
  }

  watch(socket: WebSocket, { watch: id, prefix, after }: WatchState): Result<OutputOf<"state.watch">, Refusal> {
    const attachment = attachmentOf(socket);
    if (!attachment) return err({ code: "internal", message: "this connection is not known" });
    const others = attachment.watches.filter((one) => one.id !== id);
    if (others.length >= maxWatches) {
      return err({ code: "quota_exceeded", message: `a connection has at most ${maxWatches} watches` });
    }
    if (prefixBytes([...others, { prefix }]) > maxPrefixBytes) {
      return err({
        code: "quota_exceeded",
        message: `the prefixes of a connection have at most ${maxPrefixBytes} bytes`,
      });
    }
    const first = changes.pull(this.#sql, { prefix, after, limit: 1 });
    if (!first.ok) return first;
    attach(socket, {
      ...attachment,
      watches: [...others, { id, prefix, sent: after, told: after, taken: after, isStalled: false }],
    });
    return ok({ watch: id, revision: after });
  }

  unwatch(socket: WebSocket, { watch: id }: UnwatchState): OutputOf<"state.unwatch"> {
    const attachment = attachmentOf(socket);
    const left = attachment?.watches.filter((one) => one.id !== id) ?? [];
    if (!attachment || left.length === attachment.watches.length) return { isRemoved: false };
    attach(socket, { ...attachment, watches: left });
    return { isRemoved: true };
  }

  /** The client has taken in what it was told: more may follow. */
  taken(socket: WebSocket, id: unknown, revision: unknown): void {
    const attachment = attachmentOf(socket);
    if (!attachment || typeof revision !== "number") return;
    const watches = attachment.watches.map((one) =>
      one.id === id ? { ...one, taken: revision >= one.told ? one.sent : Math.max(one.taken, revision) } : one,
    );
    attach(socket, { ...attachment, watches });
    this.tellChanges(socket);
  }

  /** After a commit. What a closed connection misses it finds by asking. */
  tell(hints: readonly Hint[]): void {
    if (hints.some(({ kind }) => kind === "changes")) for (const socket of this.#open()) this.tellChanges(socket);
    for (const hint of hints) {
      if (hint.kind === "lease") this.#send(hint.chat, notification("lease.granted", { resource: hint.resource }));
      if (hint.kind === "message") this.#tellMessage(hint);
      if (hint.kind === "task") this.#send(hint.chat, notification("tasks.new", {}));
      if (hint.kind === "offline") this.#dismissAllOf(hint.chat);
    }
  }

  #tellMessage(hint: Extract<Hint, { kind: "message" }>): void {
    const text = notification("messages.new", {});
    if (hint.chat !== null) return this.#send(hint.chat, text);
    const receivers = hint.topic === null ? null : new Set(inboxes.receivers(this.#sql, hint.topic));
    for (const socket of this.#open()) {
      const chat = boundChat(socket);
      if (chat !== null && (receivers === null || receivers.has(chat))) send(socket, text);
    }
  }

  #send(chat: string, text: string): void {
    for (const socket of this.#bound(chat)) send(socket, text);
  }

  /** [DO10] Not where the chat is back by now: it may have come back in the same event that saw it gone. */
  #dismissAllOf(chat: string): void {
    const status = chatRows.lifeOf({ sql: this.#sql }, chat)?.status ?? "offline";
    if (status !== "offline") return;
    for (const socket of this.#bound(chat)) {
      release(socket);
      close(socket, closeCodes.chat, "this chat counts as gone; register it again");
    }
  }

  /** The open connections that a token has opened. */
  ofToken(id: string): WebSocket[] {
    return this.#open(`token:${id}`);
  }

  /** [DO5] Each watch is told what is new below its prefix, in order; one that does not follow is told to ask anew. */
  tellChanges(socket: WebSocket): void {
    const attachment = attachmentOf(socket);
    if (!attachment || attachment.watches.length === 0) return;
    const watches = attachment.watches.map((watch) => this.#tellWatch(socket, watch));
    if (watches.some((watch, at) => watch !== attachment.watches[at])) attach(socket, { ...attachment, watches });
  }

  #tellWatch(socket: WebSocket, watch: Watch): Watch {
    if (watch.isStalled) return watch;
    if (watch.told - watch.taken >= maxBehind) return stalled(socket, watch);
    const pulled = changes.pull(this.#sql, { prefix: watch.prefix, after: watch.sent, limit: changesPerFrame });
    if (!pulled.ok) return stalled(socket, watch);
    const { changes: found, revision, isMore } = pulled.value;
    if (revision === watch.sent) return watch;
    if (found.length > 0) {
      const { id, told: after } = watch;
      send(socket, notification("state.changes", { watch: id, after, changes: found, revision }));
    }
    const next = found.length > 0 ? { ...watch, sent: revision, told: revision } : passed(watch, revision);
    // What is left follows when the client has taken in what it has.
    return isMore && next.told - next.taken < maxBehind ? this.#tellWatch(socket, next) : next;
  }
}

/** Nothing up to there was for this watch: who has taken in the last frame has nothing to take in. */
function passed(watch: Watch, revision: number): Watch {
  return { ...watch, sent: revision, taken: watch.taken >= watch.told ? revision : watch.taken };
}

function stalled(socket: WebSocket, watch: Watch): Watch {
  send(socket, notification("resync", { watch: watch.id, revision: watch.taken }));
  return { ...watch, isStalled: true };
}

/** [DO7] On a socket a chat can be registered only where the address has named it: so the runtime finds its connections. */
export function notHere(socket: WebSocket | null, name: string, input: unknown): Refusal | null {
  if (!socket || name !== "chats.register") return null;
  const { chat } = input as { chat: string };
  if (attachmentOf(socket)?.chat === chat) return null;
  return { code: "bad_input", message: `this connection was opened for another chat; open .../connect?chat=${chat}` };
}

/** Whether all that it does is undone with its transaction: it touches no connection. */
export function isUndoable(request: RpcRequest | null): boolean {
  return request === null || (request.method !== "chats.register" && isEngineOperation(request.method));
}

export function onlyBySocket(name: string): Result<never, Refusal> {
  return err({ code: "bad_input", message: `${name} concerns a connection: use it over a socket` });
}

/** The chat that a connection stands for. */
function boundChat(socket: WebSocket): string | null {
  const attachment = attachmentOf(socket);
  return attachment && attachment.incarnation !== null ? attachment.chat : null;
}

/** [DO7] [DO8] It stands for its chat no more: its end, which is told later, means nothing. */
export function release(socket: WebSocket): void {
  const attachment = attachmentOf(socket);
  if (attachment) attach(socket, { ...attachment, incarnation: null });
}

/** A connection that is closing takes nothing more; its client asks when it is back. */
export function send(socket: WebSocket, text: string): void {
  try {
    socket.send(text);
  } catch {
    // The runtime throws for a socket that was closed in the same moment.
  }
}

export function close(socket: WebSocket, code: number, reason: string): void {
  try {
    socket.close(code, reason);
  } catch {
    // Closed already.
  }
}
