import type { ClaimedTask } from "../../contract/tasks.ts";
import type { Sql } from "../../shared/sql.ts";
import { teamHoldings } from "../../store/team-tables.ts";

export interface TaskOfSession {
  readonly task: number;
  readonly type: string;
}

/** A server may outlive its killed client, and see the claim end. */
const deathWindowMs = 60_000;

/** The tasks that a session had last. */
export function tasksOf(sql: Sql, session: string): TaskOfSession[] {
  const held = teamHoldings
    .select(sql, "WHERE session = ? AND kind = 'claim' ORDER BY at, token", session)
    .map(({ body }) => body as ClaimedTask);
  const lost = sql.all<TaskOfSession>(
    `SELECT json_extract(n.body, '$.task') AS task, json_extract(n.body, '$.title') AS type
     FROM team_news n JOIN sessions s ON s.id = n.session
     WHERE n.session = ? AND n.kind = 'claim_lost' AND n.at >= s.lastSeenAt - ? ORDER BY n.seq`,
    session,
    deathWindowMs,
  );
  return [...new Map([...lost, ...held].map(({ task, type }) => [task, { task, type }])).values()];
}
