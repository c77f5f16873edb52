import type { Sql } from "../../shared/sql.ts";

/** What was said when this machine joined: it outlives the device's row. Stored in meta. Add fields as optional. */
export interface SyncChoice {
  readonly workspace: string;
  /** [SY71] Not with `--no-sync`, whatever keys there are. */
  readonly isSynced: boolean;
  /** [SY73] What was over before stays on this machine, in epoch ms; 0: nothing does. */
  readonly since: number;
}

const KEY = "sync_choice";

/** Null: nothing was said about this workspace, as where the environment names it. */
export function read(sql: Sql, workspace: string): SyncChoice | null {
  const [row] = sql.all<{ value: string }>("SELECT value FROM meta WHERE key = ?", KEY);
  // Only write() writes it.
  const choice = row ? (JSON.parse(row.value) as SyncChoice) : null;
  return choice?.workspace === workspace ? choice : null;
}

export function write(sql: Sql, choice: SyncChoice): void {
  sql.run(
    "INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
    KEY,
    JSON.stringify(choice),
  );
}

export function forget(sql: Sql): void {
  sql.run("DELETE FROM meta WHERE key = ?", KEY);
}
