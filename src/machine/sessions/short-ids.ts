import { quotedTitle } from "../../shared/format.ts";
import { shortIdAmong } from "../../contract/short-id.ts";
import type { Sql } from "../../shared/sql.ts";
import { displayTitle, type Session, byPrefix, get } from "./sessions.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import type { Runtime } from "../../runtime/runtime.ts";

/** Unique among all sessions of this machine, and those of others that it mirrors. */
export function shortSessionId(sql: Sql, id: string): string {
  const mirrored = neighbours(sql, "sessions_elsewhere", id);
  return shortIdAmong(id, [...neighbours(sql, "sessions", id), ...mirrored]);
}

export function shortCheckpointId(sql: Sql, id: string): string {
  return shortIdAmong(id, neighbours(sql, "checkpoints", id));
}

/** Neighbours in id order share the longest common prefix. */
function neighbours(sql: Sql, table: "sessions" | "checkpoints" | "sessions_elsewhere", id: string): string[] {
  const before = `SELECT id FROM ${table} WHERE id < ? ORDER BY id DESC LIMIT 1`;
  const after = `SELECT id FROM ${table} WHERE id > ? ORDER BY id LIMIT 1`;
  return [before, after].flatMap((query) => sql.all<{ id: string }>(query, id)).map((row) => row.id);
}

const minPrefixChars = 4;
const maxCandidates = 5;

interface AmbiguousSession {
  readonly code: "ambiguous_session";
  readonly message: string;
}

/**
 * Finds a session by id or unique beginning (at least 4 characters: a typo of one or two
 * must not name another session); `ses_` is optional.
 *
 * @returns null if this machine has no such session
 */
export function findSessionArgument(sql: Sql, given: string): Result<Session | null, AmbiguousSession> {
  const exact = get(sql, given);
  if (exact || given.replace(/^ses_/, "").length < minPrefixChars) return ok(exact);
  const direct = byPrefix(sql, given, maxCandidates);
  const candidates = direct.length > 0 ? direct : byPrefix(sql, `ses_${given}`, maxCandidates);
  if (candidates.length < 2) return ok(candidates[0] ?? null);
  const lines = candidates.map((one) => {
    return `${shortSessionId(sql, one.id)} (${quotedTitle(displayTitle(one))})`;
  });
  const message = `"${given}" matches several sessions: ${lines.join(", ")}. Give more of the id.`;
  return err({ code: "ambiguous_session", message });
}

export function findStoredSession(
  { store }: Pick<Runtime, "store">,
  given: string,
): Result<Session | null, AmbiguousSession> {
  return store.read<Result<Session | null, AmbiguousSession>>((sql) => findSessionArgument(sql, given), ok(null));
}
