import type { ChatStatus, Health } from "../contract/chats.ts";
import type { Refusal } from "../contract/errors.ts";
import type { Self } from "../contract/values.ts";
import { err, ok, type Result } from "../shared/result.ts";
import * as changes from "./changes.ts";
import type { Tx } from "./tx.ts";

/** The rows of chats, and the judgement whether one lives: what leases, elections and messages need to know of them. */

export interface ChatRow {
  readonly chat: string;
  readonly session: string;
  readonly process: string;
  readonly incarnation: number;
  readonly machine: string;
  readonly client: string;
  readonly role: "supervisor" | "worker";
  readonly is_interactive: number;
  readonly status: ChatStatus;
  readonly reason: string | null;
  readonly status_at: number;
  /** As stored; a connection may know a later one. */
  readonly last_seen_at: number;
  readonly is_connected: number;
  /** After its connection was lost: when it counts as gone. */
  readonly grace_until: number | null;
  readonly capabilities: string;
  readonly capacity: number;
  readonly task_count: number;
  readonly progress: string | null;
  readonly health: string;
  readonly metadata: string;
  readonly due_at: number | null;
}

export function get({ sql }: Pick<Tx, "sql">, chat: string): ChatRow | null {
  return sql.all<ChatRow>("SELECT * FROM chats WHERE chat = ?", chat)[0] ?? null;
}

export function healthOf(row: ChatRow): Health {
  return JSON.parse(row.health) as Health;
}

/** By the connection where there is one, and by what is stored. */
export function lastSeen({ presence }: Tx, row: ChatRow): number {
  return Math.max(row.last_seen_at, presence.lastSeen(row.chat) ?? 0);
}

/** Why it is gone by now, whether or not a sweep has seen it; null while it lives. [CH4] [CH5] */
export function goneBy(tx: Tx, row: ChatRow): "offline" | "closed" | "timeout" | null {
  if (row.status === "offline") return "offline";
  const isHeard = tx.presence.lastSeen(row.chat) !== null;
  if (!isHeard && row.grace_until !== null) return row.grace_until <= tx.now ? "closed" : null;
  // Lost without a close, and nobody has looked yet: the grace begins when somebody does.
  if (!isHeard && row.is_connected === 1) return null;
  return lastSeen(tx, row) + tx.settings.chatTtlMs <= tx.now ? "timeout" : null;
}

/** The acting chat, if it may act: registered, in this incarnation, and not gone. */
export function acting(tx: Tx, self: Self): Result<ChatRow, Refusal> {
  const row = get(tx, self.chat);
  if (!row) return err({ code: "unknown_chat", message: `chat ${self.chat} is not registered; register it` });
  if (row.incarnation !== self.incarnation) {
    return err({
      code: "chat_replaced",
      message: `another process goes on as chat ${self.chat} (incarnation ${row.incarnation}, not ${self.incarnation}); this one must stop`,
    });
  }
  if (goneBy(tx, row)) {
    return err({ code: "chat_offline", message: `chat ${self.chat} counts as gone; register it again` });
  }
  return ok(heard(tx, row));
}

/** [CH3] Acting is a sign of life; without a connection it is stored, a few times in each ttl. */
function heard(tx: Tx, row: ChatRow): ChatRow {
  const isHeard = tx.presence.lastSeen(row.chat) !== null;
  if (isHeard || tx.now - row.last_seen_at < tx.settings.chatTtlMs / 3) return row;
  tx.sql.run("UPDATE chats SET last_seen_at = ? WHERE chat = ?", tx.now, row.chat);
  return { ...row, last_seen_at: tx.now };
}

/** The chat is looked at no later than `at`; never moves it to a later time. */
export function lookAt({ sql }: Tx, row: ChatRow, at: number): void {
  if (row.due_at !== null && row.due_at <= at) return;
  sql.run("UPDATE chats SET due_at = ? WHERE chat = ? AND (due_at IS NULL OR due_at > ?)", at, row.chat, at);
}

/** [CH8] Each change of a status, with its reason, is a change that can be watched. */
export function announceStatus(tx: Tx, chat: string, status: ChatStatus, reason: string, incarnation: number): void {
  changes.announce(tx, `$chat/${chat}`, { status, reason, incarnation });
}
