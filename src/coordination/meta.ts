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

/** The stored ones over the defaults. */
export function settings(sql: Sql): Settings {
  const stored = read(sql, "settings");
  return stored === null ? defaultSettings : { ...defaultSettings, ...(JSON.parse(stored) as Partial<Settings>) };
}

/** Raised after a restore. Part of every fencing token, so that a counter that was set back issues none twice. */
export function epoch(sql: Sql): number {
  return Number(read(sql, "epoch"));
}

export function liveChats(sql: Sql): number {
  return Number(read(sql, "live_chats"));
}
