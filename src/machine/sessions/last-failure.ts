import type { UsageLimit } from "../../contract/at-limit.ts";
import type { Sql } from "../../shared/sql.ts";
import * as journal from "./journal.ts";

interface Failure {
  readonly seq: number;
  readonly at: number;
  readonly text: string;
  readonly limit: UsageLimit | null;
}

/** A client reports an error by a hook and in its transcript, and one of them may lack the code. */
const maxReports = 4;

/** Returns null if a prompt or the end of a turn follows the error. */
export function lastFailure(sql: Sql, sessionId: string): Failure | null {
  const rows = journal.newest(sql, sessionId, ["failure", "turn_end", "prompt"], maxReports);
  const end = rows.findIndex(({ entry }) => entry.kind !== "failure");
  const failures = (end < 0 ? rows : rows.slice(0, end)).flatMap(({ seq, at, entry }) =>
    entry.kind === "failure" ? [{ seq, at, text: entry.text, limit: entry.limit ?? null }] : [],
  );
  return failures.find(({ limit }) => limit !== null) ?? failures[0] ?? null;
}
