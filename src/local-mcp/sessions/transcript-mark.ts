import { createHash } from "node:crypto";
import type { Sql } from "../../shared/sql.ts";

/**
 * [JO12] Where a transcript is read on: what stands before was said during a pause, or is forgotten. The session or the file is named by a
 * digest only.
 *
 * @param name the id of a session without a row, or the path of a transcript
 */
export function markTranscript(sql: Sql, name: string, offset: number): void {
  sql.run(
    "INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
    keyOf(name),
    String(offset),
  );
}

/** 0 where nothing is to be passed over. */
export function transcriptMark(sql: Sql, name: string): number {
  const [row] = sql.all<{ value: string }>("SELECT value FROM meta WHERE key = ?", keyOf(name));
  return Number(row?.value ?? 0);
}

function keyOf(name: string): string {
  return `transcript_from:${digestOf(name)}`;
}

export function digestOf(name: string): string {
  return createHash("sha256").update(name).digest("hex").slice(0, 32);
}
