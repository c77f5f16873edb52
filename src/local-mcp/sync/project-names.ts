import type { Sql } from "../../shared/sql.ts";
import { isWithin } from "../../shared/elapsed.ts";

/** Names of projects in a workspace, found once (team_projects). No crypto and no git here: the hook loads this. */

/** A remote may be added later, in ms. */
const validForMs = 86_400_000;

/** Null: not found yet, or too long ago. */
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

/** Under another key they have other names. */
export function removeAll(sql: Sql, workspace: string): void {
  sql.run("DELETE FROM team_projects WHERE workspace = ?", workspace);
}
