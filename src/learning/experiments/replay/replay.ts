import { mean, sum } from "simple-statistics";
import type { Trigger } from "../../../contract/checkpoint.ts";
import type { Config } from "../../../contract/config.ts";
import type { Comparison, PolicyMeans, ReplayReport } from "../../../contract/machine/learning.ts";
import type { Reading, Readings, RiskMark } from "../../../contract/readings.ts";
import type { ReplayEvent, ReplaySample, ReplaySession } from "../../../contract/replay.ts";
import { withSetting } from "../../../shared/setting-keys.ts";
import { derive, merge, type ToolOutcome } from "../../policy/readings.ts";
import { markReading, assess, timerTrigger, type SaveLimits } from "../../policy/risk.ts";
import { judgePairs } from "../exact-tests.ts";
import type { Variant } from "../parameters.ts";

/** Settings that decide when a checkpoint is made. */
export interface SavePolicy {
  readonly risk: Config["risk"];
  readonly checkpoint: SaveLimits;
}

export interface ReplayedSave {
  /** Milliseconds since the start of the session. */
  readonly at: number;
  readonly trigger: Trigger;
  /** Events that the checkpoint holds: those before this index. */
  readonly events: number;
  /** False: the newest checkpoint held the same state, and covers the later events too. */
  readonly isNew: boolean;
}

/** The shipped process takes its readings this often while it lives. */
const tickMs = 15_000;
const recentTools = 50;

const alwaysDue: Partial<Record<ReplayEvent["kind"], Trigger>> = {
  compacting: "compact",
  compacted: "compact",
  turn_end: "turn_end",
  failure: "turn_end",
  end: "session_end",
};
/** Made for reasons that a session's record does not hold; they stay where they were. */
const fixedTriggers: ReadonlySet<string> = new Set<Trigger>([
  "before_tool",
  "turn",
  "model_switch",
  "on_demand",
  "detached",
  "undo",
  "give",
]);

/**
 * Runs the shipped rules for readings, risk and checkpoints over a recorded session.
 * Pure; linear in events, samples, and 15 s steps with unsaved events.
 */
export function replay(session: ReplaySession, policy: SavePolicy): readonly ReplayedSave[] {
  const run = new Run(policy);
  const { events, samples, saves } = session;
  const times = new Set(events.map(({ at }) => at));
  // Steps of one time in this order: readings of an event's own time were taken with it.
  const steps = [
    ...samples.map((one) => ({ at: one.at, take: () => run.read(one, !times.has(one.at)) })),
    ...events.map((one) => ({ at: one.at, take: () => run.add(one) })),
    ...saves
      .filter(({ trigger }) => fixedTriggers.has(trigger))
      .map(({ at, trigger }) => ({ at, take: () => run.saveAt(at, trigger as Trigger, true) })),
  ].toSorted((one, other) => one.at - other.at);
  for (const { take } of steps) take();
  run.idleUntil(session.end.at);
  return run.saves;
}

export function isCall({ kind }: Pick<ReplayEvent, "kind">): boolean {
  return kind === "tool_end" || kind === "tool_error";
}

class Run {
  readonly #policy: SavePolicy;
  readonly saves: ReplayedSave[] = [];
  readonly #tools: ToolOutcome[] = [];
  #readings: Readings = {};
  #ofCalls: CallReadings = {};
  #mark: RiskMark = { covered: "safe", pending: null, belowAt: null };
  #events = 0;
  #savedEvents = 0;
  #isChanged = false;
  #unsavedCalls = 0;
  #savedAt: number | null = null;
  #now = 0;

  constructor(policy: SavePolicy) {
    this.#policy = policy;
  }

  read({ at, readings }: ReplaySample, isObserved: boolean): void {
    this.idleUntil(at);
    const fresh = Object.fromEntries(
      Object.entries(readings).map(([name, reading]) => [name, { ...reading, source: "measured" as const }]),
    );
    this.#readings = merge(this.#readings, fresh);
    if (isObserved) this.#observe();
  }

