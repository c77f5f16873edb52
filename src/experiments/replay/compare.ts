import type { Comparison, PolicyMeans } from "../../contract/machine/replay.ts";
import type { ReplaySession } from "../../contract/replay.ts";
import { judgePairs } from "../statistics/randomization-test.ts";
import { outcomeOf, type Outcome, type Policy } from "./loss.ts";

/** Differences of at most this size make no difference that matters. */
const margins = { toolCalls: 0.5, savesPerHour: 3 };
/** Differences of one session beyond these count as these. */
const largest = { toolCalls: 6, savesPerHour: 30 };

export function meansOf(outcomes: readonly Outcome[]): PolicyMeans {
  const hours = sum(outcomes, ({ activeHours }) => activeHours);
  const mean = (read: (one: Outcome) => number): number =>
    outcomes.length === 0 ? 0 : sum(outcomes, read) / outcomes.length;
  const perHour = (read: (one: Outcome) => number): number => (hours === 0 ? 0 : sum(outcomes, read) / hours);
  return {
    toolCalls: mean(({ unsaved }) => unsaved.toolCalls),
    edits: mean(({ unsaved }) => unsaved.edits),
    seconds: mean(({ unsaved }) => unsaved.seconds),
    notShown: mean(({ notShown }) => notShown),
    savesPerHour: perHour(({ saves }) => saves),
    bytesPerHour: perHour(({ bytes }) => bytes),
    alarmsPerHour: perHour(({ alarms }) => alarms),
  };
}

/** [EX44] Each session under both policies: needs a fraction of the sessions of a live trial. */
export function compare(sessions: readonly ReplaySession[], present: Policy, other: Policy): Comparison {
  const controls = sessions.map((session) => outcomeOf(session, present));
  return compareWith(sessions, controls, other);
}

/** For several policies: `controls` are the outcomes of the present one. */
export function compareWith(
  sessions: readonly ReplaySession[],
  controls: readonly Outcome[],
  other: Policy,
): Comparison {
  const treated = sessions.map((session) => outcomeOf(session, other));
  const differences = (read: (one: Outcome) => number): number[] =>
    treated.flatMap((one, index) => {
      const control = controls[index];
      return control === undefined ? [] : [read(one) - read(control)];
    });
  return {
    sessions: sessions.length,
    means: meansOf(treated),
    toolCalls: judgePairs(
      differences(({ unsaved }) => unsaved.toolCalls),
      largest.toolCalls,
      margins.toolCalls,
    ),
    saves: judgePairs(differences(savesPerHour), largest.savesPerHour, margins.savesPerHour),
  };
}

function savesPerHour({ saves, activeHours }: Outcome): number {
  return activeHours === 0 ? 0 : saves / activeHours;
}

function sum<T>(list: readonly T[], read: (one: T) => number): number {
  return list.reduce((total, one) => total + read(one), 0);
}
