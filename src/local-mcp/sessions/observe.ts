import type { Readings, Risk } from "../../contract/readings.ts";
import type { Sql } from "../../shared/sql.ts";
import type { Trigger } from "../checkpoints/checkpoints.ts";
import { timerTrigger as dueNow, type ToolCall, type TriggerFacts } from "../checkpoints/triggers.ts";
import { calibrate } from "../signals/calibrate.ts";
import { afterCompaction, derive, fromTranscript, merge, type ToolOutcome } from "../signals/collector.ts";
import * as history from "../signals/history.ts";
import { markReading, type RiskMark } from "../signals/risk-mark.ts";
import { assess } from "../signals/risk.ts";
import type { TranscriptPart } from "../signals/transcript.ts";
import { oomKills, share, systemMemory } from "../../platform/memory.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import { assistant, redactAndClip, idOf, limits } from "./entries.ts";
import * as journal from "./journal.ts";
import * as sessions from "./sessions.ts";
import { unsavedOf } from "./unsaved.ts";

export interface Observation {
  readonly risk: Risk;
  readonly facts: Omit<TriggerFacts, keyof ToolCall>;
}

/** @param seen the caller's copy: the row is read again, since others write to it too */
export function observe(
  sql: Sql,
  runtime: Runtime,
  seen: sessions.Session,
  part: TranscriptPart | null = null,
  fresh: Readings = {},
): Observation {
  const now = runtime.now();
  const stored = sessions.get(sql, seen.id) ?? seen;
  const session = part ? takeReadings(sql, runtime, stored, part) : stored;
  const unsaved = unsavedOf(sql, session.id);
  const readings = merge(
    merge(session.readings, derivedReadings(sql, runtime, session, unsaved.events > 0, now)),
    fresh,
  );
  const risk = assess(readings, runtime.config.risk, now);
  sessions.update(sql, session.id, { readings });
  history.record(sql, now, session.id, readings, risk);
  const riskMark = markReading(session.riskMark, risk.level, now);
  if (!isSameRiskMark(riskMark, session.riskMark)) sessions.setRiskMark(sql, session.id, riskMark);
  const facts = {
    toolCalls: unsaved.toolCalls,
    sinceSavedMs: session.savedAt === null ? null : now - session.savedAt,
    isRiskPending: riskMark.pending !== null,
  };
  return { risk, facts };
}

export function takeReadings(
  sql: Sql,
  runtime: Runtime,
  session: sessions.Session,
  part: TranscriptPart,
): sessions.Session {
  const now = runtime.now();
  const old = withoutOldContext(session.readings, part, now);
  const readings = merge(old, fromTranscript(part, old, runtime.env, now));
  sessions.update(sql, session.id, { readings, ...transcriptProgress(sql, part, session, now) });
  return { ...session, readings };
}

function isSameRiskMark(one: RiskMark, other: RiskMark): boolean {
  return one.covered === other.covered && one.pending === other.pending && one.belowAt === other.belowAt;
}

function transcriptProgress(
  sql: Sql,
  part: TranscriptPart,
  session: sessions.Session,
  now: number,
): sessions.SessionChange {
  calibrate(sql, part);
  const growth = part.offset > session.transcriptOffset ? { workedAt: now } : {};
  return {
    transcriptOffset: part.offset,
    model: part.contextUsage?.model ?? null,
    ...growth,
  };
}

export function timerTrigger(observation: Observation, runtime: Runtime): Trigger | null {
  return dueNow(observation.facts, runtime.config.checkpoint);
}

/** [SI17] */
export function clearContextReadings(sql: Sql, now: number, session: sessions.Session): sessions.Session {
  const readings = afterCompaction(session.readings, now);
  sessions.update(sql, session.id, { readings });
  return { ...session, readings };
}

/** [JO4] Runs before the hook's event is stored: the transcript describes what came before. */
export function recordTexts(sql: Sql, sessionId: string, now: number, part: TranscriptPart): void {
  for (const text of part.texts) {
    if (text.role === "assistant") recordAssistant(sql, sessionId, text.at ?? now, text.text);
  }
  for (const { uuid, text, at } of part.apiErrors) {
    journal.append(sql, sessionId, at ?? now, `failure:${idOf(uuid)}`, {
      kind: "failure",
      text: redactAndClip(text, limits.error),
    });
  }
}

/** [JO2] Stores a text from hook and transcript once per turn. */
export function recordAssistant(sql: Sql, sessionId: string, at: number, text: string): void {
  const keyedEntry = assistant(text);
  if (!keyedEntry) return;
  journal.append(sql, sessionId, at, `${keyedEntry.key}:${journal.newestPromptSeq(sql, sessionId)}`, keyedEntry.entry);
}

function derivedReadings(
  sql: Sql,
  runtime: Runtime,
  session: sessions.Session,
  hasNews: boolean,
  now: number,
): Readings {
  return derive(
    {
      startedAt: session.startedAt,
      toolCalls: session.toolCalls,
      toolErrors: session.toolErrors,
      recentTools: recentTools(sql, session.id),
      // Without news since the last checkpoint, everything known is saved as of now.
      lastCheckpointAt: hasNews ? session.savedAt : now,
      transcriptBytes: null,
      clientMemoryBytes: session.owner ? (runtime.processes.facts(session.owner.pid)?.residentBytes ?? null) : null,
      hostMemory: share(systemMemory),
      oomKills: oomKills(systemMemory),
    },
    now,
  );
}

/** [SI17] Handles a compaction that only the transcript reports. */
function withoutOldContext(readings: Readings, { compactBoundary }: TranscriptPart, now: number): Readings {
  return compactBoundary ? afterCompaction(readings, compactBoundary.at ?? now) : readings;
}

function recentTools(sql: Sql, sessionId: string): ToolOutcome[] {
  return journal
    .newest(sql, sessionId, ["tool_end", "tool_error"], 50)
    .toReversed()
    .flatMap(({ entry }) =>
      entry.kind === "tool_end" || entry.kind === "tool_error"
        ? [{ name: entry.name, isError: entry.kind === "tool_error", durationMs: entry.durationMs ?? null }]
        : [],
    );
}
