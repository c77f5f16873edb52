import type { Sql, SqlValue } from "../../shared/sql.ts";
import * as inboxes from "./inboxes.ts";
import { type InboxCursor, type MessageRow, type Subscription, matches, isExact } from "./inboxes.ts";
import type { Tx } from "../kernel/tx.ts";

const columns = "id, target, fromChat, priority, at, expiresAt";

export const maxCounted = 1_000;
const maxScanned = 2_000;
/** Limit of ids acknowledged out of order; beyond it messages are sent again. */
const maxAhead = 1_000;

export interface UnreadScan {
  readonly rows: readonly MessageRow[];
  readonly upTo: number;
  readonly isAll: boolean;
}

interface UnreadQuery {
  readonly limit: number;
  readonly upTo?: number;
  /** High priority only, without wildcards: an index finds them. */
  readonly isUrgent?: boolean;
}

/** [MS17] Reads a bounded number of rows, however many are expired or for other chats. */
export function scan(tx: Tx, chat: string, { cursor, ahead }: InboxCursor, query: UnreadQuery): UnreadScan {
  const newest = inboxes.newestId(tx.sql);
  if (newest <= cursor) return { rows: [], upTo: newest, isAll: true };
  const isUnread = unreadBy(tx, chat, ahead);
  const { sources, isComplete } = sourcesOf(tx.sql, chat, query);
  const found: MessageRow[] = [];
  let upTo = query.upTo ?? newest;
  for (const source of sources) {
    const span = { after: Math.max(cursor, source.since), upTo };
    const rows = source.read(span, query.limit + ahead.length);
    upTo = firstOf(rows, (row) => isUnread(row) && source.isFor(row), query.limit, found) ?? upTo;
  }
  const all = distinct(found.filter(({ id }) => id <= upTo));
  const end = all[query.limit - 1]?.id ?? upTo;
  return { rows: all.slice(0, query.limit), upTo: end, isAll: end === newest && isComplete };
}

function unreadBy({ now }: Tx, chat: string, ahead: readonly number[]): (row: MessageRow) => boolean {
  const acknowledged = new Set(ahead);
  return ({ id, fromChat: from, target, expiresAt: until }) =>
    until > now && !acknowledged.has(id) && (from !== chat || target.startsWith("chat:"));
}

