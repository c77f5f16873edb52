import type { Readings, Risk } from "../../contract/readings.ts";
import type { Sql } from "../../shared/sql.ts";
import type { NewRowOf } from "../../shared/table.ts";
import { crashes, signals } from "../../store/session-tables.ts";

/** Tables `signals` and `crashes`. Each function is part of the caller's transaction. */

export type Crash = NewRowOf<typeof crashes>;

const sampleIntervalMs = 60_000;
const hourMs = 3_600_000;
const quarterMs = 900_000;

const marks = signals.pick("at", "level");

/** Returns whether a sample was written. */
export function record(sql: Sql, now: number, session: string, readings: Readings, { score, level }: Risk): boolean {
  // Samples ahead of `now` predate a clock that jumped back; they must not silence new ones.
  const rest = "WHERE session = ? AND at <= ? ORDER BY at DESC LIMIT 1";
  const [last] = marks.select(sql, rest, session, now);
  if (last && last.level === level && now - last.at < sampleIntervalMs) return false;
  if (last) keepWorst(sql, session, last.at - hourMs, now - hourMs);
  return (
    signals.insert(
      sql,
      { session, at: now, score, level, readings },
      `ON CONFLICT (session, at) DO UPDATE SET score = excluded.score, level = excluded.level, readings = excluded.readings
       WHERE excluded.score >= signals.score`,
    ) > 0
  );
}

/**
 * Thins the samples that are older than an hour by now. better-sqlite3 binds numbers as
 * floats, whose division does not round: hence the cast.
 */
function keepWorst(sql: Sql, session: string, from: number, to: number): void {
  sql.run(
    `DELETE FROM signals WHERE session = ? AND at IN (
       SELECT at FROM (
         SELECT at, row_number() OVER (PARTITION BY at / CAST(? AS INTEGER) ORDER BY score DESC, at DESC) AS place
         FROM signals WHERE session = ? AND at >= ? AND at < ?
       ) WHERE place > 1)`,
    session,
    quarterMs,
    session,
    from - (from % quarterMs),
    to,
  );
}

/** A later report has less evidence, so it changes nothing. Returns whether it was new. */
export function recordCrash(sql: Sql, crash: Crash): boolean {
  return crashes.insert(sql, crash, "ON CONFLICT (session, at) DO NOTHING") > 0;
}

/** An end may be reported after its death was recorded. */
export function correctCause(sql: Sql, sessionId: string, { cause, detail }: Pick<Crash, "cause" | "detail">): void {
  sql.run(
    "UPDATE crashes SET cause = ?, detail = ? WHERE session = ? AND at = (SELECT deathAt FROM sessions WHERE id = ?)",
    cause,
    detail,
    sessionId,
    sessionId,
  );
}

/** Cause of the session's present death; null while it lives. */
export function findCause(sql: Sql, sessionId: string): Pick<Crash, "cause" | "detail"> | null {
  const query = `SELECT cause, detail FROM crashes WHERE session = ? AND at = (SELECT deathAt FROM sessions WHERE id = ?)`;
  return sql.all<Pick<Crash, "cause" | "detail">>(query, sessionId, sessionId)[0] ?? null;
}
