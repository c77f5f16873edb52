import { mean, median, sum } from "simple-statistics";
import type { Config } from "../../contract/config.ts";
import type { Comparison, PolicyMeans, ReplayReport } from "../../contract/machine/learning.ts";
import type { RiskLevel } from "../../contract/readings.ts";
import type { ReplayEvent, ReplaySession } from "../../contract/replay.ts";
import { withSetting } from "../../shared/setting-keys.ts";
import type { Variant } from "../parameters.ts";
import { judgePairs } from "../exact-tests.ts";
import { replay, type Replayed, type ReplayedSave, type SavePolicy } from "./replay.ts";

/**
 * Content that the newest checkpoint lacks. On the machine itself the journal still has it; another
 * machine that continues the session has checkpoints only.
 */
interface Unsaved {
  readonly toolCalls: number;
  readonly edits: number;
  /** Time since the last checkpoint; 0 while nothing is unsaved. */
  readonly seconds: number;
}

/** Means over every active moment as the moment of death. */
export interface Outcome extends Unsaved {
  /** Time with events; after five minutes without one a chat counts as idle. */
  readonly activeHours: number;
  readonly saves: number;
  /** Rises to danger or higher. */
  readonly alarms: number;
  /** Seconds in danger or higher without a break until the death; null: it did not die. */
  readonly warnedSeconds: number | null;
  /** Tool calls that no checkpoint held at the real death; null: it did not die. */
  readonly callsAtDeath: number | null;
}

export const idleAfterMs = 300_000;
const nothing: Unsaved = { toolCalls: 0, edits: 0, seconds: 0 };

/** [EX43] Pure. */
export function outcomeOf(session: ReplaySession, policy: SavePolicy): Outcome {
  const replayed = replay(session, policy);
  const { events, end } = session;
  const total = new Integral(replayed.saves, events[0]?.at ?? 0);
  for (const [index, event] of events.entries()) total.add(event, index + 1, events[index + 1]?.at ?? end.at);
  const { activeMs, sums } = total;
  const average = (amount: number): number => (activeMs === 0 ? 0 : amount / activeMs);
  const isDead = end.kind === "died";
  return {
    activeHours: activeMs / 3_600_000,
    toolCalls: average(sums.toolCalls),
    edits: average(sums.edits),
    seconds: average(sums.seconds),
    saves: replayed.saves.filter(({ isNew }) => isNew).length,
    alarms: replayed.levels.filter(
      ({ level }, index) => isAlarm(level) && !isAlarm(replayed.levels[index - 1]?.level ?? "safe"),
    ).length,
    warnedSeconds: isDead ? warnedSeconds(session, replayed) : null,
    callsAtDeath: isDead ? total.unsaved.toolCalls : null,
  };
}

/** Between two events or checkpoints all but the time since a save is constant. */
class Integral {
  readonly #saves: readonly ReplayedSave[];
  #saved = 0;
  #savedAt: number;
  /** Its `seconds` is 0 while nothing is unsaved, otherwise 1. */
  unsaved = nothing;
  activeMs = 0;
  /** Times ms. */
  sums = nothing;

  constructor(saves: readonly ReplayedSave[], startedAt: number) {
    this.#saves = saves;
    this.#savedAt = startedAt;
  }

