import { sep } from "node:path";
import type { Sql } from "../shared/sql.ts";
import { realPath } from "../platform/real-path.ts";

/** A time in which nothing of the user's content is stored. */
export interface Pause {
  /** Null: every project. */
  readonly project: string | null;
  /** Epoch milliseconds; null: until resumed. */
  readonly until: number | null;
}

const keyPrefix = "pause:";
/** Sorts behind every key that begins with the prefix. */
const afterKeyPrefix = "pause;";
const forever = "forever";

/** [ST50] Replaces an earlier pause of the same project (or of all). */
export function pause(sql: Sql, now: number, until: number | null, project: string | null): void {
  dropExpired(sql, now);
  writePeriods(sql, [...endPeriod(sql, now, project), { project, from: now, until }]);
  sql.run(
    "INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
    keyOf(project),
    until === null ? forever : String(until),
  );
}

/**
 * [ST51] Whether nothing may be stored of what was said at that time in this folder: it, or a folder above it, was paused then. Links in both
 * paths are followed. Without a folder, only a pause of every project counts.
 */
export function isPaused(sql: Sql, at: number, folder: string | null): boolean {
  return pausesAt(sql, at).some(({ project }) => covers(project, folder));
}

/**
 * For what is read long after it was said.
 *
 * @returns whether something that was said at that time, in one of these folders, belongs to a pause; null: there was no pause for a long time
 */
export function pauseLookup(sql: Sql): ((at: number, folders: readonly (string | null)[]) => boolean) | null {
  const periods = allPeriods(sql);
  if (periods.length === 0) return null;
  return (at, folders) =>
    periods.some(
      // The moment of the command itself belongs to what was before it.
      (one) => one.from < at && isBefore(at, one.until) && folders.some((folder) => covers(one.project, folder)),
    );
}

/**
 * Ends the pause of exactly this project; null: the pause of all projects, while those of single projects stay.
 *
 * @returns false when there was none
 */
export function resume(sql: Sql, now: number, project: string | null): boolean {
  dropExpired(sql, now);
  const periods = endPeriod(sql, now, project);
  if (sql.run("DELETE FROM meta WHERE key = ?", keyOf(project)) === 0) return false;
  writePeriods(sql, periods);
  return true;
}

/** What is paused now. */
export function list(sql: Sql, now: number): Pause[] {
  return pauseRows(sql)
    .filter(({ value }) => isRunning(value, now))
    .map(({ key, value }) => ({
      project: projectIn(key),
      until: untilOf(value),
    }));
}

/** When something was paused. Stored as JSON in one row. */
interface Period extends Pause {
  readonly from: number;
}

const periodsKey = "periods_of_pauses";
/** What was said before that is not read any more: sessions are not kept for longer. */
const maxPeriods = 500;

/** Those of single projects and of all, the running ones included. */
function allPeriods(sql: Sql): Period[] {
  const [row] = sql.all<{ value: string }>("SELECT value FROM meta WHERE key = ?", periodsKey);
  const storedPeriods = row ? (JSON.parse(row.value) as Period[]) : [];
  const runningPauses = new Map(pauseRows(sql).map(({ key, value }) => [projectIn(key), untilOf(value)]));
  const isKnown = (project: string | null, until: number | null): boolean =>
    storedPeriods.some((one) => one.project === project && one.until === until);
  return [
    // An older program ends a pause without closing its period.
    ...storedPeriods.filter((one) => one.until !== null || runningPauses.get(one.project) === null),
    // And it begins one without a period.
    ...[...runningPauses]
      .filter(([project, until]) => !isKnown(project, until))
      .map(([project, until]) => ({ project, until, from: Number.NEGATIVE_INFINITY })),
  ];
}

function pausesAt(sql: Sql, at: number): Period[] {
  return allPeriods(sql).filter(({ from, until }) => from <= at && isBefore(at, until));
}

/** The periods of all projects, with that of this project ended now. */
function endPeriod(sql: Sql, now: number, project: string | null): Period[] {
  return allPeriods(sql)
    .filter(({ from }) => Number.isFinite(from))
    .map((one) => (one.project === project && isBefore(now, one.until) ? endPeriodAt(one, now) : one));
}

function endPeriodAt({ project, from }: Period, until: number): Period {
  return { project, from, until };
}

function writePeriods(sql: Sql, periods: readonly Period[]): void {
  sql.run(
    "INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
    periodsKey,
    JSON.stringify(periods.slice(-maxPeriods)),
  );
}

function isBefore(at: number, until: number | null): boolean {
  return until === null || at < until;
}

function covers(project: string | null, folder: string | null): boolean {
  if (project === null) return true;
  if (folder === null) return false;
  const [above, below] = [realPath(project), realPath(folder)];
  return below === above || below.startsWith(above.endsWith(sep) ? above : above + sep);
}

function dropExpired(sql: Sql, now: number): void {
  for (const { key, value } of pauseRows(sql)) {
    if (!isRunning(value, now)) sql.run("DELETE FROM meta WHERE key = ?", key);
  }
}

function pauseRows(sql: Sql): { key: string; value: string }[] {
  return sql.all("SELECT key, value FROM meta WHERE key >= ? AND key < ? ORDER BY key", keyPrefix, afterKeyPrefix);
}

function isRunning(value: string, now: number): boolean {
  return value === forever || Number(value) > now;
}

function projectIn(key: string): string | null {
  return key.slice(keyPrefix.length) || null;
}

function untilOf(value: string): number | null {
  return value === forever ? null : Number(value);
}

function keyOf(project: string | null): string {
  return keyPrefix + (project ?? "");
}
