import type { Target } from "../contract/messages.ts";
import type { Sql } from "../shared/sql.ts";
import { fits, isExact } from "./topics.ts";
import type { Tx } from "./tx.ts";

/** Who receives what, and how far each chat has acknowledged. */

export interface MessageRow {
  readonly id: number;
  readonly target: string;
  readonly from_chat: string;
  readonly body: string;
  readonly priority: number;
  readonly at: number;
  readonly expires_at: number;
}

/** Acknowledged out of order and remembered; what is more comes again. */
const mostAhead = 1_000;
/** Counted and sorted at once; more is told as more. */
export const mostCounted = 1_000;

export function targetText(target: Target): string {
  switch (target.to) {
    case "chat":
      return `chat:${target.chat}`;
    case "topic":
      return `topic:${target.topic}`;
    case "all":
      return "all";
  }
}

export function targetOf(text: string): Target {
  if (text.startsWith("chat:")) return { to: "chat", chat: text.slice(5) };
  return text.startsWith("topic:") ? { to: "topic", topic: text.slice(6) } : { to: "all" };
}

export function newestId(sql: Sql): number {
  return sql.all<{ id: number }>("SELECT id FROM messages ORDER BY id DESC LIMIT 1")[0]?.id ?? 0;
}

export function patterns(sql: Sql, chat: string): string[] {
  const query = "SELECT pattern FROM subscriptions WHERE chat = ? ORDER BY pattern";
  return sql.all<{ pattern: string }>(query, chat).map(({ pattern }) => pattern);
}

interface Cursor {
  /** All up to here are acknowledged. */
  readonly cursor: number;
  /** Acknowledged above it. */
  readonly ahead: readonly number[];
}

export function cursorOf(sql: Sql, chat: string): Cursor {
  const [row] = sql.all<{ cursor: number; ahead: string }>("SELECT cursor, ahead FROM inboxes WHERE chat = ?", chat);
  return row ? { cursor: row.cursor, ahead: JSON.parse(row.ahead) as number[] } : { cursor: 0, ahead: [] };
}

export function open(sql: Sql, chat: string): void {
  sql.run("INSERT INTO inboxes (chat, cursor, ahead) VALUES (?, ?, '[]') ON CONFLICT DO NOTHING", chat, newestId(sql));
}

/** What the chat has not acknowledged, by id: at most `limit` rows. */
export function unread(tx: Tx, chat: string, limit: number): MessageRow[] {
  const { cursor, ahead } = cursorOf(tx.sql, chat);
  const skipped = new Set(ahead);
  const subscriptions = tx.sql.all<{ pattern: string; since: number }>(
    "SELECT pattern, since FROM subscriptions WHERE chat = ?",
    chat,
  );
  const exact = subscriptions.filter(({ pattern }) => isExact(pattern));
  const wild = subscriptions.filter(({ pattern }) => !isExact(pattern));
  const sources = [
    { target: `chat:${chat}`, since: 0 },
    { target: "all", since: 0 },
    ...exact.map(({ pattern, since }) => ({ target: `topic:${pattern}`, since })),
  ];
  const found = new Map<number, MessageRow>();
  const keep = (row: MessageRow): void => {
    const isOwn = row.from_chat === chat && !row.target.startsWith("chat:");
    if (!isOwn && !skipped.has(row.id) && row.expires_at > tx.now) found.set(row.id, row);
  };
  for (const { target, since } of sources) {
    for (const row of ofTarget(tx.sql, target, Math.max(cursor, since), limit, ahead.length)) keep(row);
  }
  if (wild.length > 0) {
    for (const row of topicsAfter(tx.sql, cursor)) {
      const topic = row.target.slice(6);
      if (wild.some(({ pattern, since }) => row.id > since && fits(pattern, topic))) keep(row);
      if (found.size >= limit * 2) break;
    }
  }
  return [...found.values()].sort((a, b) => a.id - b.id).slice(0, limit);
}

/** Rows that are over, or acknowledged out of order, lie between: they are read on. */
function* ofTarget(sql: Sql, target: string, after: number, limit: number, ahead: number): Generator<MessageRow, void> {
  const page = limit + ahead;
  let last = after;
  for (;;) {
    const rows = sql.all<MessageRow>(
      "SELECT * FROM messages WHERE target = ? AND id > ? ORDER BY id LIMIT ?",
      target,
      last,
      page,
    );
    yield* rows;
    if (rows.length < page) return;
    last = rows.at(-1)?.id ?? last;
  }
}

function* topicsAfter(sql: Sql, after: number): Generator<MessageRow, void> {
  let last = after;
  for (;;) {
    const rows = sql.all<MessageRow>("SELECT * FROM messages WHERE id > ? ORDER BY id LIMIT 200", last);
    yield* rows.filter(({ target }) => target.startsWith("topic:"));
    if (rows.length < 200) return;
    last = rows.at(-1)?.id ?? last;
  }
}

/** The cursor moves over all that is acknowledged without a gap; what lies above waits beside it. */
export function acknowledge(
  tx: Tx,
  chat: string,
  upTo: number,
  ids: readonly number[],
): { cursor: number; unread: number } {
  const { cursor, ahead } = cursorOf(tx.sql, chat);
  const newest = newestId(tx.sql);
  let next = Math.max(cursor, Math.min(upTo, newest));
  const above = new Set([...ahead, ...ids].filter((id) => id > next && id <= newest));
  store(tx.sql, chat, next, above);
  const left = unread(tx, chat, mostCounted);
  const first = left[0]?.id;
  // Everything below the first that is unread is acknowledged, or is not for this chat.
  next = Math.max(next, first === undefined ? Math.max(next, ...above) : first - 1);
  store(tx.sql, chat, next, new Set([...above].filter((id) => id > next)));
  return { cursor: next, unread: left.length };
}

function store(sql: Sql, chat: string, cursor: number, ahead: ReadonlySet<number>): void {
  sql.run(
    `INSERT INTO inboxes (chat, cursor, ahead) VALUES (?, ?, ?)
     ON CONFLICT (chat) DO UPDATE SET cursor = excluded.cursor, ahead = excluded.ahead`,
    chat,
    cursor,
    JSON.stringify([...ahead].sort((a, b) => a - b).slice(0, mostAhead)),
  );
}

/** Chats with a subscription that a topic falls under. */
export function receivers(sql: Sql, topic: string): string[] {
  const rows = sql.all<{ chat: string; pattern: string }>("SELECT chat, pattern FROM subscriptions");
  return rows.filter(({ pattern }) => fits(pattern, topic)).map(({ chat }) => chat);
}
