import type { Sql } from "../../shared/sql.ts";
import type { RowOf } from "../../shared/table.ts";
import { teamFiles, teamProjects } from "../../store/team-tables.ts";

const reservations = teamFiles.without("at");

export type Reservation = RowOf<typeof reservations>;

/** A later report of the same grant may lack the checkout. */
export function upsert(sql: Sql, now: number, reservation: Reservation): void {
  teamFiles.insert(
    sql,
    { ...reservation, at: now },
    `ON CONFLICT (resource) DO UPDATE SET
       checkout = CASE WHEN excluded.checkout = '' AND holder = excluded.holder THEN checkout ELSE excluded.checkout END,
       since = CASE WHEN holder = excluded.holder THEN min(since, excluded.since) ELSE excluded.since END,
       workspace = excluded.workspace, holder = excluded.holder, holderName = excluded.holderName,
       machine = excluded.machine, token = excluded.token, at = excluded.at`,
  );
}

export function has(sql: Sql, { resource, token }: Pick<Reservation, "resource" | "token">): boolean {
  return teamFiles.has(sql, { resource, token });
}

/** @param holder deletes only this chat's reservation */
export function remove(sql: Sql, resource: string, holder?: string): void {
  teamFiles.delete(sql, { resource, holder });
}

/** Deletes those of an earlier workspace too. */
export function replaceAll(sql: Sql, now: number, kept: readonly Reservation[]): void {
  const keptResources = new Set(kept.map(({ resource }) => resource));
  for (const { resource } of list(sql)) if (!keptResources.has(resource)) remove(sql, resource);
  for (const reservation of kept) upsert(sql, now, reservation);
}

export function list(sql: Sql): Reservation[] {
  return reservations.select(sql, "ORDER BY resource");
}

/** @param resources at most 99: a statement takes 100 values */
export function listByResource(sql: Sql, workspace: string, resources: readonly string[]): Reservation[] {
  const marks = resources.map(() => "?").join(", ");
  return reservations.select(sql, `WHERE resource IN (${marks}) AND workspace = ?`, ...resources, workspace);
}

const namedProjects = teamProjects.pick("workspace", "project");

export type NamedProject = RowOf<typeof namedProjects>;

/** Newest workspace first. */
export function listProjects(sql: Sql, root: string): NamedProject[] {
  return namedProjects.select(sql, "WHERE root = ? ORDER BY at DESC", root);
}