  /** @param until the next event, or the end */
  add({ at: eventAt, kind, isEdit }: ReplayEvent, events: number, until: number): void {
    const isCall = kind === "tool_end" || kind === "tool_error";
    const { toolCalls, edits } = this.unsaved;
    this.unsaved = { toolCalls: toolCalls + (isCall ? 1 : 0), edits: edits + (isEdit === true ? 1 : 0), seconds: 1 };
    const idleAt = Math.min(Math.max(until, eventAt), eventAt + idleAfterMs);
    let from = eventAt;
    for (let save = this.#saves[this.#saved]; save && save.events <= events; save = this.#saves[++this.#saved]) {
      // A checkpoint in a long pause covers the events before it, too.
      const at = Math.min(save.at, idleAt);
      this.#addTime(from, at);
      [from, this.#savedAt, this.unsaved] = [Math.max(from, at), save.at, nothing];
    }
    this.#addTime(from, idleAt);
    this.activeMs += idleAt - eventAt;
  }

  #addTime(from: number, until: number): void {
    const ms = Math.max(0, until - from);
    const meanAge = Math.max(0, (from + until) / 2 - this.#savedAt) / 1_000;
    const { toolCalls, edits, seconds } = this.unsaved;
    this.sums = {
      toolCalls: this.sums.toolCalls + toolCalls * ms,
      edits: this.sums.edits + edits * ms,
      seconds: this.sums.seconds + seconds * meanAge * ms,
    };
  }
}

function isAlarm(level: RiskLevel): boolean {
  return level === "danger" || level === "critical";
}

function warnedSeconds({ end }: ReplaySession, { levels }: Replayed): number {
  const rise = levels[levels.findLastIndex(({ level }) => !isAlarm(level)) + 1];
  return rise === undefined ? 0 : Math.max(0, end.at - rise.at) / 1_000;
}

/** A difference of unsaved tool calls of at most this size makes no difference that matters. */
const margin = 0.5;
/** Differences of one session beyond it count as it. */
const largest = 6;

/** [EX44] Each session under both policies: needs a fraction of the sessions of a live trial. */
export function compare(sessions: readonly ReplaySession[], present: SavePolicy, other: SavePolicy): Comparison {
  return compareWith(
    sessions,
    sessions.map((session) => outcomeOf(session, present)),
    other,
  );
}

/** For several policies: `controls` are the outcomes of the present one. */
function compareWith(sessions: readonly ReplaySession[], controls: readonly Outcome[], other: SavePolicy): Comparison {
  const treated = sessions.map((session) => outcomeOf(session, other));
  const differences = treated.map((one, index) => one.toolCalls - (controls[index] ?? one).toolCalls);
  return { means: meansOf(treated), toolCalls: judgePairs(differences, largest, margin) };
}

function meansOf(outcomes: readonly Outcome[]): PolicyMeans {
  const hours = sum(outcomes.map(({ activeHours }) => activeHours));
  const average = (read: (one: Outcome) => number): number => (outcomes.length === 0 ? 0 : mean(outcomes.map(read)));
  const perHour = (read: (one: Outcome) => number): number => (hours === 0 ? 0 : sum(outcomes.map(read)) / hours);
  return {
    toolCalls: average(({ toolCalls }) => toolCalls),
    edits: average(({ edits }) => edits),
    seconds: average(({ seconds }) => seconds),
    savesPerHour: perHour(({ saves }) => saves),
    alarmsPerHour: perHour(({ alarms }) => alarms),
  };
}

/** [EX45] @param all oldest first */
export function replayReport(
  all: readonly ReplaySession[],
  config: Config,
  variants: readonly Variant[],
): ReplayReport {
  const sessions = all.filter(({ isComplete, events }) => isComplete && events.length > 0);
  const outcomes = sessions.map((session) => outcomeOf(session, config));
  const atDeath = outcomes.flatMap(({ callsAtDeath }) => callsAtDeath ?? []);
  const leads = outcomes.flatMap(({ warnedSeconds: seconds }) => (seconds === null || seconds === 0 ? [] : [seconds]));
  return {
    sessions: sessions.length,
    incomplete: all.length - sessions.length,
    activeHours: sum(outcomes.map(({ activeHours }) => activeHours)),
    ...remadeSaves(sessions, config),
    means: meansOf(outcomes),
    deaths: {
      count: atDeath.length,
      unsavedCalls: sum(atDeath),
      warned: leads.length,
      medianLeadSeconds: leads.length === 0 ? null : median(leads),
    },
    variants: variants.map((variant) => ({
      ...variant,
      comparison: compareWith(sessions, outcomes, withSetting(config, variant.key, variant.value)),
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
    const times = replay(session, own).saves.map(({ at }) => at);
    made += session.saves.length;
    remade += session.saves.filter(({ at }) => times.some((one) => Math.abs(one - at) <= toleranceMs)).length;
  }
  return { made, remade };
}
