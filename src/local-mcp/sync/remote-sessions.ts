import type { Sql } from "../../shared/sql.ts";
import type { SessionContent } from "./content-schema.ts";

export interface Takeover {
  readonly chat: string;
  readonly machine: string;
  readonly at: number;
}

export interface RemoteSession {
  readonly workspace: string;
  readonly device: string;
  readonly session: string;
  readonly machine: string;
  readonly project: string | null;
  /** Number of the op that stored it, in the epoch of `content`. */
  readonly seq: number;
  /** Last change there, in epoch ms of this machine. */
  readonly at: number;
  readonly isEnded: boolean;
  readonly taken: Takeover | null;
  readonly newest: { readonly checkpoint: string; readonly at: number } | null;
  readonly checkpoints: number;
  readonly content: SessionContent;
}

type StoredBody = Pick<RemoteSession, "newest" | "checkpoints" | "content">;

interface RemoteSessionRow extends Omit<RemoteSession, keyof StoredBody | "isEnded" | "taken"> {
  readonly isEnded: number;
  readonly taken: string | null;
  readonly body: string;
}

export interface RemoteFilter {
  readonly project?: string;
  readonly session?: string;
  readonly device?: string;
}

/** Lists newest first; this device's own only while another machine has taken them over. */
export function list(sql: Sql, workspace: string, { project, session, device }: RemoteFilter = {}): RemoteSession[] {
  return sql
    .all<RemoteSessionRow>(
      `SELECT workspace, device, session_id AS session, machine, project, seq, at, is_ended AS isEnded, taken_by AS taken, body
       FROM remote_sessions WHERE workspace = ? AND (? IS NULL OR project = ?) AND (? IS NULL OR session_id = ?)
         AND (? IS NULL OR device = ?) ORDER BY at DESC, session_id`,
      workspace,
      ...[project, session, device].flatMap((value) => [value ?? null, value ?? null]),
    )
    .map(toRemoteSession);
}

export function get(sql: Sql, workspace: string, device: string, session: string): RemoteSession | null {
  return list(sql, workspace, { device, session })[0] ?? null;
}

export function findTitle(
  sql: Sql,
  session: string,
): (Pick<RemoteSession, "machine"> & { title: string | null }) | null {
  const query = `SELECT machine, json_extract(body, '$.content.title') AS title FROM remote_sessions
     WHERE session_id = ? ORDER BY at DESC LIMIT 1`;
  return sql.all<{ machine: string; title: string | null }>(query, session)[0] ?? null;
}

export type RemoteKey = Pick<RemoteSession, "device" | "session">;

export function listKeys(sql: Sql, workspace: string): RemoteKey[] {
  return sql.all<RemoteKey>("SELECT device, session_id AS session FROM remote_sessions WHERE workspace = ?", workspace);
}

/** Whether {@link remove} would delete anything of it. */
export function isStored(sql: Sql, workspace: string, device: string, session: string): boolean {
  const where = "workspace = ? AND device = ? AND session_id = ?";
  const query = `SELECT 1 FROM remote_sessions WHERE ${where} UNION ALL SELECT 1 FROM remote_checkpoints WHERE ${where} LIMIT 1`;
  return sql.all(query, workspace, device, session, workspace, device, session).length > 0;
}

/** Replaces the row. [SY53] Deletes a cached checkpoint that is no longer the newest. */
export function save(sql: Sql, row: RemoteSession): void {
  const { newest, checkpoints, content } = row;
  sql.run(
    "DELETE FROM remote_checkpoints WHERE workspace = ? AND device = ? AND session_id = ? AND checkpoint_id IS NOT ?",
    row.workspace,
    row.device,
    row.session,
    newest?.checkpoint ?? null,
  );
  const body: StoredBody = { newest, checkpoints, content };
  sql.run(
    `INSERT OR REPLACE INTO remote_sessions (workspace, device, session_id, machine, project, seq, at, is_ended, taken_by, body)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    row.workspace,
    row.device,
    row.session,
    row.machine,
    row.project,
    row.seq,
    row.at,
    row.isEnded ? 1 : 0,
    row.taken === null ? null : JSON.stringify(row.taken),
    JSON.stringify(body),
  );
}

export function setTakeover(
  sql: Sql,
  { workspace, device, session }: Pick<RemoteSession, "workspace" | "device" | "session">,
  takeover: Takeover | null,
): void {
  sql.run(
    "UPDATE remote_sessions SET taken_by = ? WHERE workspace = ? AND device = ? AND session_id = ?",
    takeover === null ? null : JSON.stringify(takeover),
    workspace,
    device,
    session,
  );
}

export function remove(sql: Sql, workspace: string, device: string, session: string): void {
  for (const table of ["remote_sessions", "remote_checkpoints"])
    sql.run(`DELETE FROM ${table} WHERE workspace = ? AND device = ? AND session_id = ?`, workspace, device, session);
  removeOrphanedRecoveries(sql);
}

export function removeAll(sql: Sql): void {
  for (const table of ["remote_sessions", "remote_checkpoints"]) sql.run(`DELETE FROM ${table}`);
  removeOrphanedRecoveries(sql);
}

function removeOrphanedRecoveries(sql: Sql): void {
  sql.run(
    `DELETE FROM recoveries WHERE session_id NOT IN (SELECT id FROM sessions)
       AND session_id NOT IN (SELECT session_id FROM remote_sessions)`,
  );
}

function toRemoteSession({ isEnded, taken, body, ...row }: RemoteSessionRow): RemoteSession {
  return {
    ...row,
    isEnded: isEnded === 1,
    taken: taken === null ? null : (JSON.parse(taken) as Takeover),
    ...(JSON.parse(body) as StoredBody),
  };
}
