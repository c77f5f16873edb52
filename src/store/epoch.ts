import type { Sql } from "../shared/sql.ts";

/** Counts replacements by an older state, from 1: numbers from before may repeat after one. */
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
