import { sum } from "simple-statistics";
import type { JournalEntry } from "../../contract/journal.ts";
import {
  replayKinds,
  replayReadings,
  type ReplayEvent,
  type ReplaySample,
  type ReplaySession,
} from "../../contract/replay.ts";
import { isCall } from "./replay.ts";
import { maxReplayed } from "../../learning/experiments/trials.ts";
import { stepInWeek, type Week, type WeeklyFacts } from "../../learning/experiments/weekly-report.ts";
import { dayOf } from "../../shared/format.ts";
import { compare } from "../../shared/compare.ts";
import type { Sql } from "../../shared/sql.ts";
import { checkpoints, crashes, hasContentSql, sessions as sessionTable, signals } from "../../store/session-tables.ts";
import { resolve, type Resolution } from "../recovery/incomplete/resolution.ts";
import * as journal from "../sessions/journal.ts";
import * as recoveries from "../sessions/recoveries.ts";
import * as sessions from "../sessions/sessions.ts";
import { list } from "./machine-trials.ts";
import type { ChatRecord } from "./chat-calls.ts";

/** The newest sessions with content, oldest first. */
export function pastSessions(sql: Sql): ReplaySession[] {
  const recorded = sql.all<{ readonly id: string }>(
    `SELECT id FROM sessions WHERE ${hasContentSql("sessions.id")} ORDER BY lastSeenAt DESC, id LIMIT ?`,
    maxReplayed,
  );
  return recorded.toReversed().flatMap(({ id }) => {
    const session = sessions.get(sql, id);
    return session ? [toReplaySession(sql, session)] : [];
  });
}

function toReplaySession(sql: Sql, session: sessions.Session): ReplaySession {
  const { id } = session;
  const entries = readEntries(sql, id);
  const startedAt = Math.min(session.startedAt, entries[0]?.at ?? session.startedAt);
  const clock: Clock = (epochMs) => Math.max(0, Math.round(epochMs - startedAt));
  const events = toEvents(entries, clock);
  const toTime = rising(clock);
  const saves = savesOfSession.select(sql, "WHERE session = ? ORDER BY seq", id);
  return {
    events,
    samples: readSamples(sql, id, clock),
    saves: saves.map(({ at, trigger }) => ({ at: toTime(at), trigger })),
    isComplete: events.filter(isCall).length >= session.toolCalls,
    endAt: Math.max(
      events.at(-1)?.at ?? 0,
      clock(session.ending?.how === "ended" ? session.ending.at : session.lastSeenAt),
    ),
  };
}

const savesOfSession = checkpoints.pick("at", "trigger");

const ofPersons = "WHERE isScripts = 0 AND lastSeenAt > ?";

/** Number of chats that {@link chatRecords} leaves out, since they are too many to be read. */
export function countUnread(sql: Sql, since: number): number {
  const rows = sql.all<{ n: number }>(`SELECT count(*) AS n FROM sessions ${ofPersons}`, since);
  return Math.max(0, (rows[0]?.n ?? 0) - maxReplayed);
}

/** Chats of persons that were seen since (epoch ms), oldest first, each read in its turn. */
export function* chatRecords(sql: Sql, since: number): Generator<ChatRecord> {
  const rest = `${ofPersons} ORDER BY lastSeenAt DESC, id LIMIT ?`;
  for (const { id, project } of recordedChats.select(sql, rest, since, maxReplayed).toReversed()) {
    const deaths = recordedDeaths.select(sql, "WHERE session = ? AND at > ? ORDER BY at", id, since);
    yield { id, project, rows: readEntries(sql, id), deaths };
  }
}

const recordedChats = sessionTable.pick("id", "project");
const recordedDeaths = crashes.pick("at", "cause", "unsavedToolCalls");

/** From epoch ms to ms since the start of a session. */
type Clock = (epochMs: number) => number;

/** Times in the order in which they were recorded: a clock that was set back stands still. */
function rising(toTime: Clock): Clock {
  let last = 0;
  return (epochMs) => (last = Math.max(last, toTime(epochMs)));
}

function readEntries(sql: Sql, id: string): journal.JournalRow[] {
  const all: journal.JournalRow[] = [];
  for (;;) {
    const page = journal.list(sql, id, all.at(-1)?.seq ?? 0);
    if (page.length === 0) return all;
    all.push(...page);
  }
}

function toEvents(rows: readonly journal.JournalRow[], clock: Clock): ReplayEvent[] {
  const toTime = rising(clock);
  return rows.map((row) => ({ at: toTime(row.at), ...eventOf(row.entry) }));
}

