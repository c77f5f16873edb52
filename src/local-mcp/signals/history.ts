import type { Readings, Risk } from "../../contract/readings.ts";
import type { Sql } from "../../shared/sql.ts";
import type { NewRowOf, RowOf } from "../../shared/table.ts";
import * as meta from "../../store/meta.ts";
import { crashes, signals } from "../../store/session-tables.ts";

/** Tables `signals` and `crashes`. Each function is part of the caller's transaction. */

const samples = signals.pick("at", "score", "level", "readings");

export type Sample = RowOf<typeof samples>;
export type Crash = NewRowOf<typeof crashes>;

interface ListOptions {
  /** Epoch ms, inclusive. */
  readonly since?: number;
  /** 1 to 1000; default 100. */
  readonly limit?: number;
}

export interface ThinLimits {
  readonly maxAgeMs: number;
  readonly sessions?: number;
  readonly rows?: number;
}

const sampleIntervalMs = 60_000;
const hourMs = 3_600_000;
const dayMs = 86_400_000;
const minuteMs = 60_000;
const quarterMs = 900_000;
const cursorKey = "signals_thinned_to";

const marks = signals.pick("at", "score", "level");

/** [SI20] Returns whether a sample was written. */
export function record(sql: Sql, now: number, session: string, readings: Readings, { score, level }: Risk): boolean {
  // Samples ahead of `now` predate a clock that jumped back; they must not silence new ones.
  const rest = "WHERE session = ? AND at <= ? ORDER BY at DESC LIMIT 1";
  const [last] = marks.select(sql, rest, session, now);
  const isChanged = !last || last.level !== level || last.score !== score || now - last.at >= sampleIntervalMs;
  if (!isChanged) return false;
  return (
    signals.insert(
      sql,
      { session, at: now, score, level, readings },
      `ON CONFLICT (session, at) DO UPDATE SET score = excluded.score, level = excluded.level, readings = excluded.readings
       WHERE excluded.score >= signals.score`,
    ) > 0
  );
}

export function list(sql: Sql, sessionId: string, { since = 0, limit = 100 }: ListOptions = {}): Sample[] {
  const rest = "WHERE session = ? AND at >= ? ORDER BY at DESC LIMIT ?";
  return samples.select(sql, rest, sessionId, since, Math.min(1_000, Math.max(1, Math.trunc(limit))));
}

/** [SI21] Thins the samples. [SI22] One call does a bounded part. Returns how many it deleted. */
export function thin(sql: Sql, now: number, limits: ThinLimits): number {
  const { maxAgeMs, sessions = 20, rows = 5_000 } = limits;
  let cursor = cursorOf(sql);
  let deleted = 0;
  for (let done = 0; done < sessions; done++) {
    const next = sessionAfter(sql, cursor);
    if (next !== null) deleted += thinSession(sql, now, next, maxAgeMs, rows - deleted);
    // A session that used up the rest may not be finished, so it comes again.
    if (deleted >= rows) break;
    // After the last one the next call starts over.
    cursor = next ?? "";
    if (next === null) break;
  }
  if (cursor !== cursorOf(sql)) meta.write(sql, cursorKey, cursor);
  return deleted;
}

/** [SI23] A later report has less evidence, so it changes nothing. Returns whether it was new. */
export function recordCrash(sql: Sql, crash: Crash): boolean {
  return crashes.insert(sql, crash, "ON CONFLICT (session, at) DO NOTHING") > 0;
}

/** [SI47] An end may be reported after its death was recorded. */
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

function thinSession(sql: Sql, now: number, sessionId: string, maxAgeMs: number, rows: number): number {
  const expired = sql.run(
    "DELETE FROM signals WHERE session = ? AND at IN (SELECT at FROM signals WHERE session = ? AND at < ? ORDER BY at LIMIT ?)",
    sessionId,
    sessionId,
    now - maxAgeMs,
    rows,
  );
  const left = rows - expired;
  const old = keepWorst(sql, sessionId, 0, now - dayMs, quarterMs, left);
  return expired + old + keepWorst(sql, sessionId, now - dayMs, now - hourMs, minuteMs, left - old);
}

/** better-sqlite3 binds numbers as floats, whose division does not round: hence the cast. */
function keepWorst(sql: Sql, sessionId: string, from: number, to: number, bucketMs: number, rows: number): number {
  return sql.run(
    `DELETE FROM signals WHERE session = ? AND at IN (
       SELECT at FROM (
         SELECT at, row_number() OVER (PARTITION BY at / CAST(? AS INTEGER) ORDER BY score DESC, at DESC) AS place
         FROM signals WHERE session = ? AND at >= ? AND at < ?
       ) WHERE place > 1 LIMIT ?)`,
    sessionId,
    bucketMs,
    sessionId,
    from,
    to,
    rows,
  );
}

function sessionAfter(sql: Sql, cursor: string): string | null {
  const [row] = sql.all<{ id: string }>(
    "SELECT session AS id FROM signals WHERE session > ? ORDER BY session LIMIT 1",
    cursor,
  );
  return row?.id ?? null;
}

function cursorOf(sql: Sql): string {
  return meta.read(sql, cursorKey) ?? "";
}
