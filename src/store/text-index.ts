import type { Sql } from "../shared/sql.ts";

/**
 * Search index (FTS5). A save only marks its row, since indexing costs half of its pages; searches
 * and the MCP process in its pauses index the rest.
 */

export function hasPending(sql: Sql): boolean {
  return sql.all("SELECT 1 FROM checkpoints_unindexed LIMIT 1").length > 0;
}

/** Indexes marked rows. */
export function indexPending(sql: Sql): void {
  sql.run(
    `INSERT INTO checkpoints_text (rowid, summary)
     SELECT seq, summary FROM checkpoints WHERE seq IN (SELECT seq FROM checkpoints_unindexed)`,
  );
  sql.run("DELETE FROM checkpoints_unindexed");
}

export function rebuild(sql: Sql): void {
  sql.run("INSERT INTO checkpoints_text (checkpoints_text) VALUES ('rebuild')");
  sql.run("DELETE FROM checkpoints_unindexed");
}
