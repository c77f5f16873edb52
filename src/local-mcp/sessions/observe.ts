import type { Readings, Risk } from "../../contract/readings.ts";
import type { Sql } from "../../shared/sql.ts";
import type { Trigger } from "../checkpoints/checkpoints.ts";
import { dueByCount, type TriggerFacts } from "../checkpoints/triggers.ts";
import type { Runtime } from "../runtime.ts";
import { afterCompaction, derive, fromTranscript, merge, type ToolOutcome } from "../signals/collector.ts";
import * as history from "../signals/history.ts";
import { oomKills, share, systemMemory } from "../signals/memory.ts";
import { assess } from "../signals/risk.ts";
import type { TranscriptPart } from "../signals/transcript.ts";
import { assistant } from "./entries.ts";
import * as journal from "./journal.ts";
import * as sessions from "./sessions.ts";

export interface Observation {
  readonly risk: Risk;
  readonly facts: Omit<TriggerFacts, "toolName">;
}

/** What one more look at a session tells: texts of the transcript into the journal, readings and risk into its row and history. */
export function observe(
  sql: Sql,
  runtime: Runtime,
  session: sessions.Session,
  part: TranscriptPart | null = null,
  fresh: Readings = {},
): Observation {
  const now = runtime.now();
  if (part) keepTexts(sql, session.id, now, part);
  const before = assess(session.readings, runtime.config.risk, now);
  const told = part ? merge(fromTranscript(part, session.readings, runtime.env, now), fresh) : fresh;
  const readings = merge(merge(session.readings, derived(sql, runtime, session, now)), told);
  const risk = assess(readings, runtime.config.risk, now);
  const model = part?.contextUsage?.model ?? null;
  sessions.update(sql, session.id, { readings, model, ...(part ? { transcriptOffset: part.offset } : {}) });
  history.record(sql, now, session.id, readings, risk);
  const facts = {
    toolCalls: toolCallsSinceCheckpoint(sql, session.id),
    sinceSavedMs: session.savedAt === null ? null : now - session.savedAt,
    levelBefore: before.level,
    levelNow: risk.level,
  };
  return { risk, facts };
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

/** Prompts come from hooks with ids of their own; of the transcript only the assistant's texts are new. */
function keepTexts(sql: Sql, sessionId: string, now: number, part: TranscriptPart): void {
  for (const text of part.texts) {
    if (text.role === "assistant") keepAssistant(sql, sessionId, text.at ?? now, text.text);
  }
}

/** [JO2] A text that the hook and the transcript both tell stands in the turn once; the same words in a later turn are said again. */
export function keepAssistant(sql: Sql, sessionId: string, at: number, text: string): void {
  const said = assistant(text);
  if (!said) return;
  const turn = journal.newest(sql, sessionId, ["prompt", "assistant"], 20);
  const start = turn.findIndex((row) => row.entry.kind === "prompt");
  const inTurn = start < 0 ? turn : turn.slice(0, start);
  if (inTurn.some((row) => row.entry.kind === "assistant" && row.entry.text === said.entry.text)) return;
  const promptSeq = turn[start]?.seq ?? 0;
  journal.append(sql, sessionId, at, `${said.key}:${promptSeq}`, said.entry);
}

function derived(sql: Sql, runtime: Runtime, session: sessions.Session, now: number): Readings {
  const kills = oomKills(systemMemory);
  const readings = derive(
    {
      startedAt: session.startedAt,
      toolCalls: session.toolCalls,
      toolErrors: session.toolErrors,
      recentTools: recentTools(sql, session.id),
      lastCheckpointAt: session.savedAt,
      transcriptBytes: null,
      clientMemoryBytes: session.owner ? (runtime.processes.facts(session.owner.pid)?.residentBytes ?? null) : null,
      hostMemory: share(systemMemory),
    },
    now,
  );
  return kills === null ? readings : { ...readings, oomKills: { value: kills, source: "measured", at: now } };
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

function toolCallsSinceCheckpoint(sql: Sql, sessionId: string): number {
  const [row] = sql.all<{ n: number }>(
    `SELECT count(*) AS n FROM journal WHERE session_id = ? AND kind IN ('tool_end', 'tool_error')
       AND seq > coalesce((SELECT journal_seq FROM checkpoints WHERE session_id = ? ORDER BY seq DESC LIMIT 1), 0)`,
    sessionId,
    sessionId,
  );
  return row?.n ?? 0;
}
