import { err, ok, type Result } from "../../shared/result.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import type { Sql } from "../../shared/sql.ts";
import { candidateLines } from "./short-ids.ts";
import { byPrefix, get, type Session } from "./sessions.ts";

export type SessionMatch =
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
