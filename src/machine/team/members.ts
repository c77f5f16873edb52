import type { Sql } from "../../shared/sql.ts";
import type { RowOf } from "../../shared/table.ts";
import { teamChats } from "../../store/team-tables.ts";

const members = teamChats.without("at");

export type Member = RowOf<typeof members>;

export function upsert(sql: Sql, now: number, member: Member): void {
  teamChats.put(sql, { ...member, at: now });
}

export function remove(sql: Sql, session: string, process: string): void {
  teamChats.delete(sql, { session, process });
}

export function inWorkspace(sql: Sql, workspace: string): Member[] {
  return members.select(sql, "WHERE workspace = ? ORDER BY session", workspace);
}

export function listOf(sql: Sql, process: string): Member[] {
  return members.select(sql, "WHERE process = ?", process);
}

export function find(sql: Sql, session: string): Member | null {
  return members.find(sql, { session });
}
