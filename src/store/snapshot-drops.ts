import type { Sql, SqlValue } from "../shared/sql.ts";
import { snapshots } from "./session-tables.ts";

/** Row of a deleted checkpoint's git snapshot; it stays until the snapshot is dropped. */
export interface SnapshotDrop {
  readonly checkpointId: string;
  readonly repository: string;
}

export function list(sql: Sql, limit: number, withoutRepositories: readonly string[] = []): SnapshotDrop[] {
  return sql.all<SnapshotDrop>(
    `SELECT checkpointId, repository FROM snapshots
     WHERE state = 'drop' AND repository NOT IN (SELECT value FROM json_each(?)) ORDER BY at LIMIT ?`,
    JSON.stringify(withoutRepositories),
    limit,
  );
}

export function remove(sql: Sql, checkpointIds: readonly string[]): void {
  for (const checkpointId of checkpointIds) snapshots.delete(sql, { checkpointId, state: "drop" });
}

/** Keeps nothing of a deleted checkpoint's snapshots but their repository and id. */
export function enqueue(sql: Sql, where: string, ...values: SqlValue[]): void {
  sql.run(
    `UPDATE snapshots SET state = 'drop', session = '', project = '', reason = NULL, head = NULL, branch = NULL, detail = '{}'
     WHERE ${where}`,
    ...values,
  );
  sql.run("DELETE FROM snapshots WHERE state = 'drop' AND repository IS NULL");
}
