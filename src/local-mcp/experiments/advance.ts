import {
  atEnd,
  judgeCanary,
  observeSession,
  pastOf,
  planWatch,
  startCanaryState,
  type CanaryPlan,
  type CanaryState,
  type CanaryUnit,
} from "../../experiments/engine/canary.ts";
import { move, type Experiment } from "../../experiments/engine/experiment.ts";
import type { Sql } from "../../shared/sql.ts";
import * as totals from "../../store/metric-totals.ts";
import * as notices from "../../store/notices.ts";
import { nextUnits, sessionsSince, untreatedBefore } from "./units.ts";

/**
 * One step of a running experiment by the sessions that have ended since; the same one where there
 * is nothing new. Part of the caller's transaction; files are written afterwards.
 */
export function advance(sql: Sql, now: number, experiment: Experiment): Experiment {
  if (experiment.state === "canary") return advanceCanary(sql, now, experiment);
  return experiment.state === "deployed" ? advanceWatch(sql, now, experiment) : experiment;
}

const dayMs = 86_400_000;

function daysIn(experiment: Experiment, now: number): number {
  const since = experiment.steps.findLast(({ state }) => state === experiment.state)?.at ?? now;
  return Math.max(0, now - since) / dayMs;
}

function advanceCanary(sql: Sql, now: number, experiment: Experiment): Experiment {
  const { plan, canary: before } = experiment;
  if (!plan || !before) return move(experiment, "stopped", now, "its plan is missing");
  const units = nextUnits(sql, now, experiment.id, countOf(before), unitsLeft(plan, before));
  const days = daysIn(experiment, now);
  const canary = atEnd(plan, observeAll(plan, before, units), days);
  const counted = { ...experiment, canary };
  const verdict = judgeCanary(plan, canary, days);
  const sessions = `${countOf(canary)} sessions, ${canary.counts[1]} of them with the new value`;
  switch (verdict) {
    case "running":
      return counted;
    case "stopped":
      return violated(sql, now, counted, move(counted, "stopped", now, `${canary.violated} after ${sessions}`));
    case "better":
      return move({ ...counted, verdict }, "deploying", now, sessions);
    case "equivalent":
    case "worse":
    case "undecided":
      return move({ ...counted, verdict }, "decided", now, `${verdict} after ${sessions}`);
  }
}

/** A canary that only watches ends with its planned sessions, however many have ended meanwhile. */
function unitsLeft({ primary, units }: CanaryPlan, state: CanaryState): number | undefined {
  return primary === null ? Math.max(0, units - countOf(state)) : undefined;
}

/** The watch begins when the new value holds for all chats, which it has since the last step. */
export function startWatch(sql: Sql, experiment: Experiment, now: number, note: string): Experiment {
  const deployedAt = experiment.steps.at(-1)?.at ?? now;
  const plan = planWatch(pastOf(untreatedBefore(sql, deployedAt, experiment.id)));
  return move({ ...experiment, watch: { plan, state: startCanaryState(plan) } }, "deployed", now, note);
}

function advanceWatch(sql: Sql, now: number, experiment: Experiment): Experiment {
  const { watch } = experiment;
  const since = experiment.steps.findLast(({ state }) => state === "deployed")?.at ?? now;
  if (!watch) return move(experiment, "rolling_back", now, "its guardrails are missing");
  const units = sessionsSince(sql, now, since, countOf(watch.state));
  const state = observeAll(watch.plan, watch.state, units);
  const counted = { ...experiment, watch: { ...watch, state } };
  const after = `after ${countOf(state)} sessions`;
  if (state.violated !== null)
    return violated(sql, now, counted, move(counted, "rolling_back", now, `${state.violated} ${after}`));
  return daysIn(experiment, now) >= watch.plan.maxDays ? move(counted, "kept", now, after) : counted;
}

/** [EX57] Reported, counted and stored with the step that takes the value back. */
function violated(sql: Sql, now: number, { key, from, to }: Experiment, stopped: Experiment): Experiment {
  const reason = stopped.steps.at(-1)?.note ?? "";
  totals.add(sql, "shim_experiment_stops_total", { labels: [stopped.state === "stopped" ? "canary" : "deployed"] });
  notices.add(
    sql,
    now,
    "experiment",
    `experiment ${stopped.id} was stopped (${reason}): ${key} is ${from} again, not ${to}.`,
  );
  return stopped;
}

function observeAll(plan: CanaryPlan, state: CanaryState, units: readonly CanaryUnit[]): CanaryState {
  return units.reduce((before, unit) => observeSession(plan, before, unit), state);
}

function countOf({ counts }: CanaryState): number {
  return counts[0] + counts[1];
}
