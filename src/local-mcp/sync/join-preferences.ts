import type { Sql } from "../../shared/sql.ts";

/** What was said when this machine joined: it outlives the device's row. Stored in meta. Add fields as optional. */
export interface JoinPreferences {
  readonly workspace: string;
  /** [SY71] Not with `--no-sync`, whatever keys there are. */
  readonly isSynced: boolean;
  /** [SY73] What was over before stays on this machine, in epoch ms; 0: nothing does. */
  readonly since: number;
}

const metaKey = "sync_choice";

/** Null: nothing was said about this workspace, as where the environment names it. */
export function read(sql: Sql, workspace: string): JoinPreferences | null {
  const [row] = sql.all<{ value: string }>("SELECT value FROM meta WHERE key = ?", metaKey);
  // Only write() writes it.
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
