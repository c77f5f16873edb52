import { integer, serial, table, text } from "../../shared/table.ts";

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

export const topics = table("topics", { topic: text().primary(), jsonSchema: text() });

export const messageTables = [messages, subscriptions, inboxes, topics];

export const messageIndexes: readonly string[] = [
  "CREATE INDEX messages_target ON messages (target, id)",
  "CREATE INDEX messages_urgent ON messages (target, id) WHERE priority = 2",
  "CREATE INDEX subscriptions_pattern ON subscriptions (pattern)",
];
