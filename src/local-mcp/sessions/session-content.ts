import type { Readings } from "../../contract/readings.ts";
import type { Sql } from "../../shared/sql.ts";
import * as journal from "./journal.ts";
import type { RecoveryDetail, Rediscovery } from "./recoveries.ts";

interface StoredCheckpoint {
  readonly id: string;
  readonly at: number;
  readonly trigger: string;
  readonly rawBytes: number;
  readonly storedBytes: number;
  readonly redactions: number;
  readonly summary: string;
}

export interface StoredSnapshotRow {
  readonly checkpointId: string;
  readonly at: number;
  readonly state: string;
  readonly reason: string | null;
  readonly project: string;
  readonly repository: string | null;
  readonly head: string | null;
  readonly branch: string | null;
  readonly commit: string | null;
  readonly detail: unknown;
}

interface StoredSignal {
  readonly at: number;
  readonly risk: number;
  readonly level: string;
  readonly readings: Readings;
}

interface StoredCrash {
  readonly at: number;
  readonly cause: string;
  readonly detail: string;
  readonly readings: Readings;
  readonly checkpointAgeMs: number | null;
  readonly unsavedEvents: number | null;
  readonly unsavedToolCalls: number | null;
}

interface StoredRecovery {
  readonly at: number;
  readonly action: string;
  readonly bySession: string | null;
  readonly score: number | null;
  readonly rediscovery: Rediscovery | null;
}

/** Rows of one session but its own, oldest first; bodies of checkpoints only as their sizes. */
export interface SessionContent {
  readonly journal: readonly journal.JournalRow[];
  readonly checkpoints: readonly StoredCheckpoint[];
  readonly snapshots: readonly StoredSnapshotRow[];
  readonly signals: readonly StoredSignal[];
  readonly crashes: readonly StoredCrash[];
  readonly recoveries: readonly StoredRecovery[];
  /** Sessions that this one has continued. */
  readonly continued: readonly { readonly at: number; readonly session: string; readonly client: string }[];
  readonly clients: readonly { readonly pid: number; readonly givenId: string; readonly at: number }[];
}

export function readContent(sql: Sql, sessionId: string): SessionContent {
  return {
    journal: journal.list(sql, sessionId, 0, Number.MAX_SAFE_INTEGER),
    checkpoints: sql.all(
      `SELECT id, at, trigger, raw_bytes AS rawBytes, length(body) AS storedBytes, redactions, summary
       FROM checkpoints WHERE session_id = ? ORDER BY seq`,
      sessionId,
    ),
    snapshots: readSnapshots(sql, sessionId),
    signals: withReadings(
      sql.all<RawReadings<StoredSignal>>(
        "SELECT at, risk, level, readings FROM signals WHERE session_id = ? ORDER BY at",
        sessionId,
      ),
    ),
    crashes: withReadings(
      sql.all<RawReadings<StoredCrash>>(
        `SELECT at, cause, detail, readings, checkpoint_age_ms AS checkpointAgeMs, unsaved_events AS unsavedEvents,
           unsaved_tool_calls AS unsavedToolCalls FROM crashes WHERE session_id = ? ORDER BY at`,
        sessionId,
      ),
    ),
    recoveries: sql
      .all<Omit<StoredRecovery, "rediscovery"> & { detail: string }>(
        "SELECT at, action, by_session AS bySession, score, detail FROM recoveries WHERE session_id = ? ORDER BY seq",
        sessionId,
      )
      .map(({ detail, ...row }) =>
        Object.assign(row, { rediscovery: (JSON.parse(detail) as RecoveryDetail).rediscovery ?? null }),
      ),
    continued: sql.all(
      `SELECT min(r.at) AS at, r.session_id AS session, s.client FROM recoveries r JOIN sessions s ON s.id = r.session_id
       WHERE r.by_session = ? AND r.action IN ('taken', 'recovered') AND s.recovery_by = r.by_session
       GROUP BY r.session_id ORDER BY min(r.seq)`,
      sessionId,
    ),
    clients: sql.all("SELECT pid, given_id AS givenId, at FROM clients WHERE session_id = ? ORDER BY at", sessionId),
  };
}

function readSnapshots(sql: Sql, sessionId: string): StoredSnapshotRow[] {
  return sql
    .all<Omit<StoredSnapshotRow, "detail"> & { detail: string }>(
      `SELECT checkpoint_id AS checkpointId, at, state, reason, project, repository, head, branch, commit_id AS "commit", detail
       FROM snapshots WHERE session_id = ? ORDER BY at, checkpoint_id`,
      sessionId,
    )
    .map((row) => Object.assign(row, { detail: JSON.parse(row.detail) as unknown }));
}

type RawReadings<Row extends { readonly readings: Readings }> = Omit<Row, "readings"> & { readonly readings: string };

/** Only SHIM writes this column. */
function withReadings<Row extends { readonly readings: string }>(
  rows: Row[],
): (Omit<Row, "readings"> & { readings: Readings })[] {
  return rows.map(({ readings, ...row }) => Object.assign(row, { readings: JSON.parse(readings) as Readings }));
}

/** The newest saved files of a session or a project. */
export function newestSnapshot(
  sql: Sql,
  where: { readonly session: string } | { readonly project: string },
): StoredSnapshotRow | null {
  const [column, value] = "session" in where ? ["session_id", where.session] : ["project", where.project];
  const [row] = sql.all<{ id: string }>(
    `SELECT checkpoint_id AS id FROM snapshots WHERE ${column} = ? AND state = 'done' ORDER BY at DESC LIMIT 1`,
    value,
  );
  return row ? findSnapshot(sql, row.id) : null;
}

export function findSnapshot(sql: Sql, checkpointId: string): StoredSnapshotRow | null {
  const [row] = sql.all<{ session: string }>(
    "SELECT session_id AS session FROM snapshots WHERE checkpoint_id = ?",
    checkpointId,
  );
  if (!row) return null;
  return readSnapshots(sql, row.session).find((one) => one.checkpointId === checkpointId) ?? null;
}
