import type { InputOf } from "../../contract/operations.ts";
import type { Sql } from "../../shared/sql.ts";
import type { RowOf } from "../../shared/table.ts";
import { teamCalls, type QueuedCallName } from "../../store/team-tables.ts";

export type { QueuedCallName } from "../../store/team-tables.ts";

/** Contains what makes the call take effect once (claim, request id); the sender is added later. */
export type QueuedCallInput<Name extends QueuedCallName> = Omit<InputOf<Name>, "self">;

const queued = teamCalls.pick("seq", "name", "input", "tries");

export type QueuedCall = RowOf<typeof queued>;

export function add<Name extends QueuedCallName>(
  sql: Sql,
  now: number,
  scope: { readonly sessionId: string; readonly workspace: string },
  name: Name,
  input: QueuedCallInput<Name>,
): number {
  const { sessionId: session, workspace } = scope;
  return teamCalls.append(sql, { session, workspace, name, input, at: now });
}

export function oldest(sql: Sql, sessionId: string, workspace: string): QueuedCall | null {
  const rest = "WHERE session = ? AND workspace = ? ORDER BY seq LIMIT 1";
  return queued.select(sql, rest, sessionId, workspace)[0] ?? null;
}

export function count(sql: Sql, sessionId: string): number {
  return teamCalls.count(sql, { session: sessionId });
}

export function recordFailure(sql: Sql, seq: number, reason: string): void {
  sql.run("UPDATE team_calls SET tries = tries + 1, lastError = ? WHERE seq = ?", reason, seq);
}

export function remove(sql: Sql, seq: number): void {
  teamCalls.delete(sql, { seq });
}
