import type { Sql } from "../../shared/sql.ts";
import * as totals from "../../store/metric-totals.ts";

/** `recovered` comes with the first checkpoint after `taken`. */
export type RecoveryAction = "offered" | "taken" | "recovered" | "undone" | "dismissed" | "finished";

/** Done or cancelled task of a dead session. Stored. */
export interface FinishedTask {
  readonly task: number;
  readonly type: string;
  readonly state: "done" | "cancelled";
  readonly by: string | null;
}

export interface RecoveryNote {
  readonly at: number;
  readonly sessionId: string;
  readonly action: RecoveryAction;
  readonly by?: string | null;
  readonly score?: number | null;
  readonly named?: BriefFacts;
  readonly finished?: readonly FinishedTask[];
}

export interface BriefFacts {
  /** Absolute paths. */
  readonly files: readonly string[];
  readonly results: readonly string[];
}

/** Repeats of facts in the brief before the chat's first edit. */
export interface Rediscovery {
  readonly reads: number;
  readonly repeats: number;
  /** True after the first edit, or after so much without one that counting stops. */
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
  totals.add(sql, "shim_recoveries_total", { labels: [action] });
  if (typeof score === "number") totals.observe(sql, "shim_restore_score_ratio", score / 100);
}

/** Names another chat wherever this one is named. */
export function moveTo(sql: Sql, from: string, to: string): void {
  sql.run("UPDATE recoveries SET by_session = ? WHERE by_session = ?", to, from);
}

/** Counts the offers since `at` (epoch ms) and since the user's last undo. */
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

/** Offers since `at` (epoch ms), and since the last that a chat took or the user undid. */
export function vainOffers(sql: Sql, sessionId: string, at: number): number {
  const [row] = sql.all<{ n: number }>(
    `SELECT count(*) AS n FROM recoveries WHERE session_id = ? AND action = 'offered' AND at >= ?
       AND seq > coalesce((SELECT max(seq) FROM recoveries WHERE session_id = ? AND action IN ('undone', 'taken')), 0)`,
    sessionId,
    at,
    sessionId,
  );
  return row?.n ?? 0;
}

/** Lists what a chat was given to continue since `at` (epoch ms), newest first. */
export function listOfferedTo(sql: Sql, by: string, at: number): { readonly sessionId: string; readonly at: number }[] {
  return sql.all(
    `SELECT session_id AS sessionId, max(at) AS at FROM recoveries
     WHERE by_session = ? AND action IN ('offered', 'taken', 'recovered') AND at >= ? GROUP BY session_id ORDER BY max(seq) DESC`,
    by,
    at,
  );
}

/** Lists what chats have taken over since `at` (epoch ms), newest first. */
export function listTaken(sql: Sql, at: number, limit: number): { readonly sessionId: string; readonly by: string }[] {
  return sql.all(
    `SELECT session_id AS sessionId, by_session AS "by" FROM recoveries
     WHERE action = 'taken' AND at >= ? AND by_session IS NOT NULL ORDER BY seq DESC LIMIT ?`,
    at,
    limit,
  );
}

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

/** Returns null for none, or an undone one. */
export function noteOf(sql: Sql, sessionId: string): Pick<RecoveryNote, "action" | "by"> | null {
  const [row] = sql.all<Pick<RecoveryNote, "action" | "by">>(
    'SELECT action, by_session AS "by" FROM recoveries WHERE session_id = ? ORDER BY seq DESC LIMIT 1',
    sessionId,
  );
  return row === undefined || row.action === "undone" ? null : row;
}

export function isTaken(sql: Sql, sessionId: string, by: string): boolean {
  const note = noteOf(sql, sessionId);
  return note?.action === "taken" && note.by === by;
}

/** [RE70] Lists the session's tasks that others have done or that were cancelled. */
export function finishedTasks(sql: Sql, sessionId: string): FinishedTask[] {
  const query = "SELECT detail FROM recoveries WHERE session_id = ? AND action = 'finished' ORDER BY seq";
  const rows = sql.all<{ detail: string }>(query, sessionId);
  return rows.flatMap(({ detail }) => (JSON.parse(detail) as RecoveryDetail).finished ?? []);
}

export function hasFinished(sql: Sql, sessionId: string, task: number): boolean {
  return finishedTasks(sql, sessionId).some((one) => one.task === task);
}
