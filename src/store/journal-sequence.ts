import type { Sql } from "../shared/sql.ts";

/** [ST11] New journal numbers must exceed all folded ones; call it after importing rows. */
export function raiseJournalSequence(sql: Sql): void {
  if (sql.all("SELECT 1 FROM sqlite_schema WHERE name = 'journal'").length === 0) return;
  const [row] = sql.all<{ highest: number }>(
    `SELECT max(
       coalesce((SELECT max(seq) FROM sqlite_sequence WHERE name = 'journal'), 0),
       coalesce((SELECT max(journalSeq) FROM checkpoints), 0)
     ) AS highest`,
  );
  sql.run("DELETE FROM sqlite_sequence WHERE name = 'journal'");
  sql.run("INSERT INTO sqlite_sequence (name, seq) VALUES ('journal', ?)", row?.highest ?? 0);
}
