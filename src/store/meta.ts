import type { Sql } from "../shared/sql.ts";

/** Single values of the store, by key. */

export function readMeta(sql: Sql, key: string): string | null {
  return sql.all<{ value: string }>("SELECT value FROM meta WHERE key = ?", key)[0]?.value ?? null;
}

export function writeMeta(sql: Sql, key: string, value: string): void {
  sql.run(
    "INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
    key,
    value,
  );
}

export function removeMeta(sql: Sql, key: string): void {
  sql.run("DELETE FROM meta WHERE key = ?", key);
}
