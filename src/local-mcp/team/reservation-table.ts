import type { Sql } from "../../shared/sql.ts";

/** Read by hooks, which have no time to ask the coordinator. */
export interface Reservation {
  /** Examples: `file:<project>/<path>`, `.../dir/*`, `.../dir/**`. */
  readonly resource: string;
  readonly workspace: string;
  readonly holder: string;
  readonly holderName: string;
  readonly machine: string;
  /** The root of the work tree if known in clear, else the chat's own description, else empty. */
  readonly checkout: string;
  /** Epoch ms. */
  readonly since: number;
}

interface FileRow {
  resource: string;
  workspace: string;
  holder: string;
  holder_name: string;
  machine: string;
  checkout: string;
  since: number;
}

/** A later report of the same grant may lack the checkout. */
export function upsert(sql: Sql, now: number, reservation: Reservation): void {
  sql.run(
    `INSERT INTO team_files (resource, workspace, holder, holder_name, machine, checkout, since, at)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT (resource) DO UPDATE SET
       checkout = CASE WHEN excluded.checkout = '' AND holder = excluded.holder THEN checkout ELSE excluded.checkout END,
       since = CASE WHEN holder = excluded.holder THEN min(since, excluded.since) ELSE excluded.since END,
       workspace = excluded.workspace, holder = excluded.holder, holder_name = excluded.holder_name,
       machine = excluded.machine, at = excluded.at`,
    reservation.resource,
    reservation.workspace,
    reservation.holder,
    reservation.holderName,
    reservation.machine,
    reservation.checkout,
    reservation.since,
    now,
  );
}

/** @param holder deletes only this chat's reservation */
export function remove(sql: Sql, resource: string, holder?: string): void {
  if (holder === undefined) sql.run("DELETE FROM team_files WHERE resource = ?", resource);
  else sql.run("DELETE FROM team_files WHERE resource = ? AND holder = ?", resource, holder);
}

/** Deletes those of an earlier workspace too. */
export function replaceAll(sql: Sql, now: number, reservations: readonly Reservation[]): void {
  const keptResources = new Set(reservations.map(({ resource }) => resource));
  for (const { resource } of list(sql)) if (!keptResources.has(resource)) remove(sql, resource);
  for (const reservation of reservations) upsert(sql, now, reservation);
}

export function list(sql: Sql): Reservation[] {
  return sql
    .all<FileRow>(
      "SELECT resource, workspace, holder, holder_name, machine, checkout, since FROM team_files ORDER BY resource",
    )
    .map(toReservation);
}

/** @param resources at most 99: a statement takes 100 values */
export function listByResource(sql: Sql, workspace: string, resources: readonly string[]): Reservation[] {
  const marks = resources.map(() => "?").join(", ");
  return sql
    .all<FileRow>(
      `SELECT resource, workspace, holder, holder_name, machine, checkout, since FROM team_files
       WHERE resource IN (${marks}) AND workspace = ?`,
      ...resources,
      workspace,
    )
    .map(toReservation);
}

export function listByProject(sql: Sql, workspace: string, project: string): Reservation[] {
  const prefix = `file:${project}/`;
  return list(sql).filter((one) => one.workspace === workspace && one.resource.startsWith(prefix));
}

export interface NamedProject {
  readonly workspace: string;
  readonly project: string;
}

/** Newest workspace first. */
export function listProjects(sql: Sql, root: string): NamedProject[] {
  return sql.all<NamedProject>("SELECT workspace, project FROM team_projects WHERE root = ? ORDER BY at DESC", root);
}

function toReservation({ resource, workspace, holder, holder_name, machine, checkout, since }: FileRow): Reservation {
  return { resource, workspace, holder, holderName: holder_name, machine, checkout, since };
}
