import type { Sql } from "../shared/sql.ts";

/**
 * The search index over the summaries (FTS5). A save only notes that its row waits, since the index costs half of all pages that a save writes;
 * each search, and the MCP process in its pauses, takes in what waits.
 */

/** Whether summaries wait. */
export function hasPending(sql: Sql): boolean {
  return sql.all("SELECT 1 FROM checkpoints_unindexed LIMIT 1").length > 0;
}

/** [ST23] Takes in what waits (not what an older program has taken in by a rebuild), within the caller's transaction. */
export function indexPending(sql: Sql): void {
  sql.run(
    `INSERT INTO checkpoints_text (rowid, summary)
     SELECT seq, summary FROM checkpoints WHERE seq IN (SELECT seq FROM checkpoints_unindexed)
       AND seq NOT IN (SELECT id FROM checkpoints_text_docsize)`,
  );
  sql.run("DELETE FROM checkpoints_unindexed");
}

/** Makes the whole index anew from the rows. */
export function rebuild(sql: Sql): void {
  sql.run("INSERT INTO checkpoints_text (checkpoints_text) VALUES ('rebuild')");
  sql.run("DELETE FROM checkpoints_unindexed");
}
