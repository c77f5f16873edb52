import type { Sql } from "../../shared/sql.ts";
import type { RowOf } from "../../shared/table.ts";
import { remoteSessions, type Takeover } from "../../store/sync-tables.ts";
import type { SessionContent } from "./record-contents.ts";

export type { Takeover } from "../../store/sync-tables.ts";

export type RemoteSession = Omit<RowOf<typeof remoteSessions>, "content"> & { readonly content: SessionContent };

export interface RemoteFilter {
  readonly project?: string;
  readonly session?: string;
  readonly device?: string;
}

/** Lists newest first; this device's own only while another machine has taken them over. */
export function list(sql: Sql, workspace: string, { project, session, device }: RemoteFilter = {}): RemoteSession[] {
  const rows = remoteSessions.select(
    sql,
    `WHERE workspace = ? AND (? IS NULL OR project = ?) AND (? IS NULL OR session = ?) AND (? IS NULL OR device = ?)
     ORDER BY at DESC, session`,
    workspace,
    ...[project, session, device].flatMap((value) => [value ?? null, value ?? null]),
  );
  // Written by save().
  return rows as RemoteSession[];
}

export function get(sql: Sql, workspace: string, device: string, session: string): RemoteSession | null {
  return list(sql, workspace, { device, session })[0] ?? null;
}

/** Sessions of other machines that go on there and have sealed files, newest first. */
export function listWithFiles(sql: Sql, most: number): RemoteSession[] {
  const rows = remoteSessions.select(
    sql,
    `WHERE workspace = (SELECT workspace FROM sync_device) AND device NOT IN (SELECT device FROM sync_device)
       AND session NOT IN (SELECT id FROM sessions) AND isEnded = 0 AND taken IS NULL
       AND content ->> '$.files.sent.bundle' IS NOT NULL AND content ->> '$.death' IS NULL
       AND coalesce(content ->> '$.recovery', '') NOT IN ('recovered', 'dismissed')
     ORDER BY at DESC LIMIT ?`,
    most,
  );
  return rows as RemoteSession[];
}

/** Newest row of the session, of any device and workspace. */
export function findNewest(sql: Sql, session: string): RemoteSession | null {
  const [row] = remoteSessions.select(sql, "WHERE session = ? ORDER BY at DESC LIMIT 1", session);
  // Written by save().
  return (row as RemoteSession | undefined) ?? null;
}

export function findTitle(
  sql: Sql,
  session: string,
): (Pick<RemoteSession, "machine"> & { title: string | null }) | null {
  const query = `SELECT machine, json_extract(content, '$.title') AS title FROM remote_sessions
     WHERE session = ? ORDER BY at DESC LIMIT 1`;
  return sql.all<{ machine: string; title: string | null }>(query, session)[0] ?? null;
}

const keys = remoteSessions.pick("device", "session");

export type RemoteKey = RowOf<typeof keys>;

export function listKeys(sql: Sql, workspace: string): RemoteKey[] {
  return keys.select(sql, "WHERE workspace = ?", workspace);
}

/** Whether {@link remove} would delete anything of it. */
export function isStored(sql: Sql, workspace: string, device: string, session: string): boolean {
  return remoteSessions.has(sql, { workspace, device, session });
}

export function save(sql: Sql, row: RemoteSession): void {
  remoteSessions.put(sql, row);
}

export function setTakeover(
  sql: Sql,
  { workspace, device, session }: Pick<RemoteSession, "workspace" | "device" | "session">,
  taken: Takeover | null,
): void {
  remoteSessions.update(sql, { workspace, device, session }, { taken });
}

export function remove(sql: Sql, workspace: string, device: string, session: string): void {
  remoteSessions.delete(sql, { workspace, device, session });
  removeOrphanedRecoveries(sql);
}

export function removeAll(sql: Sql): void {
  sql.run("DELETE FROM remote_sessions");
  removeOrphanedRecoveries(sql);
}

function removeOrphanedRecoveries(sql: Sql): void {
  sql.run(
    `DELETE FROM recoveries WHERE session NOT IN (SELECT id FROM sessions)
       AND session NOT IN (SELECT session FROM remote_sessions)`,
  );
}