function firstOf(
  rows: Iterable<MessageRow>,
  isWanted: (row: MessageRow) => boolean,
  limit: number,
  found: MessageRow[],
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

function distinct(rows: readonly MessageRow[]): MessageRow[] {
  return [...new Map(rows.map((row) => [row.id, row])).values()].toSorted((a, b) => a.id - b.id);
}

interface Span {
  readonly after: number;
  readonly upTo: number;
}

interface Source {
  /** No message up to here is for the chat. */
  readonly since: number;
  readonly read: (span: Span, page: number) => Iterable<MessageRow>;
  readonly isFor: (row: MessageRow) => boolean;
}

interface Sources {
  readonly sources: readonly Source[];
  readonly isComplete: boolean;
}

function sourcesOf(sql: Sql, chat: string, { isUrgent = false }: UnreadQuery): Sources {
  const subscribed = inboxes.listSubscriptions(sql, chat);
  const wild = subscribed.filter(({ pattern }) => !isExact(pattern));
  const exact = subscribed.filter(({ pattern }) => isExact(pattern));
  const targets = [`chat:${chat}`, "all"].map((target) => ({ target, since: 0 }));
  targets.push(...exact.map(({ pattern, since }) => ({ target: `topic:${pattern}`, since })));
  const ofTarget = isUrgent ? "target = ? AND priority = 2 AND" : "target = ? AND";
  const sources = targets.map(({ target, since }) => ({
    since,
    read: (span: Span, page: number) => pages(sql, ofTarget, [target], span, page),
    isFor: () => true,
  }));
  if (wild.length === 0 || isUrgent) return { sources, isComplete: wild.length === 0 };
  const byTopic = {
    since: Math.min(...wild.map(({ since }) => since)),
    read: (span: Span) => pages(sql, "", [], span, 200),
    isFor: (row: MessageRow) => isSubscribed(wild, row),
  };
  return { sources: [...sources, byTopic], isComplete: true };
}

function isSubscribed(patterns: readonly Subscription[], { id, target }: MessageRow): boolean {
  const isTopic = target.startsWith("topic:");
  return isTopic && patterns.some(({ pattern, since }) => id > since && matches(pattern, target.slice(6)));
}

/** @param condition begins the query's, with its values */
function* pages(
  sql: Sql,
  condition: string,
  values: readonly SqlValue[],
  { after, upTo }: Span,
  page: number,
): Generator<MessageRow, void> {
  const query = `SELECT ${columns} FROM messages WHERE ${condition} id > ? AND id <= ? ORDER BY id LIMIT ?`;
  for (let last = after; ;) {
    const rows = sql.all<MessageRow>(query, ...values, last, upTo, page);
    yield* rows;
    if (rows.length < page) return;
    last = rows.at(-1)?.id ?? last;
  }
}

/** Messages for other chats, or its own, after which the cursor skips them. */
const mostPassed = 50;
const maxReported = 100;
const scannedAtOnce = 1_000;
const maxScans = 10;

/** [MS14] Skips messages to others for good. [MS28] Stops at the first scan with a match. */
export function count(tx: Tx, chat: string): number {
  const at = inboxes.readCursor(tx.sql, chat);
  const newest = inboxes.newestId(tx.sql);
  let [unread, scanned]: [readonly MessageRow[], number] = [[], at.cursor];
  for (let scans = 0; scans < maxScans && unread.length === 0 && scanned < newest; scans++) {
    const cursor = nextId(tx.sql, scanned) - 1;
    scanned = Math.min(newest, cursor + scannedAtOnce);
    unread = scan(tx, chat, { cursor, ahead: at.ahead }, { limit: maxReported, upTo: scanned }).rows;
  }
  const [first] = unread;
  pass(tx.sql, chat, at, first ? first.id - 1 : scanned);
  return first || scanned >= newest ? unread.length : 1;
}

function nextId(sql: Sql, after: number): number {
  return sql.all<{ id: number }>("SELECT id FROM messages WHERE id > ? ORDER BY id LIMIT 1", after)[0]?.id ?? after + 1;
}

export function pass(sql: Sql, chat: string, { cursor, ahead }: InboxCursor, upTo: number): number {
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
 * [MS13] 0: none. Older messages may last longer: ask again at that time. Shared ones count only if
 * sent by `sentBy`; otherwise a chat that never returns is kept while others send to all.
 */
export function newestExpiry(tx: Tx, chat: string, sentBy: number): number {
  const { cursor, ahead } = inboxes.readCursor(tx.sql, chat);
  const last = newestSentBy(tx.sql, sentBy);
  const newest = (target: string, after: number, upTo: number): number =>
    tx.sql.all<{ until: number }>(
      `SELECT expiresAt AS until FROM messages
       WHERE target = ? AND id > ? AND id <= ? AND expiresAt > ? AND (fromChat <> ? OR target LIKE 'chat:%')
         AND id NOT IN (SELECT value FROM json_each(?)) ORDER BY id DESC LIMIT 1`,
      target,
      after,
      upTo,
      tx.now,
      chat,
      JSON.stringify(ahead),
    )[0]?.until ?? 0;
  const subscribed = inboxes.listSubscriptions(tx.sql, chat);
  const exact = subscribed.filter(({ pattern }) => isExact(pattern));
  const isUnread = ({ id, expiresAt: until, fromChat: from }: MessageRow): boolean =>
    until > tx.now && from !== chat && !ahead.includes(id);
  const wild = newestOfTopics(tx.sql, subscribed, { after: cursor, upTo: last }, isUnread);
  return Math.max(
    newest(`chat:${chat}`, cursor, Number.MAX_SAFE_INTEGER),
    newest("all", cursor, last),
    ...exact.map(({ pattern, since }) => newest(`topic:${pattern}`, Math.max(cursor, since), last)),
    wild?.expiresAt ?? 0,
  );
}

/** [MS35] Finds it by halves, since later messages may be many; 0: none. Ids ascend in time. */
function newestSentBy(sql: Sql, by: number): number {
  let [low, high] = [0, inboxes.newestId(sql)];
  for (let middle = high; low < high; middle = Math.ceil((low + high) / 2)) {
    const query = "SELECT id, at FROM messages WHERE id <= ? ORDER BY id DESC LIMIT 1";
    const [row] = sql.all<{ id: number; at: number }>(query, middle);
    if (row && row.at > by) high = row.id - 1;
    else low = middle;
  }
  return low;
}

function newestOfTopics(
  sql: Sql,
  subscribed: readonly Subscription[],
  { after: cursor, upTo }: Span,
  isUnread: (row: MessageRow) => boolean,
): MessageRow | null {
  const wild = subscribed.filter(({ pattern }) => !isExact(pattern));
  if (wild.length === 0) return null;
  const after = Math.max(cursor, Math.min(...wild.map(({ since }) => since)));
  const query = `SELECT ${columns} FROM messages WHERE id > ? AND id < ? ORDER BY id DESC LIMIT 200`;
  for (let first = upTo + 1; ;) {
    const rows = sql.all<MessageRow>(query, after, first);
    const found = rows.find((row) => isUnread(row) && isSubscribed(wild, row));
    if (found || rows.length < 200) return found ?? null;
    first = rows.at(-1)?.id ?? 0;
  }
}

/** For each kind of target, in all. */
const maxCountedOfTarget = 10_000;

/** SQL of the readers of a kind, with the last id that was read and those read beyond it. */
const readers = {
  chat: "SELECT chat, 'chat:' || chat AS target, cursor, ahead FROM readers",
  topic: `SELECT chat, 'topic:' || pattern AS target, max(cursor, since) AS cursor, ahead
    FROM readers JOIN subscriptions USING (chat)`,
  all: "SELECT chat, 'all' AS target, cursor, ahead FROM readers",
} as const;

type Kind = keyof typeof readers;

/** Unread messages of live chats, each once for each reader; topics with wildcards are left out. */
export function countByTarget(tx: Tx): { readonly kind: Kind; readonly n: number }[] {
  return (Object.keys(readers) as Kind[]).map((kind) => ({ kind, n: countOf(tx, kind) }));
}

function countOf({ sql, now }: Tx, kind: Kind): number {
  // CROSS JOIN: SQLite keeps this order of the tables.
  const [row] = sql.all<{ n: number }>(
    `WITH readers AS (SELECT chat, cursor, ahead FROM chats JOIN inboxes USING (chat) WHERE status <> 'offline')
     SELECT count(*) AS n FROM (
       SELECT 1 FROM (${readers[kind]}) AS reader CROSS JOIN messages
       WHERE messages.target = reader.target AND id > cursor AND expiresAt > ?
         AND (reader.target = 'chat:' || chat OR fromChat <> chat)
         AND (ahead = '[]' OR id NOT IN (SELECT value FROM json_each(ahead)))
       LIMIT ?)`,
    now,
    maxCountedOfTarget,
  );
  return row?.n ?? 0;
}
