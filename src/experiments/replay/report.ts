import { median } from "simple-statistics";
import type { Config } from "../../contract/config.ts";
import type { ReplayReport } from "../../contract/machine/replay.ts";
import type { ReplaySession } from "../../contract/replay.ts";
import { withSetting } from "../../shared/setting-keys.ts";
import { compareWith, meansOf } from "./compare.ts";
import { outcomeOf, type Outcome } from "./loss.ts";
import { replay } from "./replay.ts";
import type { Variant } from "./variants.ts";

/** [EX45] @param all oldest first */
export function replayReport(
  all: readonly ReplaySession[],
  config: Config,
  variants: readonly Variant[],
): ReplayReport {
  const sessions = all.filter(({ isComplete, events }) => isComplete && events.length > 0);
  const outcomes = sessions.map((session) => outcomeOf(session, config));
  const { made, remade } = remadeSaves(sessions, config);
  return {
    sessions: sessions.length,
    incomplete: all.length - sessions.length,
    activeHours: outcomes.reduce((sum, { activeHours }) => sum + activeHours, 0),
    made,
    remade,
    means: meansOf(outcomes),
    saveMs: meanSaveMs(sessions),
    deaths: deathsOf(outcomes),
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

function meanSaveMs(sessions: readonly ReplaySession[]): number | null {
  const timed = sessions.flatMap(({ durations }) => durations["shim_save_duration_seconds"] ?? []);
  const count = timed.reduce((sum, one) => sum + one.count, 0);
  return count === 0 ? null : timed.reduce((sum, { sumMs }) => sum + sumMs, 0) / count;
}

function deathsOf(outcomes: readonly Outcome[]): ReplayReport["deaths"] {
  const deaths = outcomes.filter(({ atDeath }) => atDeath !== null);
  const leads = deaths.flatMap(({ warnedSeconds }) =>
    warnedSeconds === null || warnedSeconds === 0 ? [] : [warnedSeconds],
  );
  return {
    count: deaths.length,
    unsavedCalls: deaths.reduce((sum, { atDeath }) => sum + (atDeath?.toolCalls ?? 0), 0),
    warned: leads.length,
    medianLeadSeconds: leads.length === 0 ? null : median(leads),
  };
}
