import type { Tx } from "../kernel/tx.ts";

/** For each kind of target, in all. */
const maxCounted = 10_000;

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
    maxCounted,
  );
  return row?.n ?? 0;
}
