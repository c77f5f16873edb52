import { createHash } from "node:crypto";
import type { Sql } from "../../shared/sql.ts";
import * as meta from "../../store/meta.ts";

/** [JO12] @param name the id of a session without a row, or the path of a transcript */
export function markTranscript(sql: Sql, name: string, offset: number): void {
  meta.write(sql, keyOf(name), String(offset));
}

export function transcriptMark(sql: Sql, name: string): number {
  return hasAny(sql, metaPrefix) ? Number(meta.read(sql, keyOf(name)) ?? 0) : 0;
}

function keyOf(name: string): string {
  return `${metaPrefix}:${digestOf(name)}`;
}

const metaPrefix = "transcript_from";

/** Avoids a digest where no row exists: loading node:crypto costs a hook some ms. */
export function hasAny(sql: Sql, kind: string): boolean {
  // ";" sorts behind ":".
  return sql.all("SELECT 1 FROM meta WHERE key >= ? AND key < ? LIMIT 1", `${kind}:`, `${kind};`).length > 0;
}

export function digestOf(name: string): string {
  return createHash("sha256").update(name).digest("hex").slice(0, 32);
}
