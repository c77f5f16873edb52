import type { Sql } from "../../shared/sql.ts";

/** Stored in meta, outlives the device's row. Add fields as optional. */
export interface JoinPreferences {
  readonly workspace: string;
  readonly isSynced: boolean;
  /** [SY96] Sessions that ended before this stay local, in epoch ms; 0: none do. */
  readonly since: number;
}

const metaKey = "sync_choice";

export function read(sql: Sql, workspace: string): JoinPreferences | null {
  const [row] = sql.all<{ value: string }>("SELECT value FROM meta WHERE key = ?", metaKey);
  const preferences = row ? (JSON.parse(row.value) as JoinPreferences) : null;
  return preferences?.workspace === workspace ? preferences : null;
}

export function write(sql: Sql, preferences: JoinPreferences): void {
  sql.run(
    "INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
    metaKey,
    JSON.stringify(preferences),
  );
}

export function forget(sql: Sql): void {
  sql.run("DELETE FROM meta WHERE key = ?", metaKey);
}
