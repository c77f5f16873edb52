import type { Sql } from "../../shared/sql.ts";

/** What is reserved, as this machine last heard of it. Hooks look here: they have no time to ask whoever decides. */
export interface Reservation {
  /** `file:<project>/<path>`, `.../dir/*` or `.../dir/**`, as its lease is called. */
  readonly resource: string;
  readonly workspace: string;
  /** The chat. */
  readonly holder: string;
  /** What its holder calls itself: another chat's words. */
  readonly holderName: string;
  readonly machine: string;
  /** The root of its work tree where that is known in clear, else what its chat says of it; empty: not known. */
  readonly checkout: string;
  /** Epoch ms. */
  readonly since: number;
}

interface Row {
  resource: string;
  workspace: string;
  holder: string;
  holder_name: string;
  machine: string;
  checkout: string;
  since: number;
}

/** Whoever hears of the same grant again may know less of it: what is known of its checkout stays. */
export function keep(sql: Sql, now: number, one: Reservation): void {
  sql.run(
    `INSERT INTO team_files (resource, workspace, holder, holder_name, machine, checkout, since, at)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?)
     ON CONFLICT (resource) DO UPDATE SET
       checkout = CASE WHEN excluded.checkout = '' AND holder = excluded.holder THEN checkout ELSE excluded.checkout END,
       since = CASE WHEN holder = excluded.holder THEN min(since, excluded.since) ELSE excluded.since END,
       workspace = excluded.workspace, holder = excluded.holder, holder_name = excluded.holder_name,
       machine = excluded.machine, at = excluded.at`,
    one.resource,
    one.workspace,
    one.holder,
    one.holderName,
    one.machine,
    one.checkout,
    one.since,
    now,
  );
}

/** @param holder only if it is still this one's: somebody else may have got it since */
export function drop(sql: Sql, resource: string, holder?: string): void {
  if (holder === undefined) sql.run("DELETE FROM team_files WHERE resource = ?", resource);
  else sql.run("DELETE FROM team_files WHERE resource = ? AND holder = ?", resource, holder);
}

/** The whole of a workspace; what another one has left, before this machine moved to this one, goes too. */
export function replaceAll(sql: Sql, now: number, reservations: readonly Reservation[]): void {
  const kept = new Set(reservations.map(({ resource }) => resource));
  for (const { resource } of list(sql)) if (!kept.has(resource)) drop(sql, resource);
  for (const one of reservations) keep(sql, now, one);
}

/** By name. */
export function list(sql: Sql): Reservation[] {
  return sql
    .all<Row>(
      "SELECT resource, workspace, holder, holder_name, machine, checkout, since FROM team_files ORDER BY resource",
    )
    .map(fromRow);
}

/** Those of these names that are reserved. @param resources at most 99: a statement takes 100 values */
export function named(sql: Sql, workspace: string, resources: readonly string[]): Reservation[] {
  const marks = resources.map(() => "?").join(", ");
  return sql
    .all<Row>(
      `SELECT resource, workspace, holder, holder_name, machine, checkout, since FROM team_files
       WHERE resource IN (${marks}) AND workspace = ?`,
      ...resources,
      workspace,
    )
    .map(fromRow);
}

export interface NamedProject {
  readonly workspace: string;
  readonly project: string;
}

/** What the folder's project is called in the workspaces that this machine has been in, the newest first. */
export function projectsAt(sql: Sql, root: string): NamedProject[] {
  return sql.all<NamedProject>("SELECT workspace, project FROM team_projects WHERE root = ? ORDER BY at DESC", root);
}

function fromRow({ resource, workspace, holder, holder_name, machine, checkout, since }: Row): Reservation {
  return { resource, workspace, holder, holderName: holder_name, machine, checkout, since };
}
