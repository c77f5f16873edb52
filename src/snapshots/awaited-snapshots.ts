import type { Sql } from "../shared/sql.ts";

/** SQL condition on a snapshot `s` that must be taken before its files can change. */
export const isBeforeTool = "(SELECT trigger FROM checkpoints c WHERE c.id = s.checkpointId) = 'before_tool'";
const isAwaited = "(SELECT trigger FROM checkpoints c WHERE c.id = s.checkpointId) IN ('before_tool', 'compact')";

/** Well below the ten seconds that the client gives a hook. */
export const maxAwaitMs = 6_000;

export interface PendingSnapshot {
  readonly checkpointId: string;
  readonly project: string;
}

/** [CP33] Reads one small index: every tool call begins with it. */
export function findAwaited(sql: Sql, now: number): PendingSnapshot | null {
  const [row] = sql.all<PendingSnapshot>(
    `SELECT s.checkpointId, s.project FROM snapshots s
     WHERE s.state = 'pending' AND s.at > ? AND ${isAwaited} ORDER BY s.at LIMIT 1`,
    now - maxAwaitMs,
  );
  return row ?? null;
}
