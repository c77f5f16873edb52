import { defaultSettings, type Settings } from "../contract/workspaces.ts";
import type { Sql } from "../shared/sql.ts";

export function read(sql: Sql, key: string): string | null {
  return sql.all<{ value: string }>("SELECT value FROM meta WHERE key = ?", key)[0]?.value ?? null;
}

export function write(sql: Sql, key: string, value: string): void {
  sql.run(
    "INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
    key,
    value,
  );
}

export function remove(sql: Sql, key: string): void {
  sql.run("DELETE FROM meta WHERE key = ?", key);
}

/** What every operation needs of the workspace. */
export interface Facts {
  readonly settings: Settings;
  /** Raised after a restore. Part of every fencing token, so that a counter that was set back issues none twice. */
  readonly epoch: number;
}

export function facts(sql: Sql): Facts {
  const [row] = sql.all<{ settings: string | null; epoch: string | null }>(
    "SELECT (SELECT value FROM meta WHERE key = 'settings') AS settings, (SELECT value FROM meta WHERE key = 'epoch') AS epoch",
  );
  return { settings: settingsOf(row?.settings ?? null), epoch: Number(row?.epoch) };
}

/** The stored ones over the defaults. */
function settingsOf(stored: string | null): Settings {
  return stored === null ? defaultSettings : { ...defaultSettings, ...(JSON.parse(stored) as Partial<Settings>) };
}

export function liveChats(sql: Sql): number {
  return Number(read(sql, "live_chats"));
}
