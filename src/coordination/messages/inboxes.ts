import type { Target } from "../../contract/messages.ts";
import type { Sql } from "../../shared/sql.ts";
import { type RowOf, integer, serial, table, text } from "../../shared/table.ts";

export const messages = table("messages", {
  id: serial(),
  target: text(),
  fromChat: text(),
  body: text(),
  priority: integer(),
  at: integer(),
  expiresAt: integer(),
  /** Running sum, so that the first and last row give the total. */
  writtenChars: integer().default(0),
});

export const subscriptions = table("subscriptions", {
  chat: text().primary(),
  pattern: text().primary(),
  since: integer(),
});

export const inboxes = table("inboxes", { chat: text().primary(), cursor: integer(), ahead: text() });

export const messageTables = [messages, subscriptions, inboxes];

export const messageIndexes: readonly string[] = [
  "CREATE INDEX messages_target ON messages (target, id)",
  "CREATE INDEX messages_urgent ON messages (target, id) WHERE priority = 2",
  "CREATE INDEX subscriptions_pattern ON subscriptions (pattern)",
];

const messageRows = messages.without("body", "writtenChars");

export type MessageRow = RowOf<typeof messageRows>;

export function formatTarget(target: Target): string {
  switch (target.to) {
    case "chat":
      return `chat:${target.chat}`;
    case "topic":
      return `topic:${target.topic}`;
    case "all":
      return "all";
  }
}

export function parseTarget(text: string): Target {
  if (text.startsWith("chat:")) return { to: "chat", chat: text.slice(5) };
  return text.startsWith("topic:") ? { to: "topic", topic: text.slice(6) } : { to: "all" };
}

export interface MessageRange {
  readonly newest: number;
  readonly oldest: number;
  readonly written: number;
  readonly oldestWritten: number;
}

export function readRange(sql: Sql): MessageRange {
  const [row] = sql.all<MessageRange>(
    `SELECT newest.id AS newest, newest.writtenChars AS written, oldest.id AS oldest, oldest.writtenChars AS oldestWritten
     FROM (SELECT id, writtenChars FROM messages ORDER BY id DESC LIMIT 1) AS newest,
       (SELECT id, writtenChars FROM messages ORDER BY id LIMIT 1) AS oldest`,
  );
  return row ?? { newest: 0, oldest: 0, written: 0, oldestWritten: 0 };
}

export function newestId(sql: Sql): number {
  return sql.all<{ id: number }>("SELECT id FROM messages ORDER BY id DESC LIMIT 1")[0]?.id ?? 0;
}

/** @returns JSON */
export function readBody(sql: Sql, id: number): string {
  return sql.all<{ body: string }>("SELECT body FROM messages WHERE id = ?", id)[0]?.body ?? "null";
}

export interface InboxCursor {
  readonly cursor: number;
  readonly ahead: readonly number[];
}

export function readCursor(sql: Sql, chat: string): InboxCursor {
  const [row] = sql.all<{ cursor: number; ahead: string }>("SELECT cursor, ahead FROM inboxes WHERE chat = ?", chat);
  return row ? { cursor: row.cursor, ahead: JSON.parse(row.ahead) as number[] } : { cursor: 0, ahead: [] };
}

export function open(sql: Sql, chat: string): void {
  inboxes.insert(sql, { chat, cursor: newestId(sql), ahead: "[]" }, "ON CONFLICT DO NOTHING");
}

export function move(sql: Sql, chat: string, { cursor, ahead }: InboxCursor): void {
  inboxes.put(sql, { chat, cursor, ahead: JSON.stringify(ahead) });
}

export function listReceivers(sql: Sql, topic: string): string[] {
  const query = "SELECT DISTINCT chat FROM subscriptions WHERE pattern IN (SELECT value FROM json_each(?))";
  return sql.all<{ chat: string }>(query, JSON.stringify(patternsOf(topic))).map(({ chat }) => chat);
}

/** `*` is one word, `**` at the end one or more, alone all. */
export function matches(pattern: string, topic: string): boolean {
  const [wanted, words] = [pattern.split("."), topic.split(".")];
  for (const [at, word] of wanted.entries()) {
    if (word === "**") return words.length > at;
    if (words[at] === undefined || (word !== "*" && word !== words[at])) return false;
  }
  return wanted.length === words.length;
}

export function isExact(pattern: string): boolean {
  return !pattern.includes("*");
}

/** All patterns that match a topic: at most 511, as a topic has at most eight words. */
function patternsOf(topic: string): string[] {
  const patterns = ["**"];
  let prefixes: string[] = [];
  for (const [at, word] of topic.split(".").entries()) {
    patterns.push(...prefixes.map((prefix) => `${prefix}.**`));
    prefixes = at === 0 ? [word, "*"] : prefixes.flatMap((prefix) => [`${prefix}.${word}`, `${prefix}.*`]);
  }
  return [...patterns, ...prefixes];
}
