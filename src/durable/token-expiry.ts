import * as tokens from "../coordination/workspace/tokens.ts";
import type { Sql } from "../shared/sql.ts";
import { attachmentOf } from "./attachments.ts";

/** [DO21] Tracks expiry for open connections, whose clients may never ask. */
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
