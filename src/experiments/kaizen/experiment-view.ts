import type { ExperimentView } from "../../contract/machine/experiments.ts";
import type { WorkspaceTrial } from "../../contract/workspace-trials.ts";
import { isRunning, type Experiment } from "../engine/experiment.ts";
import { isRunning as isTrialRunning } from "../workspace/trial.ts";

/** Fields of both kinds. */
function commonView(one: Experiment | WorkspaceTrial) {
  const { id, key, from, to, reason, state, verdict, steps } = one;
  const words = state === "decided" && verdict !== null ? `decided: ${verdict}` : wordsOf(state);
  const shown = steps.map((step) => ({ at: step.at, state: wordsOf(step.state), note: step.note }));
  return { id, key, from, to, reason, state: words, steps: shown };
}

function wordsOf(state: string): string {
  return state.replace("_", " ");
}

export function viewOfExperiment(one: Experiment): ExperimentView {
  const { plan, canary } = one;
  return {
    ...commonView(one),
    scope: "machine",
    isRunning: isRunning(one),
    plan: plan && {
      share: plan.share,
      sessions: plan.units,
      maxDays: plan.maxDays,
      decidedBy: plan.primary?.measure ?? "replay",
      guardrails: plan.guardrails.map(({ measure }) => measure),
    },
    sessions: canary && { without: canary.counts[0], with: canary.counts[1] },
    ending: endingOf(one),
  };
}

function endingOf(one: Experiment): ExperimentView["ending"] {
  const { key, from, state } = one;
  const isInFile = state === "deploying" || state === "deployed" || state === "kept";
  if (!isRunning(one) && state !== "kept") return null;
  const effect = isInFile
    ? `config.json gets ${key} = ${from} again at once, unless you have changed it since.`
    : `Every chat has ${key} = ${from} again at once. What was counted until now is kept.`;
  return { isRevert: isInFile, effect };
}

export function viewOfTrial(one: WorkspaceTrial): ExperimentView {
  const { key, from, state } = one;
  const effect = `${key} of the workspace is ${from} again at once, unless it was changed since.`;
  const canEnd = isTrialRunning(one) || state === "kept";
  return {
    ...commonView(one),
    scope: "workspace",
    isRunning: isTrialRunning(one),
    plan: null,
    sessions: null,
    ending: canEnd ? { isRevert: state !== "proposed", effect } : null,
  };
}
