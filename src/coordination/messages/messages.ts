import type { Failure } from "../../contract/errors.ts";
import {
  maxMessageBodyChars,
  type Message,
  type Priority,
  type Target,
  type ListedMessage,
} from "../../contract/messages.ts";
import type { CheckedInputOf } from "../../contract/operations.ts";
import type { Json } from "../../contract/values.ts";
import { err, fail, ok, type Result } from "../../shared/result.ts";
import * as chatRows from "../kernel/chat-rows.ts";
import { once } from "../kernel/idempotency.ts";
import * as inboxes from "./inboxes.ts";
import * as meta from "../kernel/meta.ts";
import { byLiveChat, type Handlers, page as pageOf } from "../kernel/handlers.ts";
import { numbersPerEpoch, type Tx } from "../kernel/tx.ts";
import * as unread from "./unread.ts";
import { messages, subscriptions, type MessageRow } from "./inboxes.ts";

/** Delivery at least once, ordered by id, until acknowledged or expired. */

const priorities: Record<Priority, number> = { low: 0, normal: 1, high: 2 };
const priorityNames = ["low", "normal", "high"] as const;

export const handlers = {
  /** Kept for each receiver until acknowledged or expired. A repeat sends nothing. */
  "messages.send": byLiveChat((tx, input) => {
    const { requestId, self, ...content } = input;
    // A later incarnation may repeat a send of an earlier one.
    const request = { operation: "messages.send", by: self.chat, requestId, input: content };
    const { result, isRepeat } = once(tx, request, () => sendOnce(tx, input));
    return result.ok ? ok({ id: result.value.id, isRepeat }) : result;
  }),

  "messages.subscribe": byLiveChat((tx, { self, pattern }) => {
    const subscribed = patternsOf(tx, self.chat);
    if (!subscribed.includes(pattern) && subscribed.length >= maxPatterns) {
      return fail("quota_exceeded", `a chat has at most ${maxPatterns} subscriptions`);
    }
    const since = inboxes.newestId(tx.sql);
    subscriptions.insert(tx.sql, { chat: self.chat, pattern, since }, "ON CONFLICT DO NOTHING");
    return ok({ patterns: patternsOf(tx, self.chat) });
  }),

  "messages.unsubscribe": byLiveChat((tx, { self, pattern }) => {
    subscriptions.delete(tx.sql, { chat: self.chat, pattern });
    return ok({ patterns: patternsOf(tx, self.chat) });
  }),

  /** Pull is authoritative: unread messages by priority, then by id. */
  "messages.pull": byLiveChat((tx, { self, limit, minPriority }) => {
    const { matching, isAll, ...seen } = waiting(tx, self.chat, priorities[minPriority ?? "low"], limit);
    const messages = page(tx, matching.slice(0, limit));
    return ok({ messages, isMore: matching.length > messages.length || !isAll, ...seen });
  }),

  /** Acknowledged messages never return, in whatever order they were acknowledged. */
  "messages.ack": byLiveChat((tx, { self, cursor, ids }) => {
    return ok(unread.acknowledge(tx, self.chat, cursor ?? 0, ids));
  }),

  /** Reads what is stored for the receivers, and writes nothing. */
  "messages.list"(tx, { before, limit }) {
    const found = tx.sql.all<ListedRow>(
      `SELECT id, target, fromChat, priority, at, expiresAt, length(body) AS chars FROM messages
       WHERE id < ? ORDER BY id DESC LIMIT ?`,
      before ?? Number.MAX_SAFE_INTEGER,
      limit + 1,
    );
    const rows = pageOf(found, limit, ({ chars }) => chars);
    return ok({ messages: rows.map((row) => toListed(tx, row)), isMore: found.length > rows.length });
  },
} satisfies Partial<Handlers>;

function sendOnce(
  tx: Tx,
  { self, target, body, priority, ttlMs }: CheckedInputOf<"messages.send">,
): Result<{ id: number }> {
  const text = JSON.stringify(body);
  const refused = tooLarge(text) ?? checkReceiver(tx, target) ?? checkLoop(tx, self.chat, target);
  if (refused) return err(refused);
  const before = inboxes.readRange(tx.sql);
  const id = Math.max(before.newest, meta.numberFloor(tx)) + 1;
  const written = before.written + text.length;
  const sent = {
    target: inboxes.formatTarget(target),
    fromChat: self.chat,
    body: text,
    priority: priorities[priority],
  };
  messages.insert(tx.sql, { id, ...sent, at: tx.now, expiresAt: tx.now + ttlMs, writtenChars: written });
  const { maxMessages, maxMessageChars } = tx.settings;
  const isFull = id - before.oldest >= maxMessages || written - before.oldestWritten >= maxMessageChars;
  if (isFull) prune(tx, maxPrunedRows);
  const chat = target.to === "chat" ? target.chat : null;
  tx.tell({ kind: "message", chat, topic: target.to === "topic" ? target.topic : null });
  return ok({ id });
}

function tooLarge(text: string): Failure | null {
  if (text.length <= maxMessageBodyChars) return null;
  return {
    code: "too_large",
    message: `the body has ${text.length} characters as JSON; at most ${maxMessageBodyChars}`,
  };
}

function checkReceiver(tx: Tx, target: Target): Failure | null {
  if (target.to !== "chat" || chatRows.findLiveness(tx, target.chat)) return null;
  return { code: "unknown_chat", message: `there is no chat ${target.chat} to send to` };
}

