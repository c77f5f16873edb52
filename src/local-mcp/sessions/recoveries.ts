import type { Sql } from "../../shared/sql.ts";

/**
 * What has happened to the offers of a dead session: `offered` to a chat, `taken` up by it, `recovered` with its first checkpoint after that; `finished`:
 * others have done its tasks, or those were cancelled.
 */
export type RecoveryAction = "offered" | "taken" | "recovered" | "undone" | "dismissed" | "finished";

/** A task of a dead session that nobody has to do any more. Stored. */
export interface FinishedTask {
  readonly task: number;
  readonly type: string;
  readonly state: "done" | "cancelled";
  /** The chat that has done it; null: nobody. */
  readonly by: string | null;
}

export interface RecoveryNote {
  readonly at: number;
  readonly sessionId: string;
  readonly action: RecoveryAction;
  /** The chat that it concerns; null where it is the user's doing. */
  readonly by?: string | null;
  readonly score?: number | null;
  /** What the chat was told of, to count what it looks up again. */
  readonly named?: BriefFacts;
  readonly finished?: readonly FinishedTask[];
}

export interface BriefFacts {
  /** Absolute paths. */
  readonly files: readonly string[];
  /** Tool calls with their results, as the journal words them. */
  readonly results: readonly string[];
}

/** What a chat looked up again before its first edit, although its brief had said it. */
export interface Rediscovery {
  readonly reads: number;
  readonly repeats: number;
  /** The chat has made its first edit, or did so much without one that nothing more is counted. */
  readonly isOver: boolean;
}

export interface RecoveryDetail {
  readonly named?: BriefFacts;
  readonly rediscovery?: Rediscovery;
  readonly finished?: readonly FinishedTask[];
}

export function add(sql: Sql, { at, sessionId, action, by, score, ...detail }: RecoveryNote): void {
  sql.run(
    "INSERT INTO recoveries (at, session_id, action, by_session, score, detail) VALUES (?, ?, ?, ?, ?, ?)",
    at,
    sessionId,
    action,
    by ?? null,
    score ?? null,
    JSON.stringify(detail),
  );
}

/** To how many chats the session was offered since `at` (epoch ms), and since the user took an offer back. */
export function offersSince(sql: Sql, sessionId: string, at: number): number {
  const [row] = sql.all<{ n: number }>(
    `SELECT count(*) AS n FROM recoveries WHERE session_id = ? AND action = 'offered' AND at >= ?
       AND seq > coalesce((SELECT max(seq) FROM recoveries WHERE session_id = ? AND action = 'undone'), 0)`,
    sessionId,
    at,
    sessionId,
  );
  return row?.n ?? 0;
}

/** What a chat was given to continue since `at` (epoch ms), newest first. */
export function listOfferedTo(sql: Sql, by: string, at: number): { readonly sessionId: string; readonly at: number }[] {
  return sql.all(
    `SELECT session_id AS sessionId, max(at) AS at FROM recoveries
     WHERE by_session = ? AND action IN ('offered', 'taken', 'recovered') AND at >= ? GROUP BY session_id ORDER BY max(seq) DESC`,
    by,
    at,
  );
}

/** The newest offer of a session to a chat; null: there is none. */
export function latestOffer(sql: Sql, sessionId: string, by: string): { seq: number; detail: RecoveryDetail } | null {
  const [row] = sql.all<{ seq: number; detail: string }>(
    `SELECT seq, detail FROM recoveries WHERE session_id = ? AND by_session = ? AND action = 'offered' ORDER BY seq DESC LIMIT 1`,
    sessionId,
    by,
  );
  return row ? { seq: row.seq, detail: JSON.parse(row.detail) as RecoveryDetail } : null;
}

export function setDetail(sql: Sql, seq: number, detail: RecoveryDetail): void {
  sql.run("UPDATE recoveries SET detail = ? WHERE seq = ?", JSON.stringify(detail), seq);
}

/** Whether the chat has said, or was told, that it goes on with the dead session it was offered last. */
export function isTaken(sql: Sql, sessionId: string, by: string): boolean {
  const [row] = sql.all<{ action: RecoveryAction; by: string | null }>(
    'SELECT action, by_session AS "by" FROM recoveries WHERE session_id = ? ORDER BY seq DESC LIMIT 1',
    sessionId,
  );
  return row?.action === "taken" && row.by === by;
}

/** [RE70] Tasks that it had and that nobody has to do any more. */
export function finishedTasks(sql: Sql, sessionId: string): FinishedTask[] {
  const query = "SELECT detail FROM recoveries WHERE session_id = ? AND action = 'finished' ORDER BY seq";
  const rows = sql.all<{ detail: string }>(query, sessionId);
  return rows.flatMap(({ detail }) => (JSON.parse(detail) as RecoveryDetail).finished ?? []);
}

export function hasFinished(sql: Sql, sessionId: string, task: number): boolean {
  return finishedTasks(sql, sessionId).some((one) => one.task === task);
}
