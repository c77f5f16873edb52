import type { Sql } from "../../shared/sql.ts";
import { isWithin } from "../../shared/elapsed.ts";

/** Project names in a workspace (team_projects). No crypto and no git: the hook loads this. */

/** Lifetime in ms: a remote may be added later. */
const validForMs = 86_400_000;

export function find(sql: Sql, workspace: string, root: string, now: number): string | null {
  const [row] = sql.all<{ project: string; at: number }>(
    "SELECT project, at FROM team_projects WHERE workspace = ? AND root = ?",
    workspace,
    root,
  );
  return row && isWithin(now - row.at, validForMs) ? row.project : null;
}

export function save(sql: Sql, workspace: string, root: string, project: string, now: number): void {
  sql.run(
    `INSERT INTO team_projects (workspace, root, project, at) VALUES (?, ?, ?, ?)
     ON CONFLICT (workspace, root) DO UPDATE SET project = excluded.project, at = excluded.at`,
    workspace,
    root,
    project,
    now,
  );
}

export function removeAll(sql: Sql, workspace: string): void {
  sql.run("DELETE FROM team_projects WHERE workspace = ?", workspace);
}
