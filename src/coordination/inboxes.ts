import type { Target } from "../contract/messages.ts";
import type { Sql } from "../shared/sql.ts";
import { fits, isExact, patternsOf } from "./topics.ts";
import type { Tx } from "./tx.ts";

/** Who receives what, and how far each chat has acknowledged. */

/** Without the body, which can be large: only bodies that are told are read. */
export interface MessageRow {
  readonly id: number;
  readonly target: string;
  readonly from_chat: string;
  readonly priority: number;
  readonly at: number;
  readonly expires_at: number;
}

const columns = "id, target, from_chat, priority, at, expires_at";

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

/** The newest and the oldest message that are kept. */
export interface Ends {
  readonly newest: number;
  readonly oldest: number;
  /** Characters of the bodies of all messages so far, kept or not, up to each of the two. */
  readonly written: number;
  readonly oldestWritten: number;
}

export function ends(sql: Sql): Ends {
  const [row] = sql.all<Ends>(
    `SELECT newest.id AS newest, newest.written_chars AS written, oldest.id AS oldest, oldest.written_chars AS oldestWritten
     FROM (SELECT id, written_chars FROM messages ORDER BY id DESC LIMIT 1) AS newest,
       (SELECT id, written_chars FROM messages ORDER BY id LIMIT 1) AS oldest`,
  );
  return row ?? { newest: 0, oldest: 0, written: 0, oldestWritten: 0 };
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

/** What the chat has not acknowledged, of one priority or of all: the first `limit` rows by id. */
export function unread(tx: Tx, chat: string, limit: number, priority?: number): MessageRow[] {
  return unreadAfter(tx, chat, cursorOf(tx.sql, chat), limit, priority);
}

/** What others have sent to others, and one's own: once so many lie behind the cursor, it moves on over them. */
const mostPassed = 50;
/** More are told as so many. */
const mostTold = 100;
/** Messages that one count looks at together, from the cursor on. */
const lookedAtOnce = 1_000;

/**
 * [MS14] How much is unread; where nothing of the next messages is for the chat, they are not read another time. [MS15] Once something is found
 * the rest is left to a pull: so a count costs no more, however many messages to others lie behind what is unread.
 */
export function countUnread(tx: Tx, chat: string): number {
  const at = cursorOf(tx.sql, chat);
  const newest = newestId(tx.sql);
  let [unreadRows, from, looked]: [MessageRow[], number, number] = [[], at.cursor, at.cursor];
  while (unreadRows.length === 0 && looked < newest) {
    // A raised epoch leaves a gap in the numbers.
    from = nextId(tx.sql, looked) - 1;
    looked = Math.min(newest, from + lookedAtOnce);
    unreadRows = unreadAfter(tx, chat, { cursor: from, ahead: at.ahead }, mostTold, undefined, looked);
  }
  const [first] = unreadRows;
  const next = first ? first.id - 1 : newest;
  if (next - at.cursor >= mostPassed) {
    const waiting = at.ahead.filter((id) => id > next);
    store(tx.sql, chat, next, waiting);
  }
  return unreadRows.length;
}

/** The number of the next message; there must be one. */
function nextId(sql: Sql, after: number): number {
  return sql.all<{ id: number }>("SELECT id FROM messages WHERE id > ? ORDER BY id LIMIT 1", after)[0]?.id ?? after + 1;
}

/** @param upTo the last message that is looked at */
function unreadAfter(
  tx: Tx,
  chat: string,
  { cursor, ahead }: Cursor,
  limit: number,
  priority?: number,
  upTo = Number.MAX_SAFE_INTEGER,
): MessageRow[] {
  if (newestId(tx.sql) <= cursor) return [];
  const skipped = new Set(ahead);
  const isUnread = (row: MessageRow): boolean => {
    const isOwn = row.from_chat === chat && !row.target.startsWith("chat:");
    const isWanted = priority === undefined || row.priority === priority;
    return isWanted && !isOwn && !skipped.has(row.id) && row.expires_at > tx.now;
  };
  const found = new Map<number, MessageRow>();
  for (const rows of sources(tx.sql, chat, { after: cursor, upTo }, limit + ahead.length)) {
    // Each is in the order of the ids, so the first ones of all lie among the first ones of each.
    let count = 0;
    for (const row of rows) {
      if (!isUnread(row)) continue;
      found.set(row.id, row);
      if ((count += 1) === limit) break;
    }
  }
  return [...found.values()].sort((a, b) => a.id - b.id).slice(0, limit);
}

/** Messages after one and up to another. */
interface Span {
  readonly after: number;
  readonly upTo: number;
}

/** All that is for a chat in a span: by target, and by the topics that wildcards stand for. */
function* sources(sql: Sql, chat: string, span: Span, page: number): Generator<Iterable<MessageRow>, void> {
  yield ofTarget(sql, `chat:${chat}`, span, page);
  yield ofTarget(sql, "all", span, page);
  const subscribed = subscriptions(sql, chat);
  const wild = subscribed.filter(({ pattern }) => !isExact(pattern));
  const from = (since: number): Span => ({ after: Math.max(span.after, since), upTo: span.upTo });
  for (const { pattern, since } of subscribed) {
    if (isExact(pattern)) yield ofTarget(sql, `topic:${pattern}`, from(since), page);
  }
  if (wild.length === 0) return;
  const first = Math.min(...wild.map(({ since }) => since));
  yield topicsIn(sql, from(first), (row) => isSubscribed(wild, row));
}

interface Subscription {
  readonly pattern: string;
  readonly since: number;
}

function subscriptions(sql: Sql, chat: string): Subscription[] {
  return sql.all<Subscription>("SELECT pattern, since FROM subscriptions WHERE chat = ?", chat);
}

function isSubscribed(patterns: readonly Subscription[], { id, target }: MessageRow): boolean {
  const isTopic = target.startsWith("topic:");
  return isTopic && patterns.some(({ pattern, since }) => id > since && fits(pattern, target.slice(6)));
}

/** Rows that are over, or acknowledged out of order, lie between: they are read on. */
function* ofTarget(sql: Sql, target: string, { after, upTo }: Span, page: number): Generator<MessageRow, void> {
  const query = `SELECT ${columns} FROM messages WHERE target = ? AND id > ? AND id <= ? ORDER BY id LIMIT ?`;
  for (let last = after; ;) {
    const rows = sql.all<MessageRow>(query, target, last, upTo, page);
    yield* rows;
    if (rows.length < page) return;
    last = rows.at(-1)?.id ?? last;
  }
}

function* topicsIn(sql: Sql, { after, upTo }: Span, isFor: (row: MessageRow) => boolean): Generator<MessageRow, void> {
  const query = `SELECT ${columns} FROM messages WHERE id > ? AND id <= ? ORDER BY id LIMIT 200`;
  for (let last = after; ;) {
    const rows = sql.all<MessageRow>(query, last, upTo);
    yield* rows.filter((row) => isFor(row));
    if (rows.length < 200) return;
    last = rows.at(-1)?.id ?? last;
  }
}

/**
 * [MS13] When the newest of what a chat has not acknowledged is over, of each source; 0: there is nothing. Older ones may last longer: whoever asks
 * again at that time finds them. What is not for it alone counts only where it was sent by `sentBy`: else a chat that never comes back would be
 * kept as long as others talk to all.
 */
export function newestExpiry(tx: Tx, chat: string, sentBy: number): number {
  const { cursor, ahead } = cursorOf(tx.sql, chat);
  const newest = (target: string, after: number, by: number): number =>
    tx.sql.all<{ until: number }>(
      `SELECT expires_at AS until FROM messages
       WHERE target = ? AND id > ? AND at <= ? AND expires_at > ? AND (from_chat <> ? OR target LIKE 'chat:%')
         AND id NOT IN (SELECT value FROM json_each(?)) ORDER BY id DESC LIMIT 1`,
      target,
      after,
      by,
      tx.now,
      chat,
      JSON.stringify(ahead),
    )[0]?.until ?? 0;
  const subscribed = subscriptions(tx.sql, chat);
  const exact = subscribed.filter(({ pattern }) => isExact(pattern));
  const isUnread = ({ id, at, expires_at: until, from_chat: from }: MessageRow): boolean =>
    at <= sentBy && until > tx.now && from !== chat && !ahead.includes(id);
  const wild = newestOfTopics(tx.sql, subscribed, cursor, isUnread);
  return Math.max(
    newest(`chat:${chat}`, cursor, Number.MAX_SAFE_INTEGER),
    newest("all", cursor, sentBy),
    ...exact.map(({ pattern, since }) => newest(`topic:${pattern}`, Math.max(cursor, since), sentBy)),
    wild?.expires_at ?? 0,
  );
}

/** Of those that wildcards stand for. */
function newestOfTopics(
  sql: Sql,
  subscribed: readonly Subscription[],
  cursor: number,
  isUnread: (row: MessageRow) => boolean,
): MessageRow | null {
  const wild = subscribed.filter(({ pattern }) => !isExact(pattern));
  if (wild.length === 0) return null;
  const after = Math.max(cursor, Math.min(...wild.map(({ since }) => since)));
  const query = `SELECT ${columns} FROM messages WHERE id > ? AND id < ? ORDER BY id DESC LIMIT 200`;
  for (let first = Number.MAX_SAFE_INTEGER; ;) {
    const rows = sql.all<MessageRow>(query, after, first);
    const found = rows.find((row) => isUnread(row) && isSubscribed(wild, row));
    if (found || rows.length < 200) return found ?? null;
    first = rows.at(-1)?.id ?? 0;
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
  const above = [...new Set([...ahead, ...ids])].filter((id) => id > next && id <= newest).sort((a, b) => a - b);
  store(tx.sql, chat, next, above);
  const left = unread(tx, chat, mostCounted);
  const first = left[0]?.id;
  // Everything below the first that is unread is acknowledged, or is not for this chat.
  next = Math.max(next, first === undefined ? (above.at(-1) ?? next) : first - 1);
  const waiting = above.filter((id) => id > next);
  store(tx.sql, chat, next, waiting.slice(0, mostAhead));
  const count = waiting.length > mostAhead ? unread(tx, chat, mostCounted).length : left.length;
  return { cursor: next, unread: count };
}

function store(sql: Sql, chat: string, cursor: number, ahead: readonly number[]): void {
  sql.run(
    `INSERT INTO inboxes (chat, cursor, ahead) VALUES (?, ?, ?)
     ON CONFLICT (chat) DO UPDATE SET cursor = excluded.cursor, ahead = excluded.ahead`,
    chat,
    cursor,
    JSON.stringify(ahead),
  );
}

/** Chats with a subscription that a topic falls under. */
export function receivers(sql: Sql, topic: string): string[] {
  const query = "SELECT DISTINCT chat FROM subscriptions WHERE pattern IN (SELECT value FROM json_each(?))";
  return sql.all<{ chat: string }>(query, JSON.stringify(patternsOf(topic))).map(({ chat }) => chat);
}
