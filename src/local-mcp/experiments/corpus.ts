import { clients } from "../../contract/machine-metrics.ts";
import type { JournalEntry } from "../../contract/journal.ts";
import {
  replayKinds,
  replayReadings,
  type ReplayEvent,
  type ReplaySample,
  type ReplaySave,
  type ReplaySession,
  type StateCounts,
} from "../../contract/replay.ts";
import type { WorkState } from "../../contract/work-state.ts";
import type { PastOffer, PastSession } from "../../experiments/opportunities/history.ts";
import type { Sql } from "../../shared/sql.ts";
import { checkpoints as checkpointRows, crashes, hasContentSql, signals } from "../../store/session-tables.ts";
import * as sessionDurations from "../../store/session-durations.ts";
import * as checkpoints from "../checkpoints/checkpoints.ts";
import { isEdited, emptyState, fold } from "../sessions/work-state.ts";
import * as journal from "../sessions/journal.ts";
import { resolve, type RecoveryProgress } from "../recovery/resolution.ts";
import * as recoveries from "../sessions/recoveries.ts";
import * as sessions from "../sessions/sessions.ts";
import { latestSettings, settingsOfHash } from "../recording/session-settings.ts";

export interface CorpusFilter {
  /** Epoch ms: sessions seen since. */
  readonly since: number;
  /** Newest sessions first. */
  readonly limit: number;
}

/** [EX41] The newest sessions with content, oldest first. */
export function pastSessions(sql: Sql, { since, limit }: CorpusFilter): PastSession[] {
  const recorded = sql.all<{ readonly id: string; readonly at: number }>(
    `SELECT id, lastSeenAt AS at FROM sessions WHERE lastSeenAt >= ? AND ${hasContentSql("sessions.id")}
     ORDER BY lastSeenAt DESC, id LIMIT ?`,
    since,
    limit,
  );
  return recorded.toReversed().flatMap(({ id, at }) => {
    const session = sessions.get(sql, id);
    return session ? [{ at, session: toReplaySession(sql, session) }] : [];
  });
}

function toReplaySession(sql: Sql, session: sessions.Session): ReplaySession {
  const entries = readEntries(sql, session.id);
  const startedAt = Math.min(session.startedAt, entries[0]?.at ?? session.startedAt);
  const clock: Clock = (epochMs) => Math.max(0, Math.round(epochMs - startedAt));
  const events = toEvents(entries, clock);
  const calls = events.filter(({ kind }) => kind === "tool_end" || kind === "tool_error").length;
  return {
    type: "session",
    client: clients.find((known) => known === session.client) ?? "other",
    ...settingsOf(sql, session),
    events,
    samples: readSamples(sql, session.id, clock),
    saves: readSaves(sql, session.id, clock),
    isComplete: calls >= session.toolCalls,
    end: endOf(sql, session, clock, events.at(-1)?.at ?? 0),
    recovery: recoveryOf(sql, session.id),
    durations: durationsOf(sql, session.id),
    costMicros: costOf(sql, session.id),
  };
}

function settingsOf(sql: Sql, session: sessions.Session): Pick<ReplaySession, "model" | "effort" | "changed"> {
  const settings = latestSettings(sql, session.id);
  if (settings === null) return { model: modelLabel(session.model), effort: null, changed: null };
  const { model, effort, hash } = settings;
  return { model: modelLabel(model), effort: effortLabel(effort), changed: settingsOfHash(sql, hash) };
}

function durationsOf(sql: Sql, id: string): ReplaySession["durations"] {
  const rows = sessionDurations.list(sql, id);
  return Object.fromEntries(rows.map(({ name, count, slow, sum }) => [name, { count, slow, sumMs: sum * 1_000 }]));
}

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
  const tools = new Map<string, number>();
  const toTime = rising(clock);
  let state = emptyState;
  return rows.map((row) => {
    const before = state;
    state = fold(before, [row]);
    const same = isSameState(before, state) ? { isSame: true as const } : {};
    return { at: toTime(row.at), ...eventOf(row.entry, tools), ...same };
  });
}

/** Apart from running tools: they end, and then it is the same again. */
function isSameState(one: WorkState, other: WorkState): boolean {
  const names = new Set([...Object.keys(one), ...Object.keys(other)]) as Set<keyof WorkState>;
  names.delete("runningTools");
  return [...names].every(
    (name) => one[name] === other[name] || JSON.stringify(one[name]) === JSON.stringify(other[name]),
  );
}

