import type { Sql } from "../shared/sql.ts";

/** Number of forgets: a copy with a lower number may still hold forgotten rows. */
export function readForgetCount(sql: Sql): number {
  const [row] = sql.all<{ value: string }>("SELECT value FROM meta WHERE key = 'forgets'");
  return row ? Number(row.value) : 0;
}

export function incrementForgetCount(sql: Sql): void {
  sql.run(
    "INSERT INTO meta (key, value) VALUES ('forgets', '1') ON CONFLICT (key) DO UPDATE SET value = CAST(value AS INTEGER) + 1",
  );
}
