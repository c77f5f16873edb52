import type { Sql } from "../../shared/sql.ts";

/** A time in which nothing of the user's content is stored. */
export interface Pause {
  /** Null: every project. */
  readonly project: string | null;
  /** Epoch milliseconds; null: until resumed. */
  readonly until: number | null;
}

const PREFIX = "pause:";
/** Sorts behind every key that begins with the prefix. */
const AFTER_PREFIX = "pause;";
const FOR_EVER = "forever";

/** [ST50] Replaces an earlier pause of the same project (or of all). */
export function pause(sql: Sql, now: number, until: number | null, project: string | null): void {
  dropExpired(sql, now);
  sql.run(
    "INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
    keyOf(project),
    until === null ? FOR_EVER : String(until),
  );
}

/** Whether nothing may be stored for this project now. A session without a project is only paused with all. */
export function isPaused(sql: Sql, now: number, project: string | null): boolean {
  return sql
    .all<{ value: string }>("SELECT value FROM meta WHERE key = ? OR key = ?", keyOf(null), keyOf(project))
    .some(({ value }) => isRunning(value, now));
}

/**
 * Ends the pause of exactly this project; null: the pause of all projects, while those of single projects stay.
 *
 * @returns false when there was none
 */
export function resume(sql: Sql, now: number, project: string | null): boolean {
  dropExpired(sql, now);
  return sql.run("DELETE FROM meta WHERE key = ?", keyOf(project)) > 0;
}

/** What is paused now. */
export function list(sql: Sql, now: number): Pause[] {
  return rows(sql)
    .filter(({ value }) => isRunning(value, now))
    .map(({ key, value }) => ({
      project: key.slice(PREFIX.length) || null,
      until: value === FOR_EVER ? null : Number(value),
    }));
}

function dropExpired(sql: Sql, now: number): void {
  for (const { key, value } of rows(sql)) {
    if (!isRunning(value, now)) sql.run("DELETE FROM meta WHERE key = ?", key);
  }
}

function rows(sql: Sql): { key: string; value: string }[] {
  return sql.all("SELECT key, value FROM meta WHERE key >= ? AND key < ? ORDER BY key", PREFIX, AFTER_PREFIX);
}

function isRunning(value: string, now: number): boolean {
  return value === FOR_EVER || Number(value) > now;
}

function keyOf(project: string | null): string {
  return PREFIX + (project ?? "");
}
