import type { UsageLimit } from "../../../contract/config.ts";
import type { Risk } from "../../../contract/machine/sessions.ts";
import type { Readings, CrashCause, Reading, ReadingName } from "../../../contract/readings.ts";
import type { Sql } from "../../../shared/sql.ts";
import type { NewRowOf } from "../../../shared/table.ts";
import { crashes, signals } from "../../../store/session-tables.ts";

/** Tables `signals` and `crashes`. Each function is part of the caller's transaction. */

export type Crash = NewRowOf<typeof crashes>;

const sampleIntervalMs = 60_000;
const hourMs = 3_600_000;
const quarterMs = 900_000;

const marks = signals.pick("at", "level");

export function record(sql: Sql, now: number, session: string, readings: Readings, { score, level }: Risk): void {
  // Samples ahead of `now` predate a clock that jumped back; they must not silence new ones.
  const rest = "WHERE session = ? AND at <= ? ORDER BY at DESC LIMIT 1";
  const [last] = marks.select(sql, rest, session, now);
  if (last && last.level === level && now - last.at < sampleIntervalMs) return;
  if (last) keepWorst(sql, session, last.at - hourMs, now - hourMs);
  signals.insert(
    sql,
    { session, at: now, score, level, readings },
    `ON CONFLICT (session, at) DO UPDATE SET score = excluded.score, level = excluded.level, readings = excluded.readings
     WHERE excluded.score >= signals.score`,
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

export interface Evidence {
  readonly readings: Readings;
  /** Epoch ms; absent: when the newest reading was taken. */
  readonly endedAt?: number;
  /** Last error of the client, if nothing began after it. */
  readonly lastFailure: { readonly limit: UsageLimit | null } | null;
  /** A reason of `EndSeen`; null: nothing of its end was seen. */
  readonly reason: string | null;
  /** True if the owner ran since the last boot; null if unknown, or without an owner. */
  readonly isSameBoot: boolean | null;
  /** `memory.oomKills` while the session lived, and now. */
  readonly oomKillsBefore: number | null;
  readonly oomKillsNow: number | null;
  readonly hadRunningTool: boolean;
  /** True for Claude Code with hooks, which reports its own end: its silence is evidence. */
  readonly hasEndHook?: boolean;
}

export interface Cause {
  readonly cause: CrashCause;
  /** One sentence of figures and fixed words only, no text of the chat. */
  readonly detail: string;
}

const fullMemory = 0.95;
const fullContext = 0.95;
/** Readings older than this say nothing of the end. */
const nearEndMs = 300_000;

const orderlyEnds: ReadonlyMap<string | null, string> = new Map([
  ["sighup", "its terminal was closed (SIGHUP)"],
  ["sigterm", "it was asked to end (SIGTERM)"],
  // Claude Code stops its MCP servers with SIGINT, also when it got SIGTERM itself.
  ["sigint", "it was asked to end, by an unknown signal"],
]);

/** Pure. The first match counts. Missing or ambiguous evidence means unknown. */
export function inferCause(evidence: Evidence): Cause {
  return (
    fromFailure(evidence) ??
    fromSignal(evidence) ??
    fromMemory(evidence) ??
    fromContext(evidence) ??
    fromSilence(evidence)
  );
}

function fromFailure({ lastFailure }: Evidence): Cause | null {
  if (!lastFailure?.limit) return null;
  return { cause: "usage_limit", detail: "The client reported that a usage limit was reached." };
}

function fromSignal({ reason, isSameBoot }: Evidence): Cause | null {
  const how = orderlyEnds.get(reason);
  if (how === undefined) return null;
  const later = isSameBoot === false ? "; the machine has been restarted since" : "";
  return { cause: "closed", detail: `The last thing seen was that ${how}${later}.` };
}

function fromMemory(evidence: Evidence): Cause | null {
  const { oomKillsBefore: before, oomKillsNow: now, isSameBoot } = evidence;
  // The counter starts again at boot, so it says nothing across one.
  if (isSameBoot === true && before !== null && now !== null && now > before)
    return {
      cause: "out_of_memory",
      detail: `The kernel's count of out-of-memory kills rose from ${before} to ${now} since it was last seen.`,
    };
  const memory = readingAtEnd(evidence, "hostMemory");
  if (memory === null || memory.value <= fullMemory) return null;
  return { cause: "out_of_memory", detail: `Memory was ${percent(memory)} full at the end.` };
}

function fromContext(evidence: Evidence): Cause | null {
  const fill = readingAtEnd(evidence, "contextFill");
  if (fill === null || fill.value < fullContext) return null;
  return { cause: "context_full", detail: `The context was ${percent(fill)} full at the end (${fill.source}).` };
}

function fromSilence({ reason, isSameBoot, hadRunningTool, hasEndHook }: Evidence): Cause {
  const when = hadRunningTool ? " in the middle of a tool call" : "";
  const isConnectionOver = reason === "stdin_end" || reason === "client_gone";
  if (reason === "parent_death" || (isConnectionOver && hasEndHook === true))
    return { cause: "killed", detail: `The client went away${when} without reporting an end.` };
  if (reason !== null)
    return {
      cause: "unknown",
      detail: `The connection ended${when}: a client that was closed and one that was killed look the same.`,
    };
  if (isSameBoot === null) return { cause: "unknown", detail: "Its end was not observed." };
  return isSameBoot
    ? { cause: "killed", detail: `Its process vanished${when}; no orderly end was seen.` }
    : { cause: "killed", detail: `It died${when}; no orderly end was seen, and the machine has been restarted since.` };
}

function readingAtEnd({ readings, endedAt }: Evidence, name: ReadingName): Reading | null {
  const reading = readings[name];
  if (!reading) return null;
  const end = endedAt ?? Math.max(...Object.values(readings).map((other) => other.at));
  return end - reading.at <= nearEndMs ? reading : null;
}

function percent({ value }: Reading): string {
  return `${Math.floor(Math.min(1, value) * 100)} %`;
}
