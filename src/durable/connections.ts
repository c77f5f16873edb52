import { statusOf, type Failure } from "../contract/errors.ts";
import { ticketProtocol } from "../contract/protocol.ts";
import { closeCodes } from "../contract/sockets.ts";
import * as liveness from "../coordination/chats/liveness.ts";
import { err, ok } from "../shared/result.ts";
import { attach, type Credentials, attachmentOf, type Outgoing } from "./attachments.ts";
import { close, tagOf, type Sockets } from "./sockets.ts";
import type { Throttle } from "./load-limits.ts";
import type { EngineHost } from "../coordination/engine.ts";
import * as meta from "../coordination/kernel/meta.ts";
import type { Sql } from "../shared/sql.ts";
import * as tokens from "../coordination/workspace/tokens.ts";

interface ConnectionDeps {
  readonly ctx: DurableObjectState;
  readonly engine: EngineHost;
  readonly sockets: Sockets;
  readonly outgoing: Outgoing;
  readonly throttle: Throttle;
  readonly tokenExpiry: TokenExpiry;
  readonly now: () => number;
}

/** Opens and closes the sockets of a workspace. Runs inside events, whose end sends the hints. */
export class Connections {
  readonly #deps: ConnectionDeps;
  /** Closed by this side. */
  readonly #closed = new WeakSet<WebSocket>();

  constructor(deps: ConnectionDeps) {
    this.#deps = deps;
  }

  open(ticket: string | null, credentials: Credentials, { id, expiresAt }: tokens.Bearer): Response {
    const { ctx, tokenExpiry, now } = this.#deps;
    const refused = this.#checkCanOpen(id);
    if (refused) return Response.json(refused, { status: statusOf(refused.code) });
    if (ticket !== null && !this.useTicket(JSON.parse(ticket) as Ticket))
      return Response.json(usedTicket, { status: 401 });
    const { 0: client, 1: server } = new WebSocketPair();
    ctx.acceptWebSocket(server, [tagOf(id)]);
    attach(server, { token: credentials, openedAt: now(), isPage: ticket !== null, chats: [], watches: [] });
    tokenExpiry.track(expiresAt);
    // A browser refuses an answer that chooses none of the protocols that it has offered.
    const headers = ticket === null ? {} : { "sec-websocket-protocol": ticketProtocol };
    return new Response(null, { status: 101, webSocket: client, headers });
  }

  /** Closes silent connections before refusing. */
  #checkCanOpen(token: string): Failure | null {
    const { engine, sockets, throttle } = this.#deps;
    const { settings, now } = engine.tx();
    const { maxOperationsPerSecond, maxSocketsPerToken, maxSockets, lostSocketGraceMs } = settings;
    const waitMs = throttle.closedFor(token, maxOperationsPerSecond, now);
    if (waitMs > 0) {
      const message = "this token was throttled, but kept sending";
      return { code: "throttled", message, retryAfterMs: waitMs, details: { limit: "maxOperationsPerSecond" } };
    }
    const refused = throttle.take(token, "keep", maxOperationsPerSecond, now, operationsPerSocket);
    if (refused) return refused;
    const isRoom = (): boolean =>
      sockets.open(tagOf(token)).length < maxSocketsPerToken && sockets.open().length < maxSockets;
    if (isRoom()) return null;
    for (const socket of sockets.open(tagOf(token))) {
      const isSilent = sockets.seenAt(socket) <= now - lostSocketGraceMs;
      if (isSilent)
        this.close(socket, closeCodes.slow, "nothing was received from this socket, and its token has no socket left");
    }
    if (isRoom()) return null;
    return {
      code: "quota_exceeded",
      message: `a token has at most ${maxSocketsPerToken} open sockets, and the workspace ${maxSockets}; close some, or raise maxSocketsPerToken or maxSockets`,
    };
  }

  /**
   * Stored, because the object may be evicted while the ticket is still valid.
   * @returns false: it was used before, or is too old
   */
  useTicket({ id, expiresAt }: Ticket): boolean {
    const { ok: isNew } = this.#deps.engine.run(({ sql, now }) => {
      const used = JSON.parse(meta.read(sql, usedTicketsKey) ?? "{}") as Record<string, number>;
      if (expiresAt <= now || Object.hasOwn(used, id)) return err(usedTicket);
      const valid = Object.entries(used).filter(([, until]) => until > now);
      meta.write(sql, usedTicketsKey, JSON.stringify(Object.fromEntries([...valid, [id, expiresAt]])));
      return ok(null);
    });
    return isNew;
  }

  isClosed(socket: WebSocket): boolean {
    return this.#closed.has(socket);
  }

  /** Closes without waiting for the peer, which may never answer. */
  close(socket: WebSocket, code: number, reason: string): void {
    this.#closed.add(socket);
    close(socket, code, reason);
    this.handleClosed(socket);
  }

  handleClosed(socket: WebSocket): void {
    const { outgoing, sockets } = this.#deps;
    outgoing.forget(socket);
    this.#disconnect(socket, sockets.chatsOf(socket));
  }

  /** The chat has left the connection, which others may still use. */
  leave(socket: WebSocket, chat: string): void {
    if (this.#deps.sockets.chatsOf(socket).includes(chat)) this.#disconnect(socket, [chat]);
  }

  #disconnect(socket: WebSocket, chats: readonly string[]): void {
    const { sockets, engine } = this.#deps;
    const seenAt = sockets.seenAt(socket);
    for (const chat of chats) sockets.unbind(socket, chat);
    for (const chat of chats) engine.run((tx) => ok(liveness.markDisconnected(tx, chat, seenAt)));
  }

  /** Closes sockets of expired tokens, also those that only ping. */
  closeExpired(): void {
    const { tokenExpiry, sockets, now } = this.#deps;
    for (const socket of tokenExpiry.listExpired(sockets.open(), now()))
      this.close(socket, closeCodes.token, "the token has expired, or was revoked");
  }

  /** Returns whether any was. */
  closeSlow(): boolean {
    const overfull = this.#deps.outgoing.listOverfull();
    for (const socket of overfull) this.close(socket, closeCodes.slow, "too much is unread; reconnect and continue");
    return overfull.length > 0;
  }
}

/** Name of a ticket, which the worker has signed. */
export interface Ticket {
  readonly id: string;
  readonly expiresAt: number;
}

const usedTicketsKey = "used_tickets";
const usedTicket: Failure = { code: "unauthenticated", message: "the ticket was used, or is too old" };

/** Tracks expiry for open connections, whose clients may never ask. */
export class TokenExpiry {
  readonly #sql: Sql;
  #next: number | null = null;

  constructor(sql: Sql) {
    this.#sql = sql;
  }

  /** Epoch ms; null: none expires. May belong to a closed connection. */
  get next(): number | null {
    return this.#next;
  }

  track(expiresAt: number | null): void {
    if (expiresAt !== null && (this.#next === null || expiresAt < this.#next)) this.#next = expiresAt;
  }

  isDue(now: number): boolean {
    return this.#next !== null && this.#next <= now;
  }

  listExpired(open: readonly WebSocket[], now: number): WebSocket[] {
    const ids = new Set(open.map(tokenOf));
    const valid = tokens.findValid({ sql: this.#sql, now }, [...ids]);
    this.#next = null;
    for (const expiresAt of valid.values()) this.track(expiresAt);
    return open.filter((socket) => !valid.has(tokenOf(socket)));
  }
}

function tokenOf(socket: WebSocket): string {
  return attachmentOf(socket)?.token.id ?? "";
}

const operationsPerSocket = 20;
