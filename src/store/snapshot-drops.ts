import type { Sql, SqlValue } from "../shared/sql.ts";

/** A git snapshot whose checkpoint is gone; the row stays until the snapshot is, so that a crash in between loses no work. */
export interface SnapshotDrop {
  readonly checkpointId: string;
  /** SHIM's bare repository; null: it was never taken. */
  readonly repository: string | null;
}

/** Snapshots still to be dropped from their repositories, oldest first. */
export function list(sql: Sql, limit: number): SnapshotDrop[] {
  return sql.all<SnapshotDrop>(
    "SELECT checkpoint_id AS checkpointId, repository FROM snapshots WHERE state = 'drop' ORDER BY at LIMIT ?",
    limit,
  );
}

/** Called when they were dropped. */
export function remove(sql: Sql, checkpointIds: readonly string[]): void {
  for (const id of checkpointIds) sql.run("DELETE FROM snapshots WHERE checkpoint_id = ? AND state = 'drop'", id);
}

/** [ST46] Marks the snapshots of a checkpoint that goes, and keeps nothing of them but where they are. */
export function enqueue(sql: Sql, where: string, ...values: SqlValue[]): void {
  sql.run(
    `UPDATE snapshots SET state = 'drop', session_id = '', project = '', reason = NULL, head = NULL, branch = NULL, detail = '{}'
     WHERE ${where}`,
    ...values,
  );
  sql.run("DELETE FROM snapshots WHERE state = 'drop' AND repository IS NULL");
}