const loopLimit = 20;
const loopMs = 60_000;

/** Throttles two chats that only answer each other. */
function checkLoop(tx: Tx, from: string, target: Target): Failure | null {
  if (target.to !== "chat") return null;
  const there = recentTimes(tx, from, target.chat);
  const back = there.length < loopLimit ? [] : recentTimes(tx, target.chat, from);
  if (back.length < loopLimit) return null;
  const oldest = Math.min(...there, ...back);
  return {
    code: "throttled",
    message: `chats ${from} and ${target.chat} have sent each other ${loopLimit} or more messages within a minute; ask a person whether this is intended`,
    retryAfterMs: Math.max(1_000, oldest + loopMs - tx.now),
  };
}

function recentTimes(tx: Tx, from: string, to: string): number[] {
  return tx.sql
    .all<{ at: number; fromChat: string }>(
      "SELECT at, fromChat FROM messages WHERE target = ? ORDER BY id DESC LIMIT ?",
      `chat:${to}`,
      2 * loopLimit,
    )
    .filter((row) => row.fromChat === from && row.at > tx.now - loopMs)
    .map(({ at }) => at)
    .slice(0, loopLimit);
}

const maxPatterns = 50;

function patternsOf({ sql }: Tx, chat: string): string[] {
  return subscriptions.select(sql, "WHERE chat = ? ORDER BY pattern", chat).map(({ pattern }) => pattern);
}

function waiting(tx: Tx, chat: string, least: number, limit: number) {
  const at = inboxes.readCursor(tx.sql, chat);
  const { rows, upTo, isAll } = unread.scan(tx, chat, at, { limit: unread.maxCounted });
  const seen = { unread: rows.length, cursor: at.cursor };
  if (isAll) return { matching: inTurn(rows, least), isAll, ...seen };
  const urgent = unread.scan(tx, chat, { ...at, cursor: upTo }, { limit: limit + 1, isUrgent: true });
  return {
    matching: inTurn([...rows, ...urgent.rows], least),
    isAll: least === priorities.high && urgent.isAll,
    ...seen,
    // A scan without matches is not repeated.
    ...(rows.length === 0 ? { cursor: unread.pass(tx.sql, chat, at, upTo) } : {}),
  };
}

function inTurn(rows: readonly inboxes.MessageRow[], least: number): inboxes.MessageRow[] {
  return rows.filter(({ priority }) => priority >= least).toSorted((a, b) => b.priority - a.priority || a.id - b.id);
}

const maxPageChars = 1_000_000;

/** Messages that fit into one answer, at least one. */
function page(tx: Tx, rows: readonly inboxes.MessageRow[]): Message[] {
  const messages: Message[] = [];
  let chars = 0;
  for (const row of rows) {
    const body = inboxes.readBody(tx.sql, row.id);
    chars += body.length;
    if (messages.length > 0 && chars > maxPageChars) break;
    messages.push(toMessage(tx, row, body));
  }
  return messages;
}

function toMessage(tx: Tx, row: inboxes.MessageRow, body: string): Message {
  return {
    ...envelopeOf(tx, row),
    body: JSON.parse(body) as Json,
    isData: true,
  };
}

function envelopeOf({ now }: Tx, row: MessageRow): Pick<Message, "id" | "from" | "target" | "priority" | "ageMs"> {
  const { id, fromChat: from, at } = row;
  const priority = priorityNames[row.priority] ?? "normal";
  return { id, from, target: inboxes.parseTarget(row.target), priority, ageMs: Math.max(0, now - at) };
}

/**
 * Due time: own expiry, or `maxMessages` (?) newer ones of its epoch. Excludes the newest message,
 * whose number must not recur.
 */
export const dueAt = `
  SELECT min(expiresAt, ifnull(
    (SELECT at FROM messages
     WHERE id >= oldest.id + ? AND oldest.id / ${numbersPerEpoch} = newest.id / ${numbersPerEpoch} ORDER BY id LIMIT 1), expiresAt))
  FROM (SELECT id, expiresAt FROM messages ORDER BY id LIMIT 1) AS oldest, (SELECT max(id) AS id FROM messages) AS newest
  WHERE oldest.id < newest.id`;

const maxPrunedRows = 100;

/**
 * Deletes expired messages, and the oldest beyond `maxMessages` (within one epoch) or
 * `maxMessageChars`.
 */
export function prune({ sql, now, settings }: Tx, limit: number): void {
  const { newest, written } = inboxes.readRange(sql);
  sql.run(
    `DELETE FROM messages WHERE id IN (SELECT id FROM messages ORDER BY id LIMIT ?) AND id < ?
       AND (expiresAt <= ? OR (id <= ? AND id > ?) OR writtenChars <= ?)`,
    limit,
    newest,
    now,
    newest - settings.maxMessages,
    newest - (newest % numbersPerEpoch),
    written - settings.maxMessageChars,
  );
}

const maxTextChars = 500;

interface ListedRow extends MessageRow {
  readonly chars: number;
}

function toListed(tx: Tx, row: ListedRow): ListedMessage {
  const body = inboxes.readBody(tx.sql, row.id);
  const text = body.startsWith('"') ? (JSON.parse(body) as string) : body;
  return {
    ...envelopeOf(tx, row),
    expiresInMs: Math.max(0, row.expiresAt - tx.now),
    text: text.slice(0, maxTextChars).toWellFormed(),
    isClipped: text.length > maxTextChars,
  };
}
