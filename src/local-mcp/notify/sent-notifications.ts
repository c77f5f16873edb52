import { createHash } from "node:crypto";
import type { Sql } from "../../shared/sql.ts";

/** Only digests are stored, no content. */

function digestOf(key: string): string {
  return createHash("sha256").update(key).digest("hex").slice(0, 32);
}

/** [CL71] Returns true for exactly one caller per key, across processes. */
export function claim(sql: Sql, now: number, key: string): boolean {
  return sql.run("INSERT OR IGNORE INTO sent_notifications (key, at) VALUES (?, ?)", digestOf(key), now) > 0;
}

export function isSent(sql: Sql, key: string): boolean {
  return sql.all("SELECT 1 FROM sent_notifications WHERE key = ?", digestOf(key)).length > 0;
}

export function prune(sql: Sql, before: number): void {
  sql.run("DELETE FROM sent_notifications WHERE at < ?", before);
}
