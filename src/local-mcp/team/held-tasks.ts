import type { ClaimedTask } from "../../contract/tasks.ts";
import type { Sql } from "../../shared/sql.ts";
import * as spending from "../usage/task-spending.ts";

export interface HeldTask {
  readonly task: ClaimedTask;
  readonly incarnation: number;
  readonly at: number;
}

export interface TaskScope {
  readonly sessionId: string;
  readonly workspace: string;
}

export function upsert(sql: Sql, { sessionId, workspace }: TaskScope, { task, incarnation, at }: HeldTask): void {
  sql.run(
    `INSERT OR REPLACE INTO team_claims (session_id, workspace, task, claim, incarnation, at, body)
     VALUES (?, ?, ?, ?, ?, ?, ?)`,
    sessionId,
    workspace,
    task.task,
    task.claim,
    incarnation,
    at,
    JSON.stringify(task),
  );
  spending.begin(sql, sessionId, task, at);
}

export function remove(
  sql: Sql,
  { sessionId }: TaskScope,
  { task, claim }: Pick<ClaimedTask, "task" | "claim">,
): boolean {
  const query = "DELETE FROM team_claims WHERE session_id = ? AND task = ? AND claim = ?";
  spending.end(sql, sessionId, { task, claim });
  return sql.run(query, sessionId, task, claim) > 0;
}

export function list(sql: Sql, { sessionId, workspace }: TaskScope): HeldTask[] {
  return sql
    .all<{ incarnation: number; at: number; body: string }>(
      "SELECT incarnation, at, body FROM team_claims WHERE session_id = ? AND workspace = ? ORDER BY at, task",
      sessionId,
      workspace,
    )
    .map(({ incarnation, at, body }) => ({ incarnation, at, task: JSON.parse(body) as ClaimedTask }));
}
