import { sep } from "node:path";
import type { Sql } from "../../shared/sql.ts";
import { realPath } from "../team/real-path.ts";

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
  keepPeriods(sql, [...closed(sql, now, project), { project, from: now, until }]);
  sql.run(
    "INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
    keyOf(project),
    until === null ? FOR_EVER : String(until),
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
export function pausesBefore(sql: Sql): ((at: number, folders: readonly (string | null)[]) => boolean) | null {
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
  const periods = closed(sql, now, project);
  if (sql.run("DELETE FROM meta WHERE key = ?", keyOf(project)) === 0) return false;
  keepPeriods(sql, periods);
  return true;
}

/** What is paused now. */
export function list(sql: Sql, now: number): Pause[] {
  return rows(sql)
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

const PERIODS = "periods_of_pauses";
/** What was said before that is not read any more: sessions are not kept for longer. */
const mostPeriods = 500;

/** Those of single projects and of all, the running ones included. */
function allPeriods(sql: Sql): Period[] {
  const [row] = sql.all<{ value: string }>("SELECT value FROM meta WHERE key = ?", PERIODS);
  const known = row ? (JSON.parse(row.value) as Period[]) : [];
  const running = new Map(rows(sql).map(({ key, value }) => [projectIn(key), untilOf(value)]));
  const isKnown = (project: string | null, until: number | null): boolean =>
    known.some((one) => one.project === project && one.until === until);
  return [
    // An older program ends a pause without closing its period.
    ...known.filter((one) => one.until !== null || running.get(one.project) === null),
    // And it begins one without a period.
    ...[...running]
      .filter(([project, until]) => !isKnown(project, until))
      .map(([project, until]) => ({ project, until, from: Number.NEGATIVE_INFINITY })),
  ];
}

function pausesAt(sql: Sql, at: number): Period[] {
  return allPeriods(sql).filter(({ from, until }) => from <= at && isBefore(at, until));
}

/** The periods of all projects, with that of this project ended now. */
function closed(sql: Sql, now: number, project: string | null): Period[] {
  return allPeriods(sql)
    .filter(({ from }) => Number.isFinite(from))
    .map((one) => (one.project === project && isBefore(now, one.until) ? endedAt(one, now) : one));
}

function endedAt({ project, from }: Period, until: number): Period {
  return { project, from, until };
}

function keepPeriods(sql: Sql, periods: readonly Period[]): void {
  sql.run(
    "INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
    PERIODS,
    JSON.stringify(periods.slice(-mostPeriods)),
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

function projectIn(key: string): string | null {
  return key.slice(PREFIX.length) || null;
}

function untilOf(value: string): number | null {
  return value === FOR_EVER ? null : Number(value);
}

function keyOf(project: string | null): string {
  return PREFIX + (project ?? "");
}
