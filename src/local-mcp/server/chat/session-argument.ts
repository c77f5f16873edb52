import { err, ok, type Result } from "../../../shared/result.ts";
import type { Sql } from "../../../shared/sql.ts";
import { findSession } from "../../sessions/session-prefix.ts";
import { candidateLines } from "../../sessions/short-ids.ts";
import type { Session } from "../../sessions/sessions.ts";

export interface ToolError {
  readonly code: string;
  readonly message: string;
}

/** [RE56] Accepts an id or a unique prefix; null if this machine has no such session. */
export function findSessionArgument(sql: Sql, given: string): Result<Session | null, ToolError> {
  const found = findSession(sql, given);
  if (found.kind === "one") return ok(found.session);
  if (found.kind === "none") return ok(null);
  const message = `"${given}" is the beginning of several sessions: ${candidateLines(sql, found.candidates).join(", ")}. Give more of the id.`;
  return err({ code: "ambiguous_session", message });
}
