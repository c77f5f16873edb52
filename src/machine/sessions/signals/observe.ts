import { setImmediate as nextTurn } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import * as history from "./crashes.ts";
import * as journal from "../journal.ts";
import * as sessions from "../sessions.ts";
import type { Config } from "../../../contract/config.ts";
import type { Risk } from "../../../contract/machine/sessions.ts";
import type { Readings } from "../../../contract/readings.ts";
import type { Sql } from "../../../shared/sql.ts";
import { type SaveFacts, markReading, assess } from "./risk.ts";
import type { Runtime } from "../../../runtime/runtime.ts";
import { afterCompaction, derive, merge, type ToolOutcome } from "./readings.ts";
import { fromTranscript } from "./context-readings.ts";
import { oomKills, share, systemMemory } from "../../../platform/memory.ts";
import { sessionConfig, isSessionPaused } from "../session-settings.ts";
import { readAppended, stepBytes, type TranscriptPart } from "../../../clients/transcript.ts";
import { unreadBytes } from "../../../clients/transcript/transcript-file.ts";
import { unsavedOf } from "../session-content.ts";
import { readLimitsOf, recordWithinBudget } from "../transcripts/record-transcript.ts";

export interface Observation {
  readonly risk: Risk;
  readonly readings: Readings;
  readonly facts: SaveFacts;
  /** Settings of this session. */
  readonly config: Config;
}

/** Reads the transcript on and takes all readings; `fresh` are those that only the caller has. */
export function refresh(runtime: Runtime, session: sessions.Session, fresh: Readings = {}): Observation {
  const part = readOn(runtime, session);
  return runtime.store.write((sql) => {
    const isNew = recordIfNew(sql, runtime, session, part);
    return observe(sql, runtime, session, isNew ? part : null, fresh);
  });
}

/** Reads what a transcript has grown by in steps, between which other chats have turns. */
export async function readInSteps(runtime: Runtime, sessionId: string): Promise<void> {
  for (;;) {
    const session = runtime.store.read((sql) => {
      const found = sessions.get(sql, sessionId);
      return found && !isSessionPaused(sql, runtime.now(), found) ? found : null;
    }, null);
    const from = session?.transcriptOffset ?? 0;
    if (!session?.transcriptPath || unreadBytes(session.transcriptPath, from) <= stepBytes) return;
    const part = readOn(runtime, session, stepBytes);
    if (!part || part.offset === from) return;
    runtime.store.write((sql) => {
      if (recordIfNew(sql, runtime, session, part))
        sessions.update(sql, session.id, partChange(runtime, session, part));
    });
    await nextTurn();
  }
}

function readOn(runtime: Runtime, session: sessions.Session, step = Infinity): TranscriptPart | null {
  const { transcriptPath: path, transcriptOffset: from } = session;
  if (path === null) return null;
  const limits = runtime.store.read((sql) => readLimitsOf(sql, path, session), {});
  return readAppended(path, from, { ...limits, stepBytes: step });
}

/** @returns false: a hook has read the same part meanwhile */
function recordIfNew(sql: Sql, runtime: Runtime, session: sessions.Session, part: TranscriptPart | null): boolean {
  const isNew = sessions.get(sql, session.id)?.transcriptOffset === session.transcriptOffset;
  if (part && isNew) recordWithinBudget(sql, session, part, runtime.now(), { prices: runtime.config.usage.prices });
  return isNew;
}

/** Takes the readings without the transcript. */
export function observeNow(runtime: Runtime, session: sessions.Session): Observation {
  return runtime.store.write((sql) => observe(sql, runtime, session));
}

/** @param seen the caller's copy: the row is read again, since others write to it too */
export function observe(
  sql: Sql,
  runtime: Runtime,
  seen: sessions.Session,
  part: TranscriptPart | null = null,
  fresh: Readings = {},
): Observation {
  return observeRow(sql, runtime, sessions.get(sql, seen.id) ?? seen, part, fresh);
}

/** @param session its row as it stands in this transaction */
export function observeRow(
  sql: Sql,
  runtime: Runtime,
  session: sessions.Session,
  part: TranscriptPart | null = null,
  fresh: Readings = {},
): Observation {
  const now = runtime.now();
  const change = part ? partChange(runtime, session, part) : {};
  const { readings: known = session.readings } = change;
  const unsaved = unsavedOf(sql, session.id);
  const derived = derivedReadings(sql, runtime, session, unsaved.events > 0, now);
  const readings = merge(merge(known, derived), fresh);
  const config = sessionConfig(sql, runtime.config, session.id);
  const risk = assess(readings, config.risk, now);
  sessions.update(sql, session.id, { ...change, readings });
  history.record(sql, now, session.id, readings, risk);
  const riskMark = markReading(session.riskMark, risk.level, now);
  if (!isDeepStrictEqual(riskMark, session.riskMark)) sessions.setRiskMark(sql, session.id, riskMark);
  const facts = {
    toolCalls: unsaved.toolCalls,
    sinceSavedMs: session.savedAt === null ? null : now - session.savedAt,
    isRiskPending: riskMark.pending !== null,
  };
  return { risk, readings, facts, config };
}

/** Change of a session's row by a part of its transcript. */
export function partChange(
  { env, now }: Pick<Runtime, "env" | "now">,
  session: sessions.Session,
  part: TranscriptPart,
): sessions.SessionChange {
  const at = now();
  // A compaction may be reported by the transcript alone.
  const { compactBoundary } = part;
  const old = compactBoundary ? afterCompaction(session.readings, compactBoundary.at ?? at) : session.readings;
  return {
    readings: merge(old, fromTranscript(part, old, env, at)),
    transcriptOffset: part.offset,
    model: part.contextUsage?.model ?? null,
    clientVersion: part.clientVersion,
    ...(part.offset > session.transcriptOffset ? { workedAt: at } : {}),
  };
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
