import type { Sql } from "../../shared/sql.ts";
import type { TranscriptContent } from "../../clients/transcript/transcript-draft.ts";
import * as journal from "../sessions/journal.ts";

/** Parts whose time is kept; all are counted. */
const maxParts = 50;

/**
 * What a transcript lacks, for the brief.
 *
 * @param at epoch ms; a part that has no time of its own, or a later one, has none
 * @param source part of the key: what was read
 */
export function recordDamages(
  sql: Sql,
  session: string,
  at: number,
  source: string,
  { damages, isEndDamaged, isBranched }: Pick<TranscriptContent, "damages" | "isEndDamaged" | "isBranched">,
): void {
  if (damages.length === 0 && !isBranched) return;
  const parts = damages.map((damage) => ({
    at: damage.at !== null && damage.at <= at ? damage.at : null,
    bytes: damage.bytes,
  }));
  journal.append(sql, session, at, `damaged:${source}`, {
    kind: "damaged",
    parts: parts.slice(-maxParts),
    count: parts.length,
    ...(isEndDamaged ? { isAtEnd: true } : {}),
    ...(isBranched ? { isBranched: true } : {}),
  });
}
