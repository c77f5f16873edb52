import type { CrashCause, Risk } from "../contract/readings.ts";
import type { Sql } from "../shared/sql.ts";
import { causeOf, hasContent, isDead } from "../local-mcp/recovery/detect.ts";
import type { Runtime } from "../local-mcp/runtime.ts";
import type { Session } from "../local-mcp/sessions/sessions.ts";
import { assess } from "../local-mcp/signals/risk.ts";

/** `empty`: it died before there was anything to lose. */
export type SessionState = "alive" | "incomplete" | "empty" | "finished" | "offered" | "recovered" | "dismissed";

/** A session as the commands show it. Printed as JSON: fields are only added. */
export interface SessionView {
  readonly id: string;
  readonly state: SessionState;
  readonly client: string;
  readonly project: string | null;
  readonly title: string | null;
  readonly model: string | null;
  readonly pid: number | null;
  readonly startedAt: number;
  readonly lastSeenAt: number;
  readonly savedAt: number | null;
  readonly endedAt: number | null;
  readonly checkpoints: number;
  readonly toolCalls: number;
  readonly toolErrors: number;
  /** Share of the context in use, 0 to 1; null when not known. */
  readonly contextFill: number | null;
  /** Of living sessions only. */
  readonly risk: Risk | null;
  /** Of incomplete sessions only. */
  readonly cause: CrashCause | null;
  readonly causeDetail: string | null;
}

export function view(sql: Sql, runtime: Runtime, session: Session): SessionView {
  const { id, client, project, title, model, startedAt, lastSeenAt, savedAt, endedAt, toolCalls, toolErrors } = session;
  const state = stateOf(sql, runtime, session);
  const row = { client, project, title, model, startedAt, lastSeenAt, savedAt, endedAt, toolCalls, toolErrors };
  return {
    id,
    state,
    ...row,
    pid: session.owner?.pid ?? null,
    checkpoints: countCheckpoints(sql, id),
    contextFill: session.readings.contextFill?.value ?? null,
    risk: state === "alive" ? assess(session.readings, runtime.config.risk, runtime.now()) : null,
    ...causeIf(state === "incomplete", sql, runtime, session),
  };
}

function causeIf(
  isDead: boolean,
  sql: Sql,
  runtime: Runtime,
  session: Session,
): Pick<SessionView, "cause" | "causeDetail"> {
  return isDead ? causeOf(sql, session, runtime.processes) : { cause: null, causeDetail: null };
}

export function stateOf(sql: Sql, runtime: Runtime, session: Session): SessionState {
  if (session.endedAt !== null) return "finished";
  if (session.recovery !== null) return session.recovery;
  if (!isDead(session, runtime.processes, runtime.now())) return "alive";
  return hasContent(sql, session.id) ? "incomplete" : "empty";
}

function countCheckpoints(sql: Sql, sessionId: string): number {
  const [row] = sql.all<{ n: number }>("SELECT count(*) AS n FROM checkpoints WHERE session_id = ?", sessionId);
  return row?.n ?? 0;
}
