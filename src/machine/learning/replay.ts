import { sum } from "simple-statistics";
import type { Trigger } from "../../contract/checkpoint.ts";
import type { Config } from "../../contract/config.ts";
import type { Replayed } from "../../contract/learning.ts";
import type { Reading, Readings, RiskMark } from "../../contract/readings.ts";
import type { ReplayEvent, ReplaySample, ReplaySession } from "../../contract/replay.ts";
import { withSetting } from "../../shared/setting-keys.ts";
import { derive, merge, type ToolOutcome } from "../sessions/signals/readings.ts";
import { markReading, assess, timerTrigger, type SaveLimits } from "../sessions/signals/risk.ts";
import { judgePairs } from "../../learning/experiments/exact-tests.ts";
import type { Variant } from "../../learning/experiments/parameters.ts";

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
      .map(({ at, trigger }) => ({ at, take: () => run.saveAt(at, trigger as Trigger) })),
  ].toSorted((one, other) => one.at - other.at);
  for (const { take } of steps) take();
  run.idleUntil(session.endAt);
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

  saveAt(at: number, trigger: Trigger): void {
    this.#now = Math.max(this.#now, at);
    const events = this.#events;
    if (events > this.#savedEvents) this.saves.push({ at: this.#now, trigger, events });
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

/** After so long without an event a chat counts as idle. */
const idleAfterMs = 300_000;

/**
 * Pure. Tool calls that the newest checkpoint lacks, as the mean over every active moment as the
 * moment of death. On the machine itself the journal still has them; another machine that continues
 * the session has checkpoints only.
 */
export function lostCalls({ events, endAt }: ReplaySession, saves: readonly ReplayedSave[]): number {
  let [saved, calls, activeMs, callSum] = [0, 0, 0, 0];
  // Between two events or checkpoints all is constant.
  const addTime = (from: number, until: number): void => {
    callSum += calls * Math.max(0, until - from);
  };
  for (const [index, event] of events.entries()) {
    const { at } = event;
    if (isCall(event)) calls += 1;
    const idleAt = Math.min(Math.max(events[index + 1]?.at ?? endAt, at), at + idleAfterMs);
    let from = at;
    for (let save = saves[saved]; save && save.events <= index + 1; save = saves[++saved]) {
      // A checkpoint in a long pause covers the events before it, too.
      addTime(from, Math.min(save.at, idleAt));
      [from, calls] = [Math.max(from, Math.min(save.at, idleAt)), 0];
    }
    addTime(from, idleAt);
    activeMs += idleAt - at;
  }
  return activeMs === 0 ? 0 : callSum / activeMs;
}

/** A difference of unsaved tool calls of at most this size makes no difference that matters. */
const margin = 0.5;
/** Differences of one session beyond it count as it. */
const largest = 6;

/**
 * Each session under the present setting and under another value: that needs a fraction of the
 * sessions of a live trial.
 */
export function judgeVariants(
  all: readonly ReplaySession[],
  config: Config,
  variants: readonly Variant[],
): (Variant & { readonly replayed: Replayed })[] {
  const sessions = all.filter(({ isComplete, events }) => isComplete && events.length > 0);
  const run = (policy: SavePolicy) =>
    sessions.map((session) => {
      const saves = replay(session, policy);
      return { lost: lostCalls(session, saves), saves: saves.length, times: saves.map(({ at }) => at).join() };
    });
  const present = run(config);
  return variants.map(({ key, from, value }) => {
    const pairs = run(withSetting(config, key, value)).map((after, index) => ({
      before: present[index] ?? after,
      after,
    }));
    const differences = pairs.map(({ before, after }) => after.lost - before.lost);
    const replayed = {
      ...judgePairs(differences, largest, margin),
      changed: pairs.filter(({ before, after }) => before.times !== after.times).length,
      saves: {
        before: sum(pairs.map(({ before }) => before.saves)),
        after: sum(pairs.map(({ after }) => after.saves)),
      },
    };
    return { key, from, value, replayed };
  });
}
