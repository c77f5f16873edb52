import { createHash } from "node:crypto";
import type { Sql } from "../../shared/sql.ts";

/**
 * [JO12] Where the transcript of a session without a row is read on: what stands before was said during a pause, or is forgotten. The session is
 * named by a digest only.
 */
export function markTranscript(sql: Sql, sessionId: string, offset: number): void {
  sql.run(
    "INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
    keyOf(sessionId),
    String(offset),
  );
}

/** 0 where nothing is to be passed over. */
export function transcriptMark(sql: Sql, sessionId: string): number {
  const [row] = sql.all<{ value: string }>("SELECT value FROM meta WHERE key = ?", keyOf(sessionId));
  return Number(row?.value ?? 0);
}

function keyOf(sessionId: string): string {
  return `transcript_from:${createHash("sha256").update(sessionId).digest("hex").slice(0, 32)}`;
}
