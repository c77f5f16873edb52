import { shortIdAmong } from "../../shared/short-id.ts";
import type { Sql } from "../../shared/sql.ts";
import { displayTitle, type Session } from "./sessions.ts";

/** [CL78] Unique among all sessions of this machine. */
export function shortSessionId(sql: Sql, id: string): string {
  return shortIdAmong(id, neighbours(sql, "sessions", id));
}

export function shortCheckpointId(sql: Sql, id: string): string {
  return shortIdAmong(id, neighbours(sql, "checkpoints", id));
}

export function candidateLines(sql: Sql, candidates: readonly Session[]): string[] {
  return candidates.map(
    (one) => `${shortSessionId(sql, one.id)} ("${sanitizeTitle(displayTitle(one) ?? "untitled")}")`,
  );
}

/** Keeps another chat's words from ending the line or the quotation. */
function sanitizeTitle(title: string): string {
  return title.replaceAll(/[\s"<>`]+/g, " ").slice(0, 80);
}

/** Neighbours in id order share the longest common prefix. */
function neighbours(sql: Sql, table: "sessions" | "checkpoints", id: string): string[] {
  const before = `SELECT id FROM ${table} WHERE id < ? ORDER BY id DESC LIMIT 1`;
  const after = `SELECT id FROM ${table} WHERE id > ? ORDER BY id LIMIT 1`;
  return [before, after].flatMap((query) => sql.all<{ id: string }>(query, id)).map((row) => row.id);
}
