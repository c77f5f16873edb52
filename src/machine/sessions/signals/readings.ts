import { median } from "simple-statistics";
import type { Reading, ReadingName, Readings, Source } from "../../../contract/readings.ts";

/** Pure. */

export interface ToolOutcome {
  readonly name: string;
  readonly isError: boolean;
  /** Null if the client does not report it. */
  readonly durationMs: number | null;
}

export interface SessionFacts {
  readonly startedAt: number;
  readonly toolCalls: number;
  readonly toolErrors: number;
  /** Newest last; about the last fifty are enough. */
  readonly recentTools: readonly ToolOutcome[];
  /** Time of the last checkpoint, or `now` while nothing has changed since. */
  readonly lastCheckpointAt: number | null;
  readonly transcriptBytes: number | null;
  readonly clientMemoryBytes: number | null;
  /** Share in use, 0 to 1. */
  readonly hostMemory: number | null;
  readonly oomKills?: number | null;
}

const sourceRank: Readonly<Record<Source, number>> = { estimated: 0, reported: 1, measured: 2 };
/** Transcript and status line are read at every turn, and few turns are longer. */
const maxTrustMs = 600_000;

/** Newest calls that are counted, and their minimum: one error in one call is not 100 %. */
const errorWindow = 20;
const minErrorCalls = 5;
const latencyWindow = 5;
const minRatios = 3;
const minUsualCalls = 3;
/** Smaller differences are noise of the machine. */
const minDurationMs = 100;

/** Prefers measured to reported to estimated, unless over ten minutes older. */
export function merge(old: Readings, fresh: Readings): Readings {
  const merged: Partial<Record<ReadingName, Reading>> = { ...old };
  for (const [name, reading] of readingEntries(fresh)) {
    const before = merged[name];
    if (!before || replaces(before, reading)) merged[name] = reading;
  }
  return merged;
}

/** Drops what was read of the context until `at`. */
export function afterCompaction(readings: Readings, at: number): Readings {
  const isGone = (name: ReadingName, reading: Reading): boolean =>
    (name === "contextTokens" || name === "contextFill") && reading.at <= at;
  return Object.fromEntries(readingEntries(readings).filter(([name, reading]) => !isGone(name, reading)));
}

/** Errors need five calls, the latency trend three comparable ones. */
export function derive(facts: SessionFacts, now: number): Readings {
  return toReadings(
    {
      toolCalls: facts.toolCalls,
      toolErrors: errorShare(facts),
      latencyTrend: latencyTrend(facts.recentTools),
      transcriptBytes: facts.transcriptBytes,
      clientMemoryBytes: facts.clientMemoryBytes,
      hostMemory: facts.hostMemory,
      oomKills: facts.oomKills ?? null,
      sessionAgeMs: Math.max(0, now - facts.startedAt),
      sinceCheckpointMs: Math.max(0, now - (facts.lastCheckpointAt ?? facts.startedAt)),
    },
    "measured",
    now,
  );
}

function replaces(old: Reading, fresh: Reading): boolean {
  const better = sourceRank[fresh.source] - sourceRank[old.source];
  if (better === 0) return fresh.at >= old.at;
  return better > 0 ? old.at - fresh.at <= maxTrustMs : fresh.at - old.at > maxTrustMs;
}

function errorShare({ recentTools, toolCalls, toolErrors }: SessionFacts): number | null {
  const recent = recentTools.slice(-errorWindow);
  if (recent.length >= minErrorCalls) return recent.filter((tool) => tool.isError).length / recent.length;
  const isUncounted = recentTools.length === 0 && toolCalls >= minErrorCalls;
  return isUncounted ? Math.min(1, toolErrors / toolCalls) : null;
}

function latencyTrend(tools: readonly ToolOutcome[]): number | null {
  const timed = tools.flatMap(({ name, durationMs }) =>
    durationMs !== null && Number.isFinite(durationMs) ? [{ name, ms: Math.max(minDurationMs, durationMs) }] : [],
  );
  const earlier = timed.slice(0, -latencyWindow);
  const ratios = timed.slice(-latencyWindow).flatMap(({ name, ms }) => {
    const usual = earlier.filter((tool) => tool.name === name).map((tool) => tool.ms);
    return usual.length < minUsualCalls ? [] : [ms / median(usual)];
  });
  return ratios.length < minRatios ? null : median(ratios);
}

export function toReadings(values: Partial<Record<ReadingName, number | null>>, source: Source, at: number): Readings {
  return Object.fromEntries(
    Object.entries(values).flatMap(([name, value]): [string, Reading][] =>
      value !== null && Number.isFinite(value) ? [[name, { value, source, at }]] : [],
    ),
  );
}

function readingEntries(readings: Readings): [ReadingName, Reading][] {
  return Object.entries(readings) as [ReadingName, Reading][];
}
