import type { Sql } from "../../shared/sql.ts";

export interface Member {
  readonly sessionId: string;
  readonly workspace: string;
  readonly chat: string;
  readonly incarnation: number;
  readonly process: string;
}

const columns = "session_id AS sessionId, workspace, chat, incarnation, process";

export function upsert(sql: Sql, now: number, { sessionId, workspace, chat, incarnation, process }: Member): void {
  sql.run(
    `INSERT INTO team_chats (session_id, workspace, chat, incarnation, process, at) VALUES (?, ?, ?, ?, ?, ?)
     ON CONFLICT (session_id) DO UPDATE SET workspace = excluded.workspace, chat = excluded.chat,
       incarnation = excluded.incarnation, process = excluded.process, at = excluded.at`,
    sessionId,
    workspace,
    chat,
    incarnation,
    process,
    now,
  );
}

export function remove(sql: Sql, sessionId: string, process: string): void {
  sql.run("DELETE FROM team_chats WHERE session_id = ? AND process = ?", sessionId, process);
}

export function inWorkspace(sql: Sql, workspace: string): Member[] {
  return sql.all<Member>(`SELECT ${columns} FROM team_chats WHERE workspace = ? ORDER BY session_id`, workspace);
}

export function listOf(sql: Sql, process: string): Member[] {
  return sql.all<Member>(`SELECT ${columns} FROM team_chats WHERE process = ?`, process);
}

export function find(sql: Sql, sessionId: string): Member | null {
  return sql.all<Member>(`SELECT ${columns} FROM team_chats WHERE session_id = ?`, sessionId)[0] ?? null;
}
