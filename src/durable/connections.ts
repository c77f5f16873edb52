import { errorTable } from "../contract/errors.ts";
import { closeCodes, ticketProtocol } from "../contract/protocol.ts";
import * as liveness from "../coordination/chats/liveness.ts";
import type { Bearer } from "../coordination/workspace/tokens.ts";
import { ok } from "../shared/result.ts";
import { attach, type Credentials } from "./attachments.ts";
import type { Outgoing } from "./outgoing.ts";
import { checkCanOpen } from "./socket-limits.ts";
import { close, type Sockets } from "./sockets.ts";
import type { Throttle } from "./throttle.ts";
import * as tickets from "./tickets.ts";
import type { TokenExpiry } from "./token-expiry.ts";
import type { Transactions } from "./transactions.ts";

interface ConnectionDeps {
  readonly ctx: DurableObjectState;
  readonly transactions: Transactions;
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

  open(fields: URLSearchParams, credentials: Credentials, { id, expiresAt }: Bearer): Response {
    const { ctx, transactions, sockets, throttle, tokenExpiry, now } = this.#deps;
    const refused = checkCanOpen(transactions.tx(), id, {
      sockets,
      throttle,
      closeSocket: (socket, code, reason) => this.close(socket, code, reason),
    });
    if (refused) return Response.json(refused, { status: errorTable[refused.code].status });
    const ticket = fields.get("ticket");
    if (ticket !== null && !this.useTicket(JSON.parse(ticket) as tickets.Ticket))
      return Response.json(tickets.refusal, { status: 401 });
    const { 0: client, 1: server } = new WebSocketPair();
    ctx.acceptWebSocket(server, [`token:${id}`]);
    attach(server, { token: credentials, openedAt: now(), isPage: ticket !== null, chats: [], watches: [] });
    tokenExpiry.track(expiresAt);
    // A browser refuses an answer that chooses none of the protocols that it has offered.
    const headers = ticket === null ? {} : { "sec-websocket-protocol": ticketProtocol };
    return new Response(null, { status: 101, webSocket: client, headers });
  }

  useTicket(ticket: tickets.Ticket): boolean {
    const used = this.#deps.transactions.run((tx) => ok(tickets.use(tx.sql, tx.now, ticket)));
    return used.ok && used.value;
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

  /** [DO8] */
  handleClosed(socket: WebSocket): void {
    const { outgoing, sockets } = this.#deps;
    outgoing.forget(socket);
    this.#disconnect(socket, sockets.chatsOf(socket));
  }

  /** [DO8] The chat has left the connection, which others may still use. */
  leave(socket: WebSocket, chat: string): void {
    if (this.#deps.sockets.chatsOf(socket).includes(chat)) this.#disconnect(socket, [chat]);
  }

  #disconnect(socket: WebSocket, chats: readonly string[]): void {
    const { sockets, transactions } = this.#deps;
    const seenAt = sockets.seenAt(socket);
    for (const chat of chats) sockets.unbind(socket, chat);
    for (const chat of chats) transactions.run((tx) => ok(liveness.markDisconnected(tx, chat, seenAt)));
  }

  /** [DO21] Closes sockets of expired tokens, also those that only ping. */
  closeExpired(): void {
    const { tokenExpiry, sockets, now } = this.#deps;
    for (const socket of tokenExpiry.listExpired(sockets.all(), now()))
      this.close(socket, closeCodes.token, "the token has expired, or was revoked");
  }

  /** Returns whether any was. */
  closeSlow(): boolean {
    const overfull = this.#deps.outgoing.listOverfull();
    for (const socket of overfull) this.close(socket, closeCodes.slow, "too much is unread; reconnect and continue");
    return overfull.length > 0;
  }
}
