import { createHash } from "node:crypto";
import type { Sql } from "../../shared/sql.ts";

/** What the user has been notified of. The rows name nothing: they are digests. */

function digestOf(key: string): string {
  return createHash("sha256").update(key).digest("hex").slice(0, 32);
}

/** [CL71] Whether this process is the one that sends it: true for one caller only, ever. */
export function claim(sql: Sql, now: number, key: string): boolean {
  return sql.run("INSERT OR IGNORE INTO sent_notifications (key, at) VALUES (?, ?)", digestOf(key), now) > 0;
}

export function isSent(sql: Sql, key: string): boolean {
  return sql.all("SELECT 1 FROM sent_notifications WHERE key = ?", digestOf(key)).length > 0;
}

export function prune(sql: Sql, before: number): void {
  sql.run("DELETE FROM sent_notifications WHERE at < ?", before);
}
