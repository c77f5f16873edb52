import type { Readings, Risk } from "../../contract/readings.ts";
import type { Sql } from "../../shared/sql.ts";
import type { Trigger } from "../checkpoints/checkpoints.ts";
import { dueByCount, type TriggerFacts } from "../checkpoints/triggers.ts";
import type { Runtime } from "../runtime.ts";
import { calibrate } from "../signals/calibrate.ts";
import { afterCompaction, derive, fromTranscript, merge, type ToolOutcome } from "../signals/collector.ts";
import * as history from "../signals/history.ts";
import { oomKills, share, systemMemory } from "../signals/memory.ts";
import { assess } from "../signals/risk.ts";
import type { TranscriptPart } from "../signals/transcript.ts";
import { assistant, bound, limits } from "./entries.ts";
import * as journal from "./journal.ts";
import * as sessions from "./sessions.ts";

export interface Observation {
  readonly risk: Risk;
  readonly facts: Omit<TriggerFacts, "toolName">;
}

/**
 * What one more look at a session tells: readings and risk, into its row and history.
 *
 * @param seen the session as the caller knows it; its row is read again, for others write to it too
 * @param part what was read on in its transcript; its texts are kept by `keepTexts`
 */
export function observe(
  sql: Sql,
  runtime: Runtime,
  seen: sessions.Session,
  part: TranscriptPart | null = null,
  fresh: Readings = {},
): Observation {
  const now = runtime.now();
  const session = withoutOldContext(sessions.get(sql, seen.id) ?? seen, part, now);
  const news = newsOf(sql, session.id);
  const before = assess(session.readings, runtime.config.risk, now);
  const own = merge(session.readings, derived(sql, runtime, session, news.all > 0, now));
  const readings = merge(part ? merge(own, fromTranscript(part, session.readings, runtime.env, now)) : own, fresh);
  const risk = assess(readings, runtime.config.risk, now);
  sessions.update(sql, session.id, { readings, ...(part ? readOnTo(sql, part) : {}) });
  history.record(sql, now, session.id, readings, risk);
  const facts = {
    toolCalls: news.toolCalls,
    sinceSavedMs: session.savedAt === null ? null : now - session.savedAt,
    levelBefore: before.level,
    levelNow: risk.level,
  };
  return { risk, facts };
}

function readOnTo(sql: Sql, part: TranscriptPart): sessions.SessionChange {
  calibrate(sql, part);
  return { transcriptOffset: part.offset, model: part.contextUsage?.model ?? null };
}

/** Whether a look by the timer finds a checkpoint due. */
export function dueByTimer(observation: Observation, runtime: Runtime): Trigger | null {
  return dueByCount(observation.facts, runtime.config.checkpoint);
}

/** [SI17] The context readings from before a compaction hold no more. */
export function forgetContext(sql: Sql, now: number, session: sessions.Session): sessions.Session {
  const readings = afterCompaction(session.readings, now);
  sessions.update(sql, session.id, { readings });
  return { ...session, readings };
}

/**
 * Prompts come from hooks with ids of their own; of the transcript only the assistant's texts are new. [JO4] Called before what the
 * hook itself tells is kept: the transcript speaks of what came before.
 */
export function keepTexts(sql: Sql, sessionId: string, now: number, part: TranscriptPart): void {
  for (const text of part.texts) {
    if (text.role === "assistant") keepAssistant(sql, sessionId, text.at ?? now, text.text);
  }
  for (const { uuid, text, at } of part.apiErrors) {
    journal.append(sql, sessionId, at ?? now, `failure:${uuid}`, { kind: "failure", text: bound(text, limits.error) });
  }
}

/** [JO2] A text that the hook and the transcript both tell stands in the turn once; the same words in a later turn are said again. */
export function keepAssistant(sql: Sql, sessionId: string, at: number, text: string): void {
  const said = assistant(text);
  if (!said) return;
  const promptSeq = journal.newest(sql, sessionId, ["prompt"], 1)[0]?.seq ?? 0;
  journal.append(sql, sessionId, at, `${said.key}:${promptSeq}`, said.entry);
}

function derived(sql: Sql, runtime: Runtime, session: sessions.Session, hasNews: boolean, now: number): Readings {
  return derive(
    {
      startedAt: session.startedAt,
      toolCalls: session.toolCalls,
      toolErrors: session.toolErrors,
      recentTools: recentTools(sql, session.id),
      // While nothing has happened since the last checkpoint, all that is known is saved as of now.
      lastCheckpointAt: hasNews ? session.savedAt : now,
      transcriptBytes: null,
      clientMemoryBytes: session.owner ? (runtime.processes.facts(session.owner.pid)?.residentBytes ?? null) : null,
      hostMemory: share(systemMemory),
      oomKills: oomKills(systemMemory),
    },
    now,
  );
}

/** [SI17] A compaction that no hook told of stands in the transcript. */
function withoutOldContext(session: sessions.Session, part: TranscriptPart | null, now: number): sessions.Session {
  if (!part?.compactBoundary) return session;
  return { ...session, readings: afterCompaction(session.readings, part.compactBoundary.at ?? now) };
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

/** What the journal tells since the last checkpoint. */
function newsOf(sql: Sql, sessionId: string): { all: number; toolCalls: number } {
  const [row] = sql.all<{ all: number; toolCalls: number }>(
    `SELECT count(*) AS "all", coalesce(sum(kind IN ('tool_end', 'tool_error')), 0) AS toolCalls FROM journal
     WHERE session_id = ? AND seq > coalesce((SELECT journal_seq FROM checkpoints WHERE session_id = ? ORDER BY seq DESC LIMIT 1), 0)`,
    sessionId,
    sessionId,
  );
  return row ?? { all: 0, toolCalls: 0 };
}
