import type { InputOf } from "../../contract/operations.ts";
import type { Sql } from "../../shared/sql.ts";

/** Operations that are kept while the coordinator cannot be reached. */
export type SayName = "tasks.heartbeat" | "tasks.ack" | "tasks.nack" | "tasks.submit" | "messages.send";

/** The input without the sender, which is added when it is sent. It holds what makes it take effect once (a claim, a request's id). */
export type Said<Name extends SayName> = Omit<InputOf<Name>, "self">;

export interface KeptCall {
  readonly seq: number;
  readonly name: SayName;
  readonly input: Readonly<Record<string, unknown>>;
  readonly tries: number;
}

/** @returns its sequence number */
export function add<Name extends SayName>(
  sql: Sql,
  now: number,
  of: { readonly sessionId: string; readonly workspace: string },
  name: Name,
  input: Said<Name>,
): number {
  const [row] = sql.all<{ seq: number }>(
    "INSERT INTO team_calls (session_id, workspace, name, input, at) VALUES (?, ?, ?, ?, ?) RETURNING seq",
    of.sessionId,
    of.workspace,
    name,
    JSON.stringify(input),
    now,
  );
  if (!row) throw new Error(`${name} was not stored`);
  return row.seq;
}

/** The oldest, which goes first. */
export function first(sql: Sql, sessionId: string, workspace: string): KeptCall | null {
  const [row] = sql.all<{ seq: number; name: SayName; input: string; tries: number }>(
    "SELECT seq, name, input, tries FROM team_calls WHERE session_id = ? AND workspace = ? ORDER BY seq LIMIT 1",
    sessionId,
    workspace,
  );
  return row ? { ...row, input: JSON.parse(row.input) as KeptCall["input"] } : null;
}

export function count(sql: Sql, sessionId: string): number {
  const [row] = sql.all<{ n: number }>("SELECT count(*) AS n FROM team_calls WHERE session_id = ?", sessionId);
  return row?.n ?? 0;
}

export function failed(sql: Sql, seq: number, why: string): void {
  sql.run("UPDATE team_calls SET tries = tries + 1, last_error = ? WHERE seq = ?", why, seq);
}

export function remove(sql: Sql, seq: number): void {
  sql.run("DELETE FROM team_calls WHERE seq = ?", seq);
}
