import type { Sql } from "../../shared/sql.ts";
import * as meta from "../../store/meta.ts";

/** Stored in meta, outlives the device's row. Add fields as optional. */
export interface JoinPreferences {
  readonly workspace: string;
  readonly isSynced: boolean;
  /** Sessions that ended before this stay local, in epoch ms; 0: none do. */
  readonly since: number;
}

const metaKey = "sync_choice";

export function read(sql: Sql, workspace: string): JoinPreferences | null {
  const stored = meta.read(sql, metaKey);
  const preferences = stored === null ? null : (JSON.parse(stored) as JoinPreferences);
  return preferences?.workspace === workspace ? preferences : null;
}

export function write(sql: Sql, preferences: JoinPreferences): void {
  meta.write(sql, metaKey, JSON.stringify(preferences));
}

export function forget(sql: Sql): void {
  meta.remove(sql, metaKey);
}
