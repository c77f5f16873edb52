import { mean, sum } from "simple-statistics";
import type { Config } from "../../../contract/config.ts";
import type { Comparison, PolicyMeans, ReplayReport } from "../../../contract/machine/learning.ts";
import type { ReplaySession } from "../../../contract/replay.ts";
import { withSetting } from "../../../shared/setting-keys.ts";
import type { Variant } from "../parameters.ts";
import { judgePairs } from "../exact-tests.ts";
import { isCall, replay, type SavePolicy } from "./replay.ts";

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

export const idleAfterMs = 300_000;

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

/** Each session under both policies: needs a fraction of the sessions of a live trial. */
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
      comparison: compareWith(sessions, outcomes, withSetting(config, key, value)),
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
