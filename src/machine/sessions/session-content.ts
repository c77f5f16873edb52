import type { ClaimedTask } from "../../contract/tasks.ts";
import type { Sql } from "../../shared/sql.ts";
import { asObject, listAt } from "../../shared/json-fields.ts";
import type { RowOf } from "../../shared/table.ts";
import type { ExcludedFile } from "../../snapshots/selection.ts";
import { checkpoints, clients, crashes, recoveries, signals, snapshots } from "../../store/session-tables.ts";
import { teamHoldings } from "../../store/team-tables.ts";
import * as journal from "./journal.ts";
import type { LimitHandOver } from "./recoveries.ts";

const snapshotRows = snapshots.without("session");
const checkpointRows = checkpoints.pick("id", "at", "trigger", "rawBytes", "redactions", "summary");
const signalRows = signals.without("session");
const crashRows = crashes.without("session");
const recoveryRows = recoveries.pick("at", "action", "bySession", "score", "detail");
const clientRows = clients.pick("pid", "givenId", "at");

export type StoredSnapshotRow = RowOf<typeof snapshotRows>;

type StoredRecovery = Omit<RowOf<typeof recoveryRows>, "detail"> & {
  /** Set for a hand-over at a usage limit by the user's rule. */
  readonly limit: LimitHandOver | null;
};

interface Continued {
  readonly at: number;
  readonly session: string;
  readonly client: string;
  readonly limit: LimitHandOver | null;
}

/** Rows of one session but its own, oldest first; bodies of checkpoints only as their sizes. */
export interface SessionContent {
  readonly journal: readonly journal.JournalRow[];
  readonly checkpoints: readonly RowOf<typeof checkpointRows>[];
  readonly snapshots: readonly StoredSnapshotRow[];
  readonly signals: readonly RowOf<typeof signalRows>[];
  readonly crashes: readonly RowOf<typeof crashRows>[];
  readonly recoveries: readonly StoredRecovery[];
  /** Sessions that this one has continued. */
  readonly continued: readonly Continued[];
  readonly clients: readonly RowOf<typeof clientRows>[];
}

export function readContent(sql: Sql, sessionId: string): SessionContent {
  return {
    journal: journal.list(sql, sessionId, 0, Number.MAX_SAFE_INTEGER),
    checkpoints: checkpointRows.select(sql, "WHERE session = ? ORDER BY seq", sessionId),
    snapshots: snapshotRows.select(sql, "WHERE session = ? ORDER BY at, checkpointId", sessionId),
    signals: signalRows.select(sql, "WHERE session = ? ORDER BY at", sessionId),
    crashes: crashRows.select(sql, "WHERE session = ? ORDER BY at", sessionId),
    recoveries: recoveryRows
      .select(sql, "WHERE session = ? ORDER BY seq", sessionId)
      .map(({ detail: { limit = null }, ...row }) => Object.assign(row, { limit })),
    continued: sql
      .all<Omit<Continued, "limit"> & { readonly limit: string | null }>(
        `SELECT min(r.at) AS at, r.session, s.client, max(json_extract(r.detail, '$.limit')) AS "limit"
         FROM recoveries r JOIN sessions s ON s.id = r.session
         WHERE r.bySession = ? AND r.action IN ('taken', 'recovered') AND r.bySession =
           (SELECT bySession FROM recoveries WHERE session = r.session AND action <> 'mentioned' ORDER BY seq DESC LIMIT 1)
         GROUP BY r.session ORDER BY min(r.seq)`,
        sessionId,
      )
      .map((row) =>
        Object.assign(row, { limit: row.limit === null ? null : (JSON.parse(row.limit) as LimitHandOver) }),
      ),
    clients: clientRows.select(sql, "WHERE session = ? ORDER BY at", sessionId),
  };
}

/** For ORDER BY: an undo after an undo does not have the chat's files. */
export const chatFilesFirst = `coalesce((
  SELECT c.trigger = 'undo' AND 'undo' = (
    SELECT p.trigger FROM checkpoints p WHERE p.session = c.session AND p.seq < c.seq ORDER BY p.seq DESC LIMIT 1)
  FROM checkpoints c WHERE c.id = checkpointId), 0)`;

/** The newest saved files of a session or a project. */
export function newestSnapshot(
  sql: Sql,
  where: { readonly session: string } | { readonly project: string },
): StoredSnapshotRow | null {
  const [column, value] = "session" in where ? ["session", where.session] : ["project", where.project];
  const first = "session" in where ? `${chatFilesFirst}, ` : "";
  const rest = `WHERE ${column} = ? AND state = 'done' ORDER BY ${first}at DESC LIMIT 1`;
  return snapshotRows.select(sql, rest, value)[0] ?? null;
}

/** Files that a snapshot leaves out, as its row says. */
export function leftOutIn(detail: object | null): readonly ExcludedFile[] {
  return listAt(asObject(detail), "leftOut") as readonly ExcludedFile[];
}

export function sessionOfSnapshot(sql: Sql, checkpointId: string): string | null {
  return snapshots.find(sql, { checkpointId })?.session ?? null;
}

export function findSnapshot(sql: Sql, checkpointId: string): StoredSnapshotRow | null {
  return snapshotRows.find(sql, { checkpointId });
}

interface Unsaved {
  readonly events: number;
  readonly toolCalls: number;
}

export function unsavedOf(sql: Sql, sessionId: string): Unsaved {
  const [row] = sql.all<Unsaved>(
    `SELECT count(*) AS events, coalesce(sum(kind IN ('tool_end', 'tool_error')), 0) AS toolCalls FROM journal
     WHERE session = ? AND kind NOT IN ('asks', 'answered')
       AND seq > coalesce((SELECT journalSeq FROM checkpoints WHERE session = ? ORDER BY seq DESC LIMIT 1), 0)`,
    sessionId,
    sessionId,
  );
  return row ?? { events: 0, toolCalls: 0 };
}

export interface TaskOfSession {
  readonly task: number;
  readonly type: string;
}

/** A server may outlive its killed client, and see the claim end. */
const deathWindowMs = 60_000;

/** The tasks that a session had last. */
export function tasksOf(sql: Sql, session: string): TaskOfSession[] {
  const held = teamHoldings
    .select(sql, "WHERE session = ? AND kind = 'claim' ORDER BY at, token", session)
    .map(({ body }) => body as ClaimedTask);
  const lost = sql.all<TaskOfSession>(
    `SELECT json_extract(n.body, '$.task') AS task, json_extract(n.body, '$.title') AS type
     FROM team_news n JOIN sessions s ON s.id = n.session
     WHERE n.session = ? AND n.kind = 'claim_lost' AND n.at >= s.lastSeenAt - ? ORDER BY n.seq`,
    session,
    deathWindowMs,
  );
  return [...new Map([...lost, ...held].map(({ task, type }) => [task, { task, type }])).values()];
}
