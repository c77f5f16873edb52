import type { Sql } from "../../shared/sql.ts";

/**
 * What a chat is to be told by its next hook, or by a tool that it asks: whoever hears of it first writes it down here, and it is told once. The
 * texts are other chats' words: data, shown as such.
 */
export type News =
  | {
      readonly kind: "message";
      readonly id: number;
      readonly from: string;
      readonly fromName: string;
      readonly topic: string | null;
      readonly text: string;
    }
  | { readonly kind: "claim_lost"; readonly task: number; readonly title: string; readonly reason: string }
  | { readonly kind: "task_cancelled"; readonly task: number; readonly title: string; readonly reason: string }
  /** Was reported while nobody could be reached: whether it counted is known now. */
  | { readonly kind: "report_refused"; readonly task: number; readonly reason: string }
  | { readonly kind: "leader_changed"; readonly name: string; readonly leader: string | null; readonly isSelf: boolean }
  /** A session of another machine that died unfinished: its brief. */
  | { readonly kind: "offer"; readonly session: string; readonly machine: string; readonly brief: string }
  /** This chat's session, or one that it goes on with, is worked on elsewhere. */
  | { readonly kind: "continued_elsewhere"; readonly session: string; readonly by: string; readonly machine: string }
  | { readonly kind: "notice"; readonly text: string };

export interface NewsRow {
  readonly seq: number;
  readonly key: string;
  readonly at: number;
  readonly news: News;
}

/** @param key what it is of: the same again is not told again. @returns whether it is new */
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

/** Whether it was written down before, told or not. */
export function has(sql: Sql, sessionId: string, key: string): boolean {
  return sql.all("SELECT 1 FROM team_news WHERE session_id = ? AND key = ?", sessionId, key).length > 0;
}

/** Oldest first. */
export function untold(sql: Sql, sessionId: string, limit: number): NewsRow[] {
  return sql
    .all<{ seq: number; key: string; at: number; body: string }>(
      "SELECT seq, key, at, body FROM team_news WHERE session_id = ? AND told_at IS NULL ORDER BY seq LIMIT ?",
      sessionId,
      limit,
    )
    .map(({ seq, key, at, body }) => ({ seq, key, at, news: JSON.parse(body) as News }));
}

export function markTold(sql: Sql, at: number, rows: readonly Pick<NewsRow, "seq">[]): void {
  for (const { seq } of rows) sql.run("UPDATE team_news SET told_at = ? WHERE seq = ? AND told_at IS NULL", at, seq);
}
