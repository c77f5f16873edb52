import type { Sql } from "../shared/sql.ts";

/** How often the store was replaced by an older state, counted from 1: numbers given out before may come again after it. */
export function epochOf(sql: Sql): number {
  const [row] = sql.all<{ value: string }>("SELECT value FROM meta WHERE key = 'epoch'");
  return row ? Number(row.value) : 1;
}

export function setEpoch(sql: Sql, epoch: number): void {
  sql.run(
    "INSERT INTO meta (key, value) VALUES ('epoch', ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
    String(epoch),
  );
}