function eventOf(entry: JournalEntry): Omit<ReplayEvent, "at"> {
  if (entry.kind !== "tool_end" && entry.kind !== "tool_error")
    return { kind: replayKinds.find((kind) => kind === entry.kind) ?? "other" };
  const { kind, name: tool, durationMs } = entry;
  return { kind, tool, ...(durationMs === undefined ? {} : { durationMs: Math.max(0, durationMs) }) };
}

function readSamples(sql: Sql, id: string, clock: Clock): ReplaySample[] {
  return signals.select(sql, "WHERE session = ? ORDER BY at", id).map(({ at, readings: all }) => {
    const known = replayReadings.flatMap((name) => {
      const reading = all[name];
      return reading ? [[name, { value: reading.value, at: clock(reading.at) }] as const] : [];
    });
    return { at: clock(at), readings: Object.fromEntries(known) };
  });
}

/** Rows of the week that are still stored. */
export function weeklyFacts(sql: Sql, week: Week): WeeklyFacts {
  const deaths = deathsIn(sql, week);
  return {
    week,
    sessions: countSessions(sql, week),
    causes: causesOf(deaths),
    died: outcomesOf(sql, week, deaths),
    costs: costsOf(sql, week),
    steps: list(sql)
      .flatMap((trial) => stepInWeek(week, trial))
      .toSorted((a, b) => a.at - b.at),
  };
}

interface Death {
  readonly session: string;
  readonly at: number;
  readonly cause: string;
  readonly unsavedCalls: number;
}

/** By chat, each with its last death of the week, and the lost calls of all. */
interface DeadChat extends Death {
  readonly deaths: number;
}

function deathsIn(sql: Sql, { from, until }: Week): DeadChat[] {
  const rows = sql.all<Death>(
    `SELECT session, at, cause, unsavedToolCalls AS unsavedCalls FROM crashes WHERE at >= ? AND at < ? ORDER BY at`,
    from,
    until,
  );
  return [...Map.groupBy(rows, ({ session }) => session).values()].flatMap((own) => {
    const last = own.at(-1);
    const unsavedCalls = sum(own.map((death) => death.unsavedCalls));
    return last ? [{ ...last, unsavedCalls, deaths: own.length }] : [];
  });
}

/** A chat of which only the death is stored counts, too. */
function countSessions(sql: Sql, week: Week): number {
  const { from, until } = week;
  const query = `SELECT count(*) AS n FROM (
    SELECT id FROM sessions WHERE isScripts IN (0, 1) AND lastSeenAt >= ? AND startedAt < ?
    UNION SELECT session FROM crashes WHERE at >= ? AND at < ?)`;
  return sql.all<{ n: number }>(query, from, until, from, until)[0]?.n ?? 0;
}

function causesOf(dead: readonly DeadChat[]): WeeklyFacts["causes"] {
  return [...Map.groupBy(dead, ({ cause }) => cause)]
    .map(([cause, own]) => ({ cause, chats: own.length, unsavedCalls: sum(own.map((chat) => chat.unsavedCalls)) }))
    .toSorted((a, b) => b.chats - a.chats || compare(a.cause, b.cause));
}

type Outcome = Resolution | "resumed";

function outcomesOf(sql: Sql, { from }: Week, dead: readonly DeadChat[]): WeeklyFacts["died"] {
  const isDead = new Set(dead.map(({ session }) => session));
  const events = recoveries.listEvents(sql, { since: from }).filter(({ session }) => isDead.has(session));
  const known = new Map(resolve(events).map((progress) => [progress.session, progress]));
  const outcomes = dead.map((chat): Outcome => {
    const resolution = known.get(chat.session)?.resolution ?? "open";
    return resolution === "open" && isResumed(sql, chat) ? "resumed" : resolution;
  });
  const countOf = (outcome: Outcome): number => outcomes.filter((one) => one === outcome).length;
  return {
    chats: dead.length,
    deaths: sum(dead.map(({ deaths }) => deaths)),
    continued: countOf("continued"),
    resumed: countOf("resumed"),
    dismissed: countOf("dismissed"),
    open: countOf("open"),
  };
}

/** Whether its own client has opened it since. */
function isResumed(sql: Sql, { session, at }: DeadChat): boolean {
  const query = "SELECT 1 FROM journal WHERE session = ? AND kind IN ('start', 'prompt') AND at > ? LIMIT 1";
  return sql.all(query, session, at).length > 0;
}

function costsOf(sql: Sql, { from, until }: Week): WeeklyFacts["costs"] {
  const [first, end] = [from, until].map(dayOf);
  const costs = sql.all<{ model: string; micros: number }>(
    `SELECT model, sum(costMicros) AS micros FROM usage_costs WHERE day >= ? AND day < ?
     GROUP BY model HAVING sum(costMicros) > 0 ORDER BY 2 DESC, model`,
    first ?? "",
    end ?? "",
  );
  return costs.map(({ model, micros }) => ({ model, dollars: micros / 1e6 }));
}
