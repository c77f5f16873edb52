import type { Sql, SqlValue } from "../../shared/sql.ts";
import * as inboxes from "./inboxes.ts";
import type { Tx } from "../kernel/tx.ts";

const columns = "id, target, fromChat, priority, at, expiresAt";

export const maxCounted = 1_000;
const maxScanned = 2_000;
/** Limit of ids acknowledged out of order; beyond it messages are sent again. */
const maxAhead = 1_000;

interface UnreadQuery {
  readonly limit: number;
  /** High priority only, without wildcards: an index finds them. */
  readonly isUrgent?: boolean;
}

/** Reads a bounded number of rows, however many are expired or for other chats. */
export function scan(tx: Tx, chat: string, { cursor, ahead }: inboxes.InboxCursor, query: UnreadQuery) {
  const newest = inboxes.newestId(tx.sql);
  if (newest <= cursor) return { rows: [], upTo: newest, isAll: true };
  const isUnread = unreadBy(tx, chat, ahead);
  const { sources, isComplete } = sourcesOf(tx.sql, chat, query);
  const found: inboxes.MessageRow[] = [];
  let upTo = newest;
  for (const source of sources) {
    const span = { after: Math.max(cursor, source.since), upTo };
    const rows = source.read(span, query.limit + ahead.length);
    upTo = collectFirst(rows, (row) => isUnread(row) && source.isFor(row), query.limit, found) ?? upTo;
  }
  const byId = new Map(found.filter(({ id }) => id <= upTo).map((row) => [row.id, row]));
  const all = [...byId.values()].toSorted((a, b) => a.id - b.id);
  const end = all[query.limit - 1]?.id ?? upTo;
  return { rows: all.slice(0, query.limit), upTo: end, isAll: end === newest && isComplete };
}

function unreadBy({ now }: Tx, chat: string, ahead: readonly number[]): (row: inboxes.MessageRow) => boolean {
  const acknowledged = new Set(ahead);
  return ({ id, fromChat: from, target, expiresAt: until }) =>
    until > now && !acknowledged.has(id) && (from !== chat || target.startsWith("chat:"));
}

function collectFirst(
  rows: Iterable<inboxes.MessageRow>,
  isWanted: (row: inboxes.MessageRow) => boolean,
  limit: number,
  found: inboxes.MessageRow[],
): number | null {
  const enough = found.length + limit;
  let scanned = 0;
  for (const row of rows) {
    if (isWanted(row)) found.push(row);
    scanned += 1;
    if (found.length === enough || scanned === maxScanned) return row.id;
  }
  return null;
}

interface Span {
  readonly after: number;
  readonly upTo: number;
}

interface Source {
  /** No message up to here is for the chat. */
  readonly since: number;
  readonly read: (span: Span, page: number) => Iterable<inboxes.MessageRow>;
  readonly isFor: (row: inboxes.MessageRow) => boolean;
}

function sourcesOf(sql: Sql, chat: string, { isUrgent = false }: UnreadQuery) {
  const subscribed = inboxes.subscriptions.select(sql, "WHERE chat = ?", chat);
  const wild = subscribed.filter(({ pattern }) => !inboxes.isExact(pattern));
  const exact = subscribed.filter(({ pattern }) => inboxes.isExact(pattern));
  const targets = [`chat:${chat}`, "all"].map((target) => ({ target, since: 0 }));
  targets.push(...exact.map(({ pattern, since }) => ({ target: `topic:${pattern}`, since })));
  const ofTarget = isUrgent ? "target = ? AND priority = 2 AND" : "target = ? AND";
  const sources: Source[] = targets.map(({ target, since }) => ({
    since,
    read: (span: Span, page: number) => pages(sql, ofTarget, [target], span, page),
    isFor: () => true,
  }));
  if (wild.length === 0 || isUrgent) return { sources, isComplete: wild.length === 0 };
  const byTopic = {
    since: Math.min(...wild.map(({ since }) => since)),
    read: (span: Span) => pages(sql, "", [], span, 200),
    isFor: ({ id, target }: inboxes.MessageRow) =>
      target.startsWith("topic:") &&
      wild.some(({ pattern, since }) => id > since && inboxes.matches(pattern, target.slice(6))),
  };
  return { sources: [...sources, byTopic], isComplete: true };
}

