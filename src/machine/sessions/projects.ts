import { basename, dirname, isAbsolute, join, relative } from "node:path";
import { marksOf, physicalPath } from "../../snapshots/git-head.ts";
import type { Sql } from "../../shared/sql.ts";
import { projects, type Session } from "../../store/session-tables.ts";

/**
 * Notes the folder of a session that begins. What SHIM has of a folder that is this one by its
 * marks, and is gone or a link to it now, becomes this one's. A copy has its repository's mark too,
 * so that proves nothing once both were seen.
 */
export function noteProject(sql: Sql, path: string): void {
  const { folder, repository } = marksOf(path);
  const isNew = projects.find(sql, { path }) === null;
  projects.put(sql, { path, folder, repository, movedTo: null });
  const others = projects.select(
    sql,
    "WHERE path <> ? AND movedTo IS NULL AND (folder = ? OR repository = ?)",
    path,
    folder,
    isNew ? repository : null,
  );
  for (const other of others) {
    const now = physicalPath(other.path);
    if (now === null || now === path) move(sql, other.path, path);
  }
}

function move(sql: Sql, from: string, to: string): void {
  sql.run(
    `UPDATE sessions SET project = ?,
       cwd = iif(cwd = ? OR (cwd >= ? AND cwd < ?), ? || substr(cwd, ?), cwd) WHERE project = ?`,
    to,
    from,
    `${from}/`,
    `${from}0`,
    to,
    from.length + 1,
    from,
  );
  sql.run("UPDATE snapshots SET project = ? WHERE project = ?", to, from);
  sql.run("UPDATE projects SET movedTo = ? WHERE path = ? OR movedTo = ?", to, from, from);
}

/** Paths of a session's files now: a folder above them may have been renamed, or be a link. */
export function pathsNow(sql: Sql, { project }: Pick<Session, "project">): (path: string) => string {
  const moved = projects.select(sql, "WHERE movedTo IS NOT NULL ORDER BY length(path) DESC");
  return (path) => {
    const from = moved.find((one) => path.startsWith(`${one.path}/`));
    const now = from?.movedTo ? join(from.movedTo, relative(from.path, path)) : path;
    if (project === null || !isAbsolute(now) || now.startsWith(`${project}/`)) return now;
    const folder = physicalPath(dirname(now));
    return folder === project || folder?.startsWith(`${project}/`) ? join(folder, basename(now)) : now;
  };
}
