import type { Sql } from "../../shared/sql.ts";
import type { NewRowOf, RowOf } from "../../shared/table.ts";
import { teamConflicts } from "../../store/team-tables.ts";

type Found = NewRowOf<typeof teamConflicts>;

/** Stores what is found now in place of what was open: a conflict that stays keeps its number. */
export function replaceOpen(sql: Sql, open: readonly RowOf<typeof teamConflicts>[], found: readonly Found[]): void {
  const gone = new Map(open.map((row) => [keyOf(row), row]));
  for (const one of found) {
    const { lines = null, otherLines = null } = one;
    const row = gone.get(keyOf(one));
    gone.delete(keyOf(one));
    if (!row) teamConflicts.insert(sql, one);
    else if (row.lines !== lines || row.otherLines !== otherLines)
      teamConflicts.update(sql, { seq: row.seq }, { lines, otherLines });
  }
  for (const { seq } of gone.values()) teamConflicts.delete(sql, { seq });
}

function keyOf({ session, other, root, otherRoot, path }: Found): string {
  return JSON.stringify([session, other, root, otherRoot, path]);
}
