import type { ListedMessage } from "../../contract/messages.ts";
import { ok } from "../../shared/result.ts";
import type { Handlers } from "../kernel/handlers.ts";
import { page } from "../kernel/pages.ts";
import type { Tx } from "../kernel/tx.ts";
import * as inboxes from "./inboxes.ts";
import type { MessageRow } from "./inboxes.ts";
import { priorityNames } from "./messages.ts";
import { patternsOf } from "./topics.ts";

const maxTextChars = 500;

interface ListedRow extends MessageRow {
  readonly chars: number;
}

export const handlers = {
  /** [MS36] Reads what is stored for the receivers, and writes nothing. */
  "messages.list"(tx, { before, limit }) {
    const found = tx.sql.all<ListedRow>(
      `SELECT id, target, fromChat, priority, at, expiresAt, length(body) AS chars FROM messages
       WHERE id < ? ORDER BY id DESC LIMIT ?`,
      before ?? Number.MAX_SAFE_INTEGER,
      limit + 1,
    );
    const rows = page(found, limit, ({ chars }) => chars);
    const receivers = new Receivers(tx, rows[0]?.id ?? 0);
    const messages = rows.map((row) => toListed(tx, row, receivers.countWaiting(row)));
    return ok({ messages, isMore: found.length > rows.length });
  },
} satisfies Partial<Handlers>;

function toListed({ sql, now }: Tx, row: ListedRow, waitingFor: number): ListedMessage {
  const body = inboxes.readBody(sql, row.id);
  const text = body.startsWith('"') ? (JSON.parse(body) as string) : body;
  return {
    id: row.id,
    from: row.fromChat,
    target: inboxes.parseTarget(row.target),
    priority: priorityNames[row.priority] ?? "normal",
    ageMs: Math.max(0, now - row.at),
    expiresInMs: Math.max(0, row.expiresAt - now),
    text: text.slice(0, maxTextChars).toWellFormed(),
    isClipped: text.length > maxTextChars,
    waitingFor,
  };
}

const maxInboxes = 1_000;
const maxWaiting = 100;

interface Receiver extends inboxes.InboxCursor {
  readonly chat: string;
  readonly subscriptions: readonly inboxes.Subscription[];
}

/** [MS37] The chats that may not have acknowledged a message; read once for a page. */
class Receivers {
  readonly #tx: Tx;
  readonly #newest: number;
  #behind: readonly Receiver[] | null = null;

  constructor(tx: Tx, newest: number) {
    this.#tx = tx;
    this.#newest = newest;
  }

  countWaiting(row: MessageRow): number {
    if (row.expiresAt <= this.#tx.now) return 0;
    if (row.target.startsWith("chat:")) return this.#isWaiting(row, row.target.slice(5)) ? 1 : 0;
    this.#behind ??= this.#readBehind();
    const patterns = row.target === "all" ? null : new Set(patternsOf(row.target.slice(6)));
    const isReceiver = ({ subscriptions }: Receiver): boolean =>
      patterns === null || subscriptions.some(({ pattern, since }) => row.id > since && patterns.has(pattern));
    return this.#behind.filter((one) => one.chat !== row.fromChat && isUnread(row, one) && isReceiver(one)).length;
  }

  #isWaiting(row: MessageRow, chat: string): boolean {
    return inboxes.exists(this.#tx.sql, chat) && isUnread(row, inboxes.readCursor(this.#tx.sql, chat));
  }

  #readBehind(): Receiver[] {
    const { sql } = this.#tx;
    return inboxes.listBehind(sql, this.#newest, maxInboxes, maxWaiting).map(({ chat, cursor, ahead }) => ({
      chat,
      cursor,
      ahead,
      subscriptions: inboxes.listSubscriptions(sql, chat),
    }));
  }
}

function isUnread({ id }: MessageRow, { cursor, ahead }: inboxes.InboxCursor): boolean {
  return id > cursor && !ahead.includes(id);
}
