import type { Trigger } from "../../../contract/checkpoint.ts";
import type { Config } from "../../../contract/config.ts";
import type { Reading, Readings, RiskMark } from "../../../contract/readings.ts";
import type { ReplayEvent, ReplaySample, ReplaySession } from "../../../contract/replay.ts";
import { derive, merge, type ToolOutcome } from "../../policy/readings.ts";
import { markReading, assess, timerTrigger, type SaveLimits } from "../../policy/risk.ts";

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
export const tickMs = 15_000;
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