  add(event: ReplayEvent): void {
    this.idleUntil(event.at);
    this.#events += 1;
    this.#isChanged ||= event.isSame !== true;
    if (isCall(event)) this.#addCall(event);
    const due = alwaysDue[event.kind];
    if (due !== undefined) this.saveAt(event.at, due);
    else if (isCall(event)) this.#observe();
  }

  /** Time passes; while something is unsaved, the process takes readings. */
  idleUntil(at: number): void {
    for (let next = this.#now + tickMs; next < at && this.#events > this.#savedEvents; next += tickMs) {
      this.#now = next;
      this.#observe();
    }
    this.#now = Math.max(this.#now, at);
  }

  /** @param isMade it is recorded, whatever it held */
  saveAt(at: number, trigger: Trigger, isMade = false): void {
    this.#now = Math.max(this.#now, at);
    const events = this.#events;
    const isNew = isMade || this.#isChanged;
    if (isMade || events > this.#savedEvents) this.saves.push({ at: this.#now, trigger, events, isNew });
    this.#isChanged = false;
    this.#savedAt = this.#now;
    this.#savedEvents = this.#events;
    this.#unsavedCalls = 0;
    this.#mark = { ...this.#mark, covered: this.#mark.pending ?? this.#mark.covered, pending: null };
  }

  #addCall({ tool = "", kind, durationMs }: ReplayEvent): void {
    this.#unsavedCalls += 1;
    this.#tools.push({ name: tool, isError: kind === "tool_error", durationMs: durationMs ?? null });
    if (this.#tools.length > recentTools) this.#tools.shift();
    this.#ofCalls = readingsOfCalls(this.#tools);
  }

  #observe(): void {
    const now = this.#now;
    const isUnsaved = this.#events > this.#savedEvents;
    const age = isUnsaved ? now - (this.#savedAt ?? 0) : 0;
    // Readings of calls as if taken now: between two calls they stay the same.
    const ofCalls = Object.entries(this.#ofCalls).map(([name, reading]) => [name, { ...reading, at: now }]);
    this.#readings = { ...this.#readings, ...Object.fromEntries(ofCalls), sinceCheckpointMs: measured(age, now) };
    const { level } = assess(this.#readings, this.#policy.risk, now);
    this.#mark = markReading(this.#mark, level, now);
    const trigger = timerTrigger(
      {
        toolCalls: this.#unsavedCalls,
        sinceSavedMs: this.#savedAt === null ? null : now - this.#savedAt,
        isRiskPending: this.#mark.pending !== null,
      },
      this.#policy.checkpoint,
    );
    if (trigger !== null) this.saveAt(now, trigger);
  }
}

type CallReadings = Pick<Readings, "toolErrors" | "latencyTrend">;

function readingsOfCalls(tools: readonly ToolOutcome[]): CallReadings {
  const facts = { startedAt: 0, toolCalls: tools.length, toolErrors: 0, recentTools: tools, lastCheckpointAt: null };
  const unknown = { transcriptBytes: null, clientMemoryBytes: null, hostMemory: null };
  const { toolErrors, latencyTrend } = derive({ ...facts, ...unknown }, 0);
  return { ...(toolErrors ? { toolErrors } : {}), ...(latencyTrend ? { latencyTrend } : {}) };
}

function measured(value: number, at: number): Reading {
  return { value, source: "measured", at };
}

/**
 * Content that the newest checkpoint lacks, as means over every active moment as the moment of
 * death. On the machine itself the journal still has it; another machine that continues the session
 * has checkpoints only.
 */
export interface Outcome {
  readonly toolCalls: number;
  /** Time since the last checkpoint; 0 while nothing is unsaved. */
  readonly seconds: number;
  /** Time with events; after five minutes without one a chat counts as idle. */
  readonly activeHours: number;
  readonly saves: number;
  /** Tool calls that no checkpoint held at the real death; null: it did not die. */
  readonly callsAtDeath: number | null;
}

const idleAfterMs = 300_000;

/** Pure. Between two events or checkpoints all but the time since a save is constant. */
export function outcomeOf(session: ReplaySession, policy: SavePolicy): Outcome {
  const { events, end } = session;
  const saves = replay(session, policy);
  let [saved, savedAt, calls, isUnsaved] = [0, events[0]?.at ?? 0, 0, false];
  let [activeMs, callSum, secondSum] = [0, 0, 0];
  const addTime = (from: number, until: number): void => {
    const ms = Math.max(0, until - from);
    callSum += calls * ms;
    if (isUnsaved) secondSum += (ms * Math.max(0, (from + until) / 2 - savedAt)) / 1_000;
  };
  for (const [index, event] of events.entries()) {
    const { at } = event;
    if (isCall(event)) calls += 1;
    isUnsaved = true;
    const idleAt = Math.min(Math.max(events[index + 1]?.at ?? end.at, at), at + idleAfterMs);
    let from = at;
    for (let save = saves[saved]; save && save.events <= index + 1; save = saves[++saved]) {
      // A checkpoint in a long pause covers the events before it, too.
      const until = Math.min(save.at, idleAt);
      addTime(from, until);
      [from, savedAt, calls, isUnsaved] = [Math.max(from, until), save.at, 0, false];
    }
    addTime(from, idleAt);
    activeMs += idleAt - at;
  }
  return {
    toolCalls: activeMs === 0 ? 0 : callSum / activeMs,
    seconds: activeMs === 0 ? 0 : secondSum / activeMs,
    activeHours: activeMs / 3_600_000,
    saves: saves.filter(({ isNew }) => isNew).length,
    callsAtDeath: end.kind === "died" ? calls : null,
  };
}

/** A difference of unsaved tool calls of at most this size makes no difference that matters. */
const margin = 0.5;
/** Differences of one session beyond it count as it. */
const largest = 6;

/**
 * Each session under both policies: needs a fraction of the sessions of a live trial.
 *
 * @param controls outcomes of the present policy
 */
function compare(sessions: readonly ReplaySession[], controls: readonly Outcome[], other: SavePolicy): Comparison {
  const treated = sessions.map((session) => outcomeOf(session, other));
  const differences = treated.map((one, index) => one.toolCalls - (controls[index] ?? one).toolCalls);
  return { means: meansOf(treated), toolCalls: judgePairs(differences, largest, margin) };
}

function meansOf(outcomes: readonly Outcome[]): PolicyMeans {
  const hours = sum(outcomes.map(({ activeHours }) => activeHours));
  const average = (read: (one: Outcome) => number): number => (outcomes.length === 0 ? 0 : mean(outcomes.map(read)));
  return {
    toolCalls: average(({ toolCalls }) => toolCalls),
    seconds: average(({ seconds }) => seconds),
    savesPerHour: hours === 0 ? 0 : sum(outcomes.map(({ saves }) => saves)) / hours,
  };
}

/** @param all oldest first */
export function replayReport(
  all: readonly ReplaySession[],
  config: Config,
  variants: readonly Variant[],
): ReplayReport {
  const sessions = all.filter(({ isComplete, events }) => isComplete && events.length > 0);
  const outcomes = sessions.map((session) => outcomeOf(session, config));
  const atDeath = outcomes.flatMap(({ callsAtDeath }) => callsAtDeath ?? []);
  return {
    sessions: sessions.length,
    incomplete: all.length - sessions.length,
    activeHours: sum(outcomes.map(({ activeHours }) => activeHours)),
    ...remadeSaves(sessions, config),
    means: meansOf(outcomes),
    deaths: { count: atDeath.length, unsavedCalls: sum(atDeath) },
    variants: variants.map(({ key, from, value }) => ({
      key,
      from,
      value,
      comparison: compare(sessions, outcomes, withSetting(config, key, value)),
    })),
  };
}

const toleranceMs = 20_000;

/** By the settings that each session had, so that it shows whether replay is to be believed. */
function remadeSaves(sessions: readonly ReplaySession[], config: Config): { made: number; remade: number } {
  let [made, remade] = [0, 0];
  for (const session of sessions) {
    if (session.changed === null || session.saves.length === 0) continue;
    const own = Object.entries(session.changed).reduce(
      (before, [key, value]) => withSetting(before, key, value),
      config,
    );
    const times = replay(session, own).map(({ at }) => at);
    made += session.saves.length;
    remade += session.saves.filter(({ at }) => times.some((one) => Math.abs(one - at) <= toleranceMs)).length;
  }
  return { made, remade };
}