function eventOf(entry: JournalEntry, tools: Map<string, number>): Omit<ReplayEvent, "at"> {
  if (entry.kind !== "tool_end" && entry.kind !== "tool_error")
    return { kind: replayKinds.find((kind) => kind === entry.kind) ?? "other" };
  const tool = tools.get(entry.name) ?? tools.size;
  tools.set(entry.name, tool);
  const isEdit = entry.kind === "tool_end" && isEdited(entry);
  return {
    kind: entry.kind,
    tool,
    ...(entry.durationMs === undefined ? {} : { durationMs: Math.max(0, entry.durationMs) }),
    ...(isEdit ? { isEdit } : {}),
  };
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

/** Reading a checkpoint takes a fraction of a millisecond. */
const maxCounted = 10;

const saves = checkpointRows.pick("seq", "at", "trigger", "rawBytes");

function readSaves(sql: Sql, id: string, clock: Clock): ReplaySave[] {
  const rows = saves.select(sql, "WHERE session = ? ORDER BY seq", id);
  const step = Math.max(1, Math.ceil(rows.length / maxCounted));
  const toTime = rising(clock);
  return rows.map(({ seq, at, trigger, rawBytes }, index) => {
    const isCounted = (rows.length - 1 - index) % step === 0;
    return { at: toTime(at), trigger, bytes: rawBytes, counts: isCounted ? countsOf(sql, seq) : null };
  });
}

function countsOf(sql: Sql, seq: number): StateCounts | null {
  const state = checkpoints.findState(sql, seq);
  return state && { prompts: state.prompts.length + state.droppedPrompts, files: state.files.length };
}

function endOf(sql: Sql, session: sessions.Session, clock: Clock, lastEvent: number): ReplaySession["end"] {
  const until = (at: number): number => Math.max(lastEvent, clock(at));
  if (session.endedAt !== null) return { at: until(session.endedAt), kind: "ended", cause: null };
  const crash = crashes.find(sql, { session: session.id, at: session.deathAt ?? -1 });
  const at = until(session.lastSeenAt);
  return crash ? { at, kind: "died", cause: crash.cause } : { at, kind: "open", cause: null };
}

function recoveryOf(sql: Sql, id: string): ReplaySession["recovery"] {
  const [row] = sql.all<{ score: number | null }>(
    "SELECT score FROM recoveries WHERE session = ? AND action = 'offered' ORDER BY seq DESC LIMIT 1",
    id,
  );
  if (!row) return null;
  const [progress] = resolve(recoveries.listEvents(sql, { session: id }));
  const rediscovery = progress ? rediscoveryOf(sql, progress) : null;
  return {
    score: row.score === null ? null : row.score / 100,
    reads: rediscovery?.reads ?? null,
    repeats: rediscovery?.repeats ?? null,
  };
}

function costOf(sql: Sql, id: string): number | null {
  const [row] = sql.all<{ cost: number | null }>(
    "SELECT sum(costMicros) AS cost FROM usage_costs WHERE session = ?",
    id,
  );
  return row?.cost ?? null;
}

const efforts: ReadonlySet<string> = new Set(["low", "medium", "high", "xhigh", "max"]);

function effortLabel(effort: string | null): string | null {
  return effort === null || efforts.has(effort) ? effort : "other";
}

/** Names of models of gateways may be private: only names like a maker's are kept. */
function modelLabel(model: string | null): string | null {
  if (model === null) return null;
  return /^(claude|gpt|o\d|codex|gemini|qwen|deepseek|llama|mistral|grok|kimi|glm)[a-z0-9.-]{0,50}$/i.test(model)
    ? model
    : "other";
}

/**
 * [EX261] What a chat repeated of the brief of a dead session that it continued. Null where no chat
 * continued the session, or the one that did was given no brief.
 */
export function rediscoveryOf(
  sql: Sql,
  { session, continuedBy }: Pick<RecoveryProgress, "session" | "continuedBy">,
): recoveries.Rediscovery | null {
  if (continuedBy === null) return null;
  return recoveries.latestOffer(sql, session, continuedBy)?.detail.rediscovery ?? null;
}

/** Dead sessions that were offered or decided since then, each with its resolution. */
export function pastOffers(sql: Sql, since: number): PastOffer[] {
  const known = resolve(recoveries.listEvents(sql, { since }));
  const seen = known.filter(({ resolution, offeredTo }) => resolution !== "open" || offeredTo.length > 0);
  return seen.map(({ session, at, resolution }) => {
    const dead = sessions.get(sql, session);
    return { at, ageMs: Math.max(0, at - (dead?.deathAt ?? dead?.lastSeenAt ?? at)), resolution };
  });
}
