import type { Sql } from "../../shared/sql.ts";
import { byPrefix, get, type Session } from "./sessions.ts";

export type Found =
  | { readonly kind: "one"; readonly session: Session }
  | { readonly kind: "none" }
  | { readonly kind: "several"; readonly candidates: readonly Session[] };

/** [RE56] The session of an id, or of a beginning of one (at least 4 characters) that only it has; `ses_` may be left out. */
export function findSession(sql: Sql, given: string): Found {
  const exact = get(sql, given);
  if (exact) return { kind: "one", session: exact };
  if (given.replace(/^ses_/, "").length < fewestGiven) return { kind: "none" };
  const direct = byPrefix(sql, given, mostCandidates);
  const candidates = direct.length > 0 ? direct : byPrefix(sql, `ses_${given}`, mostCandidates);
  const [first] = candidates;
  if (!first) return { kind: "none" };
  return candidates.length === 1 ? { kind: "one", session: first } : { kind: "several", candidates };
}

/** A slip of a character or two must not name a session. */
const fewestGiven = 4;
const mostCandidates = 5;
