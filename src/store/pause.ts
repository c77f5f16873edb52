import { sep } from "node:path";
import type { Sql } from "../shared/sql.ts";
import { realPath } from "../platform/real-path.ts";
import * as meta from "./meta.ts";

/** Time in which no content of the user's is stored. `project` null: every project. */
export interface Pause {
  readonly project: string | null;
  readonly until: number | null;
}

const name = "pause";
const keyPrefix = `${name}:`;
const forever = "forever";

/** [ST50] Replaces an earlier pause of the same project (or of all). */
export function pause(sql: Sql, now: number, until: number | null, project: string | null): void {
  dropExpired(sql, now);
  writePeriods(sql, [...endPeriod(sql, now, project), { project, from: now, until }]);
  meta.write(sql, keyOf(project), until === null ? forever : String(until));
}

/** [ST51] Follows links. Without a folder, only a pause of every project counts. */
export function isPaused(sql: Sql, at: number, folder: string | null): boolean {
  return pausesAt(sql, at).some(({ project }) => covers(project, folder));
}

/** Returns a check of past times and folders against pauses; null when there were none. */
export function pauseLookup(sql: Sql): ((at: number, folders: readonly (string | null)[]) => boolean) | null {
  const periods = allPeriods(sql);
  if (periods.length === 0) return null;
  return (at, folders) =>
    periods.some(
      // The moment of the pause command itself is not paused.
      (one) => one.from < at && isBefore(at, one.until) && folders.some((folder) => covers(one.project, folder)),
    );
}

/** Ends only this project's pause, or for null the pause of all projects; false without one. */
export function resume(sql: Sql, now: number, project: string | null): boolean {
  dropExpired(sql, now);
  const periods = endPeriod(sql, now, project);
  if (!meta.remove(sql, keyOf(project))) return false;
  writePeriods(sql, periods);
  return true;
}

export function list(sql: Sql, now: number): Pause[] {
  return readPauses(sql).filter(({ until }) => isBefore(now, until));
}

/** Stored as JSON in one row. */
interface Period extends Pause {
  readonly from: number;
}

const periodsKey = "periods_of_pauses";
/** Older content is no longer read: sessions are not kept that long. */
const maxPeriods = 500;

function allPeriods(sql: Sql): Period[] {
  const storedPeriods = JSON.parse(meta.read(sql, periodsKey) ?? "[]") as Period[];
  const runningPauses = new Map(readPauses(sql).map(({ project, until }) => [project, until]));
  const isKnown = (project: string | null, until: number | null): boolean =>
    storedPeriods.some((one) => one.project === project && one.until === until);
  return [
    // An older program ends a pause without closing its period.
    ...storedPeriods.filter((one) => one.until !== null || runningPauses.get(one.project) === null),
    // An older program also begins a pause without a period.
    ...[...runningPauses]
      .filter(([project, until]) => !isKnown(project, until))
      .map(([project, until]) => ({ project, until, from: Number.NEGATIVE_INFINITY })),
  ];
}

function pausesAt(sql: Sql, at: number): Period[] {
  return allPeriods(sql).filter(({ from, until }) => from <= at && isBefore(at, until));
}

function endPeriod(sql: Sql, now: number, project: string | null): Period[] {
  return allPeriods(sql)
    .filter(({ from }) => Number.isFinite(from))
    .map((one) => (one.project === project && isBefore(now, one.until) ? endPeriodAt(one, now) : one));
}

function endPeriodAt({ project, from }: Period, until: number): Period {
  return { project, from, until };
}

function writePeriods(sql: Sql, periods: readonly Period[]): void {
  meta.write(sql, periodsKey, JSON.stringify(periods.slice(-maxPeriods)));
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
  for (const { project, until } of readPauses(sql)) {
    if (!isBefore(now, until)) meta.remove(sql, keyOf(project));
  }
}

function readPauses(sql: Sql): Pause[] {
  return meta.listOf(sql, name).map(({ key, value }) => ({
    project: key.slice(keyPrefix.length) || null,
    until: value === forever ? null : Number(value),
  }));
}

function keyOf(project: string | null): string {
  return keyPrefix + (project ?? "");
}
