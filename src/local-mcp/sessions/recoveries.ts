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

/** A row as `recovery/resolution.ts` counts it. */
export interface RecoveryEvent {
  readonly session: string;
  readonly at: number;
  readonly action: Exclude<RecoveryAction, "finished">;
  readonly chat: string | null;
  /** Whether the user wrote in the chat: one that was opened and closed again decided nothing. */
  readonly hasPrompt: boolean;
}

/** A chat of a client without hooks exists by its calls, which follow a prompt. */
const promptSql = `EXISTS (SELECT 1 FROM journal WHERE session_id = r.by_session AND kind = 'prompt')
   OR EXISTS (SELECT 1 FROM sessions WHERE id = r.by_session AND origin = 'handle')`;

/** In the order of storage. Both times are epoch ms; `until` is exclusive. */
export function listEvents(
  sql: Sql,
  { session, since = 0, until = Number.MAX_SAFE_INTEGER }: EventFilter = {},
): RecoveryEvent[] {
  return sql
    .all<Omit<RecoveryEvent, "hasPrompt"> & { hasPrompt: number }>(
      `SELECT session_id AS session, at, action, by_session AS chat, (${promptSql}) AS hasPrompt FROM recoveries r
       WHERE (? IS NULL OR session_id = ?) AND at >= ? AND at < ? AND action <> 'finished' ORDER BY seq`,
      session ?? null,
      session ?? null,
      since,
      until,
    )
    .map((row) => Object.assign(row, { hasPrompt: row.hasPrompt === 1 }));
}

interface EventFilter {
  readonly session?: string;
  readonly since?: number;
  readonly until?: number;
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
export function noteOf(sql: Sql, sessionId: string): Pick<RecoveryNote, "at" | "action" | "by"> | null {
  const [row] = sql.all<Pick<RecoveryNote, "at" | "action" | "by">>(
    `SELECT at, action, by_session AS "by" FROM recoveries WHERE session_id = ? AND action <> 'finished'
     ORDER BY seq DESC LIMIT 1`,
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
