import { shortIdAmong } from "../../contract/short-id.ts";
import type { Sql } from "../../shared/sql.ts";
import { displayTitle, type Session } from "./sessions.ts";

/** [CL78] Unique among all sessions of this machine, and those of others that it mirrors. */
export function shortSessionId(sql: Sql, id: string): string {
  const mirrored = neighbours(sql, "remote_sessions", id, "session");
  return shortIdAmong(id, [...neighbours(sql, "sessions", id), ...mirrored]);
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
function neighbours(sql: Sql, table: "sessions" | "checkpoints" | "remote_sessions", id: string, key = "id"): string[] {
  const before = `SELECT ${key} AS id FROM ${table} WHERE ${key} < ? ORDER BY ${key} DESC LIMIT 1`;
  const after = `SELECT ${key} AS id FROM ${table} WHERE ${key} > ? ORDER BY ${key} LIMIT 1`;
  return [before, after].flatMap((query) => sql.all<{ id: string }>(query, id)).map((row) => row.id);
}
