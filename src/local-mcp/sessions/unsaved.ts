import type { Sql } from "../../shared/sql.ts";

export interface Unsaved {
  readonly events: number;
  readonly toolCalls: number;
}

export function unsavedOf(sql: Sql, sessionId: string): Unsaved {
  const [row] = sql.all<Unsaved>(
    `SELECT count(*) AS events, coalesce(sum(kind IN ('tool_end', 'tool_error')), 0) AS toolCalls FROM journal
     WHERE session = ? AND seq > coalesce((SELECT journalSeq FROM checkpoints WHERE session = ? ORDER BY seq DESC LIMIT 1), 0)`,
    sessionId,
    sessionId,
  );
  return row ?? { events: 0, toolCalls: 0 };
}