/** @param condition begins the query's, with its values */
function* pages(
  sql: Sql,
  condition: string,
  values: readonly SqlValue[],
  { after, upTo }: Span,
  page: number,
): Generator<inboxes.MessageRow, void> {
  const query = `SELECT ${columns} FROM messages WHERE ${condition} id > ? AND id <= ? ORDER BY id LIMIT ?`;
  for (let last = after; ;) {
    const rows = sql.all<inboxes.MessageRow>(query, ...values, last, upTo, page);
    yield* rows;
    if (rows.length < page) return;
    last = rows.at(-1)?.id ?? last;
  }
}

/** Messages for other chats, or its own, after which the cursor skips them. */
const mostPassed = 50;
const maxReported = 100;

/** Skips messages to others for good. 1 where more are to be read than were. */
export function count(tx: Tx, chat: string): number {
  const at = inboxes.readCursor(tx.sql, chat);
  const { rows, upTo, isAll } = scan(tx, chat, at, { limit: maxReported });
  pass(tx.sql, chat, at, rows[0] ? rows[0].id - 1 : upTo);
  return rows.length > 0 || isAll ? rows.length : 1;
}

export function pass(sql: Sql, chat: string, { cursor, ahead }: inboxes.InboxCursor, upTo: number): number {
  if (upTo - cursor < mostPassed) return cursor;
  inboxes.move(sql, chat, { cursor: upTo, ahead: ahead.filter((id) => id > upTo) });
  return upTo;
}

export function acknowledge(
  tx: Tx,
  chat: string,
  upTo: number,
  ids: readonly number[],
): { cursor: number; unread: number; isMore: boolean } {
  const { cursor, ahead } = inboxes.readCursor(tx.sql, chat);
  const newest = inboxes.newestId(tx.sql);
  const minCursor = Math.max(cursor, Math.min(upTo, newest));
  const above = [...new Set([...ahead, ...ids])].filter((id) => id > minCursor && id <= newest).sort((a, b) => a - b);
  const left = scan(tx, chat, { cursor: minCursor, ahead: above }, { limit: maxCounted });
  const next = Math.max(minCursor, (left.rows[0]?.id ?? left.upTo + 1) - 1);
  const waiting = above.filter((id) => id > next);
  const at = { cursor: next, ahead: waiting.slice(0, maxAhead) };
  inboxes.move(tx.sql, chat, at);
  const { rows, isAll } = waiting.length > maxAhead ? scan(tx, chat, at, { limit: maxCounted }) : left;
  return { cursor: next, unread: rows.length, isMore: !isAll };
}

/**
 * Expiry of the last message that keeps the inbox, epoch ms; 0: none does.
 * @param sharedUntil up to which messages to topics and to all keep it, epoch ms
 */
export function newestExpiry(tx: Tx, chat: string, sharedUntil: number): number {
  const at = inboxes.readCursor(tx.sql, chat);
  const [own] = tx.sql.all<{ until: number | null }>(
    `SELECT max(expiresAt) AS until FROM messages
     WHERE target = ? AND id > ? AND expiresAt > ? AND id NOT IN (SELECT value FROM json_each(?))`,
    `chat:${chat}`,
    at.cursor,
    tx.now,
    JSON.stringify(at.ahead),
  );
  const { rows, isAll } = scan(tx, chat, at, { limit: maxCounted });
  const shared = Math.max(...rows.map(({ expiresAt }) => expiresAt), isAll ? 0 : tx.now + 86_400_000);
  return Math.max(own?.until ?? 0, Math.min(shared, sharedUntil));
}
