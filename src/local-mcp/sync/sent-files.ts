import type { Sql } from "../../shared/sql.ts";
import * as changes from "./pending-changes.ts";
import type { NotSentFiles, SentFiles, SessionContent } from "./content-schema.ts";

/** What of the uncommitted files of this machine's sessions has reached the coordinator (sync_files). */

/** Of one session. Stored as JSON: add fields as optional. */
export interface FilesRecord {
  /** Whose files were dealt with last; null: they are to be tried again. */
  readonly checkpoint: string | null;
  /** With what shows whether newer files are the same. */
  readonly sent: (SentFiles & { readonly tree: string; readonly head: string | null }) | null;
  readonly notSent: NotSentFiles | null;
}

/** The newest snapshot of a session that goes on. */
export interface PendingFiles {
  readonly session: string;
  readonly checkpoint: string;
  readonly at: number;
  readonly project: string;
  readonly repository: string;
  readonly commit: string;
  readonly head: string | null;
  /** As `takeSnapshot` answered it, as JSON. */
  readonly detail: string;
}

/** [SY80] @param since sessions that were last heard of before stay out, in epoch ms. @returns the newest files that were not dealt with */
export function findPending(sql: Sql, since: number): PendingFiles | null {
  const [row] = sql.all<PendingFiles>(
    `SELECT sessions.id AS session, files.checkpoint_id AS checkpoint, files.at, files.project, files.repository, files.commit_id AS "commit",
       files.head, files.detail
     FROM sessions
     JOIN snapshots AS files ON files.checkpoint_id =
       (SELECT id FROM checkpoints JOIN snapshots ON checkpoint_id = id AND state = 'done'
        WHERE checkpoints.session_id = sessions.id ORDER BY seq DESC LIMIT 1)
     LEFT JOIN sync_files ON sync_files.session_id = sessions.id
     WHERE ${openSessionSql} AND sessions.last_seen_at > ? AND NOT (${handledSql})
     ORDER BY files.at DESC LIMIT 1`,
    since,
  );
  return row ?? null;
}

const openSessionSql =
  "sessions.ended_at IS NULL AND (sessions.recovery IS NULL OR sessions.recovery NOT IN ('recovered', 'dismissed'))";
/** What was sent goes at the coordinator with its checkpoint; then the same files are sent again. */
const handledSql = `sync_files.body IS NOT NULL AND json_extract(sync_files.body, '$.checkpoint') IS files.checkpoint_id
  AND (json_extract(sync_files.body, '$.sent') IS NULL OR json_extract(sync_files.body, '$.sent.checkpoint') IN (SELECT id FROM checkpoints))`;

/** Whether it may be sent: its checkpoint was not forgotten meanwhile. */
export function isStillThere(sql: Sql, { checkpoint }: PendingFiles): boolean {
  return sql.all("SELECT 1 FROM snapshots WHERE checkpoint_id = ? AND state = 'done'", checkpoint).length > 0;
}

export function get(sql: Sql, session: string): FilesRecord | null {
  const [row] = sql.all<{ body: string }>("SELECT body FROM sync_files WHERE session_id = ?", session);
  // Only save() writes it.
  return row ? (JSON.parse(row.body) as FilesRecord) : null;
}

/** What the content of the session says. */
export function toContent({ sent, notSent }: FilesRecord): NonNullable<SessionContent["files"]> {
  if (sent === null) return { sent, notSent };
  const { tree: _tree, head: _head, ...rest } = sent;
  return { sent: rest, notSent };
}

/** The content of the session has changed by that, and is sent again. A session that was forgotten meanwhile has no record. */
export function save(sql: Sql, session: string, record: FilesRecord, now: number): void {
  const stored = sql.run(
    `INSERT INTO sync_files (session_id, body) SELECT id, ? FROM sessions WHERE id = ?
     ON CONFLICT (session_id) DO UPDATE SET body = excluded.body`,
    JSON.stringify(record),
    session,
  );
  if (stored > 0 && sql.all("SELECT 1 FROM sync_device").length > 0)
    changes.enqueue(sql, { kind: "session", session, id: session, at: now });
}

/** All files are sent again. */
export function removeAll(sql: Sql): void {
  sql.run("DELETE FROM sync_files");
}

export interface FilesCounts {
  /** Sessions that go on whose files the coordinator has, and their size there, in bytes. */
  readonly sessions: number;
  readonly bytes: number;
  /** Sessions whose newest files it has not, and why not for one of them. */
  readonly notSent: number;
  readonly reason: string | null;
}

export function counts(sql: Sql): FilesCounts {
  const [row] = sql.all<FilesCounts>(
    `SELECT count(json_extract(body, '$.sent.bundle')) AS sessions, coalesce(sum(json_extract(body, '$.sent.bytes')), 0) AS bytes,
       count(json_extract(body, '$.notSent.reason')) AS notSent, max(json_extract(body, '$.notSent.reason')) AS reason
     FROM sync_files JOIN sessions ON sessions.id = session_id WHERE ${openSessionSql}`,
  );
  return row ?? { sessions: 0, bytes: 0, notSent: 0, reason: null };
}
