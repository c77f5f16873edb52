import type { InputOf } from "../../contract/operations.ts";
import type { Sql } from "../../shared/sql.ts";

export type QueuedCallName = "tasks.heartbeat" | "tasks.ack" | "tasks.nack" | "tasks.submit" | "messages.send";

/** Contains what makes the call take effect once (claim, request id); the sender is added later. */
export type QueuedCallInput<Name extends QueuedCallName> = Omit<InputOf<Name>, "self">;

export interface QueuedCall {
  readonly seq: number;
  readonly name: QueuedCallName;
  readonly input: Readonly<Record<string, unknown>>;
  readonly tries: number;
}

export function add<Name extends QueuedCallName>(
  sql: Sql,
  now: number,
  scope: { readonly sessionId: string; readonly workspace: string },
  name: Name,
  input: QueuedCallInput<Name>,
): number {
  const [row] = sql.all<{ seq: number }>(
    "INSERT INTO team_calls (session_id, workspace, name, input, at) VALUES (?, ?, ?, ?, ?) RETURNING seq",
    scope.sessionId,
    scope.workspace,
    name,
    JSON.stringify(input),
    now,
  );
  if (!row) throw new Error(`${name} was not stored`);
  return row.seq;
}

export function oldest(sql: Sql, sessionId: string, workspace: string): QueuedCall | null {
  const [row] = sql.all<{ seq: number; name: QueuedCallName; input: string; tries: number }>(
    "SELECT seq, name, input, tries FROM team_calls WHERE session_id = ? AND workspace = ? ORDER BY seq LIMIT 1",
    sessionId,
    workspace,
  );
  return row ? { ...row, input: JSON.parse(row.input) as QueuedCall["input"] } : null;
}

export function count(sql: Sql, sessionId: string): number {
  const [row] = sql.all<{ n: number }>("SELECT count(*) AS n FROM team_calls WHERE session_id = ?", sessionId);
  return row?.n ?? 0;
}

export function recordFailure(sql: Sql, seq: number, reason: string): void {
  sql.run("UPDATE team_calls SET tries = tries + 1, last_error = ? WHERE seq = ?", reason, seq);
}

export function remove(sql: Sql, seq: number): void {
  sql.run("DELETE FROM team_calls WHERE seq = ?", seq);
}
