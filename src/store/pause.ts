import { sep } from "node:path";
import type { Sql } from "../shared/sql.ts";
import type { RowOf } from "../shared/table.ts";
import { realPath } from "../platform/paths.ts";
import { pauses } from "./machine-tables.ts";

const pausedProjects = pauses.pick("project", "until");

export type Pause = RowOf<typeof pausedProjects>;

/** Older content is no longer read: sessions are not kept that long. */
const maxRows = 500;

/** Replaces an earlier pause of the same project (or of all). */
export function pause(sql: Sql, now: number, until: number | null, project: string | null): void {
  resume(sql, now, project);
  const seq = pauses.append(sql, { project, startedAt: now, until });
  sql.run("DELETE FROM pauses WHERE seq <= ?", seq - maxRows);
}

/**
 * Follows links. Without a folder, only a pause of every project counts.
 *
 * @param folder or a function that reads it, where a pause runs
 */
export function isPaused(sql: Sql, at: number, folder: string | null | (() => string | null)): boolean {
  const rest = "WHERE startedAt <= ? AND (until IS NULL OR until > ?)";
  const running = pausedProjects.select(sql, rest, at, at);
  if (running.length === 0) return false;
  const found = typeof folder === "function" ? folder() : folder;
  return running.some(({ project }) => covers(project, found));
}

/** Returns a check of past times and folders against pauses; null when there were none. */
export function pauseLookup(sql: Sql): ((at: number, folders: readonly (string | null)[]) => boolean) | null {
  const all = pauses.select(sql, "");
  if (all.length === 0) return null;
  return (at, folders) =>
    all.some(
      // The moment of the pause command itself is not paused.
      ({ project, startedAt, until }) =>
        startedAt < at && (until === null || at < until) && folders.some((folder) => covers(project, folder)),
    );
}

/** Ends only this project's pause, or for null the pause of all projects; false without one. */
export function resume(sql: Sql, now: number, project: string | null): boolean {
  const query = "UPDATE pauses SET until = ? WHERE project IS ? AND (until IS NULL OR until > ?)";
  return sql.run(query, now, project, now) > 0;
}

export function list(sql: Sql, now: number): Pause[] {
  return pausedProjects.select(sql, "WHERE until IS NULL OR until > ? ORDER BY project", now);
}

/** Follows links. @param project null: every one */
export function covers(project: string | null, folder: string | null): boolean {
  if (project === null) return true;
  if (folder === null) return false;
  const [above, below] = [realPath(project), realPath(folder)];
  return below === above || below.startsWith(above.endsWith(sep) ? above : above + sep);
}
