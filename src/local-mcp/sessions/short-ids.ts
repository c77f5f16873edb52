import { shortIdAmong } from "../../contract/short-id.ts";
import type { Sql } from "../../shared/sql.ts";
import { displayTitle, type Session, byPrefix, get } from "./sessions.ts";
import { err, ok, type Result } from "../../shared/result.ts";
import type { Runtime } from "../../runtime/runtime.ts";

/** [CL78] Unique among all sessions of this machine, and those of others that it mirrors. */
export function shortSessionId(sql: Sql, id: string): string {
  const mirrored = neighbours(sql, "remote_sessions", id, "session");
  return shortIdAmong(id, [...neighbours(sql, "sessions", id), ...mirrored]);
}

export function shortCheckpointId(sql: Sql, id: string): string {
  return shortIdAmong(id, neighbours(sql, "checkpoints", id));
}

function candidateLines(sql: Sql, candidates: readonly Session[]): string[] {
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

type SessionMatch =
  | { readonly kind: "one"; readonly session: Session }
  | { readonly kind: "none" }
  | { readonly kind: "several"; readonly candidates: readonly Session[] };

/** [RE56] Finds a session by id or unique beginning (at least 4 characters); `ses_` is optional. */
export function findSession(sql: Sql, idOrPrefix: string): SessionMatch {
  const exact = get(sql, idOrPrefix);
  if (exact) return { kind: "one", session: exact };
  if (idOrPrefix.replace(/^ses_/, "").length < minPrefixChars) return { kind: "none" };
  const direct = byPrefix(sql, idOrPrefix, maxCandidates);
  const candidates = direct.length > 0 ? direct : byPrefix(sql, `ses_${idOrPrefix}`, maxCandidates);
  const [first] = candidates;
  if (!first) return { kind: "none" };
  return candidates.length === 1 ? { kind: "one", session: first } : { kind: "several", candidates };
}

/** A typo of a character or two must not name a session. */
const minPrefixChars = 4;
const maxCandidates = 5;

interface AmbiguousSession {
  readonly code: "ambiguous_session";
  readonly message: string;
}

/** Null if this machine has no such session. */
export function findSessionArgument(sql: Sql, given: string): Result<Session | null, AmbiguousSession> {
  const found = findSession(sql, given);
  if (found.kind === "one") return ok(found.session);
  if (found.kind === "none") return ok(null);
  const message = `"${given}" matches several sessions: ${candidateLines(sql, found.candidates).join(", ")}. Give more of the id.`;
  return err({ code: "ambiguous_session", message });
}

export function findStoredSession(
  { store }: Pick<Runtime, "store">,
  given: string,
): Result<Session | null, AmbiguousSession> {
  return store.read<Result<Session | null, AmbiguousSession>>((sql) => findSessionArgument(sql, given), ok(null));
}
