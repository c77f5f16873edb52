import type { Sql } from "../../shared/sql.ts";
import type { Runtime } from "../../runtime/runtime.ts";

/** Texts of other chats are untrusted. */
export type News =
  | {
      readonly kind: "message";
      readonly id: number;
      readonly from: string;
      readonly fromName: string;
      readonly topic: string | null;
      readonly text: string;
    }
  | {
      readonly kind: "claim_lost";
      readonly task: number;
      readonly title: string;
      readonly reason: string;
      readonly workspace?: string;
    }
  | { readonly kind: "task_cancelled"; readonly task: number; readonly title: string; readonly reason: string }
  | { readonly kind: "task_available"; readonly task: number; readonly title: string }
  | { readonly kind: "report_refused"; readonly task: number; readonly reason: string }
  | { readonly kind: "leader_changed"; readonly name: string; readonly leader: string | null; readonly isSelf: boolean }
  /** Inputs of the brief, as recovery/ stores them; rows of an earlier version have its text. */
  | {
      readonly kind: "offer";
      readonly session: string;
      readonly machine: string;
      readonly from?: object;
      readonly occasion?: string;
      readonly brief?: string;
    }
  | { readonly kind: "continued_elsewhere"; readonly session: string; readonly by: string; readonly machine: string }
  /** A client's summary has come, and what it lacks is to be given back. */
  | { readonly kind: "compaction" }
  | { readonly kind: "notice"; readonly text: string };

export interface NewsRow {
  readonly seq: number;
  readonly key: string;
  readonly at: number;
  readonly news: News;
}

/** @returns false if the key is already stored */
export function add(sql: Sql, at: number, sessionId: string, key: string, news: News): boolean {
  const body = JSON.stringify(news);
  return (
    sql.run(
      "INSERT OR IGNORE INTO team_news (session_id, key, kind, at, body) VALUES (?, ?, ?, ?, ?)",
      sessionId,
      key,
      news.kind,
      at,
      body,
    ) > 0
  );
}

/** Adds it in a transaction of its own; one that is stored already needs none. */
export function notify(
  { store, now }: Pick<Runtime, "store" | "now">,
  sessionId: string,
  key: string,
  news: News,
): void {
  const isStored = store.read((sql) => has(sql, sessionId, key), false);
  if (!isStored) store.write((sql) => void add(sql, now(), sessionId, key, news));
}

export function has(sql: Sql, sessionId: string, key: string): boolean {
  return sql.all("SELECT 1 FROM team_news WHERE session_id = ? AND key = ?", sessionId, key).length > 0;
}

/** In lists; a chat is given what its compaction dropped instead. */
export const compactionText = "the conversation was compacted";

export function undelivered(sql: Sql, sessionId: string, limit: number): NewsRow[] {
  const query =
    "SELECT seq, key, at, body FROM team_news WHERE session_id = ? AND told_at IS NULL AND kind <> 'compaction' ORDER BY seq LIMIT ?";
  const rows = sql.all<{ seq: number; key: string; at: number; body: string }>(query, sessionId, limit);
  return rows.map(({ seq, key, at, body }) => ({ seq, key, at, news: JSON.parse(body) as News }));
}

export function undeliveredOf(sql: Sql, sessionId: string, kind: News["kind"]): Pick<NewsRow, "seq">[] {
  const query = "SELECT seq FROM team_news WHERE session_id = ? AND kind = ? AND told_at IS NULL ORDER BY seq";
  return sql.all<{ seq: number }>(query, sessionId, kind);
}

export interface DeliveredNews extends NewsRow {
  readonly session: string;
  /** When its chat was shown it. */
  readonly deliveredAt: number | null;
}

/** Lists the news of all sessions, newest first. */
export function listNewest(sql: Sql, limit: number): DeliveredNews[] {
  const rows = sql.all<Omit<DeliveredNews, "news"> & { body: string }>(
    `SELECT seq, key, at, session_id AS session, told_at AS deliveredAt, body FROM team_news ORDER BY seq DESC LIMIT ?`,
    limit,
  );
  return rows.map(({ body, ...row }) => Object.assign(row, { news: JSON.parse(body) as News }));
}

export function countUndelivered(sql: Sql, sessionId: string, kind: News["kind"]): number {
  const query = "SELECT count(*) AS n FROM team_news WHERE session_id = ? AND kind = ? AND told_at IS NULL";
  return sql.all<{ n: number }>(query, sessionId, kind)[0]?.n ?? 0;
}

export function markDelivered(sql: Sql, at: number, rows: readonly Pick<NewsRow, "seq">[]): void {
  for (const { seq } of rows) sql.run("UPDATE team_news SET told_at = ? WHERE seq = ? AND told_at IS NULL", at, seq);
}
