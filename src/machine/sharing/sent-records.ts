import type { SyncStatus } from "../../contract/machine/workspaces.ts";
import type { Sql, SqlValue } from "../../shared/sql.ts";
import type { SavedCommit } from "../../snapshots/make-bundle.ts";
import { checkpoints, isOpenSql, sessions, snapshots } from "../../store/session-tables.ts";
import { syncDevice, syncSent } from "../../store/sync-tables.ts";
import * as changes from "./pending-changes.ts";
import type { NotSentFiles, SentFiles } from "./files-content.ts";

/** Files of one session, as handled. Stored as JSON: add fields as optional. */
export interface FilesRecord {
  /** Checkpoint whose files were handled last; null: try again. */
  readonly checkpoint: string | null;
  readonly sent: (SentFiles & { readonly tree: string; readonly head: string | null }) | null;
  readonly notSent: NotSentFiles | null;
}

/** A session that the coordinator has, or may have. Stored as JSON: add fields as optional. */
export interface SharedSession {
  readonly session: string;
  /** Content of its newest checkpoint there; "": not known, null: there is none. */
  readonly hash: string | null;
  /** Checkpoint of its files there. */
  readonly files: string | null;
}

export interface PendingFiles extends SavedCommit {
  readonly session: string;
  readonly checkpoint: string;
  readonly at: number;
  readonly detail: string;
}

/** Finds the newest unhandled files of sessions seen after `since` (epoch ms). */
export function findPending(sql: Sql, since: number): PendingFiles | null {
  const [row] = sql.all<PendingFiles>(
    `SELECT sessions.id AS session, files.checkpointId AS checkpoint, files.at, files.project, files.repository, files."commit",
       files.head, files.detail
     FROM sessions
     JOIN snapshots AS files ON files.checkpointId =
       (SELECT id FROM checkpoints JOIN snapshots ON checkpointId = id AND state = 'done'
        WHERE checkpoints.session = sessions.id ORDER BY seq DESC LIMIT 1)
     LEFT JOIN sync_sent ON sync_sent.session = sessions.id
     WHERE ${openSessionSql} AND sessions.lastSeenAt > ? AND NOT (${handledSql})
     ORDER BY files.at DESC LIMIT 1`,
    since,
  );
  return row ?? null;
}

const openSessionSql = isOpenSql("sessions");
/** Sent files are deleted at the coordinator with their checkpoint; then they are sent again. */
const handledSql = `sync_sent.files IS NOT NULL AND json_extract(sync_sent.files, '$.checkpoint') IS files.checkpointId
  AND (json_extract(sync_sent.files, '$.sent') IS NULL OR json_extract(sync_sent.files, '$.notSent.checkpoint') IS files.checkpointId
    OR json_extract(sync_sent.files, '$.sent.checkpoint') IN (SELECT id FROM checkpoints))`;

export function isStillThere(sql: Sql, { checkpoint }: PendingFiles): boolean {
  return snapshots.has(sql, { checkpointId: checkpoint, state: "done" });
}

export function filesOf(sql: Sql, session: string): FilesRecord | null {
  return (syncSent.find(sql, { session })?.files as FilesRecord | null | undefined) ?? null;
}

/** Version of the session at the coordinator; 0: none is known. */
export function versionOf(sql: Sql, session: string): number {
  return syncSent.find(sql, { session })?.version ?? 0;
}

/** @param before of an earlier membership, of which not all was sent again */
export function listShared(sql: Sql, before: readonly SharedSession[]): SharedSession[] {
  const all = new Map(before.map((one) => [one.session, one]));
  const found = sql.all<SharedSession>(
    `SELECT session, json_extract(files, '$.sent.checkpoint') AS files,
       CASE WHEN version IS NULL THEN NULL WHEN session IN (SELECT session FROM sync_changes) THEN ''
         ELSE (SELECT hash FROM checkpoints WHERE checkpoints.session = shared.session ORDER BY seq DESC LIMIT 1) END AS hash
     FROM (SELECT session FROM sync_sent UNION SELECT session FROM sync_changes) AS shared
     LEFT JOIN sync_sent USING (session)`,
  );
  for (const { session, hash, files } of found) {
    const known = all.get(session);
    all.set(session, { session, hash: hash ?? known?.hash ?? null, files: files ?? known?.files ?? null });
  }
  return [...all.values()];
}

export function stillHere(sql: Sql, shared: readonly SharedSession[]): SharedSession[] {
  return shared.filter(({ session }) => sessions.has(sql, { id: session }));
}

/** Enqueues what was forgotten of these while no changes were recorded. */
export function enqueueForgotten(sql: Sql, shared: readonly SharedSession[], now: number): void {
  for (const { session, hash, files } of shared) {
    if (files !== null && !checkpoints.has(sql, { id: files })) changes.enqueue(sql, session, now, files);
    const isWhole = hash === null || checkpoints.has(sql, { session, hash });
    if (!isWhole || !sessions.has(sql, { id: session })) changes.enqueue(sql, session, now);
  }
}

/** Skips a session forgotten meanwhile. */
export function saveVersion(sql: Sql, session: string, version: number): void {
  save(sql, session, "version", version);
}

function save(sql: Sql, session: string, column: "version" | "files", value: SqlValue): boolean {
  const query = `INSERT INTO sync_sent (session, ${column}) SELECT id, ? FROM sessions WHERE id = ?
     ON CONFLICT (session) DO UPDATE SET ${column} = excluded.${column}`;
  return sql.run(query, value, session) > 0;
}

/** Requeues the session, whose content has changed. Skips a session forgotten meanwhile. */
export function saveFiles(sql: Sql, session: string, record: FilesRecord, now: number): void {
  const isStored = save(sql, session, "files", JSON.stringify(record));
  if (isStored && syncDevice.count(sql) > 0) changes.enqueue(sql, session, now);
}

/** All but the versions, which order those that come. */
export function forgetFiles(sql: Sql): void {
  sql.run("UPDATE sync_sent SET files = NULL");
}

export function counts(sql: Sql): SyncStatus["files"] {
  const [row] = sql.all<SyncStatus["files"]>(
    `SELECT count(json_extract(files, '$.sent.bundle')) AS sessions, coalesce(sum(json_extract(files, '$.sent.bytes')), 0) AS bytes,
       count(json_extract(files, '$.notSent.reason')) AS notSent, max(json_extract(files, '$.notSent.reason')) AS reason
     FROM sync_sent JOIN sessions ON sessions.id = session WHERE ${openSessionSql}`,
  );
  return row ?? { sessions: 0, bytes: 0, notSent: 0, reason: null };
}
