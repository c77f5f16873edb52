import type { ClaimedTask } from "../../contract/tasks.ts";
import type { Sql } from "../../shared/sql.ts";
import { teamClaims } from "../../store/team-tables.ts";
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
  const { task: number, claim } = task;
  teamClaims.put(sql, { session: sessionId, workspace, task: number, claim, incarnation, at, body: task });
  spending.begin(sql, sessionId, task, at);
}

export function remove(
  sql: Sql,
  { sessionId }: TaskScope,
  { task, claim }: Pick<ClaimedTask, "task" | "claim">,
): boolean {
  spending.end(sql, sessionId, { task, claim });
  return teamClaims.delete(sql, { session: sessionId, task, claim }) > 0;
}

export function list(sql: Sql, { sessionId, workspace }: TaskScope): HeldTask[] {
  return teamClaims
    .select(sql, "WHERE session = ? AND workspace = ? ORDER BY at, task", sessionId, workspace)
    .map(({ incarnation, at, body: task }) => ({ incarnation, at, task }));
}
